/* Where events of a trace go: forms and the ring. */
#include "emu/trace/sink.h"

#include "tests/check_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct bench {
    struct sink sink;
    char text[65536];
    size_t used;
} bench;

static void bench_write(void *self, const void *bytes, size_t size)
{
    (void)self;
    ck_assert_uint_gt(size, 0);
    ck_assert_uint_lt(bench.used + size, sizeof(bench.text));
    memcpy(bench.text + bench.used, bytes, size);
    bench.used += size;
    bench.text[bench.used] = '\0';
}

static void begin(enum pacifica_trace_format format, uint32_t ring)
{
    const struct pacifica_output output = { .write = bench_write };
    memset(&bench, 0, sizeof(bench));
    ck_assert(sink_open(&bench.sink, format, &output, ring));
}

static struct record *event(const char *name, uint64_t step)
{
    sink_begin(&bench.sink, name);
    record_dec(&bench.sink.record, "step", step);
    record_dec(&bench.sink.record, "cpu", 0);
    record_dec(&bench.sink.record, "ns", 1000 * step);
    return &bench.sink.record;
}

static void vmrun(uint64_t step, uint64_t injects)
{
    struct record *record = event("vmrun", step);
    record_dec(record, "asid", 7);
    record_cs_rip(record, 8, 0x1234);
    if (injects)
        record_hex(record, "eventinj", injects);
    if (injects)
        record_text(record, "injects", "it");
    sink_end(&bench.sink);
}

static void vmexit(uint64_t step, const char *name, uint64_t code)
{
    struct record *record = event("vmexit", step);
    record_dec(record, "asid", 7);
    record_cs_rip(record, 8, 0x1236);
    record_text(record, "name", name);
    record_hex(record, "code", code);
    record_hex(record, "info1", 1);
    record_hex(record, "info2", 0x40000);
    record_hex(record, "exitintinfo", UINT64_C(0x0000000280000b0e));
    sink_end(&bench.sink);
}

static void io(uint64_t step)
{
    record_hex(event("io", step), "port", 0x80);
    sink_end(&bench.sink);
}

static void has(const char *wanted)
{
    ck_assert_msg(strstr(bench.text, wanted) != NULL, "'%s' is missing in:\n%s", wanted,
                  bench.text);
}

static unsigned count(const char *what)
{
    unsigned found = 0;
    for (const char *at = bench.text; (at = strstr(at, what)) != NULL; at++)
        found++;
    return found;
}

/* --- forms -------------------------------------------------------------------------------- */

START_TEST(formats_have_names)
{
    enum pacifica_trace_format format;
    ck_assert(trace_format_find("text", &format) && format == PACIFICA_TRACE_TEXT);
    ck_assert(trace_format_find("ftrace", &format) && format == PACIFICA_TRACE_FTRACE);
    ck_assert(!trace_format_find("", &format) && !trace_format_find("json", &format));
}
END_TEST

START_TEST(text_leaves_out_what_is_for_programs)
{
    begin(PACIFICA_TRACE_TEXT, 0);
    struct record *record = event("mem", 5);
    record_dec(record, "in_asid", 1);
    record_hex(record, "in_rip", 2);
    record_hex(record, "la", 3);
    sink_end(&bench.sink);
    sink_close(&bench.sink);
    ck_assert_str_eq(bench.text, "mem step 5 cpu 0 la 0x3\n");
}
END_TEST

START_TEST(ftrace_says_what_kvm_says)
{
    begin(PACIFICA_TRACE_FTRACE, 0);
    vmrun(1500000, 0);
    vmexit(2500001, "VMEXIT_NPF", 0x400);
    has("\n        pacifica-1       [000] .....     1.500000: kvm_entry: vcpu 0, rip 0x1234\n");
    has("     2.500001: kvm_exit: vcpu 0 reason npf rip 0x1236 info1 0x0000000000000001 "
        "info2 0x0000000000040000 intr_info 0x80000b0e error_code 0x00000002\n");
    has(": kvm_page_fault: vcpu 0 rip 0x1236 address 0x0000000000040000 error_code 0x1\n");
    vmexit(3, "reserved", 0x999);
    has(" reason 0x999 rip");
    io(4);
    has(": pacifica_io: port 0x80\n");
    sink_close(&bench.sink);
}
END_TEST

/* APM vol 2, 15.20 "Event Injection". */
START_TEST(ftrace_has_injections_before_the_entry)
{
    begin(PACIFICA_TRACE_FTRACE, 0);
    vmrun(1, UINT64_C(0x80000030));
    has(": kvm_inj_virq: IRQ 0x30\n");
    vmrun(2, UINT64_C(0x80000480));
    has(": kvm_inj_virq: Soft/INTn 0x80\n");
    vmrun(3, UINT64_C(0x0000000280000b0e));
    has(": kvm_inj_exception: #PF (0x2)\n");
    vmrun(4, UINT64_C(0x80000306));
    has(": kvm_inj_exception: #UD\n");
    vmrun(5, UINT64_C(0x80000202));
    has(": pacifica_inject: eventinj 0x80000202\n");
    ck_assert_uint_eq(count("kvm_entry"), 5);
    sink_close(&bench.sink);
}
END_TEST

