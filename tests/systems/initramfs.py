"""An initramfs from busybox and a script, the same bytes each time. Format: the kernel's initramfs-buffer-format, "newc"."""
import gzip
from pathlib import PurePosixPath

COMMANDS = ["sh", "mount", "insmod", "cat", "echo", "uname", "nproc", "poweroff", "reboot", "dmesg", "grep", "ls", "sleep", "umount"]
BASE = {"bin", "dev", "lib", "proc", "sys", "mnt"}
FILE, FOLDER, LINK = 0o100755, 0o40755, 0o120777


def _entry(number, name, mode, content):
    name = name.encode() + b"\0"
    fields = [number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name), 0]
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name
    head += b"\0" * (-len(head) % 4)
    return head + content + b"\0" * (-len(content) % 4)


def _folders(files):
    """The folders in which files lie, those above first."""
    names = {str(above) for name, _ in files for above in PurePosixPath(name).parents}
    return sorted((names | BASE) - {"."})


def build(busybox, script, files=(), level=9):
    """busybox: its bytes; script: what /init does, as text; files: more of them, (path, bytes); level: gzip's."""
    entries = [(name, FOLDER, b"") for name in _folders(files)]
    entries += [("bin/busybox", FILE, busybox), ("init", FILE, script.encode())]
    entries += [(f"bin/{name}", LINK, b"busybox") for name in COMMANDS]
    entries += [(name, FILE, content) for name, content in files]
    entries.append(("TRAILER!!!", 0, b""))
    archive = b"".join(_entry(number, *entry) for number, entry in enumerate(entries, 1))
    return gzip.compress(archive, level, mtime=0)
