"""The systems, each with its machine and the line that it must print."""
import re
import subprocess
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import ext4
import initramfs
import packages

BEGIN = """#!/bin/sh
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
exec </dev/console >/dev/console 2>&1
"""
INIT = BEGIN + """echo "user space: $(uname -r), $(nproc) processors, $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
poweroff -f
"""
KVM = BEGIN + """insmod /lib/irqbypass.ko
insmod /lib/kvm.ko
insmod /lib/kvm-amd.ko npt=NPT
kvm_guest
poweroff -f
"""
# The card gets an address, and the gateway answers.
NET = BEGIN + """for module in MODULES; do insmod /lib/$module.ko; done
busybox ip link set eth0 up
busybox udhcpc -q -n -i eth0 -s /bin/lease
busybox ping -c 3 10.0.2.2
poweroff -f
"""
LEASE = b"""#!/bin/sh
[ "$1" = bound ] || exit 0
busybox ip address add $ip/$mask dev $interface
echo "net: $ip/$mask from $serverid"
"""
NET_MODULES = ["virtio/virtio_ring", "virtio/virtio", "virtio/virtio_pci_legacy_dev", "virtio/virtio_pci_modern_dev",
               "virtio/virtio_pci", "failover", "net/net_failover", "net/virtio_net"]
