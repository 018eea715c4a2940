#!/usr/bin/env python3
"""The terminal, and the monitor behind it.
usage: test_console.py PACIFICA [unittest arguments]
PACIFICA_RUNNER in the environment: a command that runs the program (qemu-user for a cross-built one)."""
import os
import pathlib
import pty
import select
import signal
import socket
import stat
import struct
import subprocess
import sys
import termios
import time
import unittest

import images
import test_cli
from test_cli import EXIT_DEVICE, TIMEOUT_SECONDS, CliTest, run

CTRL_A, CTRL_C = b"\x01", b"\x03"
PROMPT = b"(qemu) "
# in al, 64h; test al, 1; jz back; in al, 60h; send it on COM1; for ever
KEYS = (b"\xe4\x64\xa8\x01\x74\xfa\xe4\x60\x66\xba\xf8\x03\xee\xeb\xf1")


class Terminal:
    """The program at a terminal."""

    def __init__(self, *arguments):
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.seen = b""
        self.child = subprocess.Popen([*test_cli.PACIFICA, *arguments], stdin=self.slave,
                                      stdout=self.slave, stderr=subprocess.PIPE,
                                      env={**os.environ, "TERM": "xterm"})

    def type(self, keys):
        os.write(self.master, keys)

    def expect(self, text):
        """Wait until this has been shown; what came before it is forgotten."""
        end = time.monotonic() + TIMEOUT_SECONDS
        while text not in self.seen:
            if not select.select([self.master], [], [], max(0, end - time.monotonic()))[0]:
                raise AssertionError(f"{text} is not in {self.seen}")
            self.seen += os.read(self.master, 4096)
        before, self.seen = self.seen.split(text, 1)
        return before

    def raw(self):
        return not termios.tcgetattr(self.slave)[3] & termios.ICANON

    def wait_raw(self):
        end = time.monotonic() + TIMEOUT_SECONDS
        while not self.raw() and time.monotonic() < end:
            time.sleep(0.01)

    def end(self):
        """Returns status and standard error."""
        err = self.child.communicate(timeout=TIMEOUT_SECONDS)[1]
        return self.child.returncode, err

    def close(self):
        if self.child.poll() is None:
            self.child.kill()
            self.child.communicate()
        self.child.stderr.close()
        os.close(self.master)
        os.close(self.slave)


class ConsoleTest(CliTest):
    def terminal(self, code, *arguments):
        terminal = Terminal("-kernel", self.image(code), *EXIT_DEVICE, *arguments)
        self.addCleanup(terminal.close)
        terminal.wait_raw()
        return terminal

    def assert_restored(self, terminal):
        self.assertEqual(termios.tcgetattr(terminal.slave), terminal.before)


