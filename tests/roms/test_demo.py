#!/usr/bin/env python3
"""What can be seen of the demonstration hypervisor: world switches in words, the rule behind VMEXIT_INVALID, the exit
table, and that the copy built into the program is the same.
usage: test_demo.py PACIFICA DEMO.ELF [unittest arguments]"""
import collections
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

PACIFICA = DEMO = None
INVALID = ('field GUEST_ASID value 0x0 section APM vol 2, 15.5.1 "Basic Operation": '
           'ASID must not be 0')


def run(*arguments):
    return subprocess.run(
        [*PACIFICA, "-kernel", DEMO, "-device", "isa-debug-exit,iobase=0xf4,iosize=4", *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)


class Demo(unittest.TestCase):
    def test_built_in_copy_runs_without_options(self):
        built_in = subprocess.run(PACIFICA, stdin=subprocess.DEVNULL, capture_output=True,
                                  text=True, timeout=120, check=False)
        other = run()
        self.assertEqual((built_in.returncode, built_in.stdout, built_in.stderr),
                         (1, other.stdout, ""))
        self.assertIn("All guests have finished.\n", built_in.stdout)

    def test_log_of_world_switches(self):
        done = run("-d", "svm")
        self.assertEqual(done.returncode, 1)
        lines = done.stderr.splitlines()
        entries = [line for line in lines if line.startswith("vmrun ")]
        exits = [line for line in lines if line.startswith("vmexit ")]
        self.assertEqual(len(entries), len(exits))
        explained = {"vmexit_changes": len(exits), "npf_walk": 4}
        for name, most in explained.items():
            count = sum(line.startswith(name + " ") for line in lines)
            self.assertTrue(0 < count <= most, name)
        others = [line for line in lines if line.split()[0] not in explained]
        self.assertEqual(len(others), len(entries) + len(exits))
        steps = [int(line.split(" step ")[1].split()[0]) for line in lines]
        self.assertEqual(steps, sorted(steps))
        invalid = [line for line in exits if " name VMEXIT_INVALID code 0xffffffffffffffff " in line]
        self.assertEqual(len(invalid), 1)
        self.assertTrue(invalid[0].endswith(INVALID), invalid[0])
        # APM vol 2, 15.25.6: the final address of a write by user code to a page that is not present.
        npf = [line for line in exits if " name VMEXIT_NPF code 0x400 " in line]
        self.assertEqual(len(npf), 1)
        self.assertIn(" info1 0x100000006 info2 0x40000", npf[0])
        self.assertRegex(npf[0], r": .*write.*0x40000")
        for name, code in (("CPUID", "0x72"), ("HLT", "0x78"), ("IOIO", "0x7b"), ("MSR", "0x7c"),
                           ("VMMCALL", "0x81"), ("INTR", "0x60")):
            self.assertTrue(any(f" name VMEXIT_{name} code {code} " in line for line in exits), name)
        io = next(line for line in exits if "VMEXIT_IOIO" in line)
        self.assertRegex(io, r": OUT 8 bits, port 0xe9")

    def test_exit_table_agrees_with_the_trace(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "trace"
            done = run("-trace", "svm", "-trace-format", "jsonl", "-trace-file", str(path),
                       "-exit-stats")
            rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        traced = collections.Counter(row["name"] for row in rows if row.get("event") == "vmexit")
        table = {name: int(count) for name, count in
                 re.findall(r"^(VMEXIT_\w+) +(\d+) ", done.stderr, re.M)}
        self.assertEqual(table, dict(traced))
        self.assertRegex(done.stderr, rf"(?m)^all +{sum(traced.values())}$")

    def test_both_guests_have_their_asid(self):
        done = run("-d", "svm")
        asids = set(re.findall(r"^vmrun .* asid (\d+) ", done.stderr, re.M))
        self.assertEqual(asids, {"0", "1", "2"})  # 0 is refused

    def test_stop_on_vmexit_invalid(self):
        done = run("-stop-on", "vmexit-invalid")
        self.assertEqual(done.returncode, 10)
        self.assertRegex(done.stderr,
                         r"^pacifica: VMEXIT_INVALID: ASID must not be 0 at [0-9a-f]{4}:[0-9a-f]{16}\n$")

    def test_nested_page_faults_by_filter(self):
        names = [line.split()[0] for line in run("-trace", "npt:0x40000").stderr.splitlines()]
        self.assertEqual(names, ["npf", "npf_walk", "npf_walk", "npf_walk", "npf_walk"])
        self.assertEqual(run("-trace", "npt:0x41000").stderr, "")

    def test_guest_errors_name_the_refused_vmrun(self):
        self.assertIn("ASID must not be 0", run("-d", "guest_errors").stderr)


def main():
    global PACIFICA, DEMO
    PACIFICA = [*os.environ.get("PACIFICA_RUNNER", "").split(), sys.argv.pop(1)]
    DEMO = sys.argv.pop(1)
    unittest.main()


if __name__ == "__main__":
    main()
