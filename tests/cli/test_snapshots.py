#!/usr/bin/env python3
"""Snapshots of the `pacifica` program: options, files, `pacifica snap`.
usage: test_snapshots.py PACIFICA [unittest arguments]
PACIFICA_RUNNER in the environment: a command that runs the program (qemu-user for a cross-built one).
PACIFICA_OTHER: the same program built for another workstation, with which snapshots are exchanged; skipped if it is not there."""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import images

PACIFICA = None  # the program, as the beginning of a command
MACHINE = ["-m", "8M", "-nodefaults", "-display", "none", "-serial", "stdio",
           "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
TIMEOUT_SECONDS = 60
# mov al, 'a'; mov dx, 3f8h; 1: out dx, al; mov ecx, 1000; 2: loop 2; inc al; cmp al, '{'; jne 1
ALPHABET = (b"\xb0\x61\x66\xba\xf8\x03\xee\xb9\xe8\x03\x00\x00\xe2\xfe\xfe\xc0\x3c\x7b\x75\xf2" + images.exit_with(0))
LETTERS = "abcdefghijklmnopqrstuvwxyz"
STEPS = 13000  # in the middle of it


class SnapshotTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.image = self.path("image")
        pathlib.Path(self.image).write_bytes(images.multiboot(ALPHABET))

    def path(self, name):
        return str(pathlib.Path(self.folder.name) / name)

    def program(self, *arguments, program=None):
        done = subprocess.run([*(program or PACIFICA), *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=TIMEOUT_SECONDS, check=False)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def run_it(self, *more, program=None):
        return self.program("-kernel", self.image, *MACHINE, *more, program=program)

    def saved(self, steps=STEPS, name="snapshot", more=(), program=None):
        path = self.path(f"{name}-{steps}")
        status, out, err = self.run_it("-savevm-at", f"{steps}:{path}", *more, program=program)
        self.assertEqual((status, out, err), (1, LETTERS, ""))
        return path

    def refused(self, pattern, *arguments):
        """Exactly one line on stderr, exit status 2, nothing on stdout."""
        status, out, err = self.program(*arguments)
        self.assertEqual((status, out, err.count("\n")), (2, "", 1), err)
        self.assertRegex(err, pattern)


class Running(SnapshotTest):
    def test_goes_on_where_it_was_saved(self):
        path = self.saved()
        status, out, err = self.run_it("-loadvm", path)
        self.assertEqual((status, err), (1, ""))
        self.assertTrue(LETTERS.endswith(out) and 0 < len(out) < len(LETTERS), out)

    def test_goes_on_with_the_same_state(self):
        path = self.saved()
        whole, rest = self.run_it("-state-hash"), self.run_it("-state-hash", "-loadvm", path)
        self.assertEqual((whole[0], whole[2]), (rest[0], rest[2]))
        self.assertRegex(whole[2], "state hash")

    def test_steps_count_from_the_machines_start(self):
        path = self.saved()
        status, _, err = self.run_it("-loadvm", path, "-max-insns", str(STEPS + 100), "-exit-stats")
        self.assertEqual(status, 4)
        self.assertIn(f"\npacifica: {STEPS + 100} steps, ", err)

    def test_several_and_the_end(self):
        self.saved(more=["-savevm-at", f"20000:{self.path('second')}", "-savevm-at", f"end:{self.path('last')}"])
        status, out, err = self.program("snap", "list", self.folder.name)
        self.assertEqual((status, err), (0, ""))
        steps = [int(line.split()[1]) for line in out.splitlines()[1:]]
        self.assertEqual(steps[1:], [20000, STEPS])  # last, second, snapshot-N
        self.assertGreater(steps[0], 20000)

    def test_a_snapshot_whose_time_never_came_is_told(self):
        status, out, err = self.run_it("-savevm-at", f"999999999:{self.path('never')}")
        self.assertEqual((status, out), (2, LETTERS))
        self.assertRegex(err, r"^pacifica: .*never: not saved: the run ended before step 999999999 \('end:' instead of a number\)\n$")
        self.assertFalse(os.path.exists(self.path("never")))

    def test_under_another_model(self):
        path = self.saved(more=["-cpu", "epyc-milan"])
        for model in ("epyc-naples", "max", "ryzen-zen4"):
            status, out, err = self.run_it("-cpu", model, "-loadvm", path)
            self.assertEqual((status, err), (1, ""), model)
            self.assertTrue(LETTERS.endswith(out))


class Files(SnapshotTest):
    def test_words_that_make_no_sense(self):
        for value in ("x", "1", ":f", "1:", "x:f", "-1:f"):
            self.refused(r"^pacifica: -savevm-at: ", "-savevm-at", value)

    def test_a_file_that_is_not_there(self):
        self.refused(r"nothing: No such file or directory$", "-kernel", self.image, *MACHINE, "-loadvm", self.path("nothing"))

    def test_a_file_that_is_none(self):
        self.refused(r"image: no snapshot: it does not begin as one$", "-kernel", self.image, *MACHINE, "-loadvm", self.image)

    def test_one_that_is_truncated(self):
        path = self.saved()
        content = pathlib.Path(path).read_bytes()
        for size in (0, 5, 30, 100, len(content) // 2, len(content) - 1):
            pathlib.Path(path).write_bytes(content[:size])
            self.refused(r"snapshot-\d+.*: (no snapshot|truncated)", "-kernel", self.image, *MACHINE, "-loadvm", path)
            self.refused(r"snapshot-\d+.*: (no snapshot|truncated)", "snap", "info", path)

    def test_one_that_was_altered(self):
        path = self.saved()
        content = bytearray(pathlib.Path(path).read_bytes())
        content[len(content) // 2] ^= 4
        pathlib.Path(path).write_bytes(content)
        self.refused(r"snapshot-\d+, part \d+ \(\w+\): damaged: its checksum is wrong$",
                     "-kernel", self.image, *MACHINE, "-loadvm", path)

    def test_one_of_another_machine(self):
        path = self.saved()
        self.refused(r"of another machine: it has 'memory 8388608', this one 'memory 16777216' \(give the options ",
                     "-kernel", self.image, *MACHINE, "-m", "16M", "-loadvm", path)

    def test_what_was_there_stays_if_nothing_can_be_saved(self):
        disk = self.path("disk")
        pathlib.Path(disk).write_bytes(bytes(65536))
        path = self.path("old")
        pathlib.Path(path).write_bytes(b"old")
        status, _, err = self.run_it("-drive", f"file={disk},format=raw,snapshot=off", "-savevm-at", f"100:{path}")
        self.assertEqual(status, 2)
        self.assertRegex(err, r"old: disk 0 writes through to its image, which would go on changing \(snapshot=on keeps ")
        self.assertEqual(pathlib.Path(path).read_bytes(), b"old")
        self.assertEqual([name for name in os.listdir(self.folder.name) if name.endswith(".part")], [])

    def test_a_folder_that_is_not_there(self):
        status, _, err = self.run_it("-savevm-at", f"100:{self.path('no/folder')}")
        self.assertEqual((status, err), (2, f"pacifica: {self.path('no/folder')}: No such file or directory\n"))


class Snap(SnapshotTest):
    def test_info(self):
        status, out, err = self.program("snap", "info", self.saved(more=["-cpu", "epyc-rome"]))
        self.assertEqual((status, err), (0, ""))
        for line in (f"steps +{STEPS}", "cpu +epyc-rome", "memory +8388608", r"cpu\.0 +\d+ +\d+ +\d+",
                     r"uart16550\.0 +\d+ +\d+ +\d+"):
            self.assertRegex(out, f"(?m)^{line}$")
        self.assertLessEqual(max(map(len, out.splitlines())), 100)

    def test_diff(self):
        one, two = self.saved(), self.saved(STEPS + 1)
        status, out, err = self.program("snap", "diff", one, two)
        self.assertEqual((status, err), (1, ""))
        self.assertRegex(out, r"(?m)^cpu\.0 insns: 0x\w+ -> 0x\w+$")
        self.assertEqual(self.program("snap", "diff", one, one), (0, "", ""))

    def test_diff_of_machines_that_are_not_alike(self):
        other = self.path("other")
        self.program("-kernel", self.image, *MACHINE, "-m", "16M", "-savevm-at", f"100:{other}")
        self.refused(r"^pacifica: snapshots: they are of machines that are not alike ", "snap", "diff", self.saved(), other)

    def test_list_leaves_out_what_is_no_snapshot(self):
        path = self.saved()
        status, out, err = self.program("snap", "list", self.folder.name)
        self.assertEqual((status, err, len(out.splitlines())), (0, "", 2))
        self.assertRegex(out, rf"(?m)^{re.escape(path)} +{STEPS} ")

    def test_refused_words(self):
        self.refused(r"^pacifica: snap: wanted: list, info or diff \(-help tells what it takes\)$", "snap")
        self.refused(r"^pacifica: snap: wanted: list, info or diff ", "snap", "show", "f")
        self.refused(r"^pacifica: snap: info takes one file ", "snap", "info")
        self.refused(r"^pacifica: snap: diff takes two files ", "snap", "diff", "f")
        self.refused(r"^pacifica: snap: list takes folders or files ", "snap", "list")
        self.refused(r"nothing: No such file or directory$", "snap", "info", self.path("nothing"))


class Migration(SnapshotTest):
    """The demonstration hypervisor, saved while one of its guests runs."""

    DEMO = ["-m", "64M", "-nodefaults", "-display", "none", "-serial", "stdio"]

    def setUp(self):
        super().setUp()
        self.whole = self.program(*self.DEMO, "-cpu", "epyc-milan", "-trace", "svm:vmrun", "-trace-format", "jsonl",
                                  "-trace-file", self.path("trace"))
        if "not built in" in self.whole[2]:
            self.skipTest("there is no demonstration hypervisor")
        lines = pathlib.Path(self.path("trace")).read_text(encoding="utf-8").splitlines()[2:]
        self.steps = json.loads(lines[len(lines) // 2])["step"] + 3  # that guest has executed two instructions

    def saved_guest(self):
        path = self.path("guest")
        done = self.program(*self.DEMO, "-cpu", "epyc-milan", "-savevm-at", f"{self.steps}:{path}")
        self.assertEqual(done, (self.whole[0], self.whole[1], ""))
        return path

    def test_a_guest_goes_on_under_the_first_generation(self):
        path = self.saved_guest()
        status, out, err = self.program(*self.DEMO, "-cpu", "epyc-naples", "-loadvm", path)
        self.assertEqual((status, err), (self.whole[0], ""))
        self.assertTrue(self.whole[1].endswith(out) and out.endswith("All guests have finished.\n"), out)

    def test_what_the_hypervisor_relies_on_must_be_there(self):
        path = self.saved_guest()
        for feature, words in (("npt", r"npt \(NP_ENABLE\)"), ("nrip-save", r"nrip-save \(nRIP is saved\)"),
                               ("svm", r"svm \(")):
            self.refused(f"guest: [0-9]+ in use of epyc-milan that epyc-naples lacks: .*{words}",
                         *self.DEMO, "-cpu", f"epyc-naples,-{feature}", "-loadvm", path)


class Exchange(SnapshotTest):
    def test_with_the_program_on_another_workstation(self):
        other = os.environ.get("PACIFICA_OTHER", "")
        if not other or not os.access(other, os.X_OK):
            self.skipTest("there is no other program")
        mine, theirs = self.saved(name="mine"), self.saved(name="theirs", program=[other])
        self.assertEqual(pathlib.Path(mine).read_bytes(), pathlib.Path(theirs).read_bytes())
        whole = self.run_it("-state-hash")
        for program, path in ((PACIFICA, theirs), ([other], mine)):
            status, out, err = self.run_it("-state-hash", "-loadvm", path, program=program)
            self.assertEqual((status, err), (whole[0], whole[2]))
            self.assertTrue(LETTERS.endswith(out))


if __name__ == "__main__":
    PACIFICA = [*os.environ.get("PACIFICA_RUNNER", "").split(), sys.argv.pop(1)]
    unittest.main()
