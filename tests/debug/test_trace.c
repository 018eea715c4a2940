/* Traces: which events become lines, and what the lines say. */
#include "emu/debug/exit_stats.h"
#include "emu/debug/trace.h"

#include "svm/svm.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* A vCPU that does not run: probe events are fired by hand. */
static struct bench {
    struct probes probes;
    struct vcpu cpu;
    struct memory *memory;
    char text[65536];
    size_t used;
    struct pacifica_trace *trace;
    struct pacifica_diag diag;
} bench;

static void bench_write(void *self, const void *bytes, size_t size)
{
    (void)self;
    ck_assert_uint_lt(bench.used + size, sizeof(bench.text));
    memcpy(bench.text + bench.used, bytes, size);
    bench.used += size;
}

static const struct pacifica_output bench_output = { .write = bench_write };

static void setup(void)
{
    memset(&bench, 0, sizeof(bench));
    bench.memory = memory_new(1 << 20);
    bench.cpu.svm = svm_new();
    ck_assert(bench.memory && bench.cpu.svm);
    bench.cpu.memory = bench.memory;
    bench.cpu.probes = &bench.probes;
    bench.cpu.mode = MODE_LONG64;
    bench.cpu.insns_end = 1000;
    bench.cpu.extra_steps = 7;
}

static void teardown(void)
{
    trace_free(bench.trace);
    svm_free(bench.cpu.svm);
    memory_free(bench.memory);
}

static enum pacifica_status attach(const char *events, enum pacifica_trace_format format)
{
    const struct pacifica_trace_options options = { .events = events,
                                                    .format = format,
                                                    .output = bench_output };
    return trace_new(&bench.probes, &bench.cpu, &options, &bench.trace, &bench.diag);
}

static void fire(enum probe_kind kind, uint64_t a, uint64_t b, uint64_t c)
{
    const struct probe_event event = { .kind = kind, .cpu = &bench.cpu, .a = a, .b = b, .c = c };
    if (probes_want(&bench.probes, kind))
        probes_fire(&bench.probes, &event);
}

static void fire_text(enum probe_kind kind, struct vcpu *cpu, const char *text)
{
    const struct probe_event event = { .kind = kind, .cpu = cpu, .text = text };
    probes_fire(&bench.probes, &event);
}

static unsigned lines(void)
{
    unsigned count = 0;
    for (size_t i = 0; i < bench.used; i++)
        count += bench.text[i] == '\n';
    return count;
}

/* --- choosing ----------------------------------------------------------------------------- */

START_TEST(trace_asks_only_for_its_probe_points)
{
    ck_assert_int_eq(attach("io,msr", PACIFICA_TRACE_TEXT), PACIFICA_OK);
    ck_assert_uint_eq(bench.probes.mask, 1u << PROBE_IO | 1u << PROBE_MSR);
    trace_free(bench.trace);
    bench.trace = NULL;
    ck_assert_uint_eq(bench.probes.mask, 0);
}
END_TEST

START_TEST(trace_refuses_unknown_events_and_bad_filters)
{
    static const char *const bad[] = { "",     "foo",     "io,",     ",io", "io,,msr", "io:",
                                       "io:x", "unimp:1", "svm:foo", "ioo", "i",       "IO" };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        bench.diag.what[0] = '\0';
        ck_assert_msg(attach(bad[i], PACIFICA_TRACE_TEXT) == PACIFICA_EUSAGE, "took '%s'", bad[i]);
        ck_assert_ptr_null(bench.trace);
        ck_assert(bench.diag.what[0]);
        ck_assert_uint_eq(bench.probes.mask, 0);
    }
}
END_TEST

START_TEST(trace_list_names_every_event_that_can_be_chosen)
{
    char names[sizeof(bench.text)];
    trace_list(&bench_output);
    memcpy(names, bench.text, bench.used + 1);
    ck_assert_uint_ge(lines(), 11);
    for (char *line = strtok(names, "\n"); line; line = strtok(NULL, "\n")) {
        line[strcspn(line, " ")] = '\0';
        ck_assert_msg(attach(line, PACIFICA_TRACE_TEXT) == PACIFICA_OK, "refused '%s'", line);
        trace_free(bench.trace);
        bench.trace = NULL;
    }
}
END_TEST

START_TEST(json_trace_begins_with_its_schema)
{
    ck_assert_int_eq(attach("io", PACIFICA_TRACE_JSONL), PACIFICA_OK);
    ck_assert_str_eq(bench.text, "{\"schema\":\"pacifica-trace\",\"version\":1}\n");
}
END_TEST