# A machine in the machine: Debian's QEMU, which has SeaBIOS start the same kernel. Its own console is its serial port.
QEMU_KVM = BEGIN + """insmod /lib/irqbypass.ko
insmod /lib/kvm.ko
insmod /lib/kvm-amd.ko
cd /qemu
LD_LIBRARY_PATH=/lib64 qemu-system-x86_64 -L /qemu -accel kvm -cpu host -m 128M -nodefaults -display none -no-reboot \\
    -serial stdio -kernel vmlinuz -initrd initrd.gz -append "console=ttyS0 nested" </dev/null
poweroff -f
"""
# A hypervisor of ours on that KVM. Where its functions are is told first, for debuggers.
ROM_IN_KVM = BEGIN + """insmod /lib/irqbypass.ko
insmod /lib/kvm.ko
insmod /lib/kvm-amd.ko
grep "nested_svm.*kvm_amd" /proc/kallsyms
cd /qemu
LD_LIBRARY_PATH=/lib64 qemu-system-x86_64 -L /qemu -accel kvm -cpu host -m 64M -nodefaults -display none -no-reboot \\
    -serial stdio -device isa-debug-exit,iobase=0xf4,iosize=4 -kernel rom </dev/null
poweroff -f
"""
NESTED_INIT = BEGIN + """echo "nested: $(grep -o hypervisor /proc/cpuinfo), $(uname -r), $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
poweroff -f
"""
XEN_COMMAND = "console=com1 com1=115200,8n1 dom0_mem=512M noreboot"
# xl makes a domain of the kernel, and ends when the domain does; xenconsoled keeps what it says. A word on Xen's command line
# keeps RDTSCP from being intercepted: QEMU's TCG does not say how long the instruction is.
XL = BEGIN + """export LD_LIBRARY_PATH=/lib64
for module in xen-evtchn xen-gntdev xen-privcmd xenfs; do insmod /lib/$module.ko; done
mount -t xenfs xenfs /proc/xen
busybox mkdir -p /dev/pts /var/lib/xen /var/lib/xenstored /var/log/xen/console /run/xen /run/xenstored /run/lock /etc/xen
mount -t devpts pts /dev/pts
busybox ln -s /run /var/run
busybox ln -s /run/lock /var/lock
xenstored --pid-file /run/xenstored.pid
xen-init-dom0
xenconsoled --log=guest
echo >/etc/xen/xl.conf
if xl info xen_commandline | grep -q tsc_mode=native; then echo 'tsc_mode = "native"' >>/domain/cfg; fi
xl create -F /domain/cfg
cat /var/log/xen/console/guest-*.log
poweroff -f
"""
DOMAIN = """name = "domain"
type = "pvh"
hap = 1
memory = 192
vcpus = 1
kernel = "/domain/vmlinuz"
ramdisk = "/domain/initrd.gz"
cmdline = "console=hvc0"
on_poweroff = "destroy"
on_crash = "destroy"
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
    """insns: more than it needs. dmesg: its output is a kernel's log, which may say what is known. ends: it ends by itself;
    otherwise it is stopped when the marker is there."""
    name: str
    marker: str
    make: callable  # (cache folder) -> options, for both emulators
    insns: int
    dmesg: bool = True
    ends: bool = True
    known: list = field(default_factory=list)
    qemu: list = field(default_factory=list)  # more options for it
    keys: bytes = b""  # typed on the serial line
    here: callable = lambda cache: []  # more options for Pacifica
    look: callable = lambda cache: []  # what is wrong with what it leaves behind


def _initrd(cache, name="initrd.gz", script=INIT, files=(), level=9):
    out = Path(cache) / name
    content = initramfs.build(packages.busybox(cache).read_bytes(), script, files, level)
    if not out.exists() or out.read_bytes() != content:
        out.write_bytes(content)
    return out


def linux(flavour, cpus):
    def make(cache):
        return ["-kernel", packages.kernel(flavour, cache), "-initrd", _initrd(cache), "-append", "console=ttyS0",
                "-m", "512M", "-smp", str(cpus), *SERIAL]
    return make


def _kvm_modules(image):
    folder = next((image.parents[1] / "lib/modules").iterdir()) / "kernel"
    modules = [folder / "virt/lib/irqbypass.ko", folder / "arch/x86/kvm/kvm.ko", folder / "arch/x86/kvm/kvm-amd.ko"]
    return [(f"lib/{file.name}", file.read_bytes()) for file in modules]


def kvm(npt):
    """Linux with kvm-amd, and kvm_guest.c, which runs two guests."""
    def make(cache):
        compiler = packages.x86_compiler()
        program = Path(cache) / "kvm_guest"
        subprocess.run([compiler, "-O1", "-static", "-o", program, Path(__file__).parent / "kvm_guest.c"], check=True)
        image = packages.kernel("cloud", cache)
        files = [("bin/kvm_guest", program.read_bytes()), *_kvm_modules(image)]
        initrd = _initrd(cache, f"kvm{npt}.gz", KVM.replace("NPT", str(npt)), files)
        return ["-kernel", image, "-initrd", initrd, "-append", "console=ttyS0", "-m", "512M", *SERIAL]
    return make


def net(cache):
    """Linux with virtio-net and a network behind it that has nothing outside."""
    image = packages.kernel("cloud", cache)
    folder = next((image.parents[1] / "lib/modules").iterdir()) / "kernel"
    paths = [folder / ("net/core/failover.ko" if name == "failover" else f"drivers/{name}.ko") for name in NET_MODULES]
    files = [("bin/lease", LEASE), *[(f"lib/{path.name}", path.read_bytes()) for path in paths]]
    initrd = _initrd(cache, "net.gz", NET.replace("MODULES", " ".join(path.stem for path in paths)), files)
    return ["-kernel", image, "-initrd", initrd, "-append", "console=ttyS0", "-m", "256M", "-netdev", "user,id=net,restrict=on",
            "-device", "virtio-net-pci,netdev=net", *SERIAL]


def _qemu_in_linux(cache, name, script, loader, content, append="console=ttyS0"):
    """Linux with kvm-amd and Debian's QEMU on it, which gets `content` beside its firmware."""
    program = packages.firmware("/usr/bin/qemu-system-x86_64", "qemu-system-x86")
    image = packages.kernel("cloud", cache)
    roms = [packages.firmware("/usr/share/seabios/bios-256k.bin", "seabios")]
    roms += [packages.firmware(f"/usr/share/qemu/{file}", "qemu-system-data") for file in (loader, "kvmvapic.bin")]
    files = [("bin/qemu-system-x86_64", Path(program).read_bytes()), *packages.libraries([program]), *_kvm_modules(image),
             *[(f"qemu/{Path(file).name}", Path(file).read_bytes()) for file in roms], *content]
    initrd = _initrd(cache, name, script, files, level=0)
    return ["-kernel", image, "-initrd", initrd, "-append", append, "-m", "1G", *SERIAL]


def qemu_kvm(cache):
    """Linux with kvm-amd, Debian's QEMU on it, SeaBIOS and Linux in that."""
    inner = _initrd(cache, "nested.gz", NESTED_INIT)
    image = packages.kernel("cloud", cache)
    return _qemu_in_linux(cache, "qemu-kvm.gz", QEMU_KVM, "linuxboot_dma.bin",
                          [("qemu/vmlinuz", image.read_bytes()), ("qemu/initrd.gz", inner.read_bytes())])


def rom_in_kvm(cache, rom):
    """Linux with kvm-amd, Debian's QEMU on it, and a Multiboot image in that."""
    return _qemu_in_linux(cache, "rom-in-kvm.gz", ROM_IN_KVM, "multiboot_dma.bin", [("qemu/rom", Path(rom).read_bytes())],
                          "console=ttyS0 quiet nokaslr")


