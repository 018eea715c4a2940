"""What a kernel's messages must not say, and what they may say all the same."""
import re

BAD = re.compile(r"WARN|\bBUG\b|Oops|Call Trace|XSAVE consistency|[Uu]nsynchronized|unstable|[Ll]ost|lockup|\bstall"
                 r"|MTRRs disabled|inconsistent|[Ff]irmware [Bb]ug|ACPI.*(?:Error|[Ww]arning|BIOS)|unchecked MSR"
                 r"|calibration failed|processors, (?!tsc)|not consistent|Disabling (?:HPET|IRQ|lock)|[Ff]ailed to|could not|spurious|nobody cared")
KNOWN = [
    # Debian's kernel says so on every machine of Zen 3 and 4 whose microcode is not told to be newer.
    r"Speculative Return Stack Overflow: WARNING: See https://kernel\.org/",
    # Words of greeting.
    r'if necessary, use "pci=nocrs" and report a bug',
    r"BIOS-provided physical RAM map",
    r"IOMMUv2 functionality not available on this system - This is not a bug",
    # There is no sound, no network and no disk in the machine of a test.
    r"md: |Failed to (?:find|load) module",
]


def complaints(text, known=()):
    """The lines of a log that are bad and not known."""
    return [line.strip() for line in text.splitlines()
            if BAD.search(line) and not any(re.search(pattern, line) for pattern in [*KNOWN, *known])]