/* --- single events ------------------------------------------------------------------------ */

START_TEST(io_line_and_filter)
{
    ck_assert_int_eq(attach("io:0x3f8-0x3ff", PACIFICA_TRACE_TEXT), PACIFICA_OK);
    fire(PROBE_IO, 0x3f7, 1, 2);
    fire(PROBE_IO, 0x3f8, 1 | 1 << 8, 0x41);
    fire(PROBE_IO, 0x400, 1, 2);
    ck_assert_str_eq(bench.text, "io step 1007 cpu 0 op write port 0x3f8 size 1 value 0x41\n");
}
END_TEST

START_TEST(device_events_take_the_steps_of_the_given_cpu)
{
    const struct probe_event event = { .kind = PROBE_IO, .a = 0x80, .b = 1 };
    ck_assert_int_eq(attach("io", PACIFICA_TRACE_TEXT), PACIFICA_OK);
    probes_fire(&bench.probes, &event);
    ck_assert_str_eq(bench.text, "io step 1007 cpu 0 op read port 0x80 size 1 value 0x0\n");
}
END_TEST

START_TEST(msr_line)
{
    ck_assert_int_eq(attach("msr", PACIFICA_TRACE_JSONL), PACIFICA_OK);
    bench.used = 0;
    fire(PROBE_MSR, 0xc0000080, 1, 0x1d01);
    bench.text[bench.used] = '\0';
    ck_assert_str_eq(
        bench.text,
        "{\"event\":\"msr\",\"step\":1007,\"cpu\":0,\"ns\":1000,"
        "\"in_rip\":\"0x0\",\"op\":\"write\",\"msr\":\"0xc0000080\",\"value\":\"0x1d01\"}\n");
}
END_TEST

START_TEST(int_line_of_a_page_fault_has_code_and_cr2)
{
    ck_assert_int_eq(attach("int", PACIFICA_TRACE_TEXT), PACIFICA_OK);
    bench.cpu.regs.seg[SEG_CS].selector = 8;
    bench.cpu.r[REG_RIP] = 0x1234;
    fire(PROBE_EXCEPTION, EXC_PF | EVENT_EXCEPTION << 8 | 1 << 11, 2, 0xdead000);
    ck_assert_str_eq(bench.text,
                     "int step 1007 cpu 0 vector 0xe type exception at 0008:0000000000001234 "
                     "error_code 0x2 cr2 0xdead000: #PF\n");
}
END_TEST

START_TEST(int_line_of_an_interrupt_has_neither)
{
    ck_assert_int_eq(attach("int", PACIFICA_TRACE_TEXT), PACIFICA_OK);
    fire(PROBE_EXCEPTION, 0x20 | EVENT_INTR << 8, 0, 0);
    ck_assert_str_eq(bench.text, "int step 1007 cpu 0 vector 0x20 type interrupt "
                                 "at 0000:0000000000000000\n");
}
END_TEST

START_TEST(tlb_line)
{
    ck_assert_int_eq(attach("tlb:1", PACIFICA_TRACE_TEXT), PACIFICA_OK);
    fire(PROBE_TLB, PROBE_TLB_FILL, 0x1000, 0);
    fire(PROBE_TLB, PROBE_TLB_EVICT, 0x1000, 1);
    ck_assert_str_eq(bench.text, "tlb step 1007 cpu 0 op evict asid 1 la 0x1000\n");
}
END_TEST

START_TEST(tlb_line_of_a_flush_leaves_out_what_means_all)
{
    ck_assert_int_eq(attach("tlb", PACIFICA_TRACE_TEXT), PACIFICA_OK);
    fire(PROBE_TLB, PROBE_TLB_FLUSH, UINT64_MAX, 1);
    fire(PROBE_TLB, PROBE_TLB_FLUSH, UINT64_MAX, UINT64_MAX);
    ck_assert_str_eq(bench.text, "tlb step 1007 cpu 0 op flush asid 1\n"
                                 "tlb step 1007 cpu 0 op flush\n");
}
END_TEST

START_TEST(guest_errors_and_unimp_say_their_text)
{
    ck_assert_int_eq(attach("guest_errors,unimp", PACIFICA_TRACE_TEXT), PACIFICA_OK);
    fire_text(PROBE_GUEST_ERROR, NULL, "no such register");
    fire_text(PROBE_UNIMP, &bench.cpu, "task switch");
    ck_assert_str_eq(bench.text, "guest_error step 1007 cpu 0: no such register\n"
                                 "unimp step 1007 cpu 0 at 0000:0000000000000000: task switch\n");
}
END_TEST

