"""The files of the project, for the checks in this folder."""
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SKIPPED = {"build", ".git"}


def files(*endings):
    """Paths from the root of all files that belong to the project and end so."""
    try:
        out = subprocess.run(["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard"], check=True,
                             capture_output=True, text=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):  # a copy without history
        out = [os.path.relpath(os.path.join(folder, name), ROOT)
               for folder, _, names in os.walk(ROOT) for name in names
               if not SKIPPED & set(os.path.relpath(folder, ROOT).split(os.sep))]
    return sorted(p for p in out if p.endswith(endings) and os.path.isfile(os.path.join(ROOT, p)))


def text(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def without_comments(source):
    """C source with comments replaced by blanks; strings and line numbers stay."""
    def blank(match):
        found = match.group(0)
        return re.sub(r"[^\n]", " ", found) if found.startswith("/") else found
    return re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, source,
                  flags=re.DOTALL)


def finish(name, problems, checked):
    """Print what was found and end the program: 0 if nothing was."""
    for problem in problems:
        print(problem)
    print(f"{name}: {checked}, {len(problems)} problems")
    sys.exit(1 if problems else 0)