def disk(kind, modules, device):
    """Linux with an ext4 file system on a disk of this kind, which it changes."""
    def make(cache):
        file = Path(cache) / f"{kind}.ext4"
        ext4.make(file)
        image = packages.kernel("cloud", cache)
        files = packages.modules(image, modules)
        script = BEGIN + "".join(f"insmod /{path}\n" for path, _ in files) + ext4.SCRIPT.replace("DISK", device)
        return ["-kernel", image, "-initrd", _initrd(cache, f"{kind}.gz", script, files), "-append", "console=ttyS0", "-m", "512M",
                "-drive", f"file={file},format=raw,if={kind},snapshot=off", *SERIAL]
    return make


def look_at_disk(kind):
    return lambda cache: ext4.look(Path(cache) / f"{kind}.ext4")


def memtest(cache):
    """Memtest86+ writes to the serial line what it writes to the screen, bit by bit, and takes keys from it, 1 for F1."""
    image = packages.unpack("memtest86+", cache) / "boot/memtest86+x64.bin"
    return ["-kernel", image, "-append", "nopause console=ttyS0", "-m", "16M", *SERIAL]


# The first key may be lost while it prepares the line. Configuration, Test selection, Remove one test: 10, which waits for
# minutes whether bits fade. Exit both menus.
MEMTEST_KEYS = b"x11210\r00"


def memtest_screen(cache):
    return ["--screendump-at", f"end:{cache}/memtest.txt"]


def look_at_memtest(cache):
    screen = (Path(cache) / "memtest.txt").read_text("utf-8")
    return [] if re.search(r"Memtest86\+ v\d(?s:.*) Pass:  1 +Errors: 0$", screen, re.M) else [f"the screen is: {screen}"]


def _rescue_cd(kind, cache):
    packages.tool("xorriso", "xorriso")
    packages.tool("mformat", "mtools")
    rescue = packages.tool("grub-mkrescue", "grub-common")
    folder = Path(cache) / "cd"
    (folder / "boot/grub").mkdir(parents=True, exist_ok=True)
    files = {"vmlinuz": packages.kernel(kind, cache).read_bytes(), "initrd.gz": _initrd(cache).read_bytes(), "grub/grub.cfg": GRUB.encode()}
    image = Path(cache) / f"cd-{zlib.crc32(b''.join(files.values())):08x}.iso"
    if not image.exists():  # a new one would bear another date
        for name, content in files.items():
            (folder / "boot" / name).write_bytes(content)
        done = subprocess.run([rescue, "-o", image, folder], capture_output=True, text=True, check=False)
        if done.returncode:
            image.unlink(missing_ok=True)
            raise packages.Unavailable(f"grub-mkrescue: {done.stderr.strip().splitlines()[-1:]}")
    return image


def grub(kind, cpus):
    """Linux from a CD: SeaBIOS, GRUB, both from Debian."""
    def make(cache):
        bios = packages.firmware("/usr/share/seabios/bios-256k.bin", "seabios")
        return ["-bios", bios, "-cdrom", _rescue_cd(kind, cache), "-m", "512M", "-smp", str(cpus), *SERIAL]
    return make


def ovmf(cache):
    del cache
    return ["-bios", packages.firmware("/usr/share/ovmf/OVMF.fd", "ovmf"), "-m", "256M", *SERIAL]


def seabios(cache):
    del cache
    bios = packages.firmware("/usr/share/seabios/bios-256k.bin", "seabios")
    return ["-bios", bios, "-m", "128M", "-smp", "2", "-chardev", "stdio,id=debug", "-device",
            "isa-debugcon,iobase=0x402,chardev=debug", "-serial", "null", "-display", "none", "-no-reboot"]


def xen(cache):
    return ["-kernel", packages.xen(cache), "-append", XEN_COMMAND, "-initrd",
            f"{packages.kernel('full', cache)} console=hvc0,{_initrd(cache)}", "-m", "1G", *SERIAL]


def xen_pvh(cache):
    """Xen, Linux as dom0, and a domain with nested paging that xl starts from there."""
    image = packages.kernel("full", cache)
    drivers = next((image.parents[1] / "lib/modules").iterdir()) / "kernel/drivers/xen"
    modules = [drivers / name for name in ("xen-evtchn.ko", "xen-gntdev.ko", "xen-privcmd.ko", "xenfs/xenfs.ko")]
    files = [*packages.xen_tools(["xl", "xenstored", "xenconsoled", "xen-init-dom0"], cache),
             *[(f"lib/{file.name}", file.read_bytes()) for file in modules],
             ("domain/cfg", DOMAIN.encode()), ("domain/vmlinuz", packages.kernel("cloud", cache).read_bytes()),
             ("domain/initrd.gz", _initrd(cache, "nested.gz", NESTED_INIT).read_bytes())]
    initrd = _initrd(cache, "xen-pvh.gz", XL, files, level=0)
    return ["-kernel", packages.xen(cache), "-append", XEN_COMMAND, "-initrd", f"{image} console=hvc0,{initrd}", "-m", "1G", *SERIAL]


