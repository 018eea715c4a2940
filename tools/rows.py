"""Rows of the specification's tables, and the tests that cite them.

A row is named `DOCUMENT SECTION.K`: `pitfalls 3.17` is the row with that number; `events 8.2.6` is row 6 of the table in
section 8.2, by the number in its first column if that column is headed #, else by its place. A second table in a section
continues counting by place. A section that has words but no table is one row: `svmop 16.1`. `vmcb`, `exit` and `svmop` are the
tables of the VMCB, of exit codes and of operation. The names with a subject of a few words are in tests/rows.list, so that a
checkout without the specification can be checked too.

A test cites rows in a comment above it: `rows: pitfalls 3.17, 3.18, events 8.2.3-8.2.9`. A list that goes on in the next
line ends its line with a comma."""
import os
import re

import source_tree

LIST = "tests/rows.list"
EXEMPT = "tests/rows.exempt"
SPEC = os.environ.get("PACIFICA_SPEC", "")  # the folder of the specification; without it tests/rows.list counts
# Document: its file.
DOCUMENTS = {
    "pitfalls": "x86-pitfalls.md",
    "events": "x86-events.md",
    "svmop": "svm-operation.md",
    "vmcb": "svm-vmcb.md",
    "exit": "svm-exitcodes.md",
}
SUBJECT_LENGTH = 56
SUBJECT_SHORT = 16  # a subject below this takes more of the row
CITING = (".c", ".h", ".S", ".py", ".asm")


def key(row):
    """Sorts rows by document, then by number."""
    document, number = row.split(" ")
    return (list(DOCUMENTS).index(document), [int(part) for part in number.split(".")])


# --- the specification ---------------------------------------------------------------------


def tables(text):
    """Section, heads and rows of each table. The words of a section without one are a table, too."""
    section, title, block, words, seen = "", "", [], False, False
    for line in [*text.splitlines(), "# 0. end "]:
        if line.startswith("|"):
            block.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
            continue
        if len(block) > 2:
            yield section, block[0], block[2:]
            seen = True
        block = []
        found = re.match(r"#+ (\d+(?:\.\d+)*)\.? (.*)", line)
        if not found:
            words = words or bool(re.match(r"\w", line))
            continue
        if section and words and not seen:
            yield section, [""], [[title]]
        section, title, words, seen = found.group(1), found.group(2), False, False


def shorten(words):
    words = " ".join(re.sub(r"[*`]", "", words).split())
    first = re.split(r"(?:[:;.]| :=| →|,? \()(?:\s|$)|(?<= )\(", words)[0]
    if len(first) >= SUBJECT_SHORT:
        words = first
    if len(words) > SUBJECT_LENGTH:
        words = words[:SUBJECT_LENGTH + 1].rpartition(" ")[0]
    return words.strip(" ,.:;(-") or "-"


def subject(heads, cells, rows):
    if heads[0] == "#":
        return shorten(cells[1])
    firsts = [row[0] for row in rows]
    if firsts.count(cells[0]) > 1:
        return shorten(", ".join(f"{h} {c}".strip() for h, c in zip(heads[:-1], cells)))
    if len(cells[0]) >= SUBJECT_SHORT or len(cells) < 3:
        return shorten(cells[0] if len(cells[0]) > 4 else f"{heads[0]} {cells[0]}".strip())
    words = cells[0] if len(cells[0]) > 4 else f"{heads[0]} {cells[0]}"
    for cell in cells[1:]:
        words += f", {cell}" if len(words) < SUBJECT_SHORT and cell else ""
    return shorten(words)


def specified():
    """Name to subject of every row of the specification; None if it is not there."""
    found = {}
    for document, name in DOCUMENTS.items():
        path = os.path.join(SPEC, name)
        if not os.path.isfile(path):
            return None
        with open(path, encoding="utf-8") as text:
            places = {}
            for section, heads, rows in tables(text.read()):
                if not section:
                    continue
                named = places.get(section, 0) == 0 and heads[0] == "#"
                for cells in rows:
                    places[section] = places.get(section, 0) + 1
                    number = f"{section}.{places[section]}"
                    if document == "pitfalls":
                        if not re.fullmatch(r"\d+\.\d+", cells[0]):
                            continue
                        number = cells[0]
                    elif named and cells[0].isdigit():
                        number = f"{section}.{cells[0]}"
                    found[f"{document} {number}"] = subject(heads, cells, rows)
    return found


