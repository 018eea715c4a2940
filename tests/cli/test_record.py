#!/usr/bin/env python3
"""Recordings and checkpoints of the `pacifica` program.
usage: test_record.py PACIFICA [unittest arguments]
PACIFICA_RUNNER in the environment: a command that runs the program (qemu-user for a cross-built one)."""
import os
import pathlib
import re
import sys
import unittest

import images
import test_cli
from test_cli import CliTest

MACHINE = ["-m", "8M", "-nodefaults", "-display", "none", "-serial", "stdio"]
HASH = re.compile(r"state hash [0-9a-f]{16}")


class Recordings(CliTest):
    def recorded(self, code=images.ECHO, stdin=b"abcd", *more):
        """A recording, and the run it is of."""
        path = self.path("recording")
        live = self.boot(code, *MACHINE, "--record", path, "--state-hash", *more, stdin=stdin)
        return path, live

    def test_replay_is_the_same_run(self):
        path, live = self.recorded()
        self.assertEqual((live.status, live.out), (1, "bcde"))
        for more in ([], ["--exact-blocks"], ["--travel", "every=1000"]):
            again = self.boot(images.ECHO, *MACHINE, "--replay", path, "--state-hash", *more, stdin=b"wxyz")
            self.assertEqual((again.status, again.out, again.err), (1, "bcde", live.err))

    def test_it_ends_where_the_recording_does(self):
        path, live = self.recorded(images.ECHO, b"ab", "-max-insns", "20000000")
        self.assertEqual((live.status, live.out), (4, "bc"))
        again = self.boot(images.ECHO, *MACHINE, "--replay", path, "--state-hash")
        self.assertEqual((again.status, again.out), (0, "bc"))
        self.assertEqual(HASH.findall(again.err), HASH.findall(live.err))
        self.assertIn("pacifica: the recording has ended at ", again.err)

    def test_a_piece_of_a_recording(self):
        path, _ = self.recorded()
        whole = pathlib.Path(path).read_bytes()
        pathlib.Path(path).write_bytes(whole[:-1])
        again = self.boot(images.ECHO, *MACHINE, "--replay", path)
        self.assertIn("its end is missing: input ", again.err)
        self.assertEqual(again.out, "bcde"[:len(again.out)])

    def refuses(self, path, code, pattern, *more):
        done = self.boot(code, *MACHINE, "--replay", path, *more)
        self.assertEqual((done.status, done.out, len(done.lines)), (2, "", 1), done.err)
        self.assertRegex(done.err, pattern)

    def test_what_is_refused(self):
        path, _ = self.recorded()
        self.refuses(path, images.ECHO, "of another machine: 'memory: 8388608 bytes' was recorded", "-m", "9M")
        self.refuses(path, images.HALT, "of another machine: 'image and state: ")
        whole = bytearray(pathlib.Path(path).read_bytes())
        whole[-1] ^= 1
        pathlib.Path(path).write_bytes(whole)
        self.refuses(path, images.ECHO, "input [0-9]+ at byte [0-9]+: altered")
        pathlib.Path(path).write_bytes(b"PACIFICA")
        self.refuses(path, images.ECHO, "no recording")
        self.refuses(self.path("nothing"), images.ECHO, "nothing")
        self.refused("pacifica: recording: the machine records or replays already", *MACHINE, "-kernel",
                     self.image(images.ECHO), "--record", self.path("a"), "--replay", path)


class Checkpoints(CliTest):
    def test_they_change_nothing(self):
        limit = ["-max-insns", "300000", "--state-hash"]
        plain = self.boot(images.ECHO, *MACHINE, *limit)
        self.assertEqual(plain.status, 4)
        for value in ("on", "every=1000", "every=2000,memory=4M"):
            done = self.boot(images.ECHO, *MACHINE, "--travel", value, *limit)
            self.assertEqual((done.status, done.err), (4, plain.err))
            done = self.boot(images.ECHO, *MACHINE, "--travel", value, stdin=b"abcd")
            self.assertEqual((done.status, done.out), (1, "bcde"))

    def test_what_is_refused(self):
        image = self.image(images.ECHO)
        self.refused("pacifica: -travel: 'off' is neither on, every=STEPS nor memory=SIZE", "--travel", "off")
        self.refused("pacifica: travel: checkpoints must be at least 1000 steps from each other", *MACHINE, "-kernel",
                     image, "--travel", "every=999")
        self.refused("pacifica: travel: no checkpoint fits into the memory that checkpoints may take (more may help)",
                     *MACHINE, "-kernel", image, "--travel", "memory=4K")
        disk = self.file("disk", bytes(512 * 64))
        self.refused("pacifica: travel: disk 0 is written to its image, which cannot go back "
                     "(without snapshot=off what it writes is kept in memory)", *MACHINE, "-kernel", image,
                     "-drive", f"file={disk},format=raw,snapshot=off", "--travel", "on")


if __name__ == "__main__":
    test_cli.PACIFICA = [*os.environ.get("PACIFICA_RUNNER", "").split(), sys.argv[1]]
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
