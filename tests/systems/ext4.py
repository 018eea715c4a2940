"""An ext4 file system in a file: the workstation makes it before a run and looks at it afterwards."""
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import packages

SIZE = 64 << 20
UUID = "f0e1d2c3-b4a5-4697-8879-6a5b4c3d2e1f"
MADE = "1700000000"  # so that each run begins with the same bytes
GIVEN = b"written by the workstation\n" * 5000
NUMBERS = b"".join(b"%d\n" % number for number in range(1, 200001))

# Both sums are of what came back from the disk: the first before anything is written, the second after a second mount.
SCRIPT = """while [ ! -b DISK ]; do sleep 1; done
mount -t ext4 DISK /mnt
echo "given: $(busybox md5sum </mnt/given)"
busybox mkdir /mnt/folder
busybox seq 1 200000 >/mnt/folder/numbers
busybox cp /mnt/folder/numbers /mnt/copy
busybox rm /mnt/copy
umount /mnt
mount -t ext4 DISK /mnt
echo "numbers: $(busybox md5sum </mnt/folder/numbers)"
umount /mnt
poweroff -f
"""
MARKER = rf"^given: {hashlib.md5(GIVEN).hexdigest()}(?s:.*)^numbers: {hashlib.md5(NUMBERS).hexdigest()}"


def _tool(name):
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if not found:
        raise packages.Unavailable(f"no {name}: install Debian's package e2fsprogs")
    return found


def _run(*words):
    known = {**os.environ, "LC_ALL": "C", "E2FSPROGS_FAKE_TIME": MADE}
    return subprocess.run([str(word) for word in words], env=known, capture_output=True, check=False)


def make(disk):
    """A new file system with one file in it."""
    given = Path(f"{disk}.given")
    given.write_bytes(GIVEN)
    with open(disk, "wb") as file:
        file.truncate(SIZE)
    for words in ([_tool("mkfs.ext4"), "-q", "-F", "-U", UUID, "-E", f"hash_seed={UUID}", disk],
                  [_tool("debugfs"), "-w", "-R", f"write {given} given", disk]):
        done = _run(*words)
        if done.returncode:
            raise packages.Unavailable(f"{words[0]}: {done.stderr.decode()[-200:]}")


def look(disk):
    """What is wrong with it after the guest has written."""
    wrong = []
    check = _run(_tool("fsck.ext4"), "-f", "-n", disk)
    if check.returncode or b"journal" in check.stdout + check.stderr:  # with -n it would skip what the journal holds
        said = (check.stdout + check.stderr).decode("latin-1").splitlines()
        wrong.append(f"fsck.ext4: status {check.returncode}: {said[-3:]}")
    for name, content in (("given", GIVEN), ("folder/numbers", NUMBERS)):
        if _run(_tool("debugfs"), "-R", f"cat {name}", disk).stdout != content:
            wrong.append(f"debugfs reads something else from {name}")
    return wrong + (["the removed file is there"] if _run(_tool("debugfs"), "-R", "cat copy", disk).stdout else [])
