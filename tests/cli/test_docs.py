#!/usr/bin/env python3
"""The commands that docs/svm.md shows give the output that stands there.
usage: test_docs.py PACIFICA [--update]     --update: write what they give into the page
PACIFICA_RUNNER in the environment: a command that runs the program (qemu-user for a cross-built one).
Exit status 77: the program has no demonstration hypervisor."""
import difflib
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "svm.md"
BLOCK = re.compile(r"^```console\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
SKIPPED = 77


def vmcb(**changes):
    """A VMCB of a guest in 64-bit mode with nested paging, behind a nested page fault; changes: offset_NNN=(bytes, value)."""
    page = bytearray(4096)
    fields = {"offset_00c": (4, 0x98040001), "offset_010": (4, 3), "offset_040": (8, 0x146000), "offset_048": (8, 0x149000),
              "offset_058": (4, 1), "offset_070": (8, 0x400), "offset_078": (8, 0x100000006), "offset_080": (8, 0x40000),
              "offset_090": (8, 1), "offset_0b0": (8, 0x14b000), "offset_412": (2, 0xa9b), "offset_414": (4, 0xffffffff),
              "offset_4d0": (8, 0x1500), "offset_548": (8, 0x20), "offset_550": (8, 0x2000), "offset_558": (8, 0x80010033),
              "offset_570": (8, 0x202), "offset_578": (8, 0x108b), "offset_668": (8, 0x0007040600070406), **changes}
    for key, (size, value) in fields.items():
        offset = int(key.removeprefix("offset_"), 16)
        page[offset:offset + size] = value.to_bytes(size, "little")
    return bytes(page)


FILES = {"guest.vmcb": vmcb(),
         "broken.vmcb": vmcb(offset_058=(4, 0), offset_0a8=(8, 0x80000b00 | 2 | 3 << 8), offset_558=(8, 0xa0010033)),
         "newer.vmcb": vmcb(offset_548=(8, 0x400020))}


def output(command, program, folder):
    script = f'pacifica() {{ {program} "$@"; }}\n{command}\n'
    done = subprocess.run(["sh", "-c", script], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL, timeout=120, check=False)
    return done.stdout.decode()


def made(text, program, folder):
    """The page with what its commands give."""
    def block(found):
        commands = [line for line in found.group(1).splitlines() if line.startswith("$ ")]
        return "```console\n" + "".join(f"{line}\n{output(line[2:], program, folder)}" for line in commands) + "```\n"
    return BLOCK.sub(block, text)


def main():
    program = os.environ.get("PACIFICA_RUNNER", "") + " " + shlex.quote(os.path.abspath(sys.argv[1]))
    old = PAGE.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        for name, content in FILES.items():
            (pathlib.Path(folder) / name).write_bytes(content)
        if "vmrun" not in output("pacifica -serial null -d svm -max-insns 1000000", program, folder):
            print("no demonstration hypervisor")
            sys.exit(SKIPPED)
        new = made(old, program, folder)
    if sys.argv[2:] == ["--update"]:
        PAGE.write_text(new, encoding="utf-8")
    elif new != old:
        sys.stdout.writelines(difflib.unified_diff(old.splitlines(True), new.splitlines(True), "docs/svm.md", "now"))
        print("test_docs: docs/svm.md shows something else; tests/cli/test_docs.py PACIFICA --update rewrites it")
        sys.exit(1)


if __name__ == "__main__":
    main()
