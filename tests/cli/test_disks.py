#!/usr/bin/env python3
"""Disks of the `pacifica` program: options, and what becomes of the files behind them.
usage: test_disks.py PACIFICA [unittest arguments]
PACIFICA_RUNNER in the environment: a command that runs the program (qemu-user for a cross-built one)."""
import fcntl
import os
import pathlib
import resource
import struct
import subprocess
import sys
import tempfile
import unittest

import images

PACIFICA = None  # the program, as the beginning of a command
EXIT_DEVICE = ["-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-display", "none", "-serial", "null"]
TIMEOUT_SECONDS = 60
READY, DATA, ERROR = 0x50, 0x58, 0x51
SECTORS = 4096


def ata(command, lba=0, count=1, base=0x1f0):
    code = b""
    for register, value in ((6, 0xe0), (2, count), (3, lba & 0xff), (4, lba >> 8 & 0xff), (5, lba >> 16), (7, command)):
        code += images.out8(base + register, value)
    return code


def exit_with_status(base=0x1f0):
    """mov dx, base + 7; in al, dx; mov dx, f4; out dx, al; hlt"""
    return b"\x66\xba" + struct.pack("<H", base + 7) + b"\xec\x66\xba\xf4\x00\xee\xf4"


def read_sector(lba, base=0x1f0):
    return ata(0x20, lba, base=base) + exit_with_status(base)


# mov dx, 1f0; mov ecx, 256; mov ax, 4241h; 1: out dx, ax; loop 1
GIVE = b"\x66\xba\xf0\x01\xb9\x00\x01\x00\x00\x66\xb8\x41\x42\x66\xef\xe2\xfc"


def write_sector(lba):
    """Write "ABAB..." and flush; the status that counts is the write's unless that was good."""
    return ata(0x30, lba) + GIVE + b"\x66\xba\xf7\x01\xec\xa8\x01\x75\x07" + ata(0xe7)[-7:] + exit_with_status()


class DiskTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def path(self, name):
        return str(pathlib.Path(self.folder.name) / name)

    def file(self, name, content):
        path = self.path(name)
        pathlib.Path(path).write_bytes(content)
        return path

    def disk(self, size=SECTORS * 512, name="disk"):
        return self.file(name, bytes(i // 512 & 0xff for i in range(size)))

    def run_code(self, code, *arguments, **more):
        done = subprocess.run([*PACIFICA, "-kernel", self.file("image", images.multiboot(code)), *EXIT_DEVICE, *arguments],
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_SECONDS, check=False, **more)
        return done.returncode, done.stderr.decode("latin-1")

    def status(self, code, *arguments, **more):
        """The status register that the guest ended with, and what the user was told."""
        status, told = self.run_code(code, *arguments, **more)
        self.assertEqual(status & 1, 1, told)
        return status >> 1, told

    def refused(self, line, *arguments):
        done = subprocess.run([*PACIFICA, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=TIMEOUT_SECONDS, check=False)
        self.assertEqual((done.stderr.decode("latin-1"), done.returncode), (f"pacifica: {line}\n", 2), arguments)


class Options(DiskTest):
    def test_places(self):
        disk = self.disk()
        for arguments, base in ((("-hda", disk), 0x1f0), (("-hdc", disk), 0x170),
                                (("-drive", f"file={disk},format=raw"), 0x1f0),
                                (("-drive", f"file={disk},index=2,if=ide,media=disk,id=x,cache=none,aio=native"), 0x170),
                                (("-drive", f"file={disk},if=none,id=x", "-device", "ide-hd,drive=x"), 0x1f0),
                                (("-device", "ide-hd,drive=x,bus=ide.1,unit=0,serial=q,id=y",
                                  "-drive", f"file={disk},if=none,id=x"), 0x170)):
            self.assertEqual(self.status(read_sector(1, base), *arguments), (DATA & 0x7f, ""), arguments)
            self.assertEqual(self.status(read_sector(1, base ^ 0x080), *arguments), (0, ""), arguments)

    def test_order_fills_gaps(self):
        disk = self.disk()
        self.assertEqual(self.status(read_sector(1), "-cdrom", disk, "-hdb", disk, "-drive", f"file={disk}"), (DATA, ""))

    def test_cdrom_without_a_disc(self):
        self.assertEqual(self.status(ata(0xa1, base=0x170) + exit_with_status(0x170), "-drive", "media=cdrom,index=2"),
                         (DATA, ""))

    def test_commas_in_names(self):
        disk = self.disk(name="a,b")
        self.assertEqual(self.status(read_sector(1), "-drive", "file=" + disk.replace(",", ",,")), (DATA, ""))

    def test_values(self):
        disk = self.disk()
        for text, what in (("if=foo", "no interface of a drive"), ("media=foo", "neither disk nor cdrom"),
                           ("index=x", "no place of a drive"), ("index=16", "no place of a drive"),
                           ("readonly=2", "neither on nor off"), ("snapshot=maybe", "neither on nor off"),
                           ("snapshot-max=0", "no size"), ("snapshot-max=x", "no size"),
                           ("foo=1", "no property of a drive"), ("foo", "no property of a drive")):
            self.refused(f"-drive: '{text}' is {what}", "-drive", f"file={disk},{text}")
        for text in ("format=qcow2", "if=scsi", "if=floppy"):
            self.refused(f"-drive: {text}: not there yet", "-drive", f"file={disk},{text}")
        self.refused("-drive: 'if=ide' is a disk without file=", "-drive", "if=ide")
        self.refused("-hda: no name of a file", "-hda", "")

    def test_devices(self):
        disk = self.disk()
        drive = ("-drive", f"file={disk},if=none,id=a")
        for text, what in (("bus=pci.0", "neither ide.0 nor ide.1"), ("unit=2", "neither unit 0 nor 1"),
                           ("foo=1", "no property of this device")):
            self.refused(f"-device: '{text}' is {what}", "-device", f"ide-hd,drive=a,{text}")
        self.refused("-device: 'bus=ide.0' is no property of this device", "-device", "virtio-blk-pci,drive=a,bus=ide.0")
        self.refused("-device: 'ide-cd' is a disk without drive=", "-device", "ide-cd")
        self.refused("-device: no drive 'b'", "-device", "ide-hd,drive=b", *drive)
        self.refused("-drive: if=none, and no -device uses 'a'", *drive)
        self.refused("-drive: 'a' is the ID of two drives", *drive, *drive)
        self.refused("-device: drive 'a' is in use (if=none leaves a drive to one -device)", *drive,
                     "-device", "ide-hd,drive=a", "-device", "virtio-blk-pci,drive=a")
        self.refused("-device: drive 'a' is in use (if=none leaves a drive to one -device)",
                     "-drive", f"file={disk},id=a", "-device", "ide-hd,drive=a")

    def test_places_are_taken_once(self):
        disk = self.disk()
        self.refused("-drive: two drives for place 0 of IDE (-hda to -hdd and -cdrom have places, too)",
                     "-hda", disk, "-drive", f"file={disk},index=0")
        self.refused("-drive: there is no IDE drive 4 (if=ide has places 0 to 3)", "-drive", f"file={disk},index=4")
        self.refused("-drive: more than four IDE drives (if=ide has places 0 to 3)", "-hda", disk, "-hdb", disk,
                     "-hdc", disk, "-hdd", disk, "-drive", f"file={disk}")
        self.refused("-drive: too many drives (16)", *(("-drive", f"file={disk},if=virtio") * 17))
        self.refused("disk: a CD-ROM drive behind virtio (IDE has CD-ROM drives)",
                     "-kernel", self.file("image", images.multiboot(images.HALT)),
                     "-drive", f"file={disk},if=virtio,media=cdrom")


    def test_boot_order(self):
        for value in ("", "order=", "x", "cdan", "order=cC"):
            self.refused(f"-boot: '{value.removeprefix('order=')}' is not up to three of a, c, d and n", "-boot", value)
        self.refused("-boot: 'menu=x' is neither on nor off", "-boot", "menu=x")
        self.refused("-boot: 'once=d' is no property of booting", "-boot", "once=d")
        # mov al, 3d; out 70, al; in al, 71; mov dx, f4; out dx, al; hlt
        code = b"\xb0\x3d\xe6\x70\xe4\x71\x66\xba\xf4\x00\xee\xf4"
        for arguments, order in (((), 0x32), (("-boot", "d"), 0x03), (("-boot", "order=dc,menu=on,strict=off"), 0x23),
                                 (("-boot", "menu=off"), 0x32)):
            self.assertEqual(self.status(code, *arguments), (order, ""), arguments)


class Files(DiskTest):
    def refused_file(self, path, line, *more):
        self.refused(f"{path}: {line}", "-kernel", self.file("image", images.multiboot(images.HALT)),
                     "-drive", f"file={path}" + "".join(f",{text}" for text in more))

    def test_files_that_make_no_sense(self):
        self.refused_file(self.path("none"), "No such file or directory")
        self.refused_file(self.file("empty", b""), "the image is empty")
        self.refused_file(self.folder.name, "neither a file nor a disk")
        self.refused_file("/dev/null", "neither a file nor a disk")
        for magic, name in ((b"QFI\xfb", "a qcow2"), (b"KDMV", "a VMDK"), (b"vhdxfile", "a VHDX"), (b"conectix", "a VHD")):
            path = self.file("other", magic.ljust(1024, b"\0"))
            self.refused_file(path, f"{name} image: not there yet (qemu-img convert -O raw makes it raw; "
                              "format=raw takes it as it is)")
            self.assertEqual(self.status(read_sector(1), "-drive", f"file={path},format=raw"), (DATA, ""))
        self.refused_file(self.disk(1025, "odd"), "1025 bytes are no whole sectors: snapshot=off could not write the last "
                          "(snapshot=on or readonly=on takes it)", "snapshot=off")

    def test_writes_stay_in_memory(self):
        disk = self.disk()
        before = pathlib.Path(disk).read_bytes()
        for options in ("", ",snapshot=on", ",snapshot=off,readonly=on"):
            wanted = ERROR if "readonly" in options else READY
            self.assertEqual(self.status(write_sector(2), "-drive", f"file={disk}{options}"), (wanted, ""))
            self.assertEqual(pathlib.Path(disk).read_bytes(), before)
        self.assertEqual(self.status(write_sector(2), "-snapshot", "-drive", f"file={disk},snapshot=off"), (READY, ""))
        self.assertEqual(pathlib.Path(disk).read_bytes(), before)

    def test_snapshot_off_writes_the_sector_and_no_more(self):
        disk = self.disk()
        before = pathlib.Path(disk).read_bytes()
        self.assertEqual(self.status(write_sector(2), "-drive", f"file={disk},format=raw,snapshot=off"), (READY, ""))
        self.assertEqual(pathlib.Path(disk).read_bytes(), before[:1024] + b"AB" * 256 + before[1536:])
        last = SECTORS - 1
        self.assertEqual(self.status(write_sector(last), "-drive", f"file={disk},snapshot=off"), (READY, ""))
        self.assertEqual(self.status(write_sector(last + 1), "-drive", f"file={disk},snapshot=off")[0], ERROR)
        self.assertEqual(os.stat(disk).st_size, SECTORS * 512)

    def test_odd_sizes(self):
        disk = self.disk(1025)
        self.assertEqual(self.status(read_sector(2), "-hda", disk), (DATA, ""))
        self.assertEqual(self.status(read_sector(3), "-hda", disk), (ERROR, ""))
        self.assertEqual(self.status(write_sector(2), "-hda", disk), (READY, ""))
        self.assertEqual(os.stat(disk).st_size, 1025)

    def test_a_file_that_becomes_shorter(self):
        disk = self.disk()
        # Wait for a key, so that there is time to cut the file; then read a sector behind its new end.
        wait = b"\x66\xba\xfd\x03\xec\xa8\x01\x74\xf7"
        for code, what, wanted, options in ((read_sector, "reading", ERROR, ""),
                                            (write_sector, "writing", ERROR, ",snapshot=off")):
            pathlib.Path(disk).write_bytes(b"\0" * (SECTORS * 512))
            kernel = self.file("image", images.multiboot(images.out8(0x3f8, 0x21) + wait + code(100)))
            with subprocess.Popen([*PACIFICA, "-kernel", kernel, "-drive", f"file={disk}{options}", "-display", "none",
                                   "-device", "isa-debug-exit,iobase=0xf4,iosize=4"], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
                process.stdout.read(1)
                os.truncate(disk, 50 * 512)
                _, told = process.communicate(b"x", timeout=TIMEOUT_SECONDS)
            at = 101 * 512 if what == "writing" else 100 * 512
            lines = told.decode().splitlines()
            self.assertEqual(lines[0], f"pacifica: {disk}: {what} at byte {at} failed: the file has become shorter")
            if what == "reading":
                self.assertEqual((process.returncode >> 1, len(lines)), (wanted, 1))
            else:
                self.assertEqual(lines[1:], [f"pacifica: {disk}: writing failed"])
            self.assertEqual(os.stat(disk).st_size, 50 * 512)

    def test_a_disk_that_is_full(self):
        """RLIMIT_FSIZE stands for it: writing behind the limit fails."""
        disk = self.disk()
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (100 * 512, resource.RLIM_INFINITY))
        before = pathlib.Path(disk).read_bytes()
        status, told = self.run_code(write_sector(200), "-drive", f"file={disk},snapshot=off", preexec_fn=limit,
                                     restore_signals=False)  # SIGXFSZ stays ignored
        self.assertNotEqual(status, 0)
        self.assertEqual(told.splitlines()[0], f"pacifica: {disk}: writing at byte {200 * 512} failed: File too large")
        self.assertEqual(pathlib.Path(disk).read_bytes(), before)

    def test_memory_for_writes(self):
        disk = self.disk()
        self.assertEqual(self.status(write_sector(200), "-drive", f"file={disk},snapshot-max=1"), (READY, ""))
        status, told = self.status(write_sector(200), "-drive", f"file={disk},snapshot-max=8191K")
        self.assertEqual((status, told), (READY, ""))
        self.assertEqual(self.status(write_sector(200), "-drive", f"file={disk},snapshot-max=5K"),
                         (ERROR, f"pacifica: {disk}: no more memory for what is written (snapshot-max=SIZE gives more, "
                          "snapshot=off writes to the file)\n"))

    def test_files_in_use(self):
        disk = self.disk()
        kernel = self.file("image", images.multiboot(images.HALT))
        with open(disk, "rb") as other:
            fcntl.flock(other, fcntl.LOCK_SH)
            self.assertEqual(self.status(read_sector(1), "-hda", disk), (DATA, ""))
            self.refused(f"{disk}: another program uses it", "-kernel", kernel, "-drive", f"file={disk},snapshot=off")
            fcntl.flock(other, fcntl.LOCK_EX)
            self.refused(f"{disk}: another program writes it", "-kernel", kernel, "-hda", disk)

    def test_a_file_that_may_not_be_written(self):
        disk = self.disk()
        os.chmod(disk, 0o444)
        self.assertEqual(self.status(read_sector(1), "-hda", disk), (DATA, ""))
        if os.geteuid() != 0:
            self.refused_file(disk, "Permission denied", "snapshot=off")

    def test_a_run_repeats(self):
        disk = self.disk()
        arguments = ("-hda", disk, "-drive", f"file={disk},if=virtio", "-device", "virtio-rng-pci", "-state-hash")
        first = self.run_code(write_sector(7), *arguments)
        self.assertEqual(first, self.run_code(write_sector(7), *arguments))
        self.assertNotEqual(first, self.run_code(write_sector(8), *arguments))


def main():
    global PACIFICA
    PACIFICA = [*os.environ.get("PACIFICA_RUNNER", "").split(), os.path.abspath(sys.argv.pop(1))]
    unittest.main()


if __name__ == "__main__":
    main()
