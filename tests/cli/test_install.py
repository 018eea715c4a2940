#!/usr/bin/env python3
"""What `cmake --install` leaves behind serves a stranger: the library by pkg-config, shared and static, the examples built on
it, the program, its manual pages and completions.
usage: test_install.py BUILD_FOLDER IMAGE [unittest arguments]"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

BUILD, IMAGE = None, None
SOURCE = pathlib.Path(__file__).resolve().parents[2]
TIMEOUT_SECONDS = 120


def run(*command, **more):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, errors="replace",
                          timeout=TIMEOUT_SECONDS, check=False, **more)
    if done.returncode:
        raise AssertionError(f"{command}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.prefix = pathlib.Path(cls.folder.name) / "prefix"
        run("cmake", "--install", BUILD, "--prefix", cls.prefix)
        package = next(cls.prefix.rglob("pacifica.pc"))
        cls.library = package.parent.parent
        cls.environment = {**os.environ, "PKG_CONFIG_PATH": str(package.parent), "LD_LIBRARY_PATH": str(cls.library)}

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def flags(self, *what):
        return run("pkg-config", *what, "pacifica", env=self.environment).split()

    def build(self, name, static):
        program = pathlib.Path(self.folder.name) / name
        source = SOURCE / "examples" / f"{name}.c"
        libraries = self.flags("--libs", "--static") if static else self.flags("--libs")
        if static:
            libraries = [self.library / "libpacifica.a" if flag == "-lpacifica" else flag for flag in libraries]
        run(os.environ.get("CC", "cc"), "-std=c17", "-Wall", "-Wextra", "-Werror", *self.flags("--cflags"), source, *libraries,
            "-o", program)
        return program

    def both(self, name, *arguments):
        shown = [run(self.build(name, static), IMAGE, *arguments, env=self.environment) for static in (False, True)]
        self.assertEqual(*shown)
        return shown[0]

    def test_exits(self):
        shown = self.both("exits")
        self.assertRegex(shown, r"stopped after \d+ instructions\n")
        self.assertRegex(shown, r"(?m)^VMEXIT_IOIO +\d+")

    def test_first_exit(self):
        shown = self.both("first_exit")
        self.assertRegex(shown, r"#VMEXIT after \d+ steps, guest RIP [0-9a-f]+\n")
        self.assertRegex(shown, r"(?m)^gif +0{16}$")  # #VMEXIT clears it
        self.assertRegex(shown, r"(?m)^guest_mode +0{16}$")

    def test_clone(self):
        shown = self.both("clone", "60000")
        self.assertRegex(shown, r"a snapshot of \d+ bytes; the clone's end is the same\n")

    def test_version(self):
        header = (self.prefix / "include/pacifica/pacifica.h").read_text()
        version = re.search(r'PACIFICA_VERSION "([^"]+)"', header).group(1)
        self.assertEqual(self.flags("--modversion"), [version])
        self.assertIn(version, run(self.prefix / "bin/pacifica", "--version", env=self.environment))

    def test_symbols_have_a_version(self):
        shown = run("nm", "-D", "--defined-only", self.library / "libpacifica.so")
        names = [line.split()[-1] for line in shown.splitlines() if " T " in line]
        self.assertTrue(names)
        self.assertEqual([name for name in names if not name.endswith("@@PACIFICA_0")], [])

    def test_pages_and_completions(self):
        for page in ("man/man1/pacifica.1", "man/man5/pacifica-trace.5"):
            shown = run("man", "--warnings=all", "-l", self.prefix / "share" / page, env={**os.environ, "MANWIDTH": "100"}) \
                if shutil.which("man") else (self.prefix / "share" / page).read_text()
            self.assertIn("pacifica", shown)
        run("bash", "-n", self.prefix / "share/bash-completion/completions/pacifica")
        zsh = self.prefix / "share/zsh/site-functions/_pacifica"
        self.assertTrue(zsh.read_text().startswith("#compdef pacifica\n"))
        if shutil.which("zsh"):
            run("zsh", "-n", zsh)


if __name__ == "__main__":
    BUILD, IMAGE = sys.argv[1:3]
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