START_TEST(in_asm_shows_each_instruction_of_a_block)
{
    static const uint8_t code[] = { 0x0f, 0x01, 0xd8, 0x90 }; /* vmrun; nop */
    ck_assert(phys_write_block(bench.memory, 0x5000, code, sizeof(code)));
    ck_assert_int_eq(attach("in_asm", PACIFICA_TRACE_TEXT), PACIFICA_OK);
    fire(PROBE_BLOCK, 0x401000, 0x5000, sizeof(code));
    ck_assert_str_eq(bench.text, "in_asm step 1007 cpu 0 rip 0x401000 bytes 0f01d8: vmrun rax\n"
                                 "in_asm step 1007 cpu 0 rip 0x401003 bytes 90: nop\n");
}
END_TEST

START_TEST(in_asm_survives_code_outside_ram_and_nonsense)
{
    ck_assert_int_eq(attach("in_asm", PACIFICA_TRACE_TEXT), PACIFICA_OK);
    fire(PROBE_BLOCK, 0x401000, UINT64_C(0xfee00000), 4);
    ck_assert_uint_eq(lines(), 1);
    static const uint8_t nonsense[] = { 0x06, 0xff, 0xff }; /* no instruction of 64-bit mode */
    ck_assert(phys_write_block(bench.memory, 0x5000, nonsense, sizeof(nonsense)));
    fire(PROBE_BLOCK, 0x401000, 0x5000, sizeof(nonsense));
    ck_assert_uint_eq(lines(), 4);
    ck_assert_ptr_nonnull(strstr(bench.text, "bytes 06: (bad)"));
}
END_TEST

/* --- AMD-V -------------------------------------------------------------------------------- */

static void set_guest(void)
{
    struct svm_state *svm = bench.cpu.svm;
    svm->last_asid = 3;
    svm->last_cs = 0x10;
    svm->last_rip = 0x8000;
    svm->last_nested = true;
    svm->last_cr3 = 0x2000;
}

START_TEST(vmrun_line)
{
    set_guest();
    ck_assert_int_eq(attach("svm", PACIFICA_TRACE_TEXT), PACIFICA_OK);
    fire(PROBE_ENTRY, 0x7000, 0, 0);
    ck_assert_str_eq(bench.text, "vmrun step 1007 cpu 0 asid 3 at 0010:0000000000008000 "
                                 "vmcb 0x7000 np true cr3 0x2000\n");
}
END_TEST

START_TEST(vmexit_line_has_name_and_words)
{
    set_guest();
    ck_assert_int_eq(attach("svm", PACIFICA_TRACE_TEXT), PACIFICA_OK);
    fire(PROBE_EXIT, VMEXIT_NPF, UINT64_C(0x100000006), 0x40000);
    ck_assert_ptr_nonnull(strstr(bench.text, "vmexit step 1007 cpu 0 asid 3 "
                                             "at 0010:0000000000008000 name VMEXIT_NPF code 0x400 "
                                             "info1 0x100000006 info2 0x40000"));
    ck_assert_ptr_nonnull(strstr(bench.text, ": ")); /* and says it in words */
}
END_TEST

START_TEST(vmexit_invalid_names_rule_field_value_and_section)
{
    set_guest();
    bench.cpu.svm->invalid = (struct svm_invalid){ .rule = "ASID must not be 0",
                                                   .field = "GUEST_ASID",
                                                   .value = 0,
                                                   .section = "APM vol 2, 15.5.1" };
    bench.cpu.svm->invalid_count = 1;
    ck_assert_int_eq(attach("svm", PACIFICA_TRACE_TEXT), PACIFICA_OK);
    fire(PROBE_EXIT, VMEXIT_INVALID, 0, 0);
    ck_assert_ptr_nonnull(strstr(bench.text, "name VMEXIT_INVALID code 0xffffffffffffffff"));
    ck_assert_ptr_nonnull(strstr(bench.text, " field GUEST_ASID value 0x0 section APM vol 2, "
                                             "15.5.1: ASID must not be 0\n"));
    ck_assert_uint_eq(lines(), 1);
}
END_TEST

