#!/usr/bin/env python3
"""`pacifica test`: finding ROMs, expectations, verdicts, reports.
usage: test_test.py PACIFICA [unittest arguments]      PACIFICA_RUNNER: as for test_cli.py"""
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

import images

PACIFICA = None
TIMEOUT_SECONDS = 120


def printing(text, code=images.exit_with(0)):
    """A kernel that prints a text on COM1 and then runs `code`."""
    head = b"\xbe" + struct.pack("<I", 0) + images.print_string() + code  # mov esi, text
    at = images.LOAD + 32 + len(head)
    return images.multiboot(b"\xbe" + struct.pack("<I", at) + head[5:] + text.encode("latin-1") + b"\0")


class TestCommand(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def path(self, name):
        return str(pathlib.Path(self.folder.name) / name)

    def rom(self, name, image, expect=None):
        path = pathlib.Path(self.path(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(image)
        if expect is not None:
            path.with_suffix(".expect").write_text(expect, encoding="latin-1")
        return str(path)

    def run_test(self, *arguments, status=0):
        done = subprocess.run([*PACIFICA, "test", *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=TIMEOUT_SECONDS, check=False)
        out, err = done.stdout.decode("ascii"), done.stderr.decode("latin-1")
        self.assertEqual(done.returncode, status, out + err)
        return out, err

    def run_here(self, *arguments, status=0):
        out, err = self.run_test(*arguments, self.folder.name, status=status)
        self.assertEqual(err, "")
        return out

    def refused(self, line, *arguments):
        self.assertEqual(self.run_test(*arguments, status=2), ("", line + "\n"))

    def verdict(self, image, expect, *failures, name="rom.elf", options=("-last", "0")):
        """The ROM fails with these lines; none: it passes."""
        self.rom(name, image, expect)
        out = self.run_here(*options, status=1 if failures else 0).splitlines()
        stem = name.rpartition(".")[0]
        if failures:
            self.assertEqual(out, ["TAP version 13", "1..1", f"not ok 1 - {stem}", "  ---", "  failed: |",
                                   *["    " + line for line in failures], "  ..."])
        else:
            self.assertEqual(out[:2] + [out[2].partition(" (")[0]], ["TAP version 13", "1..1", f"ok 1 - {stem}"])


class Finding(TestCommand):
    def test_folders_are_searched_and_names_sorted(self):
        image = images.multiboot(images.exit_with(0))
        for name in ("b/z.elf", "b/a.elf", "a.elf", "c.elf", "b/notes.txt", "b/x.elf.64", ".hidden/h.elf", ".elf"):
            self.rom(name, image)
        self.assertEqual(self.run_here(), "TAP version 13\n1..4\nok 1 - a\nok 2 - b/a\nok 3 - b/z\nok 4 - c\n")

    def test_files_are_called_as_they_are_named(self):
        path = self.rom("a.elf", images.multiboot(images.exit_with(0)))
        other = self.rom("odd", images.multiboot(images.exit_with(0)), "exit 0\nstart kernel\n")
        out, _ = self.run_test(other, path)
        self.assertEqual(out, f"TAP version 13\n1..2\nok 1 - {path[:-4]}\nok 2 - {other}\n")

    def test_a_file_of_any_name_is_a_rom_if_it_is_named(self):
        path = self.rom("odd", images.multiboot(images.exit_with(0)), "exit 0\nstart kernel\n")
        self.assertIn("\nok 1 - ", self.run_test(path)[0])

    def test_filter(self):
        for name in ("a/one.elf", "a/two.elf", "b/one.elf"):
            self.rom(name, images.multiboot(images.exit_with(0)))
        self.assertEqual(self.run_here("--filter", "*/one"), "TAP version 13\n1..2\nok 1 - a/one\nok 2 - b/one\n")
        self.assertEqual(self.run_here("--filter=a/*"), "TAP version 13\n1..2\nok 1 - a/one\nok 2 - a/two\n")
        self.refused("pacifica: test: no ROM there that the filter lets through "
                     "(files named *.elf, *.bin and *.rom are ROMs)", "-filter", "c*", self.folder.name)

    def test_links_to_folders_are_not_followed(self):
        self.rom("a/one.elf", images.multiboot(images.exit_with(0)))
        os.symlink("..", self.path("a/loop"))
        self.assertEqual(self.run_here(), "TAP version 13\n1..1\nok 1 - a/one\n")

    def test_refusals(self):
        self.refused("pacifica: test: names neither folder nor file (pacifica test -help says more)")
        self.refused("pacifica: /nowhere: No such file or directory", "/nowhere")
        self.refused("pacifica: test: no ROM there (files named *.elf, *.bin and *.rom are ROMs)", self.folder.name)
        self.refused("pacifica: --foo: unknown option (pacifica test -help lists the options)", "--foo")
        self.refused("pacifica: -j: needs a value", "-j")
        self.refused("pacifica: --times=1: takes no value", "--times=1")
        for option, value in (("-j", "0"), ("-j", "x"), ("-j", "257"), ("-max-insns", "0"), ("-last", "1001")):
            self.refused(f"pacifica: {option}: '{value}' is no number in range", option, value, self.folder.name)

    def test_expectations_that_are_no_files(self):
        path = self.rom("a.elf", images.multiboot(images.exit_with(0)))
        expect = self.path("a.expect")
        for make in (os.mkfifo, os.mkdir, lambda name: os.symlink("/dev/zero", name)):
            make(expect)
            self.refused(f"pacifica: {expect}: no regular file", path)
            (os.rmdir if make is os.mkdir else os.unlink)(expect)
        os.symlink("a.expect", expect)
        self.refused(f"pacifica: {expect}: Too many levels of symbolic links", path)

    def test_folders_too_deep_are_refused(self):
        name = "/".join("d" * 33)
        self.rom(name + "/a.elf", images.multiboot(images.exit_with(0)))
        self.refused(f"pacifica: {self.path(name)}: more than 32 folders deep", self.folder.name)

    def test_help(self):
        out, _ = self.run_test("-help")
        for word in ("-junit F", "-filter GLOB", "-j N", "usage: pacifica test"):
            self.assertIn(word, out)


class Expectations(TestCommand):
    def test_exit(self):
        image = images.multiboot(images.exit_with(3))
        self.verdict(image, "exit 3\n")
        self.verdict(image, "exit 4\n", "end: exit 3, expected exit 4")
        self.verdict(image, "stop reset\n", "end: exit 3, expected reset")

    def test_stops(self):
        self.verdict(images.multiboot(images.RESET), "stop reset\n")
        self.verdict(images.multiboot(images.HALT), "stop halted\n")
        self.verdict(images.multiboot(images.TRIPLE_FAULT), "stop shutdown\n")
        self.verdict(images.multiboot(images.SPIN), "stop limit\nmax-insns 1000\n")
        self.verdict(images.multiboot(images.SPIN), "stop unimplemented\nmax-insns 1000\n",
                     "end: limit, expected unimplemented (step limit reached at 0008:0000000000100020)")
        self.verdict(images.multiboot(images.SPIN), "exit 0\nmax-insns 1000\n",
                     "end: limit, expected exit 0 (step limit reached at 0008:0000000000100020)")

    def test_step_limit_of_the_command_line(self):
        self.verdict(images.multiboot(images.SPIN), "stop limit\n", options=("-max-insns", "1000"))

    def test_tap_plan_first_or_last(self):
        self.verdict(printing("1..2\nok 1 - a\r\nnoise\nok\n"), "exit 0\ntap\n")
        self.verdict(printing("ok 1\nok 2 - b # SKIP no such thing\nnot ok 3 # TODO later\n1..3\n"),
                     "exit 0\ntap 3\n")

    def test_tap_faults(self):
        for text, failure in (("ok 1\n", "TAP: no plan"), ("1..1\n1..1\nok 1\n", "TAP: more than one plan"),
                              ("1..3\nok 1\n", "TAP: plan 1..3, but 1 points"), ("", "TAP: no plan"),
                              ("ok 2\n1..1\n", "TAP: points out of order"),
                              ("1..2\nok 1\nBail out! broken\n", "TAP: Bail out! broken"),
                              ("1..1\nnotok 1\n", "TAP: plan 1..1, but 0 points")):
            self.verdict(printing(text), "exit 0\ntap\n", failure)
        self.verdict(printing("1..1\nok 1\n"), "exit 0\ntap 2\n", "TAP: 1 points, expected 2")

    def test_tap_points_that_failed_with_their_comments(self):
        self.verdict(printing("ok 1\nnot ok 2 - two\n#   got 4\n#   want 5\nnot ok 3 - \xe9\n1..3\n",
                              images.exit_with(1)), "exit 0\ntap\n", "end: exit 1, expected exit 0",
                     "TAP: not ok 2 - two", "     #   got 4", "     #   want 5", "TAP: not ok 3 - \\xe9")

    def test_tap_many_failures_are_counted(self):
        text = "".join(f"not ok {i}\n" for i in range(1, 26)) + "1..25\n"
        self.verdict(printing(text), "exit 0\ntap\n", *[f"TAP: not ok {i}" for i in range(1, 21)], "TAP: and 5 more")

    def test_serial_lines_in_order(self):
        image = printing("one\n two \"\\\n\tthree\r\n")
        self.verdict(image, "exit 0\nserial one\nserial \" two \\\"\\\\\"\nserial \"\\t\\x74hree\"\n")
        self.verdict(image, "exit 0\nserial one\nserial one\n", 'serial: no line "one" behind the lines before it')
        self.verdict(image, "exit 0\nserial on\n", 'serial: no line "on"')
        self.verdict(image, "exit 0\nserial \"\\tthree\"\nserial one\n",
                     'serial: no line "one" behind the lines before it')

    def test_without_a_file(self):
        self.verdict(images.multiboot(images.exit_with(0)), None)
        self.verdict(printing("ok 1\n1..1\n"), None)
        self.verdict(printing("ok 1\n"), None, "TAP: no plan")
        self.verdict(images.multiboot(images.exit_with(1)), None, "end: exit 1, expected exit 0")

    def test_machine(self):
        self.verdict(images.multiboot(images.print_cmdline() + images.exit_with(0)),
                     "exit 0\nappend \"one two\"\nmemory 8\nsmp 3\nseed 5\ncpu max\nserial rom one two\n")
        self.verdict(images.multiboot(b"\xe6\xe9\xb0\x0a\xe6\xe9" + images.exit_with(0)), "exit 0\ndebugcon 0xe9\n")
        self.verdict(images.multiboot(images.exit_with(0)), "exit 0\ndevice pc-testdev\ndevice pci-testdev\ndevice virtio-rng-pci\n")
        self.verdict(images.multiboot(b"\xb0\x41\xe6\xe9\xb0\x0a\xe6\xe9" + images.exit_with(0)),
                     "exit 0\ndebugcon 0xe9\nserial A\n")

    def test_state_hash(self):
        image = self.rom("rom.elf", images.multiboot(images.exit_with(0)))
        done = subprocess.run([*PACIFICA, "-kernel", image, "-m", "256M", "-device",
                               "isa-debug-exit,iobase=0xf4,iosize=4", "-serial", "null", "-state-hash"],
                              capture_output=True, check=False, timeout=TIMEOUT_SECONDS)
        value = done.stderr.decode().split()[-1]
        image = images.multiboot(images.exit_with(0))
        self.rom("rom.elf", image, "exit 0\nstate-hash 0123456789abcdef\n")
        # The names differ, and with them the guest's command line: only the form can be compared.
        out = self.run_here("-last", "0", status=1)
        self.assertRegex(out, r"state hash [0-9a-f]{16}, expected 0123456789abcdef")
        got = out.partition("state hash ")[2][:16]
        self.assertEqual(len(value), len(got))
        self.verdict(image, f"exit 0\nstate-hash {got}\n")

    def test_firmware_by_ending_or_by_word(self):
        rom = b"\xf4" * 4080 + b"\xba\xf4\0\xb0\x03\xee\xf4" + bytes(9)
        for name, expect in (("a.rom", "exit 3\n"), ("a.bin", "exit 3\n"), ("a.elf", "exit 3\nstart firmware\n")):
            with self.subTest(name):
                self.verdict(rom, expect, name=name)
                os.remove(self.path(name))

    def test_what_cannot_start_has_failed(self):
        self.verdict(b"nonsense", "exit 0\n", "cannot start: the image is of no known kind: rom")
        self.verdict(images.multiboot(images.exit_with(0)), "exit 0\ncpu nosuch\n",
                     "cannot start: unknown CPU model `nosuch`: -cpu")

    def test_malformed(self):
        self.rom("rom.elf", images.multiboot(images.exit_with(0)))
        path = self.path("rom.expect")
        for text, where, what in (
                ("", "", "one of `exit` and `stop` says how the run ends"),
                ("exit 0\nstop reset\n", "", "one of `exit` and `stop` says how the run ends"),
                ("exit 0\nexit 0\n", ":2", "stands here twice: 'exit'"),
                ("exit\n", ":1", "needs a value: 'exit'"),
                ("exit -1\n", ":1", "no number, or out of range: '-1'"),
                ("exit 4294967296\n", ":1", "no number, or out of range: '4294967296'"),
                ("exit 0 0\n", ":1", "no number, or out of range: '0 0'"),
                ("\n# c\nfoo 1\n", ":3", "unknown word: 'foo'"),
                ("stop now\n", ":1", "no way to stop (reset, halted, shutdown, limit, unimplemented): 'now'"),
                ("exit 0\ntap x\n", ":2", "no number, or out of range: 'x'"),
                ("exit 0\nsmp 0\n", ":2", "no number, or out of range: '0'"),
                ("exit 0\nsmp 65\n", ":2", "no number, or out of range: '65'"),
                ("exit 0\nmax-insns 0\n", ":2", "no number, or out of range: '0'"),
                ("exit 0\nmemory x\n", ":2", "no size: 'x'"),
                ("exit 0\ndisk foo 1\n", ":2", "no disk (hda, hdb, cdrom or virtio, and its sectors): 'foo 1'"),
                ("exit 0\ndisk hda\n", ":2", "no disk (hda, hdb, cdrom or virtio, and its sectors): 'hda'"),
                ("exit 0\ndisk hda 0\n", ":2", "no number, or out of range: '0'"),
                ("exit 0\ndisk hda 9999999999\n", ":2", "no number, or out of range: '9999999999'"),
                ("exit 0\n" + "disk virtio 9\n" * 5, ":6", "one disk too many (4): 'virtio 9'"),
                ("exit 0\ndevice foo\n", ":2", "no device (pc-testdev, pci-testdev, virtio-rng-pci): 'foo'"),
                ("exit 0\ndebugcon 65536\n", ":2", "no number, or out of range: '65536'"),
                ("exit 0\n" + "debugcon 1\n" * 5, ":6", "one debugcon too many (4): '1'"),
                ("exit 0\nstart disk\n", ":2", "neither kernel nor firmware: 'disk'"),
                ("exit 0\nstate-hash 12\n", ":2", "no 16 hexadecimal digits: '12'"),
                ('exit 0\nserial "a\n', ":2", "malformed quotes: 'serial'"),
                ('exit 0\nserial "a" b\n', ":2", "malformed quotes: 'serial'"),
                ('exit 0\nserial "\\q"\n', ":2", "malformed quotes: 'serial'"),
                ('exit 0\nserial "\\x0"\n', ":2", "malformed quotes: 'serial'"),
                ('exit 0\nserial "\\x00"\n', ":2", "malformed quotes: 'serial'"),
                ('exit 0\nserial "\\', ":2", "malformed quotes: 'serial'"),
                ('exit 0\nappend "a\n', ":2", "malformed quotes: 'append'"),
                ("exit 0\n" + "serial a\n" * 257, ":258", "one line too many (256): 'a'"),
                ("exit 0\n\0", "", "no text of at most 64 KiB"),
                ("exit 0\n" + "#" * 65536, "", "no text of at most 64 KiB")):
            with self.subTest(text[:40]):
                pathlib.Path(path).write_text(text, encoding="latin-1")
                self.refused(f"pacifica: {path}{where}: {what}", self.folder.name)


class Reports(TestCommand):
    def some(self):
        self.rom("a/good.elf", printing("ok 1\nok 2 # SKIP x\n1..2\n"), "exit 0\ntap\n")
        self.rom("a/bad.elf", printing("not ok 1 - <&\">\n1..1\n", images.TRIPLE_FAULT), "exit 0\ntap\n")
        self.rom("odd#name.elf", images.multiboot(images.exit_with(0)))

    def test_jobs_change_nothing(self):
        for i in range(20):
            self.rom(f"r{i:02}.elf", printing(f"ok 1 - {i}\n1..1\n") if i % 3 else images.multiboot(images.HALT))
        first = self.run_here("-j", "1", status=1)
        self.assertEqual(first.count("\nnot ok "), 7)
        for jobs in ("2", "7", "64"):
            self.assertEqual(self.run_here("-j", jobs, status=1), first)
        self.assertEqual(self.run_here("-j2", status=1), first)

    def test_tap(self):
        self.some()
        out = self.run_here("--tap", "-last", "0", status=1)
        self.assertEqual(out, "TAP version 13\n1..3\nnot ok 1 - a/bad\n  ---\n  failed: |\n"
                         "    end: shutdown, expected exit 0 " + out.partition("expected exit 0 ")[2].partition("\n")[0]
                         + '\n    TAP: not ok 1 - <&">\n  ...\n'
                         "ok 2 - a/good (2 points, 1 skipped)\nok 3 - odd?name\n")

    def test_times_only_if_asked_for(self):
        self.rom("a.elf", images.multiboot(images.exit_with(0)))
        self.assertRegex(self.run_here("--times"), r"ok 1 - a\n  ---\n  duration_ms: \d+\n  \.\.\.\n$")

    def test_junit(self):
        self.some()
        path = self.path("out.xml")
        self.run_here("--junit", path, status=1)
        top = xml.etree.ElementTree.parse(path).getroot()
        suite = top.find("testsuite")
        self.assertEqual((suite.get("tests"), suite.get("failures")), ("3", "1"))
        cases = [(case.get("classname"), case.get("name"), case.find("failure") is not None) for case in suite]
        self.assertEqual(cases, [("a", "bad", True), ("a", "good", False), ("roms", "odd#name", False)])
        failure = suite.find(".//failure")
        self.assertIn("end: shutdown", failure.get("message"))
        self.assertIn('TAP: not ok 1 - <&">', failure.text)
        self.assertIn("last events:\n", failure.text)
        first = pathlib.Path(path).read_bytes()
        self.run_here("--junit", path, "-j", "1", status=1)
        self.assertEqual(pathlib.Path(path).read_bytes(), first)
        self.assertNotIn(b"time=", first)
        self.run_here("--junit", path, "--times", status=1)
        self.assertIn(b" time=\"", pathlib.Path(path).read_bytes())
        self.refused_file("/nowhere/out.xml")

    def refused_file(self, path):
        out, err = self.run_test("--junit", path, self.folder.name, status=2)
        self.assertEqual(err, f"pacifica: {path}: No such file or directory\n")
        self.assertIn("1..3", out)

    def test_last_events_before_the_end(self):
        self.rom("a.elf", images.multiboot(b"\x90" * 40 + b"\x40" + images.TRIPLE_FAULT.replace(b"\x29", b"\x52", 1)),
                 "exit 0\n")
        out = self.run_here("-last", "4", status=1)
        events = out.partition("  last events: |\n")[2].partition("  ...\n")[0].splitlines()
        steps = [line for line in events if line.startswith("    exec ")]
        self.assertTrue(4 <= len(steps) <= 5, out)  # four steps, and what came to no end
        self.assertIn("ud2", steps[-1])
        self.assertIn("lidt", steps[-2])

    def test_last_events_before_a_bad_point(self):
        # inc eax many times, print a bad point, then much more
        after = b"\x90" * 200 + images.exit_with(0)
        self.rom("a.elf", printing("ok 1\nnot ok 2 - bad\nok 3\n1..3\n", after), "exit 0\ntap\n")
        out = self.run_here("-last", "12", status=1)
        self.assertNotIn("nop", out)
        self.assertIn(": out dx, al", out)

    def test_full_output_fails(self):
        self.rom("a.elf", images.multiboot(images.exit_with(0)))
        if os.path.exists("/dev/full"):
            with open("/dev/full", "w", encoding="ascii") as full:
                done = subprocess.run([*PACIFICA, "test", self.folder.name], stdout=full, stderr=subprocess.PIPE,
                                      check=False, timeout=TIMEOUT_SECONDS)
            self.assertEqual((done.returncode, done.stderr), (2, b"pacifica: standard output: writing failed\n"))


if __name__ == "__main__":
    PACIFICA = [*os.environ.get("PACIFICA_RUNNER", "").split(), sys.argv[1]]
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
