#!/usr/bin/env python3
"""Traces: their forms, filters and ring, and `pacifica trace`, on the demonstration hypervisor.
usage: test_trace.py PACIFICA [unittest arguments]      PACIFICA_RUNNER: as for test_cli.py
Exit status 77: the program has no demonstration hypervisor."""
import collections
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import json_schema

PACIFICA = None
TIMEOUT_SECONDS = 120
SCHEMA = pathlib.Path(__file__).with_name("perfetto.schema.json")
EVERYTHING = "svm,npt,tlb,int,io,msr,guest_errors"
FORMATS = ("text", "jsonl", "perfetto", "ftrace")


def run(*arguments):
    done = subprocess.run([*PACIFICA, *arguments], stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_SECONDS,
                          check=False)
    return done.returncode, done.stdout.decode("utf-8"), done.stderr.decode("latin-1")


class TraceCase(unittest.TestCase):
    folder = None

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.full = cls.demo(EVERYTHING)

    @classmethod
    def path(cls, name):
        return str(pathlib.Path(cls.folder.name) / name)

    @classmethod
    def demo(cls, events, form="jsonl", *options, name=None, status=1):
        """The path of a trace of the demonstration."""
        path = cls.path(name or f"demo.{abs(hash((events, form, options)))}")
        got, _, err = run("-display", "none", "-serial", "null", "-trace", events, "-trace-format", form, "-trace-file", path,
                          *options)
        assert got == status, (got, err)
        return path

    def write(self, name, text):
        pathlib.Path(self.path(name)).write_text(text, encoding="utf-8")
        return self.path(name)

    def ok(self, *arguments):
        status, out, err = run("trace", *arguments)
        self.assertEqual((status, err), (0, ""))
        return out

    def refused(self, line, *arguments):
        status, _, err = run("trace", *arguments)
        self.assertEqual((status, err), (2, f"pacifica: {line}\n"))

    def rows(self, path):
        rows = [json.loads(line) for line in self.read(path).splitlines()]
        self.assertEqual(rows[0]["schema"], "pacifica-trace")
        return rows[1:]

    @staticmethod
    def read(path):
        return pathlib.Path(path).read_text(encoding="utf-8")


class Forms(TraceCase):
    def test_the_same_run_gives_the_same_bytes(self):
        for form in FORMATS:
            first = self.demo(EVERYTHING, form, name="first")
            self.assertEqual(self.read(first), self.read(self.demo(EVERYTHING, form, name="second")), form)

    def test_conversion_gives_what_the_run_gives(self):
        for form in FORMATS:
            self.assertEqual(self.ok("convert", form, self.full), self.read(self.demo(EVERYTHING, form)), form)
        self.assertEqual(self.ok("show", self.full), self.read(self.demo(EVERYTHING, "text")))

    def test_conversion_of_instructions_and_accesses(self):
        limit = ("--max-insns", "40000")
        full = self.demo("exec,mem,in_asm", "jsonl", *limit, status=4)
        for form in FORMATS:
            self.assertEqual(self.ok("convert", form, full), self.read(self.demo("exec,mem,in_asm", form, *limit, status=4)))

    def test_conversion_of_standard_input(self):
        with open(self.full, "rb") as file:
            done = subprocess.run([*PACIFICA, "trace", "show", "-"], stdin=file, capture_output=True, check=True)
        self.assertEqual(done.stdout.decode(), self.ok("show", self.full))

    def test_several_processors_have_their_own_numbers(self):
        rows = self.rows(self.demo("io,msr,int", "jsonl", "-smp", "2", "--max-insns", "200000", status=4))
        self.assertEqual([row["step"] for row in rows], sorted(row["step"] for row in rows))

    def test_events_tell_guest_and_place(self):
        rows = self.rows(self.full)
        inside, left = None, {}
        for row in rows:
            if row["event"] == "vmrun":
                inside = row["asid"]
            elif row["event"] == "vmexit":
                inside, left[row["name"]] = None, row
            elif row["event"] in ("io", "msr", "int"):
                self.assertEqual(row.get("in_asid"), inside, row)
                self.assertIn("rip" if row["event"] == "int" else "in_rip", row)
        self.assertLessEqual({"ns", "insns", "asid", "rip", "code", "info1", "info2"}, left["VMEXIT_CPUID"].keys())