START_TEST(vmexit_invalid_has_a_line_for_each_further_rule)
{
    set_guest();
    bench.cpu.svm->vmcb_spa = UINT64_C(0xfee00000); /* no RAM: it is not read again */
    bench.cpu.svm->invalid = (struct svm_invalid){ .rule = "r", .field = "f", .section = "s" };
    bench.cpu.svm->further[0] =
        (struct svm_invalid){ .rule = "ASID", .field = "GUEST_ASID", .section = "t" };
    bench.cpu.svm->further[1] =
        (struct svm_invalid){ .rule = "CR0", .field = "CR0", .value = 5, .section = "u" };
    bench.cpu.svm->invalid_count = 3;
    ck_assert_int_eq(attach("svm", PACIFICA_TRACE_TEXT), PACIFICA_OK);
    fire(PROBE_EXIT, VMEXIT_INVALID, 0, 0);
    ck_assert_uint_eq(lines(), 3);
    ck_assert_ptr_nonnull(strstr(bench.text, " rules 3 field f value 0x0 section s: r\n"));
    ck_assert_ptr_nonnull(strstr(bench.text, "vmexit_rule step 1007 cpu 0 asid 3 field GUEST_ASID "
                                             "value 0x0 section t: ASID\n"));
    ck_assert_ptr_nonnull(strstr(bench.text, "field CR0 value 0x5 section u: CR0\n"));
}
END_TEST

START_TEST(svm_filter_takes_exit_names_and_vmrun)
{
    ck_assert_int_eq(attach("svm:vmexit_npf+CPUID+0x81", PACIFICA_TRACE_TEXT), PACIFICA_OK);
    fire(PROBE_ENTRY, 0x7000, 0, 0);
    fire(PROBE_EXIT, VMEXIT_HLT, 0, 0);
    ck_assert_uint_eq(lines(), 0);
    fire(PROBE_EXIT, VMEXIT_NPF, 0, 0);
    fire(PROBE_EXIT, VMEXIT_CPUID, 0, 0);
    fire(PROBE_EXIT, VMEXIT_VMMCALL, 0, 0);
    ck_assert_uint_eq(lines(), 3);
    trace_free(bench.trace);
    ck_assert_int_eq(attach("svm:vmrun", PACIFICA_TRACE_TEXT), PACIFICA_OK);
    fire(PROBE_ENTRY, 0x7000, 0, 0);
    ck_assert_uint_eq(lines(), 4);
}
END_TEST

START_TEST(npt_shows_nested_page_faults_by_address)
{
    ck_assert_int_eq(attach("npt:0x40000-0x40fff", PACIFICA_TRACE_TEXT), PACIFICA_OK);
    fire(PROBE_EXIT, VMEXIT_NPF, UINT64_C(0x100000006), 0x3ffff);
    fire(PROBE_EXIT, VMEXIT_CPUID, 0, 0x40000);
    ck_assert_uint_eq(lines(), 0);
    fire(PROBE_EXIT, VMEXIT_NPF, UINT64_C(0x100000006), 0x40fff);
    ck_assert_uint_eq(lines(), 1);
    ck_assert_ptr_nonnull(strstr(bench.text, "npf step 1007"));
    ck_assert_ptr_nonnull(strstr(bench.text, "gpa 0x40fff info1 0x100000006"));
}
END_TEST

/* --- conditions and the ring ------------------------------------------------------------------ */

START_TEST(conditions_look_at_the_guest_of_an_exit)
{
    set_guest();
    ck_assert_int_eq(attach("svm,asid=3,rip=0x8000", PACIFICA_TRACE_TEXT), PACIFICA_OK);
    fire(PROBE_EXIT, VMEXIT_HLT, 0, 0);
    ck_assert_uint_eq(lines(), 1);
    bench.cpu.svm->last_asid = 4;
    fire(PROBE_EXIT, VMEXIT_HLT, 0, 0);
    bench.cpu.svm->last_asid = 3;
    bench.cpu.svm->last_rip = 0x8001;
    fire(PROBE_EXIT, VMEXIT_HLT, 0, 0);
    ck_assert_uint_eq(lines(), 1);
}
END_TEST

