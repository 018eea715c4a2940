"""The systems, each with its machine and the line that it must print."""
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import initramfs
import packages

INIT = """#!/bin/sh
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
exec </dev/console >/dev/console 2>&1
echo "user space: $(uname -r), $(nproc) processors, $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
poweroff -f
"""
GRUB = """serial --unit=0 --speed=115200
terminal_output serial
set timeout=0
menuentry Linux {
  linux /boot/vmlinuz console=ttyS0
  initrd /boot/initrd.gz
}
"""
SERIAL = ["-serial", "stdio", "-display", "none", "-no-reboot"]


@dataclass
class Target:
    """insns: more than it needs. dmesg: its output is a kernel's log, which may say what is known. status: how Pacifica ends;
    None: at the limit or not."""
    name: str
    marker: str
    make: callable  # (cache folder) -> options, for both emulators
    insns: int
    dmesg: bool = True
    status: int = 0
    known: list = field(default_factory=list)
    qemu: list = field(default_factory=list)  # more options for it


def _initrd(cache):
    out = Path(cache) / "initrd.gz"
    content = initramfs.build(packages.busybox(cache).read_bytes(), INIT)
    if not out.exists() or out.read_bytes() != content:
        out.write_bytes(content)
    return out


def linux(flavour, cpus):
    def make(cache):
        return ["-kernel", packages.kernel(flavour, cache), "-initrd", _initrd(cache), "-append", "console=ttyS0",
                "-m", "512M", "-smp", str(cpus), *SERIAL]
    return make


def grub(cache):
    """Linux from a CD: SeaBIOS, GRUB, both from Debian."""
    packages.tool("xorriso", "xorriso")
    packages.tool("mformat", "mtools")
    rescue = packages.tool("grub-mkrescue", "grub-common")
    folder = Path(cache) / "cd"
    (folder / "boot/grub").mkdir(parents=True, exist_ok=True)
    (folder / "boot/vmlinuz").write_bytes(packages.kernel("cloud", cache).read_bytes())
    (folder / "boot/initrd.gz").write_bytes(_initrd(cache).read_bytes())
    (folder / "boot/grub/grub.cfg").write_text(GRUB)
    done = subprocess.run([rescue, "-o", f"{cache}/cd.iso", folder], capture_output=True, text=True, check=False)
    if done.returncode:
        raise packages.Unavailable(f"grub-mkrescue: {done.stderr.strip().splitlines()[-1:]}")
    bios = packages.firmware("/usr/share/seabios/bios-256k.bin", "seabios")
    return ["-bios", bios, "-cdrom", f"{cache}/cd.iso", "-m", "512M", *SERIAL]


def ovmf(cache):
    del cache
    return ["-bios", packages.firmware("/usr/share/ovmf/OVMF.fd", "ovmf"), "-m", "256M", *SERIAL]


def seabios(cache):
    del cache
    bios = packages.firmware("/usr/share/seabios/bios-256k.bin", "seabios")
    return ["-bios", bios, "-m", "128M", "-smp", "2", "-chardev", "stdio,id=debug", "-device",
            "isa-debugcon,iobase=0x402,chardev=debug", "-serial", "null", "-display", "none", "-no-reboot"]


def xen(cache):
    return ["-kernel", packages.xen(cache), "-append", "console=com1 com1=115200,8n1 dom0_mem=512M noreboot", "-initrd",
            f"{packages.kernel('full', cache)} console=hvc0,{_initrd(cache)}", "-m", "1G", *SERIAL]


TARGETS = [
    Target("linux-1", r"^user space: \S+-cloud-amd64, 1 processors", linux("cloud", 1), 4_000_000_000,
           qemu=["-cpu", "max"]),
    Target("linux-4", r"^user space: \S+-cloud-amd64, 4 processors", linux("cloud", 4), 8_000_000_000,
           qemu=["-cpu", "max"]),
    Target("linux-full", r"^user space: \S+-amd64, 1 processors", linux("full", 1), 12_000_000_000,
           qemu=["-cpu", "max"]),
    Target("linux-cd", r"^user space: \S+-cloud-amd64, 1 processors", grub, 8_000_000_000, qemu=["-cpu", "max"]),
    Target("seabios", r"^No bootable device\.", seabios, 400_000_000, dmesg=False, status=None),
    # Xen gives the PM timer to nobody else, and no guest bit 24 of HWCR.
    Target("xen-dom0", r"^user space: \S+-amd64, 1 processors", xen, 25_000_000_000, qemu=["-cpu", "max,-smap"],
           known=["PM-Timer failed consistency check", "MTRRs disabled, skipping PAT", r"\[Firmware Bug\]: TSC doesn't count with P0 frequency"]),
    Target("ovmf", r"Shell> ", ovmf, 12_000_000_000, dmesg=False, status=None),
]
QUICK = ["linux-1", "linux-4"]  # what `make check` runs
