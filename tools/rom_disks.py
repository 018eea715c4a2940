"""Disks of ROMs: images whose 32-bit words count from 0, as `pacifica test` makes them from `disk` lines of expectations."""
import array
from pathlib import Path


def arguments(folder, value):
    """What gives a machine the disk `hda N`, `hdb N`, `cdrom N` or `virtio N`; its file is made in `folder`."""
    kind, sectors = value.split()
    path = Path(folder) / f"{kind}-{sectors}.img"
    if not path.exists():
        size = int(sectors) * (2048 if kind == "cdrom" else 512)
        path.write_bytes(array.array("I", range(size // 4)).tobytes())
    return ["-drive", f"file={path},format=raw,if=virtio"] if kind == "virtio" else [f"-{kind}", str(path)]