START_TEST(conditions_look_at_where_other_events_happen)
{
    set_guest();
    ck_assert_int_eq(attach("io,asid=3", PACIFICA_TRACE_TEXT), PACIFICA_OK);
    fire(PROBE_IO, 0x80, 1, 0); /* in the host, whose ASID is 0 */
    ck_assert_uint_eq(lines(), 0);
    bench.cpu.svm->guest = true;
    fire(PROBE_IO, 0x80, 1, 0);
    ck_assert_uint_eq(lines(), 1);
    trace_free(bench.trace);
    ck_assert_int_eq(attach("io:rip=0x55,step=1007", PACIFICA_TRACE_TEXT), PACIFICA_OK);
    fire(PROBE_IO, 0x80, 1, 0);
    ck_assert_uint_eq(lines(), 1);
    bench.cpu.r[REG_RIP] = 0x55;
    fire(PROBE_IO, 0x80, 1, 0);
    ck_assert_uint_eq(lines(), 2);
    bench.cpu.insns_end++;
    fire(PROBE_IO, 0x80, 1, 0);
    ck_assert_uint_eq(lines(), 2);
}
END_TEST

START_TEST(conditions_on_the_tlb_look_at_the_entry)
{
    ck_assert_int_eq(attach("tlb,asid=5", PACIFICA_TRACE_TEXT), PACIFICA_OK);
    fire(PROBE_TLB, PROBE_TLB_FILL, 0x1000, 4);
    ck_assert_uint_eq(lines(), 0);
    fire(PROBE_TLB, PROBE_TLB_FILL, 0x1000, 5);
    fire(PROBE_TLB, PROBE_TLB_FLUSH, UINT64_MAX, UINT64_MAX); /* of all, this one too */
    ck_assert_uint_eq(lines(), 2);
}
END_TEST

START_TEST(conditions_alone_are_no_trace)
{
    ck_assert_int_eq(attach("asid=5", PACIFICA_TRACE_TEXT), PACIFICA_EUSAGE);
    ck_assert_ptr_null(bench.trace);
}
END_TEST

static void attach_ring(const char *events, uint32_t ring, enum pacifica_status wanted)
{
    const struct pacifica_trace_options options = { .events = events,
                                                    .output = bench_output,
                                                    .ring = ring };
    ck_assert_int_eq(trace_new(&bench.probes, &bench.cpu, &options, &bench.trace, &bench.diag),
                     wanted);
}

/* Trouble is told as soon as nothing more can belong to it. */
START_TEST(ring_is_written_behind_trouble)
{
    static const struct {
        enum probe_kind kind;
        uint64_t code;
        const char *why;
    } trouble[] = { { PROBE_EXIT, VMEXIT_INVALID, ": VMEXIT_INVALID\n" },
                    { PROBE_EXIT, VMEXIT_SHUTDOWN, ": VMEXIT_SHUTDOWN\n" },
                    { PROBE_GUEST_ERROR, 0, ": guest error\n" } };
    for (unsigned i = 0; i < 3; i++) {
        bench.used = 0;
        memset(bench.text, 0, sizeof(bench.text));
        attach_ring("io", 2, PACIFICA_OK); /* although it shows no exits */
        for (unsigned port = 0; port < 3; port++)
            fire(PROBE_IO, port, 1, 0);
        const struct probe_event event = {
            .kind = trouble[i].kind, .cpu = &bench.cpu, .a = trouble[i].code, .text = "text"
        };
        probes_fire(&bench.probes, &event);
        ck_assert_uint_eq(lines(), 0);
        bench.cpu.insns_end += 2;
        fire(PROBE_IO, 0x80, 1, 0);
        ck_assert_uint_eq(lines(), 3);
        ck_assert_ptr_nonnull(strstr(bench.text, " port 0x1 "));
        ck_assert_ptr_nonnull(strstr(bench.text, " kept 2 dropped 1"));
        ck_assert_ptr_nonnull(strstr(bench.text, trouble[i].why));
        trace_free(bench.trace);
        bench.trace = NULL;
        ck_assert_uint_eq(lines(), 3);
    }
}
END_TEST

START_TEST(ring_is_silent_without_trouble)
{
    attach_ring("svm", 2, PACIFICA_OK);
    fire(PROBE_EXIT, VMEXIT_HLT, 0, 0);
    bench.cpu.insns_end += 5;
    fire(PROBE_EXIT, VMEXIT_HLT, 0, 0);
    ck_assert_uint_eq(bench.used, 0);
    ck_assert_uint_eq(trace_dump(bench.trace, "asked for"), 2);
    ck_assert_uint_eq(lines(), 3);
    trace_free(bench.trace);
    bench.trace = NULL;
    ck_assert_uint_eq(lines(), 3);
}
END_TEST

START_TEST(ring_has_a_largest_size)
{
    attach_ring("io", 1000001, PACIFICA_EUSAGE);
    attach_ring("io", 1000000, PACIFICA_OK);
}
END_TEST

/* --- statistics ----------------------------------------------------------------------------- */

