#!/usr/bin/env python3
"""The GDB stub: packets, and sessions of the real GDB.
usage: test_gdb.py PACIFICA [--demo ELF] [--smp ELF] [unittest arguments]
PACIFICA_RUNNER in the environment: a command that runs the program (qemu-user for a cross-built one)."""
import os
import pathlib
import re
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import time
import unittest

import images
import test_cli
from test_cli import EXIT_DEVICE, TIMEOUT_SECONDS, CliTest, run

GDB = shutil.which("gdb")
DEMO = SMP = None  # images with symbols
PACKET_MOST = 0x4000
CODE = images.LOAD + 32  # where images.multiboot() puts its code
# 1: inc esi; mov [200000h], esi; jmp 1
COUNT = b"\x46\x89\x35\x00\x00\x20\x00\xeb\xf7"


def checksum(body):
    return b"%02x" % (sum(body) & 0xff)


def framed(body):
    return b"$" + body + b"#" + checksum(body)


def escaped(data):
    return b"".join(b"}" + bytes([b ^ 0x20]) if b in b"$#}*" else bytes([b]) for b in data)


class Peer:
    """A debugger that speaks in packets."""

    def __init__(self, place):
        if isinstance(place, tuple):
            self.socket = socket.create_connection(place, timeout=TIMEOUT_SECONDS)
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(TIMEOUT_SECONDS)
            self.socket.connect(place)
        self.seen = b""
        self.no_ack = False

    def close(self):
        self.socket.close()

    def raw(self, data):
        self.socket.sendall(data)

    def more(self):
        data = self.socket.recv(65536)
        if not data:
            raise EOFError(f"closed behind {self.seen}")
        self.seen += data

    def byte(self):
        while not self.seen:
            self.more()
        first, self.seen = self.seen[:1], self.seen[1:]
        return first

    def packet(self):
        """The next packet, as it is on the line; acknowledged."""
        while True:
            sign = self.byte()
            if sign == b"$":
                break
            if sign not in b"+-":
                raise AssertionError(f"{sign} between packets")
        while not re.match(rb"[^#]*#..", self.seen, re.S):
            self.more()
        body, self.seen = self.seen.split(b"#", 1)
        told, self.seen = self.seen[:2], self.seen[2:]
        if told != checksum(body):
            raise AssertionError(f"checksum of {body}")
        if not self.no_ack:
            self.raw(b"+")
        return body

    def ask(self, body):
        self.raw(framed(body))
        return self.packet()

    def start(self):
        self.ask(b"qSupported:swbreak+;hwbreak+;vContSupported+")
        if self.ask(b"QStartNoAckMode") != b"OK":
            raise AssertionError("no no-ack mode")
        self.no_ack = True

    def command(self, text):
        """A command of the monitor; returns what it says."""
        self.raw(framed(b"qRcmd," + text.encode().hex().encode()))
        said = b""
        while True:
            reply = self.packet()
            if reply == b"OK":
                return said.decode()
            if not reply.startswith(b"O"):
                raise AssertionError(reply)
            said += bytes.fromhex(reply[1:].decode())

    def stop(self):
        """What was said until the machine stopped, and the reply that tells of it."""
        said = ""
        while True:
            reply = self.packet()
            if not reply.startswith(b"O"):
                return said, reply
            said += bytes.fromhex(reply[1:].decode()).decode()


class GdbTest(CliTest):
    def start(self, *arguments, kind="tcp::0"):
        """Start the program; returns it, and where it listens."""
        child = subprocess.Popen([*test_cli.PACIFICA, "-gdb", kind, "-display", "none", "-serial", "null",
                                  *EXIT_DEVICE, *arguments],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE)
        self.addCleanup(self.finish, child)
        place = None
        while place is None:
            line = child.stderr.readline().decode()
            if not line:
                raise AssertionError("it does not listen")
            found = re.match(r"pacifica: gdb: target remote (.*)\n", line)
            place = found and found[1]
        self.place = place
        if not place.startswith("/"):
            host, port = place.rsplit(":", 1)
            place = (host.strip("[]"), int(port))
        return child, place

    @staticmethod
    def finish(child):
        if child.poll() is None:
            child.kill()
        child.communicate()

    def run_code(self, code, *arguments, **more):
        return self.start("-kernel", self.image(code), *arguments, **more)

    def peer(self, place):
        peer = Peer(place)
        self.addCleanup(peer.close)
        return peer

    def stopped(self, code, *arguments):
        """A peer of a machine that stands before the first instruction of this code, and the program."""
        child, place = self.run_code(code, "-S", *arguments)
        peer = self.peer(place)
        peer.start()
        return peer, child

    def ends(self, child, status):
        child.wait(timeout=TIMEOUT_SECONDS)
        self.assertEqual(child.returncode, status)