# --- what the tree says ----------------------------------------------------------------------


def listed():
    """Name to subject, from tests/rows.list."""
    found = {}
    for line in source_tree.text(LIST).splitlines():
        if line and not line.startswith("#"):
            document, number, words = (line.split(None, 2) + [""])[:3]
            found[f"{document} {number}"] = words.strip()
    return found


def span(document, text):
    """The rows of `3.17` or `3.17-3.19`; None if it is neither."""
    found = re.fullmatch(r"(\d+(?:\.\d+)+)(?:-(\d+(?:\.\d+)+))?", text)
    if not found:
        return None
    first, last = found.group(1).split("."), (found.group(2) or found.group(1)).split(".")
    if first[:-1] != last[:-1] or int(first[-1]) > int(last[-1]):
        return None
    return [f"{document} {'.'.join(first[:-1])}.{k}" for k in range(int(first[-1]), int(last[-1]) + 1)]


def exempt(problems):
    """Name to reason, from tests/rows.exempt: lines `DOCUMENT N[-N]: reason`."""
    found = {}
    for number, line in enumerate(source_tree.text(EXEMPT).splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        parts = re.fullmatch(r"(\w+) ([\d.-]+): *(\S.*)", line)
        rows = span(parts.group(1), parts.group(2)) if parts else None
        if not rows:
            problems.append(f"{EXEMPT}:{number}: neither `DOCUMENT ROW: reason` nor `DOCUMENT ROW-ROW: reason`")
            continue
        for row in rows:
            if row in found:
                problems.append(f"{EXEMPT}:{number}: {row} stands here twice")
            found[row] = parts.group(3)
    return found


# What begins at the first column and has a name: a test case in one of its macros, a function, a table, a class, a label.
NAMED = re.compile(r"^(?:[A-Z][A-Z0-9_]*\((\w+)[,)]|(?!typedef|return)[A-Za-z_][\w \t*]*?\b(\w+)(?:\(|\[\w*\] = )|"
                   r"\s*def (\w+)|class (\w+)|(\w+):)", re.MULTILINE)


def test_name(text, start, end):
    """What the comment at [start, end) stands above; if it is indented and C, what it stands in."""
    line = text.rfind("\n", 0, start) + 1
    inside = text[line].isspace() and text[line:start].strip().startswith("/*")
    found = list(NAMED.finditer(text, 0, line))[-1:] if inside else [NAMED.search(text, end)]
    return next((name for name in found[0].groups() if name), "") if found and found[0] else ""


def citations(problems):
    """Name of a row to the tests that cite it, as (path, test)."""
    found = {}
    for path in source_tree.files(*CITING):
        if not path.startswith(("tests/", "test-roms/")) or path.startswith("tests/static/"):
            continue
        text = source_tree.text(path)
        for start in re.finditer(r"\brows:[ \t]+(?=\w+ \d+\.\d)", text):
            here = f"{path}:{text.count(chr(10), 0, start.start()) + 1}"
            items = re.match(r"[^,;*\n]*(?:,[ \t]*(?:\n[ \t]*[*#/;]*[ \t]*)?[^,;*\n]*)*", text[start.end():])
            test = (path, test_name(text, start.start(), start.end() + items.end()))
            document, prose = "", ""
            for item in items.group(0).split(","):
                item = re.sub(r"\n[ \t]*[*#/;]*", " ", item).strip()
                parts = re.match(r"(?:(\w+) )?(\d+(?:\.\d+)+(?:-\d+(?:\.\d+)+)?)(?![\w-])(.*)", item)
                if not parts and prose:
                    break  # the list has ended with words of its own
                document = parts.group(1) or document if parts else document
                rows = span(document, parts.group(2)) if parts and document in DOCUMENTS else None
                if not rows:
                    problems.append(f"{here}: not a row: '{item}'")
                    continue
                prose = parts.group(3).strip()
                for row in rows:
                    if test not in found.setdefault(row, []):
                        found[row].append(test)
                        found.setdefault("at " + row, []).append(here)
    return found
