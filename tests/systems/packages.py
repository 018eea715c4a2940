"""Debian packages of the systems: downloaded with apt, unpacked under a folder of their own, never installed."""
import os
import platform
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

# A package that only depends on the one of the day, or the package itself.
KERNEL = {"cloud": "linux-image-cloud-amd64", "full": "linux-image-amd64"}


class Unavailable(Exception):
    """What a system needs cannot be had: it is skipped."""


def _apt(*words, folder=None):
    if not shutil.which("apt-get"):
        raise Unavailable("needs Debian's apt")
    done = subprocess.run(words, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(f"{' '.join(words)}: {done.stderr.strip().splitlines()[-1:]}")
    return done.stdout


def unpack(package, cache):
    """The folder in which the package's files lie."""
    out = Path(cache) / package
    if out.is_dir():
        return out
    Path(cache).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as work:
        _apt("apt-get", "-qq", "download", f"{package}:amd64", folder=work)
        for file in Path(work).glob("*.deb"):
            _apt("dpkg-deb", "-x", str(file), str(Path(work) / "root"))
        (Path(work) / "root").rename(out)
    return out


def kernel(flavour, cache):
    """The file of Debian's kernel."""
    text = _apt("apt-cache", "depends", f"{KERNEL[flavour]}:amd64")
    match = re.search(r"Depends: (linux-image-\d\S*?)(:amd64)?$", text, re.M)
    if not match:
        raise Unavailable(f"{KERNEL[flavour]} depends on no kernel")
    return next((unpack(match.group(1), cache) / "boot").glob("vmlinuz-*"))


def modules(image, names):
    """The modules of a kernel's package and those that they need, in the order of loading: (path in an initramfs, bytes)."""
    found = {file.stem: file for file in (image.parents[1] / "lib/modules").rglob("*.ko")}
    loaded = {}

    def load(name):
        if name in loaded:
            return
        content = found[name].read_bytes()
        needs = re.search(rb"\0depends=([^\0]*)\0", content)
        for other in needs.group(1).decode().split(",") if needs and needs.group(1) else []:
            load(other)
        loaded[name] = content

    for name in names:
        load(name)
    return [(f"lib/{name}.ko", content) for name, content in loaded.items()]


def busybox(cache):
    return unpack("busybox-static", cache) / "bin/busybox"


def xen(cache):
    """Debian's Xen, no longer compressed."""
    folder = unpack("xen-hypervisor-4.17-amd64", cache) / "boot"
    image = Path(cache) / "xen"
    if not image.exists():
        packed = next(folder.glob("xen-*-amd64.gz"))
        with open(image, "wb") as to:
            subprocess.run(["gzip", "-dc", packed], stdout=to, check=True)
    return image


def xen_tools(names, cache):
    """Programs of Debian's Xen for dom0, and the libraries that they need."""
    libraries_of = ["libxencall1", "libxendevicemodel1", "libxenevtchn1", "libxenforeignmemory1", "libxengnttab1", "libxenhypfs1",
                    "libxenmisc4.17", "libxenstore4", "libxentoolcore1", "libxentoollog1", "libyajl2"]
    folders = [unpack(package, cache) / "usr/lib/x86_64-linux-gnu" for package in libraries_of]
    folder = unpack("xen-utils-4.17", cache) / "usr/lib/xen-4.17/bin"
    programs = [folder / name for name in names]
    ends_threads = next(unpack("libgcc-s1", cache).rglob("libgcc_s.so.1"))  # libc loads it when a thread is cancelled
    return [*[(f"bin/{file.name}", file.read_bytes()) for file in programs], *libraries(programs, folders),
            (f"lib64/{ends_threads.name}", ends_threads.read_bytes())]


def x86_compiler():
    """A C compiler whose programs the emulated machine runs."""
    names = ["x86_64-linux-gnu-gcc"] + (["gcc", "cc"] if platform.machine() == "x86_64" else [])
    found = next((name for name in names if shutil.which(name)), None)
    if not found:
        raise Unavailable("no compiler for x86-64")
    return found


def firmware(path, package):
    if not Path(path).exists():
        raise Unavailable(f"no {path}: install Debian's package {package}")
    return path


def tool(name, package):
    if not shutil.which(name):
        raise Unavailable(f"no {name}: install Debian's package {package}")
    return name


def libraries(programs, folders=()):
    """The shared libraries of programs for x86-64, (path in the machine, bytes): those in the folders, or this workstation's."""
    if platform.machine() != "x86_64":
        raise Unavailable("needs the libraries of an x86-64 workstation")
    paths = {**os.environ, "LC_ALL": "C", "LD_LIBRARY_PATH": ":".join(str(folder) for folder in folders)}
    found = set()
    for program in programs:
        said = subprocess.run(["ldd", program], capture_output=True, text=True, check=True, env=paths).stdout
        lacking = re.findall(r"(\S+) => not found", said)
        if lacking:
            raise Unavailable(f"{program} needs {' '.join(lacking)}")
        found |= set(re.findall(r"=> (/\S+)", said)) | set(re.findall(r"^\s*(/\S+ld-linux\S+)", said, re.M))
    return [(f"lib64/{Path(name).name}", Path(name).read_bytes()) for name in sorted(found)]