class Options(GdbTest):
    def test_refused(self):
        for value in ("", "udp::1", "file:x", "telnet"):
            result = run("-gdb", value)
            self.assertEqual(result.status, 2, value)
            self.assertIn("-gdb", result.err)
        self.refused("pacifica: -gdb: no chardev 'x'", "-gdb", "chardev:x")
        self.refused("pacifica: tcp::65536: no port 65536 (0 to 65535)", "-S", "-gdb", "tcp::65536")
        self.refused("pacifica: -gdb: stdio is the serial line's or the monitor's already (-serial null)",
                     "-gdb", "stdio")
        self.refused("pacifica: -S: nobody could start the machine (-s, -gdb or -monitor)", "-S")
        self.refused("pacifica: -S: nobody could start the machine (-s, -gdb or -monitor)",
                     "-S", "-gdb", "tcp::0", "-gdb", "none")

    def test_a_port_without_a_host_is_for_this_workstation(self):
        _, place = self.run_code(images.SPIN)
        self.assertEqual(place[0], "127.0.0.1")

    def test_a_host_is_taken(self):
        _, place = self.run_code(images.SPIN, kind="tcp:localhost:0")
        self.assertIn(place[0], ("127.0.0.1", "::1"))

    def test_a_socket_is_for_its_owner(self):
        path = self.path("socket")
        _, place = self.run_code(images.SPIN, "-S", kind=f"unix:{path}")
        self.assertEqual(place, path)
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        self.peer(path).start()

    def test_a_chardev_is_taken(self):
        path = self.path("socket")
        _, place = self.run_code(images.SPIN, "-chardev", f"socket,path={path},server=on,wait=off,id=g",
                                 kind="chardev:g")
        self.peer(place).start()

    def test_an_occupied_place_is_told(self):
        _, place = self.run_code(images.SPIN)
        result = run("-kernel", self.image(images.SPIN), "-gdb", f"tcp::{place[1]}")
        self.assertEqual(result.status, 2)
        self.assertIn("Address already in use", result.err)

    def test_a_machine_that_nobody_debugs_runs(self):
        for more in ((), ("-gdb", "none")):
            result = self.boot(images.exit_with(3), "-gdb", "tcp::0", *more)
            self.assertEqual(result.status, 7)

    def test_frozen_waits_and_limits_count(self):
        child, _ = self.run_code(images.exit_with(0), "-S", "-max-time", "0.3")
        self.ends(child, 4)
        peer, child = self.stopped(images.SPIN, "-max-insns", "5000")
        peer.raw(framed(b"vCont;c"))
        self.assertEqual(peer.packet(), b"W04")
        self.ends(child, 4)

    def test_the_monitor_may_start_a_frozen_machine(self):
        result = run("-kernel", self.image(images.exit_with(1)), *EXIT_DEVICE, "-S", "-serial", "null",
                     "-monitor", "stdio", stdin=b"cont\n")
        self.assertEqual(result.status, 3)