static void guest_run(struct pacifica_exit_stats *stats, unsigned insns, uint64_t code)
{
    (void)stats;
    fire(PROBE_ENTRY, 0, 0, 0);
    bench.cpu.insns_end += insns;
    fire(PROBE_EXIT, code, 0, 0);
    bench.cpu.insns_end += 1000; /* the host's */
}

START_TEST(exit_stats_table_counts_shares_and_instructions)
{
    struct pacifica_exit_stats *stats = exit_stats_new(&bench.probes);
    ck_assert_ptr_nonnull(stats);
    guest_run(stats, 10, VMEXIT_CPUID);
    guest_run(stats, 11, VMEXIT_CPUID);
    guest_run(stats, 5, VMEXIT_NPF);
    exit_stats_write(stats, &bench_output);
    ck_assert_str_eq(bench.text,
                     "exit code                         count  share     insns before\n"
                     "VMEXIT_CPUID                          2   66.7%             10.5\n"
                     "VMEXIT_NPF                            1   33.3%              5.0\n"
                     "all                                   3\n");
    exit_stats_free(stats);
    ck_assert_uint_eq(bench.probes.mask, 0);
}
END_TEST

START_TEST(exit_stats_count_refused_vmruns_without_instructions)
{
    struct pacifica_exit_stats *stats = exit_stats_new(&bench.probes);
    guest_run(stats, 50, VMEXIT_INVALID);
    guest_run(stats, 50, 0x7777); /* no code of the table */
    exit_stats_write(stats, &bench_output);
    ck_assert_ptr_nonnull(
        strstr(bench.text, "exit code 0x7777                      1   50.0%             50.0\n"));
    ck_assert_ptr_nonnull(
        strstr(bench.text, "VMEXIT_INVALID                        1   50.0%              0.0\n"));
    exit_stats_free(stats);
}
END_TEST

START_TEST(exit_stats_of_a_run_without_exits)
{
    struct pacifica_exit_stats *stats = exit_stats_new(&bench.probes);
    exit_stats_write(stats, &bench_output);
    ck_assert_str_eq(bench.text, "no #VMEXITs\n");
    exit_stats_free(stats);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("trace");
    TCase *tc = tcase_create("events");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, trace_asks_only_for_its_probe_points);
    tcase_add_test(tc, trace_refuses_unknown_events_and_bad_filters);
    tcase_add_test(tc, trace_list_names_every_event_that_can_be_chosen);
    tcase_add_test(tc, json_trace_begins_with_its_schema);
    tcase_add_test(tc, io_line_and_filter);
    tcase_add_test(tc, device_events_take_the_steps_of_the_given_cpu);
    tcase_add_test(tc, msr_line);
    tcase_add_test(tc, int_line_of_a_page_fault_has_code_and_cr2);
    tcase_add_test(tc, int_line_of_an_interrupt_has_neither);
    tcase_add_test(tc, tlb_line);
    tcase_add_test(tc, tlb_line_of_a_flush_leaves_out_what_means_all);
    tcase_add_test(tc, guest_errors_and_unimp_say_their_text);
    tcase_add_test(tc, in_asm_shows_each_instruction_of_a_block);
    tcase_add_test(tc, in_asm_survives_code_outside_ram_and_nonsense);
    tcase_add_test(tc, vmrun_line);
    tcase_add_test(tc, vmexit_line_has_name_and_words);
    tcase_add_test(tc, vmexit_invalid_names_rule_field_value_and_section);
    tcase_add_test(tc, vmexit_invalid_has_a_line_for_each_further_rule);
    tcase_add_test(tc, svm_filter_takes_exit_names_and_vmrun);
    tcase_add_test(tc, npt_shows_nested_page_faults_by_address);
    tcase_add_test(tc, exit_stats_table_counts_shares_and_instructions);
    tcase_add_test(tc, exit_stats_count_refused_vmruns_without_instructions);
    tcase_add_test(tc, exit_stats_of_a_run_without_exits);
    tcase_add_test(tc, conditions_look_at_the_guest_of_an_exit);
    tcase_add_test(tc, conditions_look_at_where_other_events_happen);
    tcase_add_test(tc, conditions_on_the_tlb_look_at_the_entry);
    tcase_add_test(tc, conditions_alone_are_no_trace);
    tcase_add_test(tc, ring_is_written_behind_trouble);
    tcase_add_test(tc, ring_is_silent_without_trouble);
    tcase_add_test(tc, ring_has_a_largest_size);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
