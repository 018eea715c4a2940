#!/usr/bin/env python3
"""The behaviour of the `pacifica` program: options, exit statuses, files.
usage: test_cli.py PACIFICA [unittest arguments]
PACIFICA_RUNNER in the environment: a command that runs the program (qemu-user for a cross-built one)."""
import hashlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import images

PACIFICA = None  # the program, as the beginning of a command
EXIT_DEVICE = ["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
TIMEOUT_SECONDS = 60


class Result:
    def __init__(self, done):
        self.status = done.returncode
        self.out = done.stdout.decode("latin-1")
        self.err = done.stderr.decode("latin-1")
        self.lines = self.err.splitlines()


def run(*arguments, stdin=b"", **more):
    done = subprocess.run([*PACIFICA, *arguments], input=stdin, capture_output=True,
                          timeout=TIMEOUT_SECONDS, check=False, **more)
    return Result(done)


class CliTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def path(self, name):
        return str(pathlib.Path(self.folder.name) / name)

    def file(self, name, content):
        path = self.path(name)
        pathlib.Path(path).write_bytes(content)
        return path

    def sparse(self, name, size):
        path = self.path(name)
        with open(path, "wb") as file:
            file.truncate(size)
        return path

    def image(self, code):
        return self.file("image", images.multiboot(code))

    def boot(self, code, *arguments, **more):
        return run("-kernel", self.image(code), *EXIT_DEVICE, *arguments, **more)

    def refused(self, line, *arguments):
        """Exactly one line on stderr, exit status 2, nothing on stdout."""
        result = run(*arguments)
        self.assertEqual((result.err, result.status, result.out), (line + "\n", 2, ""), arguments)


class Options(CliTest):
    def test_version(self):
        result = run("-version")
        self.assertRegex(result.out, r"^pacifica \d+\.\d+\.\d+\n$")
        self.assertEqual((result.status, result.err), (0, ""))

    def test_help_names_options(self):
        for spelling in ("-help", "--help", "-h"):
            result = run(spelling)
            self.assertEqual((result.status, result.err), (0, ""))
            for word in ("-kernel", "-append", "-d ITEM", "-max-insns"):
                self.assertIn(word, result.out)

    def test_values_that_are_not_there_yet(self):
        for option, value in (("display", "gtk"), ("serial", "vc"), ("net", "user"),
                              ("nic", "tap"), ("vnc", ":1"), ("parallel", "stdio")):
            self.refused(f"pacifica: -{option}: {value}: not there yet", f"-{option}", value)
        self.refused("pacifica: -chardev: vc: not there yet", "-chardev", "vc,id=a")

    def test_subcommands_that_are_not_there_yet(self):
        for word in ("disasm",):
            self.refused(f"pacifica: {word}: not there yet", word)

    def test_subcommands_stand_first(self):
        self.refused("pacifica: vmcb: a subcommand stands before all options", "-m", "1", "vmcb")

    def test_unknown_options_and_words(self):
        self.refused("pacifica: -foo: unknown option (-help lists the options)", "-foo")
        self.refused("pacifica: --foo: unknown option (-help lists the options)", "--foo")
        self.refused("pacifica: -kernelx: unknown option (-help lists the options)", "-kernelx", "f")
        self.refused("pacifica: foo: not an option (-kernel or -bios names the image)", "foo")
        self.refused("pacifica: image: not an option (-kernel or -bios names the image)", "run", "image")
        self.refused("pacifica: -kernel: needs a value", "-kernel")

    def test_malformed_values(self):
        for option, value, what in (
                ("m", "", "no size"), ("m", "x", "no size"), ("m", "12Q", "no size"),
                ("m", "-1", "no size"), ("m", "1MM", "no size"),
                ("m", "99999999999999999999", "no size"), ("m", "17592186044416G", "no size"),
                ("smp", "0", "no number of processors"), ("smp", "x", "no number of processors"),
                ("smp", "cores=", "no number of processors"), ("smp", "1,foo=2", "no number of processors"),
                ("smp", "65", "too many processors: there can be 64"),
                ("smp", "cores=8,threads=16", "too many processors: there can be 64"),
                ("smp", "4,maxcpus=2", "more processors than maxcpus"),
                ("smp", "4,cores=3", "no possible topology: sockets * dies * cores * threads is not maxcpus"),
                ("smp", "1,sockets=2", "no possible topology: sockets * dies * cores * threads is not maxcpus"),
                ("seed", "", "no number"), ("seed", "x", "no number"),
                ("seed", "18446744073709551616", "no number"),
                ("load-at", "", "no address"),
                ("max-insns", "x", "no number of steps"), ("max-insns", "", "no number of steps"),
                ("max-insns", "-5", "no number of steps"),
                ("max-time", "0", "no number of seconds"), ("max-time", "x", "no number of seconds"),
                ("max-time", "-1", "no number of seconds"), ("max-time", "nan", "no number of seconds"),
                ("max-time", "1e3", "no number of seconds"),
                ("stop-on", "foo", "no event to stop on"),
                ("trace-format", "xml", "none of text, jsonl, perfetto, ftrace"),
                ("drop-fast-every", "x", "no number of steps"),
                ("device", "foo", "no device of this machine ('?' lists them)"),
                ("device", "isa-debugcon,iobase=0xe9", "a debugcon without chardev="),
                ("chardev", "stdio", "a chardev without id="),
                ("chardev", "file,id=a", "a file without path="),
                ("fw_cfg", "name=a", "no name with one of file= and string="),
                ("fw_cfg", "string=a", "no name with one of file= and string="),
                ("fw_cfg", "name=a,file=b,string=c", "no name with one of file= and string="),
                ("d", "io:1", "no list of items (-trace takes filters)")):
            before = ("-rom", "x") if option == "load-at" else ()
            self.refused(f"pacifica: -{option}: '{value}' is {what}", *before, f"-{option}", value)

    def test_malformed_device_properties(self):
        for text, what in (("iobase=x", "no I/O port"), ("iobase=0x10000", "no I/O port"),
                           ("iosize=0", "no number of ports from 1 to 4"),
                           ("iosize=5", "no number of ports from 1 to 4"),
                           ("foo=1", "no property of this device"),
                           ("foo", "no property of this device")):
            self.refused(f"pacifica: -device: '{text}' is {what}", "-device", f"isa-debug-exit,{text}")

    def test_chardevs_must_exist_once(self):
        self.refused("pacifica: -serial: no chardev 'a'", "-serial", "chardev:a")
        self.refused("pacifica: -device: no chardev 'a'", "-device", "isa-debugcon,chardev=a")
        self.refused("pacifica: -chardev: 'a' is the ID of two chardevs",
                     "-chardev", "stdio,id=a", "-chardev", "null,id=a")

    def test_device_ports_must_be_free(self):
        kernel = self.image(images.HALT)
        self.refused("pacifica: isa-debug-exit: cannot be at port 0x3f8 "
                     "(another device may be there)",
                     "-kernel", kernel, "-device", "isa-debug-exit,iobase=0x3f8")

    def test_unknown_events(self):
        kernel = self.image(images.HALT)
        self.refused("pacifica: no event 'foo' to trace", "-kernel", kernel, "-d", "foo")
        self.refused("pacifica: malformed filter 'io:x' (wanted: ports)",
                     "-kernel", kernel, "-trace", "io:x")

    def test_ram_sizes(self):
        kernel = self.image(images.exit_with(0))
        self.refused("pacifica: RAM size: 0 KiB of RAM cannot be had (from 1 MiB to 1 TiB)",
                     "-kernel", kernel, "-m", "0")
        self.refused("pacifica: RAM size: 1023 KiB of RAM cannot be had (from 1 MiB to 1 TiB)",
                     "-kernel", kernel, "-m", "1023K")
        for size in ("2", "2M", "size=64M", "4G", "0x40"):
            result = self.boot(images.exit_with(0), "-m", size)
            self.assertEqual((result.status, result.err), (1, ""), size)

    def test_accepted_without_effect(self):
        result = self.boot(
            images.exit_with(0), "-machine", "pc,accel=kvm", "-M", "q35", "-accel", "tcg",
            "-enable-kvm", "-no-reboot", "-no-shutdown", "-vga", "none", "-rtc", "base=utc",
            "-name", "x", "-boot", "c", "-net", "none", "-nic", "none", "-vnc", "none",
            "-parallel", "none", "-k", "de", "-mon", "chardev=a", "-display", "none",
            "-monitor", "none", "-nodefaults", "-smp", "1", "-smp", "cpus=1,cores=1",
            "-smp", "1,maxcpus=4,cores=2", "-smp", "sockets=1,dies=1,threads=1", "-seed", "7",
            "-cpu", "max")
        self.assertEqual((result.status, result.err, result.out), (1, "", ""))

    def test_global_is_told(self):
        result = self.boot(images.exit_with(0), "-global", "PIIX4_PM.disable_s3=1")
        self.assertEqual(result.status, 1)
        self.assertEqual(result.lines,
                         ["pacifica: -global PIIX4_PM.disable_s3=1: no effect here"])

    def test_lists(self):
        for arguments, word in ((("-cpu", "help"), "model max"), (("-device", "?"), "isa-debug-exit"),
                                (("-d", "help"), "guest_errors"), (("-trace", "help"), "svm")):
            result = run(*arguments)
            self.assertEqual((result.status, result.err), (0, ""))
            self.assertIn(word, result.out)

    def test_features(self):
        result = run("features")
        self.assertEqual((result.status, result.err), (0, ""))
        rows = {line.split()[0]: line for line in result.out.splitlines()}
        self.assertEqual(rows["svm"].split(None, 4), ["svm", "Fn8000_0001", "ECX[2]", "offered", "all"])
        self.assertEqual(rows["gfni"].split(None, 5)[3:5], ["not", "emulated"])
        self.assertIn("epyc-genoa", rows["gfni"])
        self.assertIn("max epyc-milan", rows["pcid"])
        self.assertIn("follows other state", rows["ht"])
        self.assertEqual(rows["tsc-deadline"].split()[-1], "max")
        self.assertGreater(len(rows), 200)

    def test_features_of_a_model(self):
        result = run("features", "EPYC-Rome-v2,-svm")
        self.assertEqual((result.status, result.err), (0, ""))
        lines = result.out.splitlines()
        self.assertIn("signature 00830f10h", lines[0])
        rows = {line.split()[0]: line.split()[3] for line in lines[1:]}
        self.assertEqual((rows["clwb"], rows["svm"], rows["npt"], rows["ibs"]), ("on", "off", "off", "not"))
        self.assertNotIn("invpcid", rows)

    def test_msrs_of_a_model(self):
        result = run("msrs")
        self.assertEqual((result.status, result.err), (0, ""))
        self.assertRegex(result.out, r"c0011002-c0011005 CPUID_OVERRIDE")
        self.assertRegex(result.out, r"00000048 +SPEC_CTRL +reset 0{16}  mask 0{14}87")
        result = run("msrs", "epyc-naples")
        self.assertNotIn("SPEC_CTRL", result.out.replace("VIRT_", ""))
        self.assertRegex(result.out, r"0000008b +PATCH_LEVEL +reset 0000000008001278")

    def test_features_of_no_model(self):
        for arguments in (("features", "foo"), ("msrs", "foo"), ("features", "max,+foo"), ("msrs", "max", "foo")):
            result = run(*arguments)
            self.assertEqual((result.status, result.out, len(result.lines)), (2, "", 1))
        self.assertIn("not emulated", run("features", "max,+gfni").err)

    def test_help_of_the_tables_of_models(self):
        for command in ("features", "msrs"):
            models, usage = run(command, "help"), run(command, "--help")
            self.assertEqual((models.status, models.err), (0, ""))
            self.assertIn("model epyc-naples", models.out)
            self.assertEqual((usage.status, usage.err), (0, ""))
            self.assertTrue(usage.out.startswith("usage: pacifica"))

    def test_every_model_starts(self):
        """A processor's signature is in EDX after reset, and its name in CPUID."""
        names = [line.split()[1] for line in run("-cpu", "help").out.splitlines() if line.startswith("model ")]
        self.assertEqual(len(names), 12)
        for name in names + ["EPYC", "EPYC-Milan-v2", "host", "qemu64"]:
            self.assertEqual(self.boot(images.exit_with(3), "-cpu", name).status, 7)

    def test_unknown_cpu(self):
        kernel = self.image(images.HALT)
        for text in ("foo", "max,+foo", "max,foo"):
            result = run("-kernel", kernel, "-cpu", text)
            self.assertEqual(result.status, 2)
            self.assertEqual(len(result.lines), 1)
            self.assertIn("foo", result.err)


class Machine(CliTest):
    def test_processors(self):
        for count in ("1", "2", "64", "4,cores=2,threads=1", "1,maxcpus=8"):
            self.assertEqual(self.boot(images.exit_with(0), "-smp", count).status, 1)

    def test_closed_standard_files(self):
        disk = self.file("disk", bytes(1 << 20))
        for closed in (0, 1, 2):
            code = f"import os, sys; os.close({closed}); os.execv(sys.argv[1], sys.argv[1:])"
            command = [sys.executable, "-c", code, *PACIFICA, "-kernel", self.image(images.HALT), "-drive",
                       f"file={disk},format=raw,snapshot=off"]
            done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_SECONDS, check=False)
            self.assertEqual(done.returncode, 8)
            self.assertEqual(pathlib.Path(disk).read_bytes(), bytes(1 << 20), closed)

    def test_strange_signals_end_nothing(self):
        code = b"\xeb\xfe"  # jmp $
        with subprocess.Popen([*PACIFICA, "-kernel", self.image(code), "-max-time", "2"], stderr=subprocess.PIPE) as child:
            time.sleep(0.5)
            child.send_signal(signal.SIGUSR1)
            time.sleep(0.2)
            self.assertIsNone(child.poll())
            self.assertEqual(child.wait(TIMEOUT_SECONDS), 4)

    def test_chardevs_have_one_user(self):
        path = self.path("output")
        line = "pacifica: -chardev: 'a' is used more than once"
        self.refused(line, "-chardev", f"file,id=a,path={path}", "-serial", "chardev:a", "-device", "isa-debugcon,chardev=a")
        self.refused(line, "-chardev", "pty,id=a", "-device", "isa-debugcon,iobase=0x402,chardev=a", "-device",
                     "isa-debugcon,chardev=a")
        self.refused("pacifica: -debugcon: 'mon:stdio' is no place: the monitor shares serial lines only",
                     "-debugcon", "mon:stdio")

    def test_pc_testdev(self):
        self.assertEqual(self.boot(images.exit_with(0), "-device", "pc-testdev").status, 1)
        self.refused("pacifica: -device: 'iobase=0xe8' is no property of this device",
                     "-device", "pc-testdev,iobase=0xe8")

    def test_pci_testdev(self):
        code = b"\x66\xba\xf8\x0c\xb8\0\x10\0\x80\xef"   # mov dx, cf8; mov eax, 80001000; out dx, eax
        code += b"\x66\xba\xfc\x0c\x66\xed\x24\x7f"        # mov dx, cfc; in ax, dx; and al, 7f
        code += b"\x66\xba\xf4\0\xee\xf4"                   # mov dx, f4; out dx, al; hlt
        self.assertEqual(self.boot(code, "-vga", "none", "-device", "pci-testdev").status, 0x36 << 1 | 1)
        self.assertEqual(self.boot(code, "-vga", "none").status, 0x7f << 1 | 1)
        self.assertEqual(self.boot(code).status, 0x34 << 1 | 1) # the VGA comes first
        self.refused("pacifica: -device: 'addr=4' is no property of this device", "-device", "pci-testdev,addr=4")

    def test_screen(self):
        code = b"\xc7\x05\0\x80\x0b\0A\x1f\xdb\x1e"         # mov dword [b8000], 1edb1f41
        code += b"\xc7\x05\xa0\x80\x0b\0 \x07B\x07"          # and at the next line
        code += images.exit_with(0)
        text, picture = self.path("screen.txt"), self.path("screen.png")
        self.assertEqual(self.boot(code, "-screendump-at", f"end:{text}",
                                   "-screendump-at", f"end:{picture}").status, 1)
        with open(text, encoding="utf-8") as f:
            self.assertEqual(f.read(), "A\u2588\n B\n" + 23 * "\n")
        with open(picture, "rb") as f:
            self.assertEqual(f.read(24), b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\xd0\0\0\x01\x90")
        result = self.boot(code, "-screendump-at", f"1:{text}")
        self.assertEqual(result.status, 1)
        with open(text, encoding="utf-8") as f:
            self.assertEqual(f.read(), "A\u2588" + 25 * "\n")

    def test_screen_that_cannot_be_saved(self):
        code, text = images.exit_with(0), self.path("screen.txt")
        for arguments, line in ((("-screendump-at", "end:/no/such/f.png"), "/no/such/f.png: "),
                                (("-screendump-at", "end:/no/such/f.txt"), "/no/such/f.txt: "),
                                (("-screendump-at", f"1000000:{text}"),
                                 f"{text}: not saved: the run ended before step 1000000"),
                                (("-screendump-at", f"end:{text}", "-vga", "none"),
                                 f"{text}: there is no screen (-vga std adds one)"),
                                (("-screendump-at", f"end:{text}", "-nodefaults"),
                                 f"{text}: there is no screen (-vga std adds one)")):
            result = self.boot(code, *arguments)
            self.assertEqual((result.status, len(result.lines)), (2, 1), arguments)
            self.assertIn("pacifica: " + line, result.err)
        for value in ("x:f", "end", "end:", ":f", "-1:f", "18446744073709551615:f"):
            result = run("-screendump-at", value)
            self.assertEqual((result.status, len(result.lines)), (2, 1), value)
        result = run("-vga", "cirrus")
        self.assertEqual((result.status, result.err),
                         (2, "pacifica: -vga: 'cirrus' is no display adapter here: std or none\n"))

    def test_seed_decides_what_rdrand_gives(self):
        code = b"\x0f\xc7\xf0" + b"\x66\xba\xf4\0\x24\x7f\xee\xf4"  # rdrand eax; mov dx, f4; and al, 7f; out dx, al
        given = [self.boot(code, *arguments).status for arguments in ((), (), ("-seed", "1"), ("-seed", "2"))]
        self.assertEqual(given[0], given[1])
        self.assertEqual(len(set(given[1:])), 3)
        self.assertTrue(all(status & 1 for status in given))


class Firmware(CliTest):
    def rom(self, code, size=4096, at=-16):
        """A ROM of HLT with `code` (16-bit) at `at` from its end: the reset vector if nothing is said."""
        rom = bytearray(b"\xf4" * size)
        rom[at + size:at + size + len(code)] = code
        return self.file("rom", rom)

    def exit_code(self, value):
        return b"\xba\xf4\0" + bytes([0xb0, value]) + b"\xee\xf4"  # mov dx, f4; mov al; out dx, al; hlt

    def test_firmware_starts_at_the_reset_vector(self):
        for size in (4096, 0x10000, 0x20000, 0x21000, 0x1000000):
            for option in ("-bios", "-rom", "--bios"):
                result = run(option, self.rom(self.exit_code(3), size), *EXIT_DEVICE)
                self.assertEqual((result.status, result.err), (7, ""), (size, option))

    def test_a_placed_rom_can_hold_the_reset_vector(self):
        result = run("-rom", self.rom(self.exit_code(3), 8192, -8192 + 0xff0), "-load-at", "0xfffff000", *EXIT_DEVICE)
        self.assertEqual((result.status, result.err), (7, ""))

    def test_further_roms_lie_where_they_are_told_to(self):
        # mov ax, c000; mov ds, ax; mov al, [0]; out f4, al
        firmware = self.rom(b"\xb8\0\xc0\x8e\xd8\xa0\0\0\xe6\xf4\xf4")
        further = self.file("further", b"\x05" + bytes(4095))
        result = run("-bios", firmware, "-rom", further, "-load-at", "0xc0000", *EXIT_DEVICE)
        self.assertEqual((result.status, result.err), (11, ""))

    def test_rom_is_read_only(self):
        # mov ax, f000; mov ds, ax; inc byte [fff0]; mov al, [fff0]; out f4, al
        rom = self.rom(b"\xb8\0\xf0\x8e\xd8\xfe\x06\xf0\xff\xa0\xf0\xff\xe6\xf4\xf4")
        result = run("-bios", rom, *EXIT_DEVICE)
        self.assertEqual((result.status, result.err), ((0xb8 << 1 | 1) & 0xff, ""))

    def test_reset_starts_it_again(self):
        # in al, 80 is open bus; the marker is RAM at 0:0. mov al, [0]; inc byte [0]; test; then reset or end.
        rom = self.rom(b"\xeb\xde", 4096)  # jmp fff0 - 20h
        code = bytearray(pathlib.Path(rom).read_bytes())
        code[-0x30:-0x30 + 19] = (b"\xfe\x06\0\x05\xa0\0\x05\x3c\2\x75\2"  # inc [500]; mov al, [500]; cmp al, 2; jne +2
                                  + b"\xe6\xf4"                                  # out f4, al
                                  + b"\xb0\xfe\xe6\x64\xeb\xfe")                # mov al, fe; out 64, al; jmp $
        result = run("-bios", self.file("rom", code), *EXIT_DEVICE)
        self.assertEqual((result.status, result.err), (5, ""))
        self.assertEqual(run("-bios", self.path("rom"), "-no-reboot", *EXIT_DEVICE).status, 0)

    def test_a_disk_alone_is_for_firmware(self):
        disk = self.file("disk", b"\0" * 65536)
        for options in (["-hda", disk], ["-cdrom", disk], ["-drive", f"file={disk},format=raw,if=virtio"]):
            result = run(*options, "-max-insns", "1000")
            if pathlib.Path("/usr/share/seabios/bios-256k.bin").exists():
                self.assertEqual((result.status, result.out), (4, ""))  # and not the demonstration
            else:
                self.assertEqual(result.status, 2)
                self.assertIn("bios-256k.bin", result.err)

    def test_flash_memory(self):
        code = (b"\x2e\xc6\x06\0\xe0\x10\x2e\xc6\x06\0\xe0\x5a"   # mov byte cs:[e000], 10; 5a: program
                + b"\x2e\xc6\x06\0\xe0\xff"                            # mov byte cs:[e000], ff: read array
                + b"\x2e\xa0\0\xe0\xe6\xf4\xf4")                       # mov al, cs:[e000]; out f4, al; hlt
        rom = bytearray(pathlib.Path(self.rom(b"\xeb\xce")).read_bytes())  # jmp fff0 - 30h
        rom[-0x40:-0x40 + len(code)] = code
        firmware = "if=pflash,format=raw,readonly=on,file=" + self.file("code", rom)
        variables = "if=pflash,format=raw,file=" + self.file("variables", b"\xff" * 8192)
        for more, kept in ((",unit=1", 0xff), (",snapshot=off", 0x5a)):
            result = run("-drive", firmware, "-drive", variables + more, *EXIT_DEVICE)
            self.assertEqual((result.status, result.err), ((0x5a << 1 | 1) & 0xff, ""))
            self.assertEqual(pathlib.Path(self.path("variables")).read_bytes()[0x1000], kept)
        self.refused("pacifica: -drive: if=pflash,unit=1 without unit 0, which starts", "-drive", variables + ",unit=1")
        self.refused("pacifica: -drive: no place for flash memory 2 "
                     "(if=pflash has unit 0 for firmware and unit 1 for its variables)", "-drive", variables + ",unit=2")
        self.refused("pacifica: -kernel: together with if=pflash: not there yet (-kernel starts without firmware)",
                     "-kernel", "x", "-drive", firmware)
        odd = "if=pflash,format=raw,file=" + self.file("odd", bytes(4608))
        self.refused("pacifica: flash memory: 4608 bytes are no multiple of 4 KiB", "-drive", odd)
        self.refused(f"pacifica: {self.path('code')}: a ROM from 0xfffff000 to 0xffffffff would cover RAM or another ROM "
                     "at 0xfffff000 (place it elsewhere)", "-drive", firmware, "-bios", self.path("code"))

    def test_refusals(self):
        good = self.rom(self.exit_code(0))
        odd = self.file("odd", bytes(4095))
        self.refused(f"pacifica: {odd}: a firmware image of 4095 bytes is no whole number of pages "
                     "(its size is a multiple of 4 KiB; is this the right file?)", "-bios", odd)
        empty = self.file("empty", b"")
        self.refused(f"pacifica: {empty}: the firmware image is empty", "-bios", empty)
        large = self.file("large", bytes(0x1001000))
        self.refused(f"pacifica: {large}: a firmware image of 16388 KiB is too large "
                     "(at most 16 MiB: the local APIC lies below)", "-bios", large)
        for endless in (self.sparse("sparse", 1 << 40), "/dev/zero"):
            self.refused(f"pacifica: {endless}: the file is larger than 32768 KiB", "-rom", endless)
        self.refused(f"pacifica: {self.path('sparse')}: the file is larger than 4194304 KiB",
                     "-kernel", self.path("sparse"))
        self.refused(f"pacifica: {good}: no ROM can begin at 0xc0001 (a multiple of 4 KiB)",
                     "-rom", good, "-load-at", "0xc0001")
        self.refused(f"pacifica: {good}: a ROM from 0x0 to 0xfff would cover RAM or another ROM at 0x0 "
                     "(place it elsewhere)", "-rom", good, "-load-at", "0")
        self.refused("pacifica: -rom: no ROM is at the reset vector, 0xfffffff0 "
                     "(-bios names the firmware that starts)", "-rom", good, "-load-at", "0xc0000")
        self.refused("pacifica: -bios: two images for the place below 4 GiB (-load-at places a further -rom)",
                     "-bios", good, "-rom", good)
        self.refused("pacifica: -load-at: follows the -rom that it places", "-load-at", "0")
        self.refused("pacifica: -load-at: follows the -rom that it places", "-bios", good, "-load-at", "0")
        self.refused("pacifica: -kernel: together with -bios: not there yet (-kernel starts without firmware)",
                     "-kernel", "x", "-bios", good)
        self.refused("pacifica: -initrd: goes with -kernel only", "-initrd", "x", "-bios", good)
        self.refused("pacifica: -rom: 'x' is one ROM too many (8)", *["-rom", "x"] * 9)

    def test_a_name_without_folder_is_searched(self):
        name = "no-such-firmware.bin"
        self.refused(f"pacifica: {name}: No such file or directory (not in /usr/share/seabios or /usr/share/qemu "
                     "either; Debian's package seabios has bios.bin)", "-bios", name)
        self.refused(f"pacifica: {name}: No such file or directory", "-rom", name)
        self.refused(f"pacifica: ./{name}: No such file or directory", "-bios", "./" + name)


class CommandLines(CliTest):
    def test_append_reaches_the_guest_as_it_is(self):
        # popt replaces !#:+ by other arguments, and treats some words specially.
        for text in ("a b  c", "!#:+", "!#:+,x !#:+", "x!#:+y", "a,b,,c", "--", "-d", "=", "a=b",
                     "'quo\"ted'", "\\n \\ $HOME %s", "!", "#", "\x01", "\x010\x011!", "@f", ""):
            result = self.boot(images.print_cmdline() + images.exit_with(0), "-append", text)
            self.assertEqual(result.status, 1, text)
            # The loader puts the image's path in front.
            expected = self.path("image") + (" " + text if text else "")
            self.assertEqual(result.out, expected)

    def test_option_spellings(self):
        kernel = self.image(images.print_cmdline() + images.exit_with(0))
        for arguments in (("--kernel", kernel, "--append", "x", *EXIT_DEVICE),
                          ("run", "-kernel", kernel, "-append", "x", *EXIT_DEVICE)):
            result = run(*arguments)
            self.assertEqual((result.status, result.out), (1, kernel + " x"))

    def test_file_names_may_hold_what_popt_rewrites(self):
        path = self.file("a!#:+,b", images.multiboot(images.exit_with(3)))
        self.assertEqual(run("-kernel", path, *EXIT_DEVICE).status, 7)

    def test_initrd_modules_and_their_arguments(self):
        first, second = self.file("one", b"1"), self.file("two,2", b"22")
        escaped = second.replace(",", ",,")
        result = self.boot(images.print_modules() + images.exit_with(0),
                           "-initrd", f"{first} a=1  b,{escaped}")
        self.assertEqual((result.status, result.out), (1, f"{first} a=1  b\n{second}\n"))

    def test_missing_module(self):
        kernel = self.image(images.HALT)
        missing = self.path("none")
        self.refused(f"pacifica: {missing}: No such file or directory",
                     "-kernel", kernel, "-initrd", missing)
        self.refused("pacifica: -initrd: '' is no module: the file name is missing",
                     "-kernel", kernel, "-initrd", f"{kernel},")


class Images(CliTest):
    def bad(self, content):
        path = self.file("bad", content)
        result = run("-kernel", path)
        self.assertEqual((result.status, len(result.lines), result.out), (2, 1, ""), result.err)
        self.assertTrue(result.err.startswith("pacifica: "), result.err)
        self.assertIn("bad", result.err)

    def test_missing_file(self):
        path = self.path("none")
        self.refused(f"pacifica: {path}: No such file or directory", "-kernel", path)
        for option in ("-kernel", "-bios", "-rom"):
            self.refused("pacifica: '': no name of a file", option, "")

    def test_directory(self):
        self.refused(f"pacifica: {self.folder.name}: Is a directory", "-kernel", self.folder.name)

    def test_empty_file(self):
        self.bad(b"")

    def test_nonsense(self):
        self.bad(b"\0" * 100)
        self.bad(bytes(range(256)) * 100)
        self.bad(b"\x7fELF")

    def test_truncated_at_every_length(self):
        whole = images.multiboot(images.exit_with(0))
        for length in range(1, 32):
            self.bad(whole[:length])

    def test_load_outside_ram(self):
        image = bytearray(images.multiboot(images.HALT))
        image[12:24] = (0xf0000000).to_bytes(4, "little") * 2 + b"\0" * 4
        self.bad(bytes(image))


class Ends(CliTest):
    def test_debug_exit_gives_the_guests_status(self):
        for value, status in ((0, 1), (1, 3), (3, 7), (0x7f, 255), (0x80, 1)):
            result = self.boot(images.exit_with(value))
            self.assertEqual((result.status, result.err), (status, ""))

    def test_reset_ends_with_no_reboot(self):
        result = self.boot(images.RESET, "-no-reboot")
        self.assertEqual((result.status, result.err), (0, ""))

    def test_power_off_ends_with_0(self):
        code = b"\x66\xba\x04\x06\x66\xb8\0\x20\x66\xef\xf4"  # mov dx, 604; mov ax, 2000; out dx, ax; hlt
        result = self.boot(code)
        self.assertEqual((result.status, result.err), (0, ""))

    def test_reset_runs_the_image_again(self):
        result = self.boot(images.out8(images.COM1, 0x2a) + images.RESET, "-max-insns", "2000")
        self.assertEqual(result.status, 4)
        self.assertGreater(len(result.out), 10)
        self.assertEqual(set(result.out), {"*"})

    def test_step_limit(self):
        result = self.boot(images.SPIN, "-max-insns", "12345", "-exit-stats")
        self.assertEqual(result.status, 4)
        self.assertRegex(result.lines[0], r"^pacifica: step limit reached \(--max-insns\) at ....:")
        self.assertIn("pacifica: 12345 steps, 12345 instructions", result.lines)
        self.assertRegex(result.err, r"(?m)^pacifica: guest memory \d+ KiB resident$")

    def test_step_limit_of_zero(self):
        result = self.boot(images.out8(images.COM1, 0x2a) + images.SPIN, "-max-insns", "0")
        self.assertEqual((result.status, result.out), (4, ""))

    def test_time_limit(self):
        result = self.boot(images.out8(images.COM1, 0x2a) + images.SPIN, "-max-time", "0.2")
        self.assertEqual((result.status, result.out), (4, "*"))
        self.assertEqual(result.lines, ["pacifica: time limit reached (--max-time)"])

    def test_halted_for_ever(self):
        result = self.boot(images.HALT)
        self.assertEqual((result.status, len(result.lines)), (8, 1))
        self.assertIn("halted for ever", result.err)

    def test_triple_fault(self):
        result = self.boot(images.TRIPLE_FAULT)
        self.assertEqual((result.status, len(result.lines)), (8, 1))
        self.assertIn("triple fault", result.err)
        self.assertEqual(self.boot(images.TRIPLE_FAULT, "-qemu-exit-codes").status, 8)
        result = self.boot(images.TRIPLE_FAULT, "-qemu-exit-codes", "-no-reboot")
        self.assertEqual((result.status, len(result.lines)), (0, 1))

    def test_interrupt_ends_in_good_order(self):
        with subprocess.Popen([*PACIFICA, "-kernel", self.image(
                images.out8(images.COM1, 0x2a) + images.SPIN), "-state-hash"],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
            self.assertEqual(child.stdout.read(1), b"*")
            child.send_signal(signal.SIGINT)
            err = child.communicate(timeout=TIMEOUT_SECONDS)[1]
        self.assertEqual(child.returncode, -signal.SIGINT)
        self.assertRegex(err.decode(), r"^pacifica: state hash [0-9a-f]{16}\n$")


class Console(CliTest):
    def test_input_reaches_the_guest(self):
        result = self.boot(images.ECHO, stdin=b"HAL8")
        self.assertEqual((result.status, result.out), (1, "IBM9"))

    def test_input_may_come_late(self):
        command = [*PACIFICA, "-kernel", self.image(images.ECHO), *EXIT_DEVICE]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            for byte in b"HAL8":
                time.sleep(0.05)
                child.stdin.write(bytes([byte]))
                child.stdin.flush()
                self.assertEqual(child.stdout.read(1), bytes([byte + 1]))
            self.assertEqual(child.wait(TIMEOUT_SECONDS), 1)

    def test_halted_guest_waits_for_its_console(self):
        path = self.file("image", images.wait_for_key())
        with subprocess.Popen([*PACIFICA, "-kernel", path, *EXIT_DEVICE], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
            time.sleep(0.3)
            self.assertIsNone(child.poll())
            out, err = child.communicate(b"H", timeout=TIMEOUT_SECONDS)
        self.assertEqual((child.returncode, out, err), (1, b"I", b""))

    def test_halted_guest_without_a_console_is_halted_for_ever(self):
        path = self.file("image", images.wait_for_key())
        for arguments in ((), ("-serial", "null")):
            result = run("-kernel", path, *EXIT_DEVICE, *arguments)
            self.assertEqual((result.status, len(result.lines)), (8, 1))
            self.assertIn("halted for ever", result.err)

    def test_interrupt_while_halted(self):
        path = self.file("image", images.wait_for_key())
        with subprocess.Popen([*PACIFICA, "-kernel", path, "-max-time", "0.3"],
                              stdin=subprocess.PIPE, stderr=subprocess.PIPE) as child:
            err = child.stderr.read()
            self.assertEqual(child.wait(TIMEOUT_SECONDS), 4)
        self.assertEqual(err, b"pacifica: time limit reached (--max-time)\n")

    def test_serial_to_a_file(self):
        path = self.path("log")
        result = self.boot(images.out8(images.COM1, 0x2a) + images.exit_with(0),
                           "-serial", f"file:{path}")
        self.assertEqual((result.status, result.out), (1, ""))
        self.assertEqual(pathlib.Path(path).read_bytes(), b"*")

    def test_serial_nowhere(self):
        code = images.out8(images.COM1, 0x2a) + images.exit_with(0)
        for arguments, out in ((("-serial", "null"), ""), (("-serial", "none"), ""),
                               (("-nodefaults",), ""), (("-nographic",), "*"),
                               (("-nodefaults", "-nographic"), "*"), ((), "*"),
                               (("-nodefaults", "-serial", "stdio"), "*")):
            result = self.boot(code, *arguments)
            self.assertEqual((result.status, result.out), (1, out), arguments)

    def test_debugcon(self):
        code = images.out8(0xe9, 0x2a) + images.out8(0x402, 0x2b) + images.exit_with(0)
        path = self.path("log")
        result = self.boot(code, "-debugcon", "stdio")
        self.assertEqual((result.status, result.out), (1, "*"))
        result = self.boot(code, "-chardev", f"file,id=x,path={path}",
                           "-device", "isa-debugcon,iobase=0x402,chardev=x")
        self.assertEqual((result.status, result.out), (1, ""))
        self.assertEqual(pathlib.Path(path).read_bytes(), b"+")

    def test_output_that_cannot_be_written(self):
        code = images.out8(images.COM1, 0x2a) + images.exit_with(0)
        missing = self.path("none/log")
        self.refused(f"pacifica: {missing}: No such file or directory",
                     "-kernel", self.image(code), "-serial", f"file:{missing}")
        if os.path.exists("/dev/full"):
            result = self.boot(code, "-serial", "file:/dev/full")
            self.assertEqual((result.status, result.lines), (2, ["pacifica: /dev/full: writing failed"]))


class Seeing(CliTest):
    CODE = images.out8(images.COM1, 0x2a) + images.exit_with(0)

    def test_log_goes_to_stderr_or_a_file(self):
        result = self.boot(self.CODE, "-d", "io,exec")
        self.assertEqual((result.status, result.out), (1, "*"))
        self.assertIn("op write port 0x3f8 size 1 value 0x2a", result.err)
        path = self.path("log")
        to_file = self.boot(self.CODE, "-d", "io,exec", "-D", path)
        self.assertEqual((to_file.status, to_file.err), (1, ""))
        self.assertEqual(pathlib.Path(path).read_text(), result.err)

    def test_exec_shows_each_instruction(self):
        result = self.boot(self.CODE, "-d", "exec")
        self.assertEqual([line.split(": ")[1] for line in result.lines],
                         ["mov dx, 0x3f8", "mov al, 0x2a", "out dx, al",
                          "mov dx, 0xf4", "mov al, 0", "out dx, al"])

    def test_in_asm_shows_decoded_code(self):
        result = self.boot(self.CODE, "-d", "in_asm")
        self.assertIn(": mov dx, 0x3f8", result.err)

    def test_json_trace(self):
        path = self.path("trace")
        result = self.boot(self.CODE, "-trace", "io:0xf4", "-trace", "exec",
                           "-trace-format", "jsonl", "-trace-file", path)
        self.assertEqual((result.status, result.err), (1, ""))
        rows = [json.loads(line) for line in pathlib.Path(path).read_text().splitlines()]
        self.assertEqual(rows[0], {"schema": "pacifica-trace", "version": 1})
        rip = [row["rip"] for row in rows if row.get("event") == "exec"][-1]
        self.assertEqual([row for row in rows if row.get("event") == "io"],
                         [{"event": "io", "step": 5, "cpu": 0, "ns": 5, "in_rip": rip, "op": "write",
                           "port": "0xf4", "size": 1, "value": "0x0"}])
        self.assertEqual(sum(row.get("event") == "exec" for row in rows), 6)

    def test_log_and_trace_at_once(self):
        log, trace = self.path("log"), self.path("trace")
        self.boot(self.CODE, "-d", "io", "-D", log, "-trace", "io", "-trace-file", trace)
        self.assertEqual(pathlib.Path(log).read_text(), pathlib.Path(trace).read_text())

    def test_two_runs_give_the_same_bytes(self):
        first = self.boot(self.CODE, "-d", "exec,in_asm,io,tlb,mem", "-state-hash", "-exit-stats")
        second = self.boot(self.CODE, "-d", "exec,in_asm,io,tlb,mem", "-state-hash", "-exit-stats")
        strip = [line for line in first.lines if "KiB resident" not in line]
        self.assertEqual(strip, [line for line in second.lines if "KiB resident" not in line])

    def test_state_hash_tells_states_apart(self):
        hashes = set()
        for value in (0, 1):
            result = self.boot(images.exit_with(value), "-state-hash")
            self.assertRegex(result.err, r"^pacifica: state hash [0-9a-f]{16}\n$")
            hashes.add(result.err)
        self.assertEqual(len(hashes), 2)

    def test_info(self):
        result = self.boot(images.exit_with(0), "-info", "registers,walk 0x100000,mem")
        self.assertEqual(result.lines[0], "pacifica: processor 0: registers")
        self.assertIn("32-bit protected mode, CPL 0", result.lines)
        self.assertIn("pacifica: processor 0: walk 0x100000", result.lines)
        self.assertEqual(result.lines[-1], "no paging: linear addresses are physical")
        self.assertEqual(self.boot(images.exit_with(0)).out, result.out)

    def test_info_of_a_secure_launch(self):
        digest = hashlib.sha1(b"\4\0\4\0").digest()
        result = self.boot(images.SECURE_LOADER, "-info", "skinit", "-d", "svm")
        self.assertEqual(result.status, 8, result.err)  # the loader halts
        self.assertIn("image, SHA-1    " + digest.hex(), result.lines)
        self.assertIn("PCR 17, SHA-1   " + hashlib.sha1(bytes(20) + digest).hexdigest(), result.lines)
        self.assertIn(" slb 0x20000 entry 0x4 length 4 sha1 " + digest.hex(), result.err)

    def test_info_that_makes_no_sense_does_not_run(self):
        for item in ("register", "walk", "walk x", "tlb 1", "tlb,"):
            result = self.boot(images.out8(images.COM1, 0x2a) + images.exit_with(0), "-info", item)
            self.assertEqual((result.status, result.out, len(result.lines)), (2, "", 1), item)
        result = self.boot(images.exit_with(0), "-info", ",".join(["tlb"] * 9))
        self.assertEqual(result.lines, ["pacifica: -info: 'tlb' is one item too many (8)"])

    def test_info_help_lists_the_items(self):
        result = self.boot(images.exit_with(0), "-info", "help")
        self.assertEqual(result.status, 0)
        self.assertIn("walk ADDR", result.out)

    def test_exit_stats_without_svm(self):
        result = self.boot(self.CODE, "-exit-stats")
        self.assertEqual(result.lines[0], "no #VMEXITs")
        self.assertEqual(result.lines[1].split(), ["TLB", "misses", "fills", "evictions", "flushes"])
        self.assertRegex(result.lines[2], r"^pacifica: \d+ steps, \d+ instructions$")
        self.assertRegex(result.lines[3], r"^pacifica: guest memory \d+ KiB resident$")


class Vmcbs(CliTest):
    """VMCBs saved from anywhere, and the reference of exit codes."""

    def vmcb(self, name="vmcb", **fields):
        """A page that breaks no rule, with fields (offset_NNN=(bytes, value)) changed."""
        page = bytearray(4096)
        for offset, size, value in ((0x10, 4, 3), (0x58, 4, 1), (0x412, 2, 0xa9b), (0x4d0, 8, 0x1500),
                                    (0x548, 8, 0x20), (0x558, 8, 0x80000011), (0x570, 8, 2)):
            page[offset:offset + size] = value.to_bytes(size, "little")
        for key, (size, value) in fields.items():
            offset = int(key.removeprefix("offset_"), 16)
            page[offset:offset + size] = value.to_bytes(size, "little")
        return self.file(name, bytes(page))

    def test_dump_tells_every_field_in_words(self):
        result = run("vmcb", "dump", self.vmcb(offset_0a8=(8, 0x280000b0e), offset_00c=(4, 1 << 18),
                                                offset_05c=(1, 3), offset_090=(8, 0x101), offset_020=(2, 0x101)))
        self.assertEqual((result.status, result.err), (0, ""))
        lines = result.out.splitlines()
        self.assertIn("058h  GUEST_ASID              1", lines)
        self.assertIn("00Ch  INTERCEPT_3             0x00040000  CPUID", lines)
        self.assertIn("05Ch  TLB_CONTROL             0x03  flush this ASID", lines)
        self.assertIn("090h  NESTED_CONTROL          0x0000000000000101  NP_ENABLE reserved 0x100", lines)
        self.assertIn("0A8h  EVENTINJ                0x0000000280000b0e  #PF, error code 0x2", lines)
        self.assertIn("412h  CS_ATTR                 0x0a9b  code, readable, DPL 0, P L G", lines)
        self.assertIn("558h  CR0                     0x0000000080000011  PE ET PG", lines)
        self.assertIn("reserved bytes 020h-021h are not zero", lines)

    def test_diff_tells_fields_that_differ(self):
        one, two = self.vmcb("one"), self.vmcb("two", offset_578=(8, 0x1002), offset_ff0=(1, 1))
        result = run("vmcb", "diff", one, two)
        self.assertEqual((result.status, result.err, result.out), (1, "",
                         "- 578h  RIP                     0x0000000000000000\n"
                         "+ 578h  RIP                     0x0000000000001002\n"
                         "reserved bytes FF0h-FF0h differ\n"))
        result = run("vmcb", "diff", one, one)
        self.assertEqual((result.status, result.err, result.out), (0, "", ""))

    def test_check_tells_every_rule_that_is_broken(self):
        result = run("vmcb", "check", self.vmcb())
        self.assertEqual((result.status, result.out), (0, "no rule is broken\n"))
        result = run("vmcb", "check", self.vmcb(offset_058=(4, 0), offset_558=(8, 0xa0000011)))
        self.assertEqual((result.status, result.err, result.out), (1, "",
                         "CR0 is 0xa0000011: CR0.NW must not be 1 while CR0.CD is 0 (APM vol 2, 15.5.1 \"Basic Operation\")\n"
                         "GUEST_ASID is 0x0: ASID must not be 0 (APM vol 2, 15.5.1 \"Basic Operation\")\n"))

    def test_check_goes_by_the_model(self):
        page = self.vmcb(offset_548=(8, 0x20 | 1 << 22))  # CR4.PKE
        self.assertEqual(run("vmcb", "check", page).status, 0)
        result = run("vmcb", "check", "-cpu", "epyc-naples", page)
        self.assertEqual((result.status, result.err), (1, ""))
        self.assertIn("CR4 is 0x400020: CR4 must not have reserved bits", result.out)
        self.assertEqual(run("vmcb", "check", "--cpu", "max,-pku", page).status, 1)

    def test_check_says_what_it_cannot_see(self):
        pae = run("vmcb", "check", self.vmcb(offset_4d0=(8, 0x1000)))
        self.assertEqual((pae.status, pae.out), (
            0, "not checked: the PDPTEs at CR3, which are not in the VMCB\nno rule is broken\n"))
        cet = run("vmcb", "check", self.vmcb(offset_548=(8, 0x800020), offset_558=(8, 0x80010011), offset_570=(8, 0x20002)))
        self.assertEqual((cet.status, cet.out), (
            0, "not checked: U_CET with RFLAGS.VM; U_CET is not in the VMCB\nno rule is broken\n"))
        nested = run("vmcb", "check", self.vmcb(offset_090=(1, 1), offset_668=(8, 0x0007040600070406)))
        self.assertEqual((nested.status, nested.out), (0, "assumed: the host has CR0.PG set\nno rule is broken\n"))

    def test_files_of_other_sizes_are_refused(self):
        for size in (0, 1, 4095, 4097, 8192):
            name = self.file("other", bytes(size))
            for arguments in (("dump", name), ("check", name), ("diff", self.vmcb(), name), ("diff", name, self.vmcb())):
                self.refused(f"pacifica: {name}: a VMCB has 4096 bytes, not {size} "
                             "(save the page that RAX points to at VMRUN)", "vmcb", *arguments)
        huge = self.sparse("huge", 1 << 40)
        self.refused(f"pacifica: {huge}: the file is larger than 1024 KiB", "vmcb", "dump", huge)
        self.refused("pacifica: /does/not/exist: No such file or directory", "vmcb", "dump", "/does/not/exist")

    def test_usage(self):
        page = self.vmcb()
        hint = " (-help tells what it takes)"
        for words, what in (((), "wanted: dump, diff or check"), (("foo",), "wanted: dump, diff or check"),
                            (("dump",), "takes one file"), (("dump", page, page), "takes one file"),
                            (("diff", page), "diff takes two files"), (("diff", page, page, page), "one file too many"),
                            (("check", "-cpu"), "-cpu needs a value"), (("dump", "-cpu", "max", page), "-cpu is for check only")):
            self.refused(f"pacifica: vmcb: {what}{hint}", "vmcb", *words)
        for words in (("dump", "-foo"), ("check", "-foo", page), ("diff", page, "-")):
            self.assertIn("the only option is -cpu", run("vmcb", *words).err)
        self.assertTrue(run("vmcb", "dump", "--help").out.startswith("usage: pacifica"))
        self.refused("pacifica: -cpu: unknown CPU model `foo` (`-cpu help` lists the models)", "vmcb", "check", "-cpu", "foo", page)
        self.assertTrue(run("vmcb", "-help").out.startswith("usage: pacifica"))

    def test_exit_codes(self):
        every = run("exits")
        self.assertEqual((every.status, every.err), (0, ""))
        lines = every.out.splitlines()
        self.assertEqual(lines[0], "000h  VMEXIT_CR0_READ             CR0 read")
        self.assertIn("400h  VMEXIT_NPF                  nested page fault", lines)
        self.assertEqual(lines[-1].split()[:2], ["-4", "VMEXIT_INVALID_PMC"])
        for line in lines:
            code, name = line.split()[:2]
            for spelling in (code, name, name.removeprefix("VMEXIT_").lower()):
                one = run("exits", spelling)
                self.assertEqual((one.status, one.out.splitlines()[0]), (0, line), spelling)

    def test_one_exit_code(self):
        self.assertEqual(run("exits", "cr3_write").out.splitlines()[1:],
                         ["  intercept  VMCB offset 000h, bit 19: CR3_WRITE",
                          "  saved RIP  at the instruction, which has had no effect",
                          "  EXITINFO1  MOV: 3:0 general register; CR: 63 set for MOV, clear for LMSW, CLTS, SMSW",
                          "  EXITINFO2  0",
                          "  manual     APM vol 2, 15.8.1"])
        self.assertIn("  intercept  none\n", run("exits", "0xffffffffffffffff").out)
        for word in ("foo", "", "0x72x", "h", "-", "0x999", "VMEXIT_", "99999999999999999999999",
                     "072", "010", "-0722"):
            self.assertEqual((run("exits", word).status, run("exits", word).out), (2, ""), word)
        self.refused("pacifica: exits: takes one exit code (-help tells what it takes)", "exits", "1", "2")


def main():
    global PACIFICA
    PACIFICA = [*os.environ.get("PACIFICA_RUNNER", "").split(), os.path.abspath(sys.argv.pop(1))]
    unittest.main()


if __name__ == "__main__":
    main()