# What the processor of an EPYC workstation makes of the same program.
KVM_MARKER = (r"^kvm: real mode: 4001 exits, port bytes 4000, sum 6000, cx 0$(?s:.*)"
              r"^kvm: 64-bit mode: 4001 exits, reads 2000, writes 2000, sum 14000, fs 1, counted 2000$")

# Xen gives the PM timer to nobody else, and no guest bit 24 of HWCR.
XEN_KNOWN = ["PM-Timer failed consistency check", "MTRRs disabled, skipping PAT", r"\[Firmware Bug\]: TSC doesn't count with P0 frequency"]
# A PVH domain has no PIT and, without a device model, nothing at the ports of the GPEs, which its ACPI tables name.
PVH_KNOWN = ["tsc: Fast TSC calibration failed", r"ACPI Error: No handler or method for GPE 0\d, disabling event"]

TARGETS = [
    Target("linux-1", r"^user space: \S+-cloud-amd64, 1 processors", linux("cloud", 1), 4_000_000_000,
           qemu=["-cpu", "max"]),
    Target("linux-4", r"^user space: \S+-cloud-amd64, 4 processors", linux("cloud", 4), 8_000_000_000,
           qemu=["-cpu", "max"]),
    Target("linux-full", r"^user space: \S+-amd64, 1 processors", linux("full", 1), 12_000_000_000,
           qemu=["-cpu", "max"]),
    Target("linux-full-4", r"^user space: \S+-amd64, 4 processors", linux("full", 4), 16_000_000_000,
           qemu=["-cpu", "max"]),
    Target("linux-net", r"^net: 10\.0\.2\.15/24 from 10\.0\.2\.2$(?s:.*)^3 packets transmitted, 3 packets received", net,
           6_000_000_000, qemu=["-cpu", "max"]),
    Target("linux-cd", r"^user space: \S+-cloud-amd64, 1 processors", grub("cloud", 1), 8_000_000_000, qemu=["-cpu", "max"]),
    Target("linux-cd-4", r"^user space: \S+-cloud-amd64, 4 processors", grub("cloud", 4), 12_000_000_000, qemu=["-cpu", "max"]),
    Target("full-cd", r"^user space: \S+-amd64, 1 processors", grub("full", 1), 15_000_000_000, qemu=["-cpu", "max"]),
    Target("full-cd-4", r"^user space: \S+-amd64, 4 processors", grub("full", 4), 20_000_000_000, qemu=["-cpu", "max"]),
    Target("ext4-virtio", ext4.MARKER, disk("virtio", ["virtio_pci", "virtio_blk"], "/dev/vda"), 8_000_000_000,
           qemu=["-cpu", "max"], look=look_at_disk("virtio")),
    Target("ext4-ide", ext4.MARKER, disk("ide", ["ata_piix", "sd_mod"], "/dev/sda"), 8_000_000_000,
           qemu=["-cpu", "max"], look=look_at_disk("ide")),
    Target("seabios", r"^No bootable device\.", seabios, 400_000_000, dmesg=False, ends=False),
    Target("memtest86+", r"Pass:  1 +Errors: 0 ", memtest, 25_000_000_000, dmesg=False, ends=False, keys=MEMTEST_KEYS,
           here=memtest_screen, look=look_at_memtest),
    Target("kvm-npt", KVM_MARKER, kvm(1), 8_000_000_000, qemu=["-cpu", "max"]),
    Target("kvm-shadow", KVM_MARKER, kvm(0), 8_000_000_000, qemu=["-cpu", "max"]),
    # The inner SeaBIOS has left tables that name it.
    Target("qemu-kvm", r"DMI: QEMU Standard PC .*, BIOS \S+-debian-(?s:.*)^nested: hypervisor, \S+-cloud-amd64, kvm-clock$", qemu_kvm,
           12_000_000_000, qemu=["-cpu", "max"]),
    Target("xen-dom0", r"^user space: \S+-amd64, 1 processors", xen, 25_000_000_000, qemu=["-cpu", "max,-smap"],
           known=XEN_KNOWN),
    Target("xen-pvh", r"^nested: hypervisor, \S+-cloud-amd64, xen$", xen_pvh, 30_000_000_000,
           known=[*XEN_KNOWN, *PVH_KNOWN], qemu=["-cpu", "max,-smap", "-append", f"{XEN_COMMAND} tsc_mode=native"]),
    Target("ovmf", r"Shell> ", ovmf, 12_000_000_000, dmesg=False, ends=False),
]
QUICK = ["linux-1", "linux-4"]  # what `make check` runs