START_TEST(perfetto_slices_take_turns)
{
    begin(PACIFICA_TRACE_PERFETTO, 0);
    io(1);
    vmrun(2, 0x80000030);
    vmexit(3, "VMEXIT_NPF", 0x400);
    sink_close(&bench.sink);
    has("\"ph\":\"B\",\"pid\":1,\"tid\":1,\"ts\":1.000,\"name\":\"host\"");
    has("{\"ph\":\"E\",\"pid\":1,\"tid\":1,\"ts\":2.000},\n");
    has("\"ph\":\"B\",\"pid\":1,\"tid\":1,\"ts\":2.000,\"name\":\"ASID 7\"");
    has("\"ph\":\"B\",\"pid\":1007,\"tid\":1,\"ts\":2.000,\"name\":\"ASID 7\"");
    has("\"name\":\"inject it\"");
    has("\"ph\":\"E\",\"pid\":1007,\"tid\":1,\"ts\":3.000,\"args\":{\"exit\":\"VMEXIT_NPF\"}");
    ck_assert_uint_eq(count("\"ph\":\"B\""), count("\"ph\":\"E\""));
    ck_assert_str_eq(bench.text + bench.used - 4, "}\n]\n");
}
END_TEST

START_TEST(perfetto_without_events_is_an_array)
{
    begin(PACIFICA_TRACE_PERFETTO, 0);
    sink_close(&bench.sink);
    ck_assert_str_eq(bench.text, "[\n\n]\n");
}
END_TEST

START_TEST(perfetto_times_never_fall)
{
    begin(PACIFICA_TRACE_PERFETTO, 0);
    io(9);
    io(3);
    sink_close(&bench.sink);
    ck_assert_uint_eq(count("\"ts\":9.000"), 4);
}
END_TEST

/* A member is left out in each form or in none. */
START_TEST(all_forms_cut_the_same_members)
{
    static char filler[RECORD_BYTES];
    for (size_t length = RECORD_BYTES - 120; length < RECORD_BYTES; length++) {
        bool cut[4];
        memset(filler, 'x', length);
        filler[length] = '\0';
        for (unsigned format = 0; format < 4; format++) {
            begin((enum pacifica_trace_format)format, 0);
            struct record *record = event("e", 1);
            record_text(record, "f", filler);
            record_dec(record, "number", 12345678);
            cut[format] = bench.sink.record.cut;
            sink_end(&bench.sink);
            sink_close(&bench.sink);
        }
        ck_assert(cut[0] == cut[1] && cut[1] == cut[2] && cut[2] == cut[3]);
    }
}
END_TEST

/* --- the ring ----------------------------------------------------------------------------- */

START_TEST(ring_writes_the_last_events_in_order)
{
    for (unsigned events = 0; events < 9; events++) {
        char wanted[512] = "";
        begin(PACIFICA_TRACE_TEXT, 4);
        for (unsigned i = 1; i <= events; i++)
            io(i);
        ck_assert_uint_eq(bench.used, 0);
        unsigned kept = events < 4 ? events : 4;
        ck_assert_uint_eq(sink_dump(&bench.sink, "now"), kept);
        for (unsigned i = events - kept + 1; i <= events; i++)
            (void)snprintf(wanted + strlen(wanted), 64, "io step %u cpu 0 port 0x80\n", i);
        if (events)
            (void)snprintf(wanted + strlen(wanted), 100,
                           "ring step %u cpu 0 kept %u dropped %u: now\n", events, kept,
                           events - kept);
        ck_assert_str_eq(bench.text, wanted);
        sink_close(&bench.sink);
    }
}
END_TEST

START_TEST(ring_forgets_what_it_has_written)
{
    begin(PACIFICA_TRACE_TEXT, 2);
    for (unsigned i = 1; i <= 3; i++)
        io(i);
    ck_assert_uint_eq(sink_dump(&bench.sink, "a"), 2);
    ck_assert_uint_eq(sink_dump(&bench.sink, "b"), 0);
    io(4);
    ck_assert_uint_eq(sink_dump(&bench.sink, "c"), 1);
    ck_assert_ptr_null(strstr(bench.text, ": b"));
    has("io step 4 cpu 0 port 0x80\nring step 4 cpu 0 kept 1 dropped 0: c\n");
    io(5);
    sink_close(&bench.sink);
    ck_assert_ptr_null(strstr(bench.text, "io step 5"));
}
END_TEST

START_TEST(ring_keeps_every_kind_of_member)
{
    char now[sizeof(bench.text)];
    for (unsigned ring = 0; ring < 2; ring++) {
        begin(PACIFICA_TRACE_JSONL, ring ? 8 : 0);
        struct record *record = event("vmexit", 1);
        record_bool(record, "np", true);
        record_text(record, "name", "a\"b");
        record_cs_rip(record, 8, 9);
        record_note(record, "words");
        (void)record_change(record, "RIP", "0x1", "0x2");
        (void)record_change(record, "RAX", "0x3", "0x4");
        record->cut = true;
        sink_end(&bench.sink);
        if (ring)
            ck_assert_uint_eq(sink_dump(&bench.sink, "now"), 1);
        else
            strcpy(now, bench.text);
        sink_close(&bench.sink);
    }
    ck_assert_uint_gt(strlen(bench.text), strlen(now));
    ck_assert_mem_eq(bench.text, now, strlen(now));
}
END_TEST

START_TEST(dump_without_a_ring_writes_nothing)
{
    begin(PACIFICA_TRACE_TEXT, 0);
    io(1);
    size_t used = bench.used;
    ck_assert_uint_eq(sink_dump(&bench.sink, "now"), 0);
    ck_assert_uint_eq(bench.used, used);
    sink_close(&bench.sink);
}
END_TEST

CHECK_MAIN("sink", formats_have_names, text_leaves_out_what_is_for_programs,
           ftrace_says_what_kvm_says, ftrace_has_injections_before_the_entry,
           perfetto_slices_take_turns, perfetto_without_events_is_an_array,
           perfetto_times_never_fall, all_forms_cut_the_same_members,
           ring_writes_the_last_events_in_order, ring_forgets_what_it_has_written,
           ring_keeps_every_kind_of_member, dump_without_a_ring_writes_nothing)