class Packets(GdbTest):
    def test_features_are_told(self):
        _, place = self.run_code(images.SPIN, "-S")
        peer = self.peer(place)
        told = peer.ask(b"qSupported:swbreak+").decode().split(";")
        self.assertIn(f"PacketSize={PACKET_MOST:x}", told)
        for word in ("QStartNoAckMode+", "swbreak+", "hwbreak+", "vContSupported+", "ReverseStep+",
                     "ReverseContinue+", "qXfer:features:read+", "qXfer:memory-map:read+",
                     "qXfer:threads:read+"):
            self.assertIn(word, told)

    def test_unknown_packets_get_an_empty_answer(self):
        peer, _ = self.stopped(images.SPIN)
        for body in (b"vMustReplyEmpty", b"qNonsense", b"QNonsense", b"vNonsense;1", b"J", b"", b"bx",
                     b"qXfer:auxv:read::0,10", b"Z9,0,1", b"_", b"\x80"):
            self.assertEqual(peer.ask(body), b"", body)

    def test_malformed_packets_get_an_error(self):
        peer, _ = self.stopped(images.SPIN)
        for body in (b"m", b"m,", b"m0", b"m0,", b"m0,zz", b"m0,4;", b"M0,4", b"M0,4:00", b"M0,1:0",
                     b"M0,1:0000", b"M0,ffffffffffffffff:00", b"X0,4:12", b"X0,0", b"p", b"pffff", b"P0",
                     b"P0=12", b"Pffff=00", b"G", b"G00", b"Z0", b"Z0,", b"Z0,0", b"Z0,0,x",
                     b"Z2,0,ffffffffffffffff", b"Z2,0,0", b"Z2,0,100000", b"Z", b"z", b"H", b"Hx0", b"Hgz",
                     b"Hg2", b"T", b"T0", b"T9", b"Txyz", b"vCont", b"vCont;", b"vCont;x", b"vCont;c:9",
                     b"vCont;r1", b"vCont;r1,", b"vCont;C", b"vCont;C05x", b"vCont;s:1;", b"vCont;t",
                     b"cz", b"C", b"Czz", b"qRcmd", b"qRcmd,1", b"qRcmd,zz",
                     b"qRcmd," + b"61" * 300, b"qThreadExtraInfo", b"qThreadExtraInfo,0",
                     b"qThreadExtraInfo,9", b"qXfer:features:read:target.xml:", b"qXfer:features:read:x:0,1",
                     b"qXfer:features:read:target.xml:ffffffff,1", b"qXfer:memory-map:read::0"):
            reply = peer.ask(body)
            self.assertEqual(reply[:1], b"E", body)

    def test_a_damaged_packet_is_asked_for_again(self):
        _, place = self.run_code(images.SPIN, "-S")
        peer = self.peer(place)
        peer.raw(b"$?#00")
        self.assertEqual(peer.byte(), b"-")
        peer.raw(b"$?#3f")
        self.assertEqual(peer.byte(), b"+")
        self.assertEqual(peer.packet()[:3], b"T05")
        peer.raw(b"-")
        self.assertEqual(peer.packet()[:3], b"T05")
        peer.start()
        self.assertEqual(peer.ask(b"?")[:3], b"T05")
        peer.raw(b"$?#00")
        self.assertEqual(peer.packet()[:2], b"E.")

    def test_long_packets(self):
        peer, _ = self.stopped(images.SPIN)
        body = b"Z" * PACKET_MOST
        self.assertEqual(peer.ask(body), b"E16")
        self.assertEqual(peer.ask(body + b"Z"), b"E.the packet is too long")
        self.assertEqual(peer.ask(b"Z" * 5000000), b"E.the packet is too long")
        self.assertEqual(peer.ask(b"qC"), b"QC1")

    def test_packets_come_in_pieces(self):
        peer, _ = self.stopped(images.SPIN)
        for piece in (b"$", b"q", b"C", b"#", b"b"):
            peer.raw(piece)
            time.sleep(0.02)
        peer.raw(b"4")
        self.assertEqual(peer.packet(), b"QC1")

    def test_registers(self):
        peer, _ = self.stopped(images.SPIN)
        xml = self.document(peer, b"features:read:target.xml")
        names = re.findall(r'<reg name="(\w+)" bitsize="(\d+)"', xml)
        all_of_them = peer.ask(b"g")
        self.assertEqual(len(all_of_them), sum(int(bits) // 4 for _, bits in names))
        self.assertNotIn(b"xx", all_of_them)
        at = 0
        for number, (name, bits) in enumerate(names):
            digits = int(bits) // 4
            self.assertEqual(peer.ask(b"p%x" % number), all_of_them[at:at + digits], name)
            at += digits
        for feature in ("i386.core", "i386.sse", "i386.avx", "i386.segments"):
            self.assertIn(f'"org.gnu.gdb.{feature}"', xml)
        order = [name for name, _ in names]
        for name in ("gif", "guest_mode", "asid", "vmcb_pa", "n_cr3", "exitcode", "cr0", "cr3", "cr4",
                     "efer", "cs_base", "cs_limit", "fs_base", "gdtr_base", "dr7", "mxcsr", "fctrl", "ip"):
            self.assertEqual(order.count(name), 1, name)
        self.assertEqual(peer.ask(b"P1=8877665544332211"), b"OK")
        self.assertEqual(peer.ask(b"p1"), b"8877665544332211")
        self.assertEqual(peer.ask(b"G" + all_of_them), b"OK")
        self.assertEqual(peer.ask(b"g"), all_of_them)
        number = b"%x" % order.index("cr0")
        self.assertEqual(peer.ask(b"P" + number + b"=00000080ffffffff")[:2], b"E.")
        self.assertEqual(peer.ask(b"g"), all_of_them)

    @staticmethod
    def document(peer, name, part=0x1000):
        document = b""
        while True:
            reply = peer.ask(b"qXfer:" + name + b":%x,%x" % (len(document), part))
            document += re.sub(rb"}(.)", lambda found: bytes([found[1][0] ^ 0x20]), reply[1:], flags=re.S)
            if reply[:1] == b"l":
                return document.decode()
            if reply[:1] != b"m":
                raise AssertionError(reply)

    def test_documents_are_the_same_in_any_parts(self):
        peer, _ = self.stopped(images.SPIN, "-smp", "2")
        for name in (b"features:read:target.xml", b"memory-map:read:", b"threads:read:"):
            whole = self.document(peer, name, 0x3ff0)
            self.assertEqual(self.document(peer, name, 97), whole)
        self.assertIn('<thread id="2" core="1">CPU 1 [host', self.document(peer, b"threads:read:"))
        self.assertIn('<memory type="ram" start="0x0"', self.document(peer, b"memory-map:read:"))

    def test_memory_as_digits_and_binary(self):
        peer, _ = self.stopped(images.SPIN)
        data = bytes(range(256)) * 8
        self.assertEqual(peer.ask(b"X300000,0:"), b"OK")
        self.assertEqual(peer.ask(b"X300000,%x:" % len(data) + escaped(data)), b"OK")
        self.assertEqual(peer.ask(b"m300000,%x" % len(data)), data.hex().encode())
        reply = peer.ask(b"x300000,%x" % len(data))
        self.assertEqual(reply, b"b" + escaped(data))
        self.assertEqual(peer.ask(b"M300001,2:abcd"), b"OK")
        self.assertEqual(peer.ask(b"m300000,4"), b"00abcd03")
        self.assertEqual(peer.ask(b"m300000,0"), b"")
        # As much as a packet holds.
        self.assertEqual(len(peer.ask(b"m0,ffffff")), PACKET_MOST)

    def test_memory_that_is_not_there(self):
        peer, _ = self.stopped(images.SPIN, "-m", "16")
        for body in (b"m1000000,10", b"mf0000000,1", b"x1000000,1", b"M1000000,1:00", b"X1000000,1:a"):
            self.assertEqual(peer.ask(body), b"E0e", body)
        # What there is of it.
        self.assertEqual(peer.ask(b"mfffff8,10"), b"00" * 8)

    def test_threads(self):
        peer, _ = self.stopped(images.SPIN, "-smp", "3")
        self.assertEqual(peer.ask(b"qfThreadInfo"), b"m1,2,3")
        self.assertEqual(peer.ask(b"qsThreadInfo"), b"l")
        self.assertEqual(peer.ask(b"T3"), b"OK")
        self.assertEqual(peer.ask(b"Hg2"), b"OK")
        self.assertEqual(peer.ask(b"qC"), b"QC2")
        self.assertIn("CPU 1 [host", bytes.fromhex(peer.ask(b"qThreadExtraInfo,2").decode()).decode())
        for body, reply in ((b"qAttached", b"1"), (b"qSymbol::", b"OK"), (b"Hc-1", b"OK"), (b"Hg0", b"OK"),
                            (b"vCont?", b"vCont;c;C;s;S;t;r")):
            self.assertEqual(peer.ask(body), reply)

    def pc(self, peer):
        return int.from_bytes(bytes.fromhex(peer.ask(b"p10").decode()), "little")

    def test_going_and_stopping(self):
        peer, _ = self.stopped(COUNT)
        self.assertEqual(self.pc(peer), CODE)
        for body, pc in ((b"vCont;s:1", CODE + 1), (b"vCont;s:1;c", CODE + 7), (b"s", CODE), (b"S05", CODE + 1),
                         (b"s%x" % CODE, CODE + 1),
                         (b"vCont;r%x,%x:1" % (CODE, CODE + 7), CODE + 7)):
            reply = peer.ask(body)
            self.assertRegex(reply, rb"^T05.*thread:1;$", body)
            self.assertEqual(self.pc(peer), pc, body)
            self.assertIn(b"10:" + pc.to_bytes(8, "little").hex().encode(), reply)
        for go in (b"c", b"vCont;c", b"vCont;c:1", b"vCont;c:-1", b"C05", b"vCont;C05:1"):
            peer.raw(framed(go))
            time.sleep(0.02)
            peer.raw(b"\x03")
            self.assertRegex(peer.packet(), rb"^T02", go)
        # A range that is never left is left by Ctrl-C.
        peer.raw(framed(b"vCont;r%x,%x:1" % (CODE, CODE + 9)))
        time.sleep(0.1)
        peer.raw(b"\x03")
        self.assertRegex(peer.packet(), rb"^T02")

    def test_breakpoints_and_watchpoints(self):
        peer, _ = self.stopped(COUNT)
        at = b"%x" % (CODE + 7)
        for kind, word in ((b"0", b"swbreak:;"), (b"1", b"hwbreak:;")):
            body = kind + b"," + at + b",1"
            self.assertEqual(peer.ask(b"Z" + body), b"OK")
            self.assertEqual(peer.ask(b"Z" + body), b"OK")
            for _ in range(3):
                self.assertRegex(peer.ask(b"c"), rb"^T05.*thread:1;" + word + b"$")
                self.assertEqual(self.pc(peer), CODE + 7)
            self.assertEqual(peer.ask(b"z" + body), b"OK")
            self.assertEqual(peer.ask(b"z" + body), b"OK")
        for kind, word in ((b"2", b"watch"), (b"4", b"awatch")):
            self.assertEqual(peer.ask(b"Z" + kind + b",200000,4"), b"OK")
            self.assertRegex(peer.ask(b"c"), rb"^T05.*" + word + b":200000;$")
            self.assertEqual(self.pc(peer), CODE + 7)
            self.assertEqual(peer.ask(b"z" + kind + b",200000,4"), b"OK")
        self.assertEqual(peer.ask(b"Z3,200000,4"), b"OK")
        peer.raw(framed(b"c"))
        time.sleep(0.05)
        peer.raw(b"\x03")
        self.assertRegex(peer.packet(), rb"^T02")  # nobody reads it

    def test_going_back(self):
        peer, _ = self.stopped(COUNT)
        self.assertRegex(peer.ask(b"bs"), rb"^T05.*replaylog:begin;$")
        for _ in range(7):
            peer.ask(b"s")
        self.assertEqual((self.pc(peer), peer.ask(b"p4")[:2]), (CODE + 1, b"03"))
        self.assertRegex(peer.ask(b"bs"), rb"^T05.*thread:1;$")
        self.assertEqual((self.pc(peer), peer.ask(b"p4")[:2]), (CODE, b"02"))
        self.assertEqual(peer.ask(b"Z2,200000,4"), b"OK")
        self.assertRegex(peer.ask(b"bc"), rb"^T05.*watch:200000;$")
        self.assertEqual((self.pc(peer), peer.ask(b"m200000,1")), (CODE + 1, b"01"))
        self.assertRegex(peer.ask(b"bc"), rb"^T05.*watch:200000;$")
        self.assertRegex(peer.ask(b"bc"), rb"^T05.*replaylog:begin;$")
        self.assertEqual(self.pc(peer), CODE)
        self.assertRegex(peer.ask(b"c"), rb"^T05.*watch:200000;$")

    def test_going_back_can_be_interrupted(self):
        peer, _ = self.stopped(COUNT)
        peer.raw(framed(b"c"))
        time.sleep(0.5)
        peer.raw(b"\x03")
        self.assertRegex(peer.packet(), rb"^T02")
        before = peer.ask(b"g")
        self.assertEqual(peer.ask(b"Z2,300000,4"), b"OK")  # nobody writes there
        peer.raw(framed(b"bc"))
        peer.raw(b"\x03")
        self.assertRegex(peer.packet(), rb"^T02")
        self.assertEqual(peer.ask(b"g"), before)

    def test_the_end_is_told(self):
        peer, child = self.stopped(images.exit_with(5))
        self.assertEqual(peer.ask(b"c"), b"W0b")
        self.ends(child, 11)
        # What nobody asked for may be looked at before.
        peer, child = self.stopped(images.TRIPLE_FAULT)
        peer.raw(framed(b"c"))
        said, reply = peer.stop()
        self.assertRegex(reply, rb"^T06")
        self.assertIn("triple fault", said)
        self.assertEqual(len(peer.ask(b"p10")), 16)
        peer.raw(framed(b"c"))
        self.assertEqual(peer.stop()[1], b"W08")
        self.ends(child, 8)

    def test_a_machine_that_waits_for_ever_may_be_looked_at(self):
        peer, child = self.stopped(images.HALT)
        peer.raw(framed(b"c"))
        said, reply = peer.stop()
        self.assertRegex(reply, rb"^T06")
        self.assertIn("halted", said)
        self.assertRegex(peer.ask(b"bs"), rb"^T05")
        self.assertEqual(self.pc(peer), CODE + 1)
        peer.raw(framed(b"c"))
        self.assertRegex(peer.stop()[1], rb"^T06")
        peer.raw(framed(b"c"))
        self.assertEqual(peer.stop()[1], b"W08")
        self.ends(child, 8)

    def test_signals_end_it(self):
        peer, child = self.stopped(images.SPIN)
        peer.raw(framed(b"c"))
        time.sleep(0.1)
        child.send_signal(signal.SIGTERM)
        self.assertEqual(peer.packet(), b"X0f")

    def test_kill(self):
        for body, reply in ((b"vKill;1", b"OK"), (b"k", None)):
            peer, child = self.stopped(images.SPIN)
            peer.raw(framed(body))
            if reply:
                self.assertEqual(peer.packet(), reply)
            self.ends(child, 0)

    def test_restart(self):
        peer, _ = self.stopped(COUNT)
        for _ in range(3):
            peer.ask(b"s")
        peer.raw(framed(b"R00"))
        self.assertEqual(peer.ask(b"qC"), b"QC1")
        self.assertEqual(self.pc(peer), CODE)

    def test_commands_of_the_monitor(self):
        peer, _ = self.stopped(COUNT)
        self.assertIn("paused", peer.command("info status"))
        self.assertIn("unknown command", peer.command("nonsense"))
        self.assertIn("screendump", peer.command("help"))
        self.assertRegex(peer.command("x /2i $rip"), r"inc esi\n.*mov dword ptr \[0x200000\], esi\n")
        self.assertEqual(peer.command("xp /4xb 0x100020"), "0000000000100020: 0x46 0x89 0x35 0x00\n")
        self.assertRegex(peer.command("break write=phys:0x200000,size=4"), r"break \d+: ")
        peer.raw(framed(b"c"))
        said, reply = peer.stop()
        self.assertRegex(said, r"^break \d+ \(write=phys:0x200000,size=4\): CPU 0 \[host\] at 0x100027\n$")
        self.assertRegex(reply, rb"^T05.*thread:1;$")
        self.assertRegex(peer.command("info breakpoints"), r"write=phys:0x200000,size=4, hit 1 time\n")
        self.assertEqual(peer.command("delete"), "")
        self.assertEqual(peer.command("info breakpoints"), "No breaks.\n")
        self.assertRegex(peer.command("written 0x200000 4"), r"0x0 -> 0x1\nwritten by CPU 0 \[host\] at 0x100021")
        self.assertRegex(peer.command("goto 0"), r"step 0, CPU 0 \[host\] at 0x100020\nGDB does not know")
        self.assertRegex(peer.command("step 3"), r"step 3, CPU 0 \[host\] at 0x100020\n")
        self.assertRegex(peer.command("goto -2"), r"step 1, CPU 0 \[host\] at 0x100021\n")

    def test_bad_words_of_break_are_refused(self):
        peer, _ = self.stopped(COUNT)
        for words in ("nothing", "vmrun=1", "vmexit=nothing", "exception=x", "at", "write", "write=zz",
                      "vmrun,msr=1", "vmexit=msr,cpu=1", "vmexit,x=1", "0x1000,size=0,", "vmexit=",
                      "write=0,size=0", "write=0,size=4097", "write=nonsense:0", "exception=256",
                      "port=65536", "msr=0x100000000", "vmexit=ioio,port=65536", "vmexit=msr,msr=0x100000000"):
            self.assertRegex(peer.command("break " + words), r"^Error: ", words)
        self.assertEqual(peer.command("info breakpoints"), "No breaks.\n")


class Peers(GdbTest):
    """Debuggers that come, go, and are not debuggers."""

    def alive(self, child, place):
        """The machine answers, and is the one that was started."""
        end = time.monotonic() + TIMEOUT_SECONDS
        while True:  # whoever was there before may not have been seen to go
            self.assertIsNone(child.poll())
            try:
                peer = self.peer(place)
                peer.start()
                break
            except (AssertionError, EOFError, ConnectionError):
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)
        self.assertEqual(peer.ask(b"qC"), b"QC1")
        return peer

    def test_a_machine_goes_on_without_its_debugger(self):
        # in al, 64h ... for ever, until the count is there: dec ecx; jnz -3; exit 1
        code = b"\xb9" + struct.pack("<I", 3000000) + b"\x49\x75\xfd" + images.exit_with(1)
        for leave in (b"$D#44", None):
            child, place = self.run_code(code, "-S")
            peer = self.peer(place)
            peer.start()
            self.assertEqual(peer.ask(b"Z0,%x,1" % (CODE + 5)), b"OK")
            if leave:
                self.assertEqual(peer.ask(b"D"), b"OK")
            peer.close()
            self.ends(child, 3)

    def test_another_debugger_is_refused(self):
        child, place = self.run_code(images.SPIN, "-S")
        first = self.peer(place)
        first.start()
        second = self.peer(place)
        self.assertRegex(second.packet(), rb"^E\.another debugger")
        with self.assertRaises((EOFError, ConnectionError)):
            second.ask(b"qC")
            second.more()
        self.assertEqual(first.ask(b"qC"), b"QC1")
        first.close()
        self.alive(child, place)

    def test_one_comes_after_another(self):
        child, place = self.run_code(COUNT, "-S")
        for _ in range(5):
            peer = self.alive(child, place)
            self.assertEqual(peer.ask(b"D"), b"OK")
            peer.close()

    def test_who_only_connects_stops_nothing(self):
        code = b"\xb9" + struct.pack("<I", 30000000) + b"\x49\x75\xfd" + images.exit_with(1)
        child, place = self.run_code(code)
        peer = self.peer(place)
        peer.raw(b"GET / HTTP/1.0\r\n\r\n+++---\x03\x03$m0")
        self.ends(child, 3)

    def throw(self, place, data):
        """Send this and go. Who comes before the last one is forgotten is sent away, which may be in the middle of it."""
        peer = self.peer(place)
        try:
            peer.raw(data)
        except ConnectionError:
            pass
        peer.close()

    def test_rubbish(self):
        child, place = self.run_code(COUNT, "-S")
        rubbish = [bytes(range(256)) * 20, b"$" * 70000, b"#" * 70000, b"}" * 70000, b"\x03" * 70000,
                   b"$}" * 5000, b"$#00" * 5000, b"\xff" * 100000, b"$" + b"a" * 1000000]
        for bytes_ in rubbish:
            self.throw(place, bytes_)
        self.alive(child, place)

    def test_a_debugger_goes_in_the_middle_of_a_packet(self):
        child, place = self.run_code(COUNT, "-S")
        whole = framed(b"m100000,40")
        for end in range(len(whole)):
            self.throw(place, whole[:end])
        self.alive(child, place)

    def test_who_asks_without_reading_waits_for_himself(self):
        child, place = self.run_code(images.SPIN, "-S", "-max-time", "3")
        peer = self.peer(place)
        peer.start()
        peer.socket.setblocking(False)
        flood = framed(b"m100000,2000") * 100
        sent = 0
        end = time.monotonic() + 10
        with self.assertRaises((BlockingIOError, ConnectionError)):
            while time.monotonic() < end:
                sent += peer.socket.send(flood)
        # The run ends by its own time, which it sees all the while.
        self.ends(child, 4)

    def test_stdio(self):
        child = subprocess.Popen([*test_cli.PACIFICA, "-kernel", self.image(images.SPIN), "-gdb", "stdio", "-S",
                                  "-display", "none", "-serial", "null"],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(self.finish, child)
        child.stdin.write(framed(b"qC"))
        child.stdin.flush()
        self.assertEqual(child.stdout.read(8), b"+$QC1#c5")
        child.stdin.close()
        child.stdin = None
        child.wait(timeout=TIMEOUT_SECONDS)
        self.assertEqual(child.returncode, 0)

    def test_beside_a_monitor(self):
        path = self.path("monitor")
        _, place = self.run_code(COUNT, "-monitor", f"unix:{path},server,nowait")
        monitor = self.peer(path)
        monitor.socket.settimeout(TIMEOUT_SECONDS)

        def expect(text):
            while text not in monitor.seen:
                monitor.more()
            monitor.seen = monitor.seen.split(text, 1)[1]

        expect(b"(qemu) ")
        peer = self.peer(place)
        peer.start()
        monitor.raw(b"info status\n")
        expect(b"paused")
        peer.raw(framed(b"c"))
        time.sleep(0.05)
        monitor.raw(b"stop\n")
        self.assertRegex(peer.packet(), rb"^T02")
        peer.ask(b"D")
        peer.close()
        expect(b"(qemu) ")
        # A break of the monitor stops the machine without GDB.
        monitor.raw(b"break 0x100027\n")
        expect(b"(at=0x100027): CPU 0 [host] at 0x100027")
        monitor.raw(b"info status\n")
        expect(b"paused")


@unittest.skipUnless(GDB, "no gdb")
class Sessions(GdbTest):
    """The real GDB. Each command is a line of a script; what it says is compared."""

    def gdb(self, *commands, image=None, place=None, more=()):
        """Run commands; returns what GDB has said."""
        lines = ["set pagination off", "set confirm off", "set width 0", "set remotetimeout 60", *more,
                 f"target remote {place or self.place}", *commands]
        script = self.file("script", ("\n".join(lines) + "\n").encode())
        done = subprocess.run([GDB, "-nx", "-q", "-batch", "-x", script, *([image] if image else [])],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                              timeout=5 * TIMEOUT_SECONDS, stdin=subprocess.DEVNULL)
        self.said = done.stdout.decode()
        return self.said

    def told(self, *patterns):
        """These were said in this order."""
        at = 0
        for pattern in patterns:
            found = re.compile(pattern, re.M).search(self.said, at)
            self.assertTrue(found, f"{pattern!r} is not in:\n{self.said[at:]}\nof\n{self.said}")
            at = found.end()

    def test_a_break_a_step_a_watch(self):
        child, _ = self.run_code(COUNT, "-S")
        self.gdb("info registers rip", "x/2i $pc", f"break *{CODE + 7}", "continue", "print $esi",
                 "stepi", "print/x $pc", "delete", "watch *(int*)0x200000", "continue", "continue",
                 "set $rsi = 77", "continue", "print *(int*)0x200000", "info threads", "detach")
        self.told(r"^rip +0x100020", r"Breakpoint 1, 0x0*100027", r"^\$1 = 1$", r"^\$2 = 0x100020$",
                  r"Hardware watchpoint 2", r"Old value = 1\nNew value = 2", r"Old value = 2\nNew value = 3",
                  r"Old value = 3\nNew value = 78", r"^\$3 = 78$", r"CPU 0 \[host", r"detached")

    def test_back_and_forth(self):
        self.run_code(COUNT, "-S")
        self.gdb(f"break *{CODE + 7}", "continue", "continue", "continue", "print $esi", "reverse-continue",
                 "print $esi", "reverse-stepi", "print/x $pc", "delete", "watch *(int*)0x200000",
                 "reverse-continue", "reverse-continue", "reverse-continue", "continue", "detach")
        self.told(r"^\$1 = 3$", r"Breakpoint 1", r"^\$2 = 2$", r"^\$3 = 0x100021$",
                  r"Old value = 1\nNew value = 0", "No more reverse-execution history", r"Old value = 0\nNew value = 1")

    def test_kill_ends_it(self):
        child, _ = self.run_code(COUNT, "-S")
        self.gdb("stepi", "kill")
        self.ends(child, 0)

    def test_real_mode(self):
        # At the reset vector: jmp F000:0000; there: 1: inc bx; jmp 1
        rom = bytearray(65536)
        rom[0xfff0:0xfff5] = b"\xea\x00\x00\x00\xf0"
        rom[0:3] = b"\x43\xeb\xfd"
        self.start("-bios", self.file("rom", bytes(rom)), "-S", "-vga", "none")
        self.gdb("print/x $pc", "print/x $ip", "break *0xf0001", "continue", "print/x $ip", "print $bx",
                 "monitor x /2i 0xf0000", "continue", "print $bx", "detach")
        self.told(r"^\$1 = 0xfffffff0$", r"^\$2 = 0xfff0$", r"Breakpoint 1, 0x0*f0001", r"^\$3 = 0x1$",
                  r"^\$4 = 1$", r"inc bx", r"jmp 0", r"Breakpoint 1", r"^\$5 = 2$")

    @unittest.skipUnless(GDB and "--demo" in sys.argv, "no demonstration hypervisor")
    def test_demonstration_hypervisor(self):
        """Break on an exit, step into the guest, step back to before VMRUN, find who wrote a VMCB field."""
        self.start("-S")
        self.gdb("monitor break vmexit=cpuid", "continue",                 # stops where the host goes on
                 "print $guest_mode", "print $exitcode", "print/x $asid", "info breakpoints",
                 "monitor info breakpoints", "monitor delete",
                 "monitor break vmrun", "continue",                        # into the guest
                 "print $guest_mode", "print $gif", "print $asid", "monitor delete", "stepi",
                 "print $guest_mode", "info threads",
                 "reverse-stepi", "reverse-stepi", "print $guest_mode", "x/i $pc",
                 "monitor written RIP", "monitor written EXITCODE",
                 "monitor x /1xb guest:0x1000",
                 "break handle_exit", "continue", "backtrace 2", "reverse-continue", "detach",
                 image=DEMO)
        self.told(r"break \d+ \(vmexit=CPUID\): #VMEXIT CPUID \(72h\) of ASID \d+ from guest RIP 0x",
                  r"Program received signal SIGTRAP", r"^\$1 = 0$", r"^\$2 = 114$",
                  r"vmexit=CPUID, hit 1 time",
                  r"\(vmrun\): CPU 0 \[guest ASID", r"^\$4 = 1$", r"^\$5 = 1$", r"^\$6 = [12]$", r"^\$7 = 1$",
                  r"CPU 0 \[guest ASID 1, runs\]", r"^\$8 = 0$", r"vmrun",
                  r"RIP \(physical 0x\w+\): 0x\w+ -> 0x\w+\nwritten by CPU 0 \[host\]",
                  r"EXITCODE \(physical 0x\w+\): 0x\w+ -> 0x\w+\nwritten by CPU 0",
                  r"Breakpoint 1, 0x\w+ in handle_exit", r"#0 .* handle_exit")

    @unittest.skipUnless(GDB and "--demo" in sys.argv, "no demonstration hypervisor")
    def test_finish_backwards(self):
        self.start("-S")
        self.gdb("break handle_exit", "continue", "delete", "stepi", "stepi", "stepi", "reverse-finish", "x/i $pc",
                 "detach", image=DEMO)
        self.told(r"Breakpoint 1, 0x\w+ in handle_exit", r"in schedule", r"call +0x\w+ <handle_exit>")

    @unittest.skipUnless(GDB and "--demo" in sys.argv, "no demonstration hypervisor")
    def test_memory_of_the_other_level(self):
        """The same address means the guest's memory in the guest, and the host's in the host."""
        self.start("-S")
        self.gdb("monitor break vmrun", "continue", "monitor x /8xb $rip", "monitor x /8xb host:$rip", "monitor delete",
                 "monitor break vmexit", "continue", "monitor x /8xb guest:0x1000", "monitor x /8xb 0x1000",
                 "monitor x /8xb gpa:0x1000", "detach", image=DEMO)
        dumps = re.findall(r"^00000000000\w+: (0x.*)$", self.said, re.M)
        self.assertEqual(len(dumps), 5, self.said)
        in_guest, host_from_guest, guest_from_host, in_host, guest_physical = dumps
        self.assertNotEqual(in_guest, host_from_guest)
        self.assertNotEqual(guest_from_host, in_host)
        self.assertEqual((guest_from_host, guest_physical), (in_guest, in_guest))

    @unittest.skipUnless(GDB and "--smp" in sys.argv, "no test ROM with several processors")
    def test_threads(self):
        self.start("-kernel", SMP, "-smp", "3", "-S")
        self.gdb("info threads", "break listen", "continue", "info threads", "thread", "stepi", "print/x $pc",
                 "reverse-stepi", "x/i $pc", "delete", "thread 1", "stepi", "thread", "hbreak on_fixed", "continue",
                 "backtrace 1", "detach", image=SMP + ".64")
        self.told(r"\* 1 +Thread 1 \(CPU 0 \[host", r"  2 +Thread 2 \(CPU 1 \[host", r"  3 +Thread 3 \(CPU 2 \[host, waits for a Startup IPI\]",
                  r"Thread [23] hit Breakpoint 1, 0x\w+ in listen", r"\* [23] +Thread [23] .* in listen",
                  r"Current thread is [23]", r"=> 0x\w+ <listen>:", r"Switching to thread 1",
                  r"Current thread is 1", r"Breakpoint 2, 0x\w+ in on_fixed", r"#0 .* in on_fixed")


def value_of(option):
    return sys.argv[sys.argv.index(option) + 1] if option in sys.argv else None


if __name__ == "__main__":
    test_cli.PACIFICA = [*os.environ.get("PACIFICA_RUNNER", "").split(), sys.argv[1]]
    DEMO, SMP = value_of("--demo"), value_of("--smp")
    arguments = [a for a in sys.argv[2:] if a not in ("--demo", "--smp", DEMO, SMP)]
    unittest.main(argv=[sys.argv[0], *arguments])