class Escapes(ConsoleTest):
    def test_keys_reach_the_guest(self):
        terminal = self.terminal(images.ECHO, "-nographic")
        for key in b"HAL8":
            terminal.type(bytes([key]))
            terminal.expect(bytes([key + 1]))
        self.assertEqual(terminal.end(), (1, b""))
        self.assert_restored(terminal)

    def test_x_ends_the_run(self):
        for arguments in (("-nographic",), ("-serial", "mon:stdio"),
                          ("-chardev", "stdio,id=c,mux=on", "-serial", "chardev:c", "-mon", "chardev=c")):
            terminal = self.terminal(images.SPIN, *arguments)
            terminal.type(CTRL_A + b"x")
            terminal.expect(b"terminated")
            self.assertEqual(terminal.end(), (0, b""), arguments)
            self.assert_restored(terminal)

    def test_h_tells_the_keys(self):
        terminal = self.terminal(images.SPIN, "-nographic")
        terminal.type(CTRL_A + b"h")
        for key in (b"C-a h", b"C-a x", b"C-a c", b"C-a C-a"):
            terminal.expect(key)

    def test_a_sends_itself(self):
        terminal = self.terminal(images.ECHO, "-nographic")
        terminal.type(CTRL_A + CTRL_A)
        terminal.expect(b"\x02")
        terminal.type(b"z")
        terminal.expect(b"{")

    def test_a_unknown_key_does_nothing(self):
        terminal = self.terminal(images.ECHO, "-nographic")
        terminal.type(CTRL_A + b"qb")
        self.assertEqual(terminal.expect(b"c"), b"")

    def test_c_switches_and_back(self):
        terminal = self.terminal(images.ECHO, "-nographic")
        terminal.type(CTRL_A + b"c")
        terminal.expect(b"monitor")
        terminal.expect(PROMPT)
        terminal.type(b"info status\r")
        terminal.expect(b"VM status: running")
        terminal.expect(PROMPT)
        terminal.type(CTRL_A + b"cA")
        terminal.expect(b"B")
        terminal.type(CTRL_A + b"c")
        self.assertNotIn(b"monitor", terminal.expect(PROMPT))

    def test_control_c_is_a_key(self):
        terminal = self.terminal(images.ECHO, "-nographic")
        terminal.type(CTRL_C)
        terminal.expect(b"\x04")

    def test_control_c_interrupts_without_a_monitor(self):
        for arguments in (("-serial", "stdio"), ("-nographic", "-monitor", "none")):
            terminal = self.terminal(images.SPIN, *arguments)
            self.assertTrue(terminal.raw())
            os.kill(terminal.child.pid, signal.SIGINT)  # the terminal is not its controlling one
            self.assertEqual(terminal.end()[0], -signal.SIGINT)
            self.assert_restored(terminal)
            self.assertTrue(terminal.before[3] & termios.ISIG)

    def test_every_signal_leaves_the_terminal_as_it_was(self):
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGINT):
            for code in (images.SPIN, None):
                path = self.image(code) if code else self.file("key", images.wait_for_key())
                terminal = Terminal("-kernel", path, "-serial", "mon:stdio")
                self.addCleanup(terminal.close)
                terminal.wait_raw()
                terminal.type(CTRL_A + b"c")
                terminal.expect(PROMPT)
                os.kill(terminal.child.pid, number)
                self.assertEqual(terminal.end()[0], -number)
                self.assert_restored(terminal)

    def test_a_pipe_that_nobody_reads(self):
        """As `pacifica | head`: it ends by SIGPIPE, and the terminal is as it was."""
        endless = b"\x66\xba\xf8\x03\xb0\x2a\xee\xeb\xfd"  # mov dx, 3f8h; mov al, '*'; 1: out; jmp 1
        for number, arguments in enumerate(((), ("-nographic",))):
            master, slave = pty.openpty()
            before = termios.tcgetattr(slave)
            with subprocess.Popen([*test_cli.PACIFICA, "-kernel", self.image(endless), *arguments],
                                  stdin=slave, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE) as child:
                child.stdout.read(1)
                child.stdout.close()
                self.assertEqual(child.wait(TIMEOUT_SECONDS), -signal.SIGPIPE, number)
                self.assertEqual(child.stderr.read(), b"")
            self.assertEqual(termios.tcgetattr(slave), before)
            os.close(master)
            os.close(slave)

    def test_escapes_in_a_pipe(self):
        result = self.boot(images.SPIN, "-nographic", stdin=CTRL_A + b"x")
        self.assertEqual((result.status, result.err), (0, ""))
        result = self.boot(images.ECHO, "-serial", "stdio", stdin=CTRL_A + b"xyz")
        self.assertEqual((result.status, result.out), (1, "\x02yz{"))

    def test_halted_for_ever_is_told(self):
        result = self.boot(images.HALT, "-nographic")
        self.assertEqual((result.status, len(result.lines)), (8, 1))

    def test_serial_line_elsewhere_leaves_the_terminal_to_the_monitor(self):
        result = self.boot(images.SPIN, "-nographic", "-serial", "null", stdin=b"q\n")
        self.assertEqual((result.status, result.err), (0, ""))
        self.assertIn("(qemu) ", result.out)


