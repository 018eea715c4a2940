"""The checks of tools/ find what they are for: each gets a small tree with one mistake in it."""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Checks(unittest.TestCase):
    def setUp(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        self.top = os.path.join(folder, "tree")  # nothing lies beside it
        shutil.copytree(os.path.join(ROOT, "tools"), os.path.join(self.top, "tools"),
                        ignore=shutil.ignore_patterns("__pycache__"))
        self.write("docs/CAVEATS.md", "Task switches are missing.\n")

    def write(self, path, text):
        full = os.path.join(self.top, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as f:
            f.write(text)

    def run_check(self, name, *args):
        return subprocess.run([sys.executable, "-B", os.path.join(self.top, "tools", name), *args],
                              capture_output=True, text=True, cwd=self.top)

    def assert_passes(self, name, *args):
        done = self.run_check(name, *args)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def assert_fails(self, words, name, *args):
        done = self.run_check(name, *args)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn(words, done.stdout)

    @unittest.skipUnless(shutil.which("clang-format-14"), "no clang-format-14")
    def test_format_two_blanks_fails(self):
        shutil.copy(os.path.join(ROOT, ".clang-format"), self.top)
        self.write("svm/good.c", "int x;\n")
        self.assert_passes("check-format")
        self.write("svm/bad.c", "int  x;\n")
        self.assert_fails("svm/bad.c: not as clang-format has it", "check-format")

    def test_floors_upward_include_fails(self):
        self.write("svm/svm.h", "int svm;\n")
        self.write("paging/walk.c", '#include "svm/svm.h"\n')
        self.assert_fails("floor paging must not include svm/svm.h", "check-floors")

    def test_floors_downward_include_passes(self):
        self.write("paging/paging.h", "int paging;\n")
        self.write("svm/vmrun.c", '#include "paging/paging.h"\n')
        self.assert_passes("check-floors")

    def test_floors_file_of_no_floor_fails(self):
        self.write("stray/x.c", "int x;\n")
        self.assert_fails("stands on no floor", "check-floors")

    def test_floors_header_that_needs_another_fails(self):
        self.write("paging/paging.h", "struct s { uint64_t x; };\n")
        self.assert_fails("does not compile on its own", "check-floors")

    def test_floors_commented_include_passes(self):
        self.write("svm/svm.h", "int svm;\n")
        self.write("paging/walk.c", '/* #include "svm/svm.h" */\n')
        self.assert_passes("check-floors")

    def test_length_boundary(self):
        self.write("svm/a.c", "int x;\n" * 1000)
        self.assert_passes("check-length")
        self.write("svm/a.c", "int x;\n" * 1001)
        self.assert_fails("1001 lines", "check-length")

    def test_clones_boundary(self):
        lines = [f"    call_{i}(x, {i});\n" for i in range(12)]
        self.write("svm/a.c", "".join(lines))
        self.write("svm/b.c", "/* a copy */\n" + "\n".join(lines[:11]))
        self.assert_passes("check-clones")
        self.write("svm/b.c", "/* a copy */\n" + "\n".join(lines))
        self.assert_fails("12 lines of code are the same", "check-clones")

    def test_todo_without_row_fails(self):
        self.write("svm/a.c", "/* TODO: x */\n")
        self.assert_fails("docs/CAVEATS.md", "check-todo")

    def test_stop_without_row_fails(self):
        stop = 'int f(void) { return cpu_stop_unimplemented(cpu, "%s (APM vol 2, 12.3)"); }\n'
        self.write("svm/a.c", stop % "task switches")
        self.assert_passes("check-todo")
        self.write("svm/a.c", stop % "secret feature")
        self.assert_fails('does not name "secret feature"', "check-todo")

    def write_rows(self, exempt, citation):
        self.write("tests/rows.list", "pitfalls 1.1  one\npitfalls 1.2  two\nevents 7.2.3  three\n")
        self.write("tests/rows.exempt", exempt)
        self.write("tests/cpu/test_a.c", f"/* Both sides. rows: {citation} */\nSTART_TEST(name)\n")

    def test_rows_all_cited_or_exempt_passes(self):
        self.write_rows("events 7.2.3: no such device\n", "pitfalls 1.1,\n * 1.2 with words, and more")
        self.assert_passes("check-rows")
        self.write_rows("", "events 7.2.3, pitfalls 1.1-1.2")
        self.assert_passes("check-rows")

    def test_rows_uncited_fails(self):
        self.write_rows("", "pitfalls 1.1, 1.2")
        self.assert_fails("events 7.2.3: no test cites it", "check-rows")

    def test_rows_unknown_citation_fails(self):
        self.write_rows("events 7.2.3: reason\n", "pitfalls 1.1-1.3")
        self.assert_fails("tests/cpu/test_a.c:1: there is no row pitfalls 1.3", "check-rows")

    def test_rows_malformed_citation_fails(self):
        self.write_rows("events 7.2.3: reason\n", "pitfalls 1.1-1.2, pitfals 1.3")
        self.assert_fails("not a row: 'pitfals 1.3'", "check-rows")
        self.write_rows("events 7.2.3: reason\n", "pitfalls 1.2-1.1")
        self.assert_fails("not a row: 'pitfalls 1.2-1.1'", "check-rows")

    def test_rows_exempt_but_cited_fails(self):
        self.write_rows("events 7.2.3: reason\npitfalls 1.2: reason\n", "pitfalls 1.1-1.2")
        self.assert_fails("pitfalls 1.2 is cited, but", "check-rows")

    def test_rows_exempt_without_reason_or_row_fails(self):
        self.write_rows("events 7.2.3\n", "pitfalls 1.1-1.2, events 7.2.3")
        self.assert_fails("tests/rows.exempt:1: neither", "check-rows")
        self.write_rows("events 7.2.4: reason\n", "pitfalls 1.1-1.2, events 7.2.3")
        self.assert_fails("there is no row events 7.2.4", "check-rows")

    def test_rows_name_the_test_that_cites_them(self):
        self.write("tests/cpu/test_a.c", """/* rows: pitfalls 1.1 */
WITH_KIT(one)
{
}

/* rows: pitfalls 1.2 */
START_TEST(two)
{
    /* rows: pitfalls 1.3 */
    check();
}

static const struct row table[] = {
    /* rows: pitfalls 1.4 */
    { 1 },
};

/* rows: pitfalls 1.5 */
static void five(void)
{
}
""")
        done = subprocess.run([sys.executable, "-B", "-c", "import rows\nfor n, t in rows.citations([]).items():\n"
                               "    if n[0] == 'p': print(n, t[0][1])"], capture_output=True, text=True, check=True,
                              cwd=os.path.join(self.top, "tools"))
        self.assertEqual(done.stdout.split("\n")[:-1], ["pitfalls 1.1 one", "pitfalls 1.2 two", "pitfalls 1.3 two",
                                                        "pitfalls 1.4 table", "pitfalls 1.5 five"])

    def peers(self, ours, theirs, rows):
        """check-peers with two programs that print what is given, on one ROM."""
        for name, text in (("pacifica", ours), ("qemu-system-x86_64", theirs)):
            self.write(f"bin/{name}", f"#!/bin/sh\ncat <<'END'\n{text}END\n")
            os.chmod(os.path.join(self.top, "bin", name), 0o755)
        self.write("test-roms/a/rom.expect", "exit 0\ntap\n")
        self.write("out/a/rom.elf", "")
        self.write("test-roms/peers.def", rows)
        env = {**os.environ, "PATH": os.path.join(self.top, "bin") + os.pathsep + os.environ["PATH"]}
        done = subprocess.run([sys.executable, "-B", os.path.join(self.top, "tools", "check-peers"),
                               os.path.join(self.top, "bin", "pacifica"), os.path.join(self.top, "out")],
                              capture_output=True, text=True, cwd=self.top, env=env)
        return done.returncode, done.stdout

    def test_peers_agree(self):
        text = "ok 1 - one\nok 2 - two # SKIP no such thing\n1..2\n"
        self.assertEqual(self.peers(text, text, "")[0], 0)
        self.assertEqual(self.peers(text, "ok 1 - one\n1..1\n", "")[0], 0)  # what CPUID does not report is absent
        # What is skipped here and fails there needs a row.
        theirs = "ok 1 - one\nnot ok 2 - two\n1..2\n"
        self.assertEqual(self.peers(text, theirs, "")[0], 1)
        self.assertEqual(self.peers(text, theirs, "a/rom | two | pacifica | reason\n")[0], 0)

    def test_peers_row_explains_no_failure_of_ours(self):
        ours, theirs = "not ok 1 - one\n1..1\n", "ok 1 - one\n1..1\n"
        for who, status in (("pacifica", 1), ("both", 1), ("qemu", 0)):
            self.assertEqual(self.peers(ours, theirs, f"a/rom | one | {who} | reason\n")[0], status, who)

    def test_peers_difference_without_row_fails(self):
        ours, theirs = "ok 1 - one [x]\n1..1\n", "not ok 1 - one [x]\n1..1\n"
        status, out = self.peers(ours, theirs, "a/rom | other | both | reason\n")
        self.assertEqual(status, 1)
        self.assertIn("a/rom | one [x] | ours: ok, QEMU's: not ok", out)
        self.assertIn("peers.def:1: no such difference here", out)
        self.assertEqual(self.peers(ours, theirs, "# x\na/* | one [x] | pacifica | reason\n")[0], 0)

    def test_peers_early_end_is_a_difference(self):
        ours, theirs = "ok 1 - one\nok 2 - two\n1..2\n", "ok 1 - one\n"
        status, out = self.peers(ours, theirs, "")
        self.assertEqual(status, 1)
        self.assertIn("a/rom | (end) | ours: exit status 0, QEMU's: exit status 0, 1 points absent", out)
        self.assertEqual(self.peers(ours, theirs, "a/rom | (end) | qemu | reason\n")[0], 0)

    def test_peers_malformed_row_fails(self):
        text = "ok 1 - one\n1..1\n"
        for row in ("a/rom | one | me | reason", "a/rom | one | both", "a/rom one both reason"):
            self.assertEqual(self.peers(text, text, row + "\n")[0], 1, row)

    def compile(self, source):
        self.write("h.c", source)
        subprocess.run(["cc", "-O2", "-c", "h.c", "-o", "h.o"], cwd=self.top, check=True)
        return os.path.join(self.top, "h.o")

    @unittest.skipUnless(os.uname().machine == "x86_64", "x86-64 only")
    def test_handlers(self):
        types = "struct op { int (*fn)(void *, struct op *); }; int x;\n"
        self.assert_passes("check-handlers", self.compile(
            types + "int op_a(void *c, struct op *o) { x++; return o[1].fn(c, o + 1); }\n"))
        self.assert_fails("indirect call", "check-handlers", self.compile(
            types + "int op_a(void *c, struct op *o) { return o[1].fn(c, o + 1) + 1; }\n"))
        adaptor = types + ("int op_plain(void *c, struct op *o) { x += o->fn(c, o); %s"
                           "return o[1].fn(c, o + 1); }\n")
        self.assert_passes("check-handlers", self.compile(adaptor % ""))
        self.assert_fails("indirect call", "check-handlers",
                          self.compile(adaptor % "x += o[2].fn(c, o);"))
        self.assert_fails("does not leave by a jump", "check-handlers", self.compile(
            types + "int op_a(void *c, struct op *o) { (void)c; (void)o; return x++; }\n"))
        self.assert_fails("no function named op_", "check-handlers", self.compile(
            types + "int other(void) { return x; }\n"))


if __name__ == "__main__":
    unittest.main()
