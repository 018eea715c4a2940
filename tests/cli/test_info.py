#!/usr/bin/env python3
"""What -info tells behind the demonstration hypervisor, whose guests and tables are known.
usage: test_info.py PACIFICA [unittest arguments]
PACIFICA_RUNNER in the environment: a command that runs the program (qemu-user for a cross-built one)."""
import os
import re
import subprocess
import sys
import unittest

PACIFICA = None  # the program, as the beginning of a command
TIMEOUT_SECONDS = 120


class InfoTest(unittest.TestCase):
    def told(self, *items, arguments=()):
        """The text of each item, of the first processor."""
        done = subprocess.run([*PACIFICA, *arguments, *[part for item in items for part in ("-info", item)]],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
        parts = re.split(r"(?m)^pacifica: processor 0: .*\n", done.stderr)[1:]
        parts[-1] = re.split(r"(?m)^pacifica: processor 1: .*\n", parts[-1])[0]
        self.assertEqual(len(parts), len(items), done.stderr)
        return parts[0] if len(parts) == 1 else parts


class Processor(InfoTest):
    def test_svm(self):
        told = self.told("svm")
        self.assertRegex(told, r"in the host, EFER.SVME 1, GIF 1, VM_HSAVE_PA [0-9a-f]{12}\n")
        self.assertRegex(told, r"last #VMEXIT +VMMCALL at 0008:[0-9a-f]{16} of ASID 2\n")

    def test_before_the_first_vmrun(self):
        for item in ("vmcb", "intercepts", "iopm", "msrpm", "npt"):
            self.assertEqual(self.told(item, arguments=["-max-insns", "1000"]), "no VMRUN yet\n", item)

    def test_in_a_guest(self):
        done = subprocess.run([*PACIFICA, "-trace", "svm:cpuid"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=TIMEOUT_SECONDS, check=False)
        run = int(re.search(r"(?m)^vmexit step (\d+) ", done.stderr).group(1)) - 1
        svm, vmcb, npt = self.told("svm", "vmcb", "npt", arguments=["-max-insns", str(run)])
        self.assertRegex(svm, r"guest +VMCB [0-9a-f]{12}, ASID 1, host RFLAGS.IF 1\n")
        self.assertIn("of the guest that runs: its state save area is as of its last #VMEXIT", vmcb)
        self.assertRegex(npt, r"0000000000000000-000000000000ffff +10000 rwx user\n")

    def test_vmcb(self):
        told = self.told("vmcb")
        self.assertRegex(told, r"058h  GUEST_ASID +2\n")
        place = re.match(r"VMCB ([0-9a-f]{12}) of the guest that last ran\n", told).group(1)
        self.assertEqual(self.told(f"vmcb 0x{place}"), told.split("\n", 1)[1])

    def test_intercepts_and_maps(self):
        intercepts, iopm, msrpm = self.told("intercepts", "iopm", "msrpm")
        self.assertIn("\nINTR CPUID HLT IOIO_PROT MSR_PROT SHUTDOWN VMRUN VMMCALL\n", intercepts)
        self.assertIn("\n00e9  read, write\n1 of 65536 ports\n", iopm)
        self.assertIn("\nc0001234  read, write\n1 of 24576 MSRs; all others exit\n", msrpm)


class Platform(InfoTest):
    def test_cpus(self):
        told = self.told("cpus", arguments=["-smp", "2"])
        self.assertRegex(told, r"\* cpu 0: runs, 64-bit mode, host, at 0008:[0-9a-f]{16}, \d+ steps\n")
        self.assertIn("  cpu 1: waits for a Startup IPI, real mode, host, at f000:000000000000fff0, 0 steps\n", told)

    def test_mtree(self):
        told = self.told("mtree", arguments=["-m", "4G"])
        for line in ("0000000000000000-000000000009ffff  RAM", "0000000000100000-00000000bfffffff  RAM",
                     "0000000100000000-000000013fffffff  RAM", "00000000fee00000-00000000fee00fff  lapic.0",
                     "03f8-03ff  uart16550.0"):
            self.assertIn(line + "\n", told)

    def test_qtree(self):
        self.assertIn("\npit8254.0\n    ports 40-43\n    ports 61-61\n", self.told("qtree"))

    def test_controllers(self):
        lapic, pic = self.told("lapic", "pic")
        self.assertRegex(lapic, r"^lapic\n    apic_base fee00900\n")
        self.assertRegex(lapic, r"\n    irr( [0-9a-f]+){8}\n")
        self.assertRegex(pic, r"(?s)^pic8259\n.*\nioapic\n")


if __name__ == "__main__":
    PACIFICA = [*os.environ.get("PACIFICA_RUNNER", "").split(), sys.argv[1]]
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