class Monitor(ConsoleTest):
    def monitor(self, code, commands, *arguments):
        return self.boot(code, "-serial", "null", "-monitor", "stdio", *arguments,
                         stdin="".join(line + "\n" for line in commands).encode())

    def answer(self, command, *arguments):
        result = self.monitor(images.SPIN, [command, "quit"], *arguments)
        self.assertEqual((result.status, result.err), (0, ""))
        self.assertEqual(result.out.count("(qemu) "), 2, result.out)
        return result.out.split("(qemu) ")[1]

    def test_savevm_and_loadvm(self):
        path = self.path("snapshot")
        result = self.monitor(images.SPIN, ["stop", f"savevm {path}", "cont", "stop", f"loadvm {path}", "quit"])
        self.assertEqual((result.status, result.err), (0, ""))
        self.assertNotIn("Error", result.out)
        self.assertTrue(os.path.getsize(path) > 1000)
        self.assertIn(f"Error: {path}: ", self.answer(f"loadvm {path}", "-m", "64M"))
        self.assertIn("nothing: No such file", self.answer(f"loadvm {self.path('nothing')}"))
        self.assertIn("usage: savevm FILE", self.answer("savevm"))

    def test_help_lists_commands_and_one(self):
        whole = self.answer("help")
        for name in ("help|? [COMMAND]", "info [ITEM]", "quit|q", "system_reset", "stop", "cont|c", "nmi",
                     "sendkey KEY[-KEY]...", "screendump FILE"):
            self.assertIn(f"{name} -- ", whole)
        self.assertEqual(self.answer("? stop"), self.answer("  help   stop  "))
        self.assertEqual(len(self.answer("help stop").splitlines()), 1)

    def test_abbreviations(self):
        status = "VM status: running\n"
        for command in ("info status", "inf stat", "i st", "info  status"):
            self.assertEqual(self.answer(command), status, command)
        self.assertEqual(self.answer("s"), "ambiguous command: 's'\n")
        self.assertEqual(self.answer("foo"), "unknown command: 'foo'\n")
        self.assertEqual(self.answer(""), "")
        self.assertEqual(self.answer("stop now"), "stop takes no arguments\n")
        self.assertEqual(self.answer("sendkey"), "usage: sendkey KEY[-KEY]...\n")

    def test_info_lists_its_items(self):
        items = self.answer("info")
        for item in ("status", "version", "registers", "walk ADDR", "mem"):
            self.assertIn(f"info {item}", items)

    def test_info_tells_of_a_processor(self):
        self.assertIn("rip", self.answer("info registers").lower())
        self.assertEqual(self.answer("info reg"), self.answer("info registers"))
        self.assertRegex(self.answer("info walk 0x100000"), "100000")
        self.assertIn("Error: ", self.answer("info nothing"))
        result = self.monitor(images.SPIN, ["cpu 1", "info registers", "cpu 2", "q"], "-smp", "2")
        self.assertIn("there is no processor '2'", result.out)
        self.assertIn("there is no processor '1'", self.answer("cpu 1"))

    def test_quit_ends_with_0(self):
        for word in ("quit", "q"):
            result = self.monitor(images.SPIN, [word])
            self.assertEqual((result.status, result.err), (0, ""))

    def test_lines_end_with_cr_lf_or_both(self):
        for ends in (b"\r", b"\n", b"\r\n"):
            result = self.boot(images.SPIN, "-serial", "null", "-monitor", "stdio",
                               stdin=ends.join([b"info status", b"quit", b""]))
            self.assertEqual(result.out.count("(qemu) "), 2, ends)

    def test_lines_may_be_too_long(self):
        self.assertTrue(self.answer("x" * 5000).startswith("unknown command: 'xxx"))

    def test_typing_is_shown_and_can_be_mended(self):
        terminal = self.terminal(images.SPIN, "-serial", "null", "-monitor", "stdio")
        terminal.expect(PROMPT)
        terminal.type(b"xx\x15info stax\x7ftus\r")
        terminal.expect(b"VM status: running")
        terminal.expect(PROMPT)
        terminal.type(b"quit\r")
        self.assertEqual(terminal.end(), (0, b""))

    def test_halted_machine_waits_for_the_monitor(self):
        terminal = self.terminal(images.HALT, "-serial", "null", "-monitor", "stdio")
        terminal.expect(PROMPT)
        time.sleep(0.2)
        terminal.type(b"quit\r")
        self.assertEqual(terminal.end(), (0, b""))

    def test_stop_and_cont(self):
        terminal = self.terminal(images.ECHO, "-nographic")
        terminal.type(CTRL_A + b"cstop\r")
        terminal.expect(PROMPT + b"stop")
        terminal.expect(PROMPT)
        terminal.type(b"info status\r")
        terminal.expect(b"VM status: paused")
        terminal.type(CTRL_A + b"cA")
        time.sleep(0.2)
        terminal.type(CTRL_A + b"c")
        terminal.expect(PROMPT)
        self.assertNotIn(b"B", terminal.expect(PROMPT))
        terminal.type(b"cont\r")
        terminal.expect(b"B")

    def test_time_limit_ends_a_stopped_machine(self):
        terminal = self.terminal(images.SPIN, "-serial", "null", "-monitor", "stdio", "-max-time", "0.5")
        terminal.type(b"stop\r")
        self.assertEqual(terminal.end()[0], 4)

    def test_stopped_machine_that_nobody_can_let_go_ends(self):
        result = self.monitor(images.SPIN, ["stop", "info status"])
        self.assertEqual(result.status, 0)
        self.assertIn("paused", result.out)

    def test_system_reset(self):
        hello = images.out8(images.COM1, 0x2a) + images.SPIN
        path = self.path("log")
        commands = ["system_reset", "quit"]
        result = self.boot(hello, "-serial", f"file:{path}", "-monitor", "stdio",
                           stdin="\n".join(commands).encode() + b"\n")
        self.assertEqual(result.status, 0)
        terminal = self.terminal(hello, "-nographic")
        terminal.expect(b"*")
        terminal.type(CTRL_A + b"csystem_reset\r")
        terminal.expect(b"*")
        terminal = self.terminal(hello, "-nographic", "-no-reboot")
        terminal.expect(b"*")
        terminal.type(CTRL_A + b"csystem_reset\r")
        self.assertEqual(terminal.end(), (0, b""))

    def test_nmi_wakes(self):
        """Without an IDT the NMI is a triple fault: it did arrive."""
        terminal = self.terminal(images.HALT, "-serial", "null", "-monitor", "stdio")
        terminal.expect(PROMPT)
        terminal.type(b"nmi\r")
        self.assertEqual(terminal.end()[0], 8)

    def test_sendkey(self):
        """Set 1, as the controller translates: Ctrl Alt Delete, and back in reverse."""
        path = self.file("log", b"")
        keys = "1d 38 e0 53 e0 d3 b8 9d 1e 9e 1c 9c 3b bb"
        with subprocess.Popen([*test_cli.PACIFICA, "-kernel", self.image(KEYS), "-serial",
                               f"file:{path}", "-monitor", "stdio"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as child:
            child.stdin.write(b"sendkey ctrl-alt-delete\nsendkey a\nsendkey ret\nsendkey f1\n")
            child.stdin.flush()
            end = time.monotonic() + TIMEOUT_SECONDS
            expected = bytes.fromhex(keys)
            while time.monotonic() < end and pathlib.Path(path).read_bytes() != expected:
                time.sleep(0.05)
            self.assertEqual(pathlib.Path(path).read_bytes().hex(" "), keys)
            child.communicate(b"quit\n", timeout=TIMEOUT_SECONDS)
        self.assertIn("'foo' is no key", self.answer("sendkey ctrl-foo"))
        self.assertIn("'' is no key", self.answer("sendkey ctrl-"))
        self.assertIn("'f13' is no key", self.answer("sendkey f13"))
        self.assertIn("more than 16 keys", self.answer("sendkey " + "-".join("a" * 17)))
        many = self.monitor(images.SPIN, ["sendkey a-b-c-d-e-f-g-h"] * 17 + ["quit"])
        self.assertIn("too many keys wait", many.out)

    def test_mouse(self):
        self.assertEqual(self.answer("mouse_move 1 -2"), "")
        self.assertEqual(self.answer("mouse_move 1 2 3"), "")
        for bad in ("1", "x y", "1 2 3 4", "99999 1", "1x 2"):
            self.assertEqual(self.answer(f"mouse_move {bad}"), f"Error: '{bad}' is no movement\n")
        self.assertEqual(self.answer("mouse_button 7"), "")
        self.assertEqual(self.answer("mouse_button 8"), "Error: '8' are no buttons\n")

    def test_screendump(self):
        path = self.path("screen.png")
        self.assertEqual(self.answer(f"screendump {path}"), "")
        self.assertEqual(pathlib.Path(path).read_bytes()[:4], b"\x89PNG")
        missing = self.path("none/screen.png")
        self.assertIn("Error: ", self.answer(f"screendump {missing}"))

    def test_refused(self):
        self.refused("pacifica: -monitor: 'file:x' is nothing that commands come from",
                     "-monitor", "file:x")
        self.refused("pacifica: -monitor: vc: not there yet", "-monitor", "vc")
        self.refused("pacifica: -monitor: no chardev 'x'", "-monitor", "chardev:x")
        self.refused("pacifica: -mon: mode=control: not there yet", "-mon", "chardev=x,mode=control")
        self.refused("pacifica: -mon: 'mode=readline' is a monitor without chardev=",
                     "-mon", "mode=readline")


class Lines(ConsoleTest):
    """Serial lines and monitors that other programs are at."""

    def start(self, *arguments, code=images.ECHO):
        child = subprocess.Popen([*test_cli.PACIFICA, "-kernel", self.image(code), *EXIT_DEVICE,
                                  *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE)

        def stop():
            child.kill()
            child.communicate()
        self.addCleanup(stop)
        return child

    def connect(self, address):
        end = time.monotonic() + TIMEOUT_SECONDS
        while True:
            line = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
            try:
                line.connect(address)
                break
            except OSError:
                line.close()
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)
        line.settimeout(TIMEOUT_SECONDS)
        self.addCleanup(line.close)
        return line

    def read_until(self, line, text):
        seen = b""
        while text not in seen:
            part = line.recv(4096)
            if not part:
                raise AssertionError(f"{text} is not in {seen}")
            seen += part
        return seen

    def echo(self, line, child):
        line.sendall(b"HAL8")
        self.assertEqual(self.read_until(line, b"9"), b"IBM9")
        child.wait(TIMEOUT_SECONDS)
        self.assertEqual(child.returncode, 1)

    def free_port(self):
        with socket.socket() as line:
            line.bind(("127.0.0.1", 0))
            return line.getsockname()[1]

    def test_unix_server(self):
        for number, kind in enumerate(("unix:{},server,nowait", "unix:{},server=on,wait=off", "unix:{},server")):
            path = self.path(f"socket{number}")
            child = self.start("-serial", kind.format(path))
            line = self.connect(path)
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
            self.echo(line, child)
            self.assertFalse(os.path.exists(path))

    def test_unix_server_waits_for_the_first(self):
        path = self.path("socket")
        child = self.start("-serial", f"unix:{path},server", code=images.exit_with(0))
        while not os.path.exists(path):
            time.sleep(0.02)
        time.sleep(0.2)
        self.assertIsNone(child.poll())
        self.connect(path)
        self.assertEqual(child.wait(TIMEOUT_SECONDS), 1)

    def test_unix_client(self):
        path = self.path("socket")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path)
            server.listen()
            child = self.start("-serial", f"unix:{path}")
            line = server.accept()[0]
            line.settimeout(TIMEOUT_SECONDS)
            self.addCleanup(line.close)
            self.echo(line, child)
        self.assertTrue(os.path.exists(path))

    def test_tcp_server_and_client(self):
        port = self.free_port()
        for host in ("", "127.0.0.1", "localhost"):
            child = self.start("-serial", f"tcp:{host}:{port},server,nowait")
            self.echo(self.connect(("127.0.0.1", port)), child)
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            server.listen()
            child = self.start("-serial", f"tcp:127.0.0.1:{server.getsockname()[1]}")
            line = server.accept()[0]
            line.settimeout(TIMEOUT_SECONDS)
            self.addCleanup(line.close)
            self.echo(line, child)

    def test_chardev_sockets(self):
        path, port = self.path("socket"), self.free_port()
        for chardev, address in ((f"socket,id=a,path={path},server=on,wait=off", path),
                                 (f"socket,id=a,port={port},host=127.0.0.1,server,nowait", ("127.0.0.1", port))):
            child = self.start("-chardev", chardev, "-serial", "chardev:a")
            self.echo(self.connect(address), child)

    def test_pty(self):
        for arguments in (("-serial", "pty"), ("-chardev", "pty,id=serial0", "-serial", "chardev:serial0")):
            child = self.start(*arguments)
            told = child.stderr.readline().decode()
            self.assertRegex(told, r"^pacifica: char device redirected to /dev/pts/\d+ \(label serial0\)$")
            line = os.open(told.split()[5], os.O_RDWR | os.O_NOCTTY)
            self.addCleanup(os.close, line)
            for byte in b"H\r\x03":
                os.write(line, bytes([byte]))
                self.assertEqual(os.read(line, 16), bytes([byte + 1]))
            os.write(line, b"A")  # the answer may go with the terminal
            self.assertEqual(child.wait(TIMEOUT_SECONDS), 1)

    def test_second_serial_line(self):
        """The echo on COM2."""
        code = images.ECHO.replace(b"\xfd\x03", b"\xfd\x02").replace(b"\xf8\x03", b"\xf8\x02")
        path = self.path("socket")
        child = self.start("-serial", "null", "-serial", f"unix:{path},server,nowait", code=code)
        self.echo(self.connect(path), child)
        result = self.boot(code, "-serial", "null", "-serial", "stdio", stdin=b"HAL8")
        self.assertEqual((result.status, result.out), (1, "IBM9"))
        result = self.boot(code, "-serial", "stdio", "-max-insns", "1000", stdin=b"HAL8")
        self.assertEqual((result.status, result.out), (1, ""))  # nothing is there

    def test_second_serial_line_interrupts(self):
        """IRQ 3 is vector 0bh."""
        body = b"\x66\xba\xf8\x02\xec\xfe\xc0\xee" + images.exit_with(0)  # mov dx, 2f8h; in; inc; out
        path = self.file("key", images.halting(images.out8(0x21, 0xf7) + images.out8(0x2f9, 1), 0xb, body))
        with subprocess.Popen([*test_cli.PACIFICA, "-kernel", path, *EXIT_DEVICE, "-serial", "null",
                               "-serial", "stdio"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as child:
            time.sleep(0.2)
            self.assertIsNone(child.poll())
            self.assertEqual(child.communicate(b"H", timeout=TIMEOUT_SECONDS)[0], b"I")
            self.assertEqual(child.returncode, 1)

    def test_connections_come_and_go(self):
        path = self.path("socket")
        child = self.start("-serial", f"unix:{path},server,nowait")
        for key in (b"H", b"A", b"L"):
            line = self.connect(path)
            line.sendall(key)
            self.assertEqual(line.recv(1), bytes([key[0] + 1]))
            line.close()
        self.assertIsNone(child.poll())

    def test_much_output_arrives_whole(self):
        count = 300000
        code = (b"\x66\xba\xf8\x03\xb9" + struct.pack("<I", count)  # mov dx, 3f8h; mov ecx, count
                + b"\x88\xc8\xee\xe2\xfb" + images.exit_with(0))      # 1: mov al, cl; out; loop 1
        path = self.path("socket")
        child = self.start("-serial", f"unix:{path},server", code=code)
        line = self.connect(path)
        time.sleep(0.3)
        seen = b""
        while part := line.recv(65536):
            seen += part
        self.assertEqual(child.wait(TIMEOUT_SECONDS), 1)
        self.assertEqual(seen, bytes(n & 0xff for n in range(count, 0, -1)))

    def test_output_without_a_reader_is_lost(self):
        endless = b"\x66\xba\xf8\x03\xb0\x2a\xee\xeb\xfd"
        for kind in ("pty", "unix:" + self.path("socket") + ",server,nowait"):
            result = self.boot(endless, "-serial", kind, "-max-insns", "1000000")
            self.assertEqual(result.status, 4)

    def test_monitor_on_a_socket(self):
        path = self.path("socket")
        child = self.start("-serial", "null", "-monitor", f"unix:{path},server,nowait", code=images.SPIN)
        for _ in range(2):
            line = self.connect(path)
            self.assertIn(b"monitor", self.read_until(line, PROMPT))
            line.sendall(b"info status\n")
            self.assertEqual(self.read_until(line, PROMPT), b"VM status: running\n(qemu) ")
            line.close()
        self.connect(path).sendall(b"quit\n")
        self.assertEqual(child.wait(TIMEOUT_SECONDS), 0)

    def test_monitor_behind_a_serial_line(self):
        path = self.path("socket")
        for arguments in (("-serial", f"mon:unix:{path},server,nowait"),
                          ("-chardev", f"socket,id=a,path={path},server=on,wait=off,mux=on",
                           "-serial", "chardev:a", "-mon", "chardev=a")):
            child = self.start(*arguments)
            line = self.connect(path)
            line.sendall(b"A")
            self.assertEqual(line.recv(1), b"B")
            line.sendall(CTRL_A + b"c")
            self.read_until(line, PROMPT)
            line.sendall(CTRL_A + b"x")
            self.assertEqual(child.wait(TIMEOUT_SECONDS), 0)

    def test_refused(self):
        missing = self.path("none/socket")
        self.refused(f"pacifica: {missing}: No such file or directory", "-serial", f"unix:{missing}")
        self.refused(f"pacifica: {missing}: No such file or directory", "-serial", f"unix:{missing},server,nowait")
        long = "x" * 200
        self.refused(f"pacifica: {long}: too long for a socket", "-serial", f"unix:{long}")
        port = self.free_port()
        self.refused(f"pacifica: tcp:127.0.0.1:{port}: Connection refused", "-serial", f"tcp:127.0.0.1:{port}")
        self.refused("pacifica: -serial: 'tcp:x' is no host with a port", "-serial", "tcp:x")
        self.refused("pacifica: -serial: 'tcp:x:' is no host with a port", "-serial", "tcp:x:")
        self.refused("pacifica: -serial: 'unix:' is no path", "-serial", "unix:")
        self.refused("pacifica: -serial: 'foo' is no property of a socket", "-serial", "unix:x,foo")
        self.refused("pacifica: -serial: two serial lines in the same place", "-serial", "stdio", "-serial", "stdio")
        self.refused("pacifica: -serial: a third serial line: not there yet", *["-serial", "null"] * 3)
        self.refused("pacifica: -chardev: 'socket,id=a' is a socket without one of path= and port=",
                     "-chardev", "socket,id=a")
        self.refused("pacifica: -monitor: one is behind a serial line already", "-serial", "mon:stdio", "-monitor", "pty")
        file = self.file("kept", b"x")
        self.refused(f"pacifica: {file}: Address already in use", "-serial", f"unix:{file},server,nowait")
        self.assertTrue(os.path.exists(file))


class Editing(ConsoleTest):
    """Lines at a terminal."""

    def setUp(self):
        super().setUp()
        self.line = self.terminal(images.SPIN, "-serial", "null", "-monitor", "stdio")
        self.line.expect(PROMPT)

    def answer(self, keys):
        """What is said to keys that end a line."""
        self.line.type(keys)
        self.line.expect(b"\r\r\n")
        return self.line.expect(PROMPT).replace(b"\r", b"").decode()

    def tearDown(self):
        self.assertEqual(self.answer(b"\x15info status\r"), "VM status: running\n")
        self.line.type(b"quit\r")
        self.assertEqual(self.line.end(), (0, b""))
        self.assert_restored(self.line)

    def test_keys(self):
        for keys in (b"nfo status\x01i\x05\r", b"info sttus\x02\x02\x02a\r", b"info statux\x7fs\r",
                     b"info staXtus\x1b[D\x1b[D\x1b[D\x1b[D\x1b[3~\r", b"rubbish\x03info status\r",
                     b"info status rubbish\x17\r", b"status\x01info \x0b\x19\r"):
            self.assertEqual(self.answer(keys), "VM status: running\n", keys)

    def test_history(self):
        self.answer(b"info version\r")
        self.answer(b"help stop\r")
        self.assertIn("let the machine", self.answer(b"\x1b[A\r"))
        self.assertIn("pacifica ", self.answer(b"\x10\x10\r"))
        self.assertIn("let the machine", self.answer(b"\x12help s\r"))  # found backwards

    def test_completion(self):
        self.assertEqual(self.answer(b"inf\tstat\t\r"), "VM status: running\n")
        self.assertIn("let the machine", self.answer(b"he\tsto\t\r"))
        self.assertIn("break 1: vmexit=CPUID", self.answer(b"bre\tvme\t=CPUI\t\r"))
        self.assertIn("break 2: write=0x1000,size=4", self.answer(b"b wr\t=0x1000,si\t4\r"))
        self.assertIn("not known yet", self.answer(b"vmcb d\t\r"))

    def test_ways_to_go_on_are_listed(self):
        self.line.type(b"system_reset\x15m\t\t")
        for name in (b"mouse_move", b"mouse_button", b"modebp"):
            self.line.expect(name)
        self.line.expect(PROMPT + b"mo")

    def test_nothing_completes_to_nothing(self):
        self.assertEqual(self.answer(b"zz\t\r"), "unknown command: 'zz'\n")

    def test_hostile_lines(self):
        self.answer(b"x" * 3000 + b"\r")
        self.answer(bytes(set(range(256)) - {10, 13}) * 8 + b"\x15\r")
        self.line.type(b"\x15" + b"y" * 200 + b"\x15" + b"\x19" * 30 + b"\r")
        self.line.expect(b"command: 'yyy")
        self.line.expect(PROMPT)
        self.answer(b"\x1b" * 40 + b"9999999z\x15\r")


class Explaining(ConsoleTest):
    """Commands that explain, on the demonstration hypervisor."""

    def setUp(self):
        super().setUp()
        if run("-max-insns", "1", "-display", "none").status != 4:
            self.skipTest("no demonstration hypervisor")

    def told(self, *commands, arguments=("-S",)):
        terminal = Terminal("-serial", "null", "-monitor", "stdio", "-display", "none", *arguments)
        self.addCleanup(terminal.close)
        terminal.expect(PROMPT)
        answers = []
        for command in commands:
            terminal.type(command.encode() + b"\r")
            terminal.expect(b"\r\r\n")
            text = terminal.expect(PROMPT)
            if command == "cont":
                text = terminal.expect(PROMPT)
            answers.append(text.replace(b"\r", b"").decode())
        terminal.type(b"quit\r")
        self.assertEqual(terminal.end()[0], 0)
        return answers

    def test_exit(self):
        _, stop, why, changes, exits, asids = self.told(
            "break vmexit=CPUID", "cont", "why", "vmcb diff last", "info exits", "info asids")
        self.assertIn("#VMEXIT CPUID (72h) of ASID 1", stop)
        for part in ("#VMEXIT VMEXIT_CPUID (72h) of ASID 1", "CPUID: bit 18 of the VMCB's word at 00Ch",
                     "instruction   cpuid (0fa2)", "15.9"):
            self.assertIn(part, why)
        self.assertIn("what the exit has written", changes)
        self.assertRegex(changes, r"(?m)^\+ 070h  EXITCODE .*VMEXIT_CPUID")
        self.assertRegex(exits, r"(?m)^VMEXIT_CPUID +1 ")
        self.assertRegex(asids, r"(?m)^  1 +\d+ ")

    def test_what_the_host_has_changed(self):
        """RIP behind the instruction that has exited."""
        answers = self.told("break vmexit=IOIO", "cont", "delete", "break vmrun", "cont", "vmcb diff last", "info svm")
        self.assertIn("what the host has written", answers[5])
        self.assertRegex(answers[5], r"(?m)^\+ 578h  RIP ")
        self.assertIn("in a guest", answers[6])

    def test_nested_page_fault(self):
        why = self.told("break vmexit=NPF", "cont", "why")[2]
        for part in ("nested PTE", "<- stops here: P", "write to gpa 0x40000", "instruction   mov"):
            self.assertIn(part, why)

    def test_refused_vmrun(self):
        why = self.told("break vmexit=INVALID", "cont", "why")[2]
        self.assertIn("GUEST_ASID is 0x0: ASID must not be 0", why)
        self.assertIn('15.5.1 "Basic Operation"', why)

    def test_nothing_to_explain(self):
        self.assertIn("no #VMEXIT yet", self.told("why")[0])

    def test_walk_of_both_dimensions(self):
        walk, wrong = self.told("break vmrun", "cont", "cont", "walk rip", "walk phys:1")[3:]
        self.assertIn("nested PML4E", walk)
        self.assertIn("system physical", walk)
        self.assertIn("Error: a walk begins", wrong)

    def test_vmcb(self):
        fields, elsewhere = self.told("break vmexit", "cont", "vmcb", "vmcb 0x1000")[2:]
        self.assertIn("EXITCODE", fields)
        self.assertIn("EXITCODE", elsewhere)

    def test_names_of_bochs(self):
        answers = self.told("vmexitbp", "cont", "vmexitbp", "modebp", "cont", "modebp", "info breakpoints")
        self.assertIn("#VMEXIT", answers[1])
        self.assertIn("deleted: vmexit", answers[2])
        self.assertIn("(mode)", answers[4])
        self.assertEqual(answers[6], "No breaks.\n")

    def test_trace(self):
        path = self.path("trace")
        self.told("break vmexit=CPUID", f"trace on svm:0x72 {path}", "cont", "trace off", "trace maybe",
                  "trace on nothing")
        text = pathlib.Path(path).read_text()
        self.assertIn("name VMEXIT_CPUID", text)

    def test_magic_break(self):
        magic = b"\x87\xdb" + images.SPIN  # xchg ebx, ebx is no magic; with 66h it is
        for code, stops in ((b"\x66" + magic, True), (magic, False)):
            terminal = self.terminal(code, "-serial", "null", "-monitor", "stdio", "-magic-break")
            if stops:
                terminal.expect(b"break 1 (magic)")
            terminal.type(b"\x15info status\r")
            terminal.expect(b"paused" if stops else b"running")
        self.refused("pacifica: -magic-break: nobody could start the machine (-s, -gdb or -monitor)",
                     "-magic-break", "-monitor", "none", "-display", "none")


class Window(ConsoleTest):
    """The program with SDL's dummy driver; where it has no SDL, it says so."""
    DUMMY = {**os.environ, "SDL_VIDEODRIVER": "dummy"}

    def setUp(self):
        super().setUp()
        code = images.out8(images.COM1, 0x2a) + images.exit_with(0)
        self.result = self.boot(code, "-display", "sdl", env=self.DUMMY)
        if "not built into" in self.result.err:
            self.assertEqual((self.result.status, len(self.result.lines), self.result.out), (2, 1, ""))
            self.skipTest("no SDL")

    def test_run(self):
        self.assertEqual((self.result.status, self.result.out, self.result.err), (1, "*", ""))

    def test_halted_machine_stays(self):
        result = self.boot(images.HALT, "-display", "sdl", "-max-time", "0.4", env=self.DUMMY)
        self.assertEqual(result.status, 4)

    def test_signals_end_it(self):
        with subprocess.Popen([*test_cli.PACIFICA, "-kernel", self.image(images.SPIN), "-display", "sdl"],
                              stdin=subprocess.DEVNULL, env=self.DUMMY) as child:
            time.sleep(0.5)
            child.terminate()
            self.assertEqual(child.wait(TIMEOUT_SECONDS), -signal.SIGTERM)

    def test_refused(self):
        result = self.boot(images.SPIN, "-display", "sdl", env={**os.environ, "SDL_VIDEODRIVER": "none such"})
        self.assertEqual((result.status, len(result.lines), result.out), (2, 1, ""))
        result = self.boot(images.SPIN, "-display", "sdl", "-vga", "none", env=self.DUMMY)
        self.assertEqual((result.status, result.err),
                         (2, "pacifica: -display: there is no screen (-vga std adds one)\n"))


class Realtime(ConsoleTest):
    def run_ticks(self, *arguments):
        """Seconds on the clock and of CPU time that 100 ticks of 10 ms take."""
        path = self.file("ticks", images.ticks(100))
        begin = time.monotonic()
        child = subprocess.Popen([*test_cli.PACIFICA, "-kernel", path, *EXIT_DEVICE, *arguments],
                                 stdin=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(child.returncode, 1)
        return time.monotonic() - begin, usage.ru_utime + usage.ru_stime

    def test_time_follows_the_clock_and_waiting_costs_nothing(self):
        clock, cpu = self.run_ticks("-realtime")
        self.assertGreater(clock, 0.9)
        self.assertLess(cpu, 0.6)

    def test_without_it_waiting_is_over_at_once(self):
        self.assertLess(self.run_ticks()[0], 0.9)

    def test_input_is_taken_while_the_machine_waits(self):
        path = self.file("key", images.wait_for_key())
        terminal = Terminal("-kernel", path, *EXIT_DEVICE, "-realtime")
        self.addCleanup(terminal.close)
        terminal.wait_raw()
        time.sleep(0.2)
        terminal.type(b"H")
        terminal.expect(b"I")
        self.assertEqual(terminal.end(), (1, b""))

    def test_halted_for_ever_is_told(self):
        result = self.boot(images.HALT, "-realtime")
        self.assertEqual((result.status, len(result.lines)), (8, 1))

    def test_limits_hold(self):
        self.assertEqual(self.boot(images.SPIN, "-realtime", "-max-insns", "3000000").status, 4)
        path = self.file("ticks", images.ticks(1000000))
        self.assertEqual(run("-kernel", path, "-realtime", "-max-time", "0.3").status, 4)


if __name__ == "__main__":
    test_cli.PACIFICA = [*os.environ.get("PACIFICA_RUNNER", "").split(), sys.argv.pop(1)]
    unittest.main()