class Perfetto(TraceCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.events = json.loads(cls.read(cls.demo(EVERYTHING, "perfetto")))

    def test_schema(self):
        schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
        self.assertEqual(json_schema.problems(self.events, schema), [])
        # And it does refuse something.
        self.assertNotEqual(json_schema.problems([{**self.events[0], "ph": "X"}], schema), [])
        self.assertNotEqual(json_schema.problems([{"ph": "B", "pid": 1, "tid": 1}], schema), [])
        self.assertNotEqual(json_schema.problems([], schema), [])

    def test_slices_are_nested_and_times_do_not_fall(self):
        stack, last = collections.defaultdict(list), {}
        for event in self.events:
            track = event["pid"], event["tid"]
            if event["ph"] == "M":
                continue
            self.assertGreaterEqual(event["ts"], last.get(track, 0))
            last[track] = event["ts"]
            if event["ph"] == "B":
                self.assertEqual(stack[track], [], "host and guests take turns")
                stack[track].append(event["name"])
            elif event["ph"] == "E":
                stack[track].pop()
        self.assertFalse(any(stack.values()), "all slices end")

    def test_tracks_are_named_before_they_are_used(self):
        named, processes = set(), {}
        for event in self.events:
            if event["ph"] != "M":
                self.assertIn((event["pid"], event["tid"]), named)
            elif event["name"] == "process_name":
                processes[event["pid"]] = event["args"]["name"]
            else:
                named.add((event["pid"], event["tid"]))
        asids = {row["asid"] for row in self.rows(self.full) if row["event"] == "vmrun"}
        self.assertEqual(processes, {1: "processors", **{1000 + asid: f"guest ASID {asid}" for asid in asids}})

    def test_time_in_host_and_guests_adds_up(self):
        rows = [row for row in self.rows(self.full) if row["event"] in ("vmrun", "vmexit")]
        wanted, entered = collections.Counter(), None
        for row in rows:
            if row["event"] == "vmrun":
                entered = row["ns"]
            else:
                wanted[f"ASID {row['asid']}"] += row["ns"] - entered
        got, begun = collections.Counter(), None
        for event in self.events:
            if event["pid"] == 1 and event["ph"] == "B":
                begun = event
            elif event["pid"] == 1 and event["ph"] == "E" and begun["name"] != "host":
                got[begun["name"]] += round((event["ts"] - begun["ts"]) * 1000)
        self.assertEqual(+got, +wanted)

    def test_exits_injections_and_flushes_are_instants(self):
        names = collections.Counter(event["name"] for event in self.events if event["ph"] == "i")
        rows = self.rows(self.full)
        for name, count in collections.Counter(row["name"] for row in rows if row["event"] == "vmexit").items():
            self.assertEqual(names[name], count, name)
        self.assertEqual(names["tlb flush"], sum(row["event"] == "tlb" and row["op"] == "flush" for row in rows))
        self.assertEqual(sum(count for name, count in names.items() if name.startswith("inject ")),
                         sum("injects" in row for row in rows))

    def test_a_run_that_is_cut_leaves_what_readers_take(self):
        text = self.read(self.demo(EVERYTHING, "perfetto"))
        for cut in (i for i in range(100, len(text), 7919)):
            whole = text[:cut].rpartition(",\n")[0]
            json.loads(whole + "]")


class Ftrace(TraceCase):
    LINE = re.compile(r"^ *(?P<comm>\S+)-(?P<pid>\d+) +\[(?P<cpu>\d{3})\] (?P<flags>\S{5}) +(?P<s>\d+)\.(?P<us>\d{6}): (?P<event>\w+): (?P<text>.*)$")
    ENTRY = re.compile(r"^vcpu (\d+), rip 0x([0-9a-f]+)$")
    EXIT = re.compile(r"^vcpu (\d+) reason (.+?) rip 0x([0-9a-f]+) info1 0x([0-9a-f]{16}) info2 0x([0-9a-f]{16}) "
                      r"intr_info 0x([0-9a-f]{8}) error_code 0x([0-9a-f]{8})$")

    def test_lines_are_what_scripts_read(self):
        text = self.read(self.demo(EVERYTHING, "ftrace"))
        lines = text.splitlines()
        self.assertEqual(lines[0], "# tracer: nop")
        entries, exits, last = [], [], 0
        for line in lines:
            if line.startswith("#"):
                continue
            found = self.LINE.match(line)
            self.assertTrue(found, line)
            self.assertGreaterEqual(int(found["s"]) * 1000000 + int(found["us"]), last)
            last = int(found["s"]) * 1000000 + int(found["us"])
            if found["event"] == "kvm_entry":
                entries.append(int(self.ENTRY.match(found["text"])[2], 16))
            elif found["event"] == "kvm_exit":
                exits.append(self.EXIT.match(found["text"]).groups())
        rows = self.rows(self.full)
        self.assertEqual(entries, [int(row["rip"], 16) for row in rows if row["event"] == "vmrun"])
        self.assertEqual([(int(rip, 16), int(info1, 16), int(info2, 16)) for _, _, rip, info1, info2, _, _ in exits],
                         [(int(row["rip"], 16), int(row["info1"], 16), int(row["info2"], 16))
                          for row in rows if row["event"] == "vmexit"])
        reasons = {row["name"]: reason for row, (_, reason, *_) in
                   zip((row for row in rows if row["event"] == "vmexit"), exits)}
        known = {"VMEXIT_IOIO": "io", "VMEXIT_VMMCALL": "hypercall", "VMEXIT_NPF": "npf", "VMEXIT_CPUID": "cpuid",
                 "VMEXIT_MSR": "msr", "VMEXIT_HLT": "hlt", "VMEXIT_INTR": "interrupt", "VMEXIT_INVALID": "invalid_guest_state"}
        self.assertEqual({name: known.get(name, reason) for name, reason in reasons.items()}, reasons)
        self.assertEqual(text.count(": kvm_page_fault: vcpu 0 rip "), sum(row.get("name") == "VMEXIT_NPF" for row in rows))


class Filters(TraceCase):
    LISTS = ("svm:npf", "svm:vmrun+cpuid,asid=2", "tlb,asid=1", "step=70000-80000,io,msr", "svm,npt:code=npf:rip=0x1000-0x2000",
             "io:0x21", "svm:rip=0x1000-0x1020,io:0xe9:asid=1+2", "int,msr:step=90000-,cpu=0", "svm,npt,cpu=1", "npt")

    def test_a_file_is_filtered_as_a_run_is(self):
        for events in self.LISTS:
            self.assertEqual(self.ok("convert", "-trace", events, "jsonl", self.full), self.read(self.demo(events)), events)

    def test_conditions(self):
        rows = self.rows(self.full)
        for events, holds in (("svm,asid=2", lambda row: row.get("asid") == 2 and row["event"].startswith(("vm", "npf_"))),
                              ("svm,io,step=80000-90000", lambda row: row["event"] not in ("tlb", "int", "msr", "npf", "guest_error")
                               and 80000 <= row["step"] <= 90000),
                              ("io:rip=0-0xfffff", lambda row: row["event"] == "io" and int(row["in_rip"], 16) < 0x100000)):
            got = self.rows(self.demo(events))
            got = [row for row in got if row["event"] != "npf_walk"]
            self.assertEqual(got, [row for row in rows if holds(row) and row["event"] != "npf_walk"], events)

    def test_conditions_alone_choose_among_all_events_of_a_file(self):
        out = self.ok("convert", "-trace", "asid=2", "jsonl", self.full).splitlines()[1:]
        self.assertTrue(out)
        for line in out:
            row = json.loads(line)
            if row["event"] not in ("tlb", "npf_walk") or "asid" in row: # a flush of all ASIDs concerns this one
                self.assertEqual(row.get("asid", row.get("in_asid")), 2)

    def test_refused(self):
        for events, what in (("asid=1", "conditions, but no event to trace"), ("svm:asid=x", "malformed filter 'asid=x'"),
                             ("svm,foo=1", "no condition 'foo='"), ("io:1:2", "two filters for 'io'"),
                             ("svm,asid=1,asid=2", "'asid=' twice"), ("svm:code=foo", "malformed filter"),
                             ("unimp:1", "event 'unimp' takes no filter of numbers"), ("svm:", "malformed filter 'svm:'"),
                             ("svm:npf:", "two filters for 'svm'")):
            status, _, err = run("-trace", events)
            self.assertEqual((status, what in err), (2, True), (events, err))


class Ring(TraceCase):
    def last(self, *options, events="svm,io", size=5, status=1):
        return self.rows(self.demo(events, "jsonl", "-trace-ring", str(size), *options, status=status))

    def test_the_last_events_before_trouble(self):
        rows = self.rows(self.demo("svm,io"))
        at = next(i for i, row in enumerate(rows) if row.get("name") == "VMEXIT_INVALID")
        while rows[at + 1]["step"] == rows[at]["step"] and rows[at + 1]["event"].startswith("vmexit_"):
            at += 1
        got = self.last()
        ring = next(i for i, row in enumerate(got) if row["event"] == "ring")
        self.assertEqual(got[:ring], rows[at - 4:at + 1])
        self.assertEqual(got[ring]["note"], "VMEXIT_INVALID")
        self.assertEqual((got[ring]["kept"], got[ring]["dropped"]), (5, at - 4))

    def test_nothing_behind_a_good_end(self):
        self.assertEqual(self.last()[-1]["event"], "ring")
        self.assertEqual(sum(row["event"] == "ring" for row in self.last()), 1)
        self.assertEqual(self.last(events="io", size=3)[-1]["note"], "VMEXIT_INVALID")

    def test_the_limit_is_trouble(self):
        limit = ("--max-insns", "91000")
        rows = self.rows(self.demo("io,tlb", "jsonl", *limit, status=4))
        got = self.last(*limit, events="io,tlb", size=7, status=4)
        self.assertEqual(got[:-1], rows[-7:])
        self.assertEqual((got[-1]["event"], got[-1]["dropped"]), ("ring", len(rows) - 7))
        self.assertEqual(got[-1]["note"], "step limit reached")

    def test_fewer_than_it_holds(self):
        limit = ("--max-insns", "91000")
        rows = self.rows(self.demo("io,tlb", "jsonl", *limit, status=4))
        got = self.last(*limit, events="io,tlb", size=100000, status=4)
        self.assertEqual((got[:-1], got[-1]["dropped"]), (rows, 0))

    def test_stop_on(self):
        got = self.last("-stop-on", "vmexit-invalid", events="io,svm", size=4, status=10)
        self.assertEqual([row["event"] == "ring" for row in got], [False] * 4 + [True])

    def test_every_form(self):
        for form in FORMATS:
            path = self.demo("svm,io", form, "-trace-ring", "20")
            self.assertEqual(self.ok("convert", form, self.demo("svm,io", "jsonl", "-trace-ring", "20")), self.read(path), form)
        json.loads(self.read(self.demo("svm,io", "perfetto", "-trace-ring", "20")))

    def test_refused(self):
        for value in ("0", "x", "1000001", "-1", ""):
            status, _, err = run("-trace", "svm", "-trace-ring", value)
            self.assertEqual((status, "no number of events" in err), (2, True), err)


class Stat(TraceCase):
    """The table is computed a second time, from the lines of the trace."""

    @staticmethod
    def spent(rows):
        """Of each exit: its row, the host's instructions behind it or None, the guest's before it."""
        exits, cpu = [], {}
        for row in rows:
            state = cpu.setdefault(row["cpu"], {"entry": None, "exit": None})
            if row["event"] == "vmrun":
                if state["exit"]:
                    state["exit"]["host"] = row["insns"] - state["exit"]["row"]["insns"]
                state.update(entry=row["insns"], exit=None)
            elif row["event"] == "vmexit":
                state["exit"] = {"row": row, "host": None, "guest": row["insns"] - state["entry"]}
                exits.append(state["exit"])
        return exits

    @staticmethod
    def percent(part, whole):
        hundredths = (part * 20000 + whole) // (2 * whole) if whole else 0
        return f"{hundredths // 100}.{hundredths % 100:02}%"

    @staticmethod
    def mean(values):
        hundredths = (sum(values) * 200 + len(values)) // (2 * len(values)) if values else 0
        return f"{hundredths // 100}.{hundredths % 100:02}"

    def sections(self, text):
        sections, title = {}, None
        for line in text.splitlines():
            if "Samples%" in line:
                title = re.split(r"\s{2,}", line.strip())[0]
                sections[title] = []
            elif line.strip() and title and not line.startswith("Total"):
                sections[title].append(line.split())
        return sections

    def test_the_table_of_exits(self):
        exits = self.spent(self.rows(self.full))
        all_host = sum(e["host"] or 0 for e in exits)
        by_name = collections.defaultdict(list)
        for e in exits:
            by_name[e["row"]["name"].removeprefix("VMEXIT_")].append(e)
        wanted = []
        for name, group in by_name.items():
            host, guest = [e["host"] for e in group if e["host"] is not None], [e["guest"] for e in group]
            wanted.append([name, str(len(group)), self.percent(len(group), len(exits)), self.percent(sum(host), all_host),
                           str(min(host, default=0)), str(max(host, default=0)), self.mean(host), self.mean(guest)])
        text = self.ok("stat", self.full)
        got = self.sections(text)["VM-EXIT"]
        self.assertEqual(sorted(got), sorted(wanted))
        self.assertEqual([int(row[1]) for row in got], sorted((int(row[1]) for row in got), reverse=True))
        self.assertIn(f"Total Samples:{len(exits)}, Total host insns:{all_host}, "
                      f"Total guest insns:{sum(e['guest'] for e in exits)}.\n", text)

    def test_the_other_tables(self):
        exits = self.spent(self.rows(self.full))
        keys = {"Top RIPs": lambda row: row["rip"],
                "Top ports": lambda row: row["code"] == "0x7b" and hex(int(row["info1"], 16) >> 16 & 0xffff),
                "Top MSRs": lambda row: row["code"] == "0x7c" and row["msr"],
                "Top gPAs": lambda row: row["code"] == "0x400" and row["info2"],
                "vCPU": lambda row: str(row["cpu"]), "ASID": lambda row: str(row["asid"])}
        sections = self.sections(self.ok("stat", "-top", "1000", self.full))
        for title, key in keys.items():
            groups = collections.defaultdict(list)
            for e in exits:
                if key(e["row"]):
                    groups[key(e["row"])].append(e)
            self.assertEqual(sorted(sections[title]),
                             sorted([name, str(len(group)), self.percent(len(group), len(exits)),
                                     str(sum(e["host"] or 0 for e in group)), str(sum(e["guest"] for e in group))]
                                    for name, group in groups.items()), title)

    def test_top_and_filters(self):
        sections = self.sections(self.ok("stat", "-top", "2", self.full))
        self.assertEqual(len(sections["Top RIPs"]), 3)
        self.assertEqual(sections["Top RIPs"][2][0], "...")
        self.assertEqual([row[0] for row in self.sections(self.ok("stat", "-trace", "svm:npf+vmrun", self.full))["VM-EXIT"]], ["NPF"])
        self.assertEqual(self.ok("stat", "-trace", "io", self.full), "no #VMEXITs\n")

    def test_exit_stats_count_the_same(self):
        _, _, err = run("-display", "none", "-serial", "null", "-exit-stats")
        counted = dict(re.findall(r"^VMEXIT_(\w+) +(\d+) +\d+\.\d%", err, re.MULTILINE))
        self.assertEqual(counted, {row[0]: row[1] for row in self.sections(self.ok("stat", self.full))["VM-EXIT"]})


class Diff(TraceCase):
    def test_equal(self):
        count = len(self.rows(self.full))
        self.assertEqual(self.ok("diff", self.full, self.full), f"no difference in {count} events\n")

    def changed(self, line, before, after):
        lines = self.read(self.full).splitlines(True)
        self.assertIn(before, lines[line - 1])
        lines[line - 1] = lines[line - 1].replace(before, after, 1)
        return self.write("changed", "".join(lines))

    def test_the_first_difference_with_its_context(self):
        lines = self.read(self.full).splitlines()
        at = next(i for i, line in enumerate(lines, 1) if '"event":"vmexit"' in line)
        value = re.search('"rip":"(0x[0-9a-f]+)"', lines[at - 1])[1]
        other = self.changed(at, f'"rip":"{value}"', '"rip":"0x123"')
        status, out, err = run("trace", "diff", "-context", "2", self.full, other)
        self.assertEqual((status, err), (1, ""))
        shown = self.ok("show", self.full).splitlines()
        got = out.splitlines()
        self.assertEqual(got[:5], [f"{at - 2} events are the same, then", f"- {self.full}:{at}", f"+ {other}:{at}",
                                   "  " + shown[at - 4], "  " + shown[at - 3]])
        self.assertEqual(got[5], "- " + shown[at - 2])
        self.assertIn("rip:", got)
        self.assertIn(f"  - at {got[5].split(' at ')[1].split(' ')[0]}", got)
        self.assertEqual(got[-2:], ["+ " + line for line in shown[at - 1:at + 1]])

    def test_members_can_be_ignored(self):
        at = 300
        step = re.search('"step":([0-9]+)', self.read(self.full).splitlines()[at - 1])[0]
        other = self.changed(at, step, '"step":7')
        self.assertEqual(run("trace", "diff", self.full, other)[0], 1)
        self.assertEqual(run("trace", "diff", "-ignore", "cpu,step,ns", self.full, other)[0], 0)
        self.assertEqual(run("trace", "diff", "-ignore", "ste,steps", self.full, other)[0], 1)

    def test_one_that_ends_early(self):
        lines = self.read(self.full).splitlines(True)
        shorter = self.write("shorter", "".join(lines[:100]))
        for order, mark in (((self.full, shorter), "+"), ((shorter, self.full), "-")):
            status, out, _ = run("trace", "diff", *order)
            self.assertEqual(status, 1)
            self.assertIn(f"{mark} {shorter} ends\n", out)

    def test_filters(self):
        other = self.changed(300, '"step":', '"steps":7,"step":')
        event = json.loads(self.read(self.full).splitlines()[299])["event"]
        self.assertEqual(run("trace", "diff", "-trace", "int" if event != "int" else "tlb", self.full, other)[0], 0)


class BadInput(TraceCase):
    HEAD = '{"schema":"pacifica-trace","version":1}\n'
    GOOD = '{"event":"io","step":1,"cpu":0,"op":"read","port":"0x80"}\n'

    def test_lines_that_are_wrong_are_named(self):
        for line, what in (("x", "no JSON: "), ("[]", "no JSON object"), ("{}", "no event is named"), ('{"event":1}', "no event is named"),
                           ('{"event":"io"}', "an event without step or cpu"), ('{"event":"A B","step":1,"cpu":0}', "no event is named"),
                           ('{"event":"io","step":1,"cpu":64}', "there is no such cpu"),
                           ('{"event":"io","step":-1,"cpu":0}', "a number is negative"),
                           ('{"event":"io","step":1,"cpu":0,"a\\"b":1}', "a member's name has strange characters"),
                           ('{"event":"io","step":1,"cpu":0,"changes":[1]}', "malformed changes"),
                           ('{"event":"io","step":1,"step":1,"cpu":0}', "no JSON: duplicate"),
                           ('{"event":"io","step":99999999999999999999,"cpu":0}', "no JSON: too big integer"),
                           ("", "no JSON"), ('{"x":"' + 70000 * "x" + '"}', "the line is too long for a trace"),
                           (9000 * "[", "no JSON")):
            path = self.write("bad", self.HEAD + self.GOOD + line + "\n" + self.GOOD)
            for verb in (["show"], ["stat"], ["convert", "perfetto"]):
                status, _, err = run("trace", *verb, path)
                self.assertEqual((status, err.startswith(f"pacifica: {path}:3: {what}")), (2, True), (line[:80], err))

    def test_files_that_are_none(self):
        self.refused("/no/such: No such file or directory", "show", "/no/such")
        self.refused(f"{self.write('empty', '')}:1: the file is empty", "show", self.path("empty"))
        path = self.write("other", '{"schema":"x"}\n')
        self.refused(f"{path}:1: no trace of pacifica in JSON lines", "stat", path)
        path = self.write("newer", '{"schema":"pacifica-trace","version":2}\n')
        self.refused(f"{path}:1: a version of the trace schema that is not known here", "stat", path)
        path = self.write("text", "vmrun step 1\n")
        self.assertEqual(run("trace", "show", path)[0], 2)

    def test_a_run_that_was_killed_leaves_its_whole_lines(self):
        path = self.write("cut", self.HEAD + self.GOOD + self.GOOD[:30])
        status, out, err = run("trace", "show", path)
        self.assertEqual((status, out, err), (2, "io step 1 cpu 0 op read port 0x80\n", f"pacifica: {path}:3: the last line is cut off\n"))
        path = self.write("cut", self.HEAD + self.GOOD.rstrip())
        self.assertEqual(self.ok("show", path), "io step 1 cpu 0 op read port 0x80\n")

    def test_unknown_events_and_members_are_kept(self):
        path = self.write("later", self.HEAD + '{"event":"later","step":1,"cpu":0,"x":null,"y":{"z":1},"w":"v"}\n')
        self.assertEqual(self.ok("show", path), "later step 1 cpu 0 w v\n")

    def test_guests_choose_no_control_characters(self):
        path = self.write("evil", self.HEAD + '{"event":"unimp","step":1,"cpu":0,"note":"\\u001b[2J\\u0080\\"\\\\\\u4e00"}\n')
        self.assertEqual(self.ok("show", path), 'unimp step 1 cpu 0: \\x1b[2J\\x80"\\\\xe4\\xb8\\x80\n')
        json.loads(self.ok("convert", "perfetto", path))

    def test_words(self):
        for words, what in (((), "wanted: stat, show, diff or convert"), (("x",), "wanted: stat, show, diff or convert"),
                            (("stat",), "wanted: a file"), (("diff", "a"), "wanted: two words behind the verb"),
                            (("convert", "x", "a"), "wanted: one of text, jsonl, perfetto, ftrace"),
                            (("show", "a", "b"), "one word too many"), (("stat", "-top", "x", "a"), "-top takes a number"),
                            (("diff", "-context", "1001", "a", "b"), "-context takes a number up to 1000"),
                            (("stat", "-trace"), "an option without its value"),
                            (("show", "-top", "1", "a"), "an option that it does not take; a file whose name begins with - is ./-")):
            self.refused(f"trace: {what} (-help tells what it takes)", *words)
        self.refused("malformed filter 'svm:x' (wanted: exit codes by name or number, VMRUN)",
                     "show", "-trace", "svm:x", self.full)

    def test_large_files_need_no_memory(self):
        path = self.path("large")
        with open(path, "w", encoding="ascii") as file:
            file.write(self.HEAD)
            for i in range(100000):
                file.write(f'{{"event":"vmexit","step":{i},"cpu":0,"rip":"{i:#x}","code":"0x7b","asid":{i}}}\n')
        self.assertIn("Total Samples:100000,", self.ok("stat", path))


if __name__ == "__main__":
    PACIFICA = [*os.environ.get("PACIFICA_RUNNER", "").split(), sys.argv[1]]
    if "vmrun" not in run("-display", "none", "-serial", "null", "-d", "svm", "-max-insns", "1000000")[2]:
        print("no demonstration hypervisor")
        sys.exit(77)
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
