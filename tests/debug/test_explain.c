/* What the trace says of a #VMEXIT: cause, instruction, changes, walks. */
#include "emu/cpu/cpuid.h"
#include "emu/cpu/raise.h"
#include "emu/debug/trace.h"
#include "svm/describe.h"
#include "svm/svm.h"
#include "svm/vmcb.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VMCB_SPA 0x7000u
#define N_CR3 0x10000u /* nested PML4; PDPE, PDE and PTE tables behind it, a page each */
#define G_CR3 0x20000u /* guest PML4, guest physical = system physical */
#define CODE 0x5000u

/* A vCPU that does not run: world switches are fired by hand. */
static struct bench {
    struct probes probes;
    struct vcpu cpu;
    struct memory *memory;
    uint8_t *vmcb;
    char text[65536];
    size_t used;
    struct pacifica_trace *trace;
} bench;

static void bench_write(void *self, const void *bytes, size_t size)
{
    (void)self;
    ck_assert_uint_lt(bench.used + size, sizeof(bench.text));
    memcpy(bench.text + bench.used, bytes, size);
    bench.used += size;
    bench.text[bench.used] = '\0';
}

static void setup(void)
{
    memset(&bench, 0, sizeof(bench));
    bench.memory = memory_new(1 << 20);
    bench.cpu.svm = svm_new();
    ck_assert(bench.memory && bench.cpu.svm);
    bench.cpu.memory = bench.memory;
    bench.cpu.probes = &bench.probes;
    bench.cpu.model = cpu_model_default();
    bench.cpu.insns_end = 1000;
    bench.cpu.svm->vmcb_spa = VMCB_SPA;
    bench.cpu.svm->last_asid = 1;
    bench.vmcb = memory_ptr(bench.memory, VMCB_SPA, VMCB_PAGE_BYTES);
    ck_assert_ptr_nonnull(bench.vmcb);
    VMCB_SET(bench.vmcb, CS_ATTR, 0xc9b);
    VMCB_SET(bench.vmcb, CR0, CR0_PE);
    VMCB_SET(bench.vmcb, RIP, CODE);
}

static void teardown(void)
{
    trace_free(bench.trace);
    svm_free(bench.cpu.svm);
    memory_free(bench.memory);
}

static void attach(const char *events, enum pacifica_trace_format format)
{
    const struct pacifica_trace_options options = { .events = events,
                                                    .format = format,
                                                    .output = { .write = bench_write } };
    ck_assert_int_eq(trace_new(&bench.probes, &bench.cpu, &options, &bench.trace, NULL),
                     PACIFICA_OK);
}

static void fire(enum probe_kind kind, uint64_t a, uint64_t b, uint64_t c)
{
    const struct probe_event event = { .kind = kind, .cpu = &bench.cpu, .a = a, .b = b, .c = c };
    probes_fire(&bench.probes, &event);
}

static void leave(uint64_t code, uint64_t info1, uint64_t info2)
{
    bench.cpu.svm->last_rip = VMCB_GET(bench.vmcb, RIP); /* as #VMEXIT leaves it */
    fire(PROBE_EXIT, code, info1, info2);
}

static void put_code(const void *bytes, size_t size)
{
    ck_assert(phys_write_block(bench.memory, CODE, bytes, size));
}

static void has(const char *wanted)
{
    ck_assert_msg(strstr(bench.text, wanted) != NULL, "'%s' is missing in:\n%s", wanted,
                  bench.text);
}

static void has_not(const char *unwanted)
{
    ck_assert_msg(strstr(bench.text, unwanted) == NULL, "%s", bench.text);
}

/* --- the cause ----------------------------------------------------------------------------- */

static const struct {
    uint64_t code;
    const char *text;
} causes[] = {
    { VMEXIT_CR0_READ, " intercept CR0_READ offset 0x0 bit 0" },
    { VMEXIT_CR0_READ + 0x1f, " intercept CR15_WRITE offset 0x0 bit 31" },
    { VMEXIT_DR0_READ + 7, " intercept DR7_READ offset 0x4 bit 7" },
    { VMEXIT_DR0_WRITE, " intercept DR0_WRITE offset 0x4 bit 16" },
    { VMEXIT_EXCP0 + 14, " intercept EXCP14 offset 0x8 bit 14" },
    { VMEXIT_INTR, " intercept INTR offset 0xc bit 0" },
    { VMEXIT_SWINT, " intercept INTN offset 0xc bit 21" },
    { VMEXIT_SHUTDOWN, " intercept SHUTDOWN offset 0xc bit 31" },
    { VMEXIT_VMRUN, " intercept VMRUN offset 0x10 bit 0" },
    { VMEXIT_MWAIT_CONDITIONAL, " intercept MWAIT_ARMED offset 0x10 bit 12" },
    { VMEXIT_CR0_WRITE_TRAP + 4, " intercept CR4_WRITE_TRAP offset 0x10 bit 20" },
    { VMEXIT_INVLPGB, " intercept INVLPGB offset 0x14 bit 0" },
    { VMEXIT_IDLE_HLT, " intercept IDLE_HLT offset 0x14 bit 6" },
};

START_TEST(vmexit_names_the_intercept_bit)
{
    attach("svm", PACIFICA_TRACE_TEXT);
    leave(causes[_i].code, 0, 0);
    has(causes[_i].text);
}
END_TEST

START_TEST(vmexit_without_an_intercept_names_none)
{
    static const uint64_t codes[] = { VMEXIT_NPF, VMEXIT_AVIC_NOACCEL, VMEXIT_INVALID, 0xa7,
                                      0x999 };
    attach("svm", PACIFICA_TRACE_TEXT);
    leave(codes[_i], 0, 0);
    has_not("intercept");
}
END_TEST

START_TEST(msr_exit_names_number_and_map_bit)
{
    attach("svm", PACIFICA_TRACE_TEXT);
    bench.cpu.svm->msrpm_spa = 0x9000;
    VMCB_SET(bench.vmcb, MSRPM_BASE_PA, 0xb000); /* not what VMRUN took, by a clean bit */
    bench.cpu.r[REG_RCX] = UINT64_C(0xffffffffc0000081);
    leave(VMEXIT_MSR, 1, 0);
    has(" msr 0xc0000081 msr_name STAR map 0x9820 map_bit 3");
    bench.cpu.r[REG_RCX] = 0xc0011fff;
    leave(VMEXIT_MSR, 0, 0);
    has(" msr 0xc0011fff map 0xa7ff map_bit 6");
}
END_TEST

START_TEST(msr_outside_the_map_has_no_map_bit)
{
    attach("svm", PACIFICA_TRACE_TEXT);
    bench.cpu.r[REG_RCX] = 0x2000;
    leave(VMEXIT_MSR, 0, 0);
    has(" msr 0x2000");
    has_not("map");
}
END_TEST

START_TEST(port_exit_names_the_first_map_bit_that_is_set)
{
    attach("svm", PACIFICA_TRACE_TEXT);
    bench.cpu.svm->iopm_spa = 0x9000;
    VMCB_SET(bench.vmcb, IOPM_BASE_PA, 0xb000); /* not what VMRUN took, by a clean bit */
    memory_ptr(bench.memory, 0x9000 + 0x3fa / 8, 1)[0] = 1 << (0x3fa % 8);
    leave(VMEXIT_IOIO, UINT64_C(0x3f8) << 16 | 0x40, 0);
    has(" map 0x907f map_bit 2");
}
END_TEST

START_TEST(port_exit_with_maps_outside_ram)
{
    attach("svm", PACIFICA_TRACE_TEXT);
    bench.cpu.svm->iopm_spa = UINT64_C(0xffffffffff000);
    leave(VMEXIT_IOIO, UINT64_C(0xffff) << 16 | 0x40, 0);
    has_not("map");
}
END_TEST

START_TEST(exitintinfo_and_eventinj_are_told_in_words)
{
    attach("svm", PACIFICA_TRACE_TEXT);
    bench.cpu.svm->last_eventinj = UINT64_C(0x280000b0e);
    bench.cpu.svm->last_exitintinfo = 0x80000030;
    fire(PROBE_ENTRY, VMCB_SPA, 0, 0);
    leave(VMEXIT_NPF, 0, 0);
    has(" eventinj 0x280000b0e injects #PF, error code 0x2\n");
    has(" exitintinfo 0x80000030 delivering interrupt 0x30");
}
END_TEST

static void map(uint64_t root, uint64_t la, uint64_t page);
static void nest(bool paged);

/* --- the instruction ------------------------------------------------------------------------- */

START_TEST(instruction_in_each_width)
{
    static const struct {
        uint16_t attr;
        uint64_t efer;
        const char *text;
    } row[] = { { 0x29b | SEG_ATTR_L, EFER_LMA, "mov rax, cr3" },
                { 0xc9b, 0, "dec eax" },
                { 0x09b, 0, "dec ax" } };
    static const uint8_t code[] = { 0x48, 0x0f, 0x20, 0xd8 };
    static const uint64_t bytes[] = { 4, 1, 1 };
    put_code(code, sizeof(code));
    VMCB_SET(bench.vmcb, CS_ATTR, row[_i].attr);
    VMCB_SET(bench.vmcb, EFER, row[_i].efer);
    attach("svm", PACIFICA_TRACE_TEXT);
    leave(VMEXIT_HLT, 0, 0);
    has(row[_i].text);
    has(bytes[_i] == 4 ? "bytes 480f20d8 insn" : "bytes 48 insn");
}
END_TEST

START_TEST(segment_base_counts_outside_64_bit_mode)
{
    put_code("\x0f\xa2", 2);
    VMCB_SET(bench.vmcb, CS_BASE, CODE - 0x1000);
    VMCB_SET(bench.vmcb, RIP, 0x1000);
    attach("svm", PACIFICA_TRACE_TEXT);
    leave(VMEXIT_CPUID, 0, 0);
    has("bytes 0fa2 insn cpuid");
}
END_TEST

START_TEST(events_show_what_would_run_next)
{
    put_code("\xf4", 1);
    attach("svm", PACIFICA_TRACE_TEXT);
    leave(VMEXIT_INTR, 0, 0);
    has("bytes f4 next_insn hlt");
}
END_TEST

/* APM vol 2, 15.29.3.1 "Virtual APIC Register Accesses", table 15-22. */
START_TEST(apic_accesses_show_what_exits_or_what_is_next)
{
    static const struct {
        uint64_t info1;
        const char *text;
    } rows[] = { { 0x090, " insn hlt" },                            /* APR, read */
                 { UINT64_C(1) << 32 | 0x390, " insn hlt" },        /* current count */
                 { UINT64_C(1) << 32 | 0x380, " next_insn hlt" },   /* initial count */
                 { UINT64_C(1) << 32 | 0x0b0, " next_insn hlt" } }; /* EOI */
    put_code("\xf4", 1);
    attach("svm", PACIFICA_TRACE_TEXT);
    leave(VMEXIT_AVIC_NOACCEL, rows[_i].info1, 0);
    has(rows[_i].text);
}
END_TEST

START_TEST(code_that_cannot_be_read_is_left_out)
{
    VMCB_SET(bench.vmcb, RIP, 0xfee00000);
    attach("svm", PACIFICA_TRACE_TEXT);
    leave(VMEXIT_CPUID, 0, 0);
    has_not("insn");
    bench.cpu.svm->vmcb_spa = UINT64_C(0xfee00000); /* no RAM */
    leave(VMEXIT_CPUID, 0, 0);
    has_not("insn");
}
END_TEST

/* Its low 48 bits are those of code that is mapped. */
START_TEST(code_at_an_address_that_is_not_canonical_is_left_out)
{
    nest(true);
    map(G_CR3, CODE, CODE);
    put_code("\xf4", 1);
    VMCB_SET(bench.vmcb, CS_ATTR, 0x29b | SEG_ATTR_L);
    VMCB_SET(bench.vmcb, RIP, CODE);
    attach("svm", PACIFICA_TRACE_TEXT);
    leave(VMEXIT_EXCP0 + EXC_GP, 0, 0);
    has(" insn hlt");
    bench.used = 0;
    VMCB_SET(bench.vmcb, RIP, UINT64_C(1) << 63 | CODE);
    leave(VMEXIT_EXCP0 + EXC_GP, 0, 0);
    has_not("insn");
}
END_TEST

/* EXITINFO says less then; what it does not say is not made up. */
START_TEST(words_without_decode_assists)
{
    static const struct {
        uint64_t code, info1;
        const char *words;
    } rows[] = {
        { VMEXIT_CR0_READ, 0, ": CR0 read\n" },
        { VMEXIT_CR0_WRITE, 0, ": CR0 write\n" },
        { VMEXIT_DR0_WRITE + 7, 0, ": DR7 write\n" },
        { VMEXIT_CR0_SEL_WRITE, 0, ": CR0 write of a bit other than TS and MP\n" },
        { VMEXIT_SWINT, 0, ": INT n\n" },
        { VMEXIT_INVLPG, 0, ": INVLPG\n" },
        { VMEXIT_IOIO, 0x60021c, ": REP OUTS 8 bits, port 0x60, next RIP 0x0\n" },
        { VMEXIT_IOIO, 0x60021d, ": REP INS 8 bits, port 0x60, next RIP 0x0\n" },
    };
    attach("svm", PACIFICA_TRACE_TEXT);
    bench.cpu.svm->model.features &= ~SVM_FEATURE_DECODE_ASSISTS;
    leave(rows[_i].code, rows[_i].info1, 0);
    has(rows[_i].words);
}
END_TEST

/* --- changes --------------------------------------------------------------------------------- */

START_TEST(fields_that_changed_since_vmrun)
{
    attach("svm", PACIFICA_TRACE_TEXT);
    fire(PROBE_ENTRY, VMCB_SPA, 0, 0);
    VMCB_SET(bench.vmcb, RIP, CODE + 2);
    VMCB_SET(bench.vmcb, CPL, 3);
    bench.vmcb[VMCB_AT_INSN_BYTES] = 0xab;
    leave(VMEXIT_HLT, 0, 0);
    has("\nvmexit_changes step 1000 cpu 0 asid 1: INSN_BYTES 000000000000000000000000000000 -> "
        "ab0000000000000000000000000000, CPL 0x0 -> 0x3, RIP 0x5000 -> 0x5002\n");
}
END_TEST

START_TEST(changes_in_json)
{
    attach("svm", PACIFICA_TRACE_JSONL);
    fire(PROBE_ENTRY, VMCB_SPA, 0, 0);
    VMCB_SET(bench.vmcb, RIP, 1);
    VMCB_SET(bench.vmcb, RAX, 2);
    leave(VMEXIT_HLT, 0, 0);
    has("{\"event\":\"vmexit_changes\",\"step\":1000,\"cpu\":0,\"ns\":1000,\"asid\":1,\"changes\":["
        "{\"field\":\"RIP\",\"old\":\"0x5000\",\"new\":\"0x1\"},"
        "{\"field\":\"RAX\",\"old\":\"0x0\",\"new\":\"0x2\"}]}\n");
}
END_TEST

START_TEST(no_changes_no_line)
{
    attach("svm", PACIFICA_TRACE_TEXT);
    leave(VMEXIT_HLT, 0, 0); /* the trace began in the guest */
    fire(PROBE_ENTRY, VMCB_SPA, 0, 0);
    leave(VMEXIT_HLT, 0, 0);
    VMCB_SET(bench.vmcb, RIP, 1);
    bench.cpu.svm->vmcb_spa = 0x8000; /* another VMCB */
    leave(VMEXIT_HLT, 0, 0);
    has_not("vmexit_changes");
}
END_TEST

START_TEST(many_changes_go_on_in_further_lines)
{
    attach("svm", PACIFICA_TRACE_JSONL);
    fire(PROBE_ENTRY, VMCB_SPA, 0, 0);
    memset(bench.vmcb, 0x5a, VMCB_PAGE_BYTES);
    leave(VMEXIT_HLT, 0, 0);
    for (unsigned i = 0; i < VMCB_FIELD_COUNT; i++) {
        char name[64];
        (void)snprintf(name, sizeof(name), "{\"field\":\"%s\",", vmcb_fields[i].name);
        has(name);
    }
    has_not("cut");
    for (char *line = strtok(bench.text, "\n"); line; line = strtok(NULL, "\n"))
        ck_assert_uint_lt(strlen(line), 4096);
}
END_TEST

START_TEST(filters_choose_exits_with_all_that_explains_them)
{
    attach("svm:cpuid", PACIFICA_TRACE_TEXT);
    fire(PROBE_ENTRY, VMCB_SPA, 0, 0);
    VMCB_SET(bench.vmcb, RIP, 1);
    leave(VMEXIT_HLT, 0, 0);
    ck_assert_uint_eq(bench.used, 0);
    leave(VMEXIT_CPUID, 0, 0);
    has("vmexit_changes");
}
END_TEST

/* --- walks ------------------------------------------------------------------------------------- */

static uint64_t *entry(uint64_t table, uint64_t la, unsigned level)
{
    return (uint64_t *)(void *)memory_ptr(bench.memory,
                                          table + (la >> (12 + 9 * (level - 1)) & 511) * 8, 8);
}

/* Four levels for one page from tables that lie one behind the other. */
static void map(uint64_t root, uint64_t la, uint64_t page)
{
    for (unsigned level = 4; level > 1; level--)
        *entry(root + (4 - level) * UINT64_C(0x1000), la, level) =
            (root + (5 - level) * UINT64_C(0x1000)) | 0x27;
    *entry(root + 0x3000, la, 1) = page | 0x67;
}

/* A guest with nested paging, and if `paged` with tables of its own, whose pages are mapped one to one. */
static void nest(bool paged)
{
    struct svm_state *svm = bench.cpu.svm;
    svm->last_nested = true;
    svm->host_regime = (struct walk_regime){ .mode = WALK_4LEVEL,
                                             .root = N_CR3,
                                             .nxe = true,
                                             .cpl = 3,
                                             .maxphyaddr = 48,
                                             .page_1gb = true };
    for (uint64_t page = 0; page < 0x40000; page += 0x1000)
        map(N_CR3, page, page);
    if (!paged)
        return;
    map(G_CR3, 0x400000, 0x50000);
    VMCB_SET(bench.vmcb, CR0, CR0_PE | CR0_PG);
    VMCB_SET(bench.vmcb, CR4, CR4_PAE);
    VMCB_SET(bench.vmcb, EFER, EFER_LMA | EFER_LME);
    VMCB_SET(bench.vmcb, CR3, G_CR3);
}

static void npf(uint64_t la, uint64_t info1, uint64_t gpa)
{
    ck_assert_int_eq(cpu_raise_npf(&bench.cpu, la, info1, gpa), STEP_RAISED);
    leave(VMEXIT_NPF, info1, gpa);
}

static unsigned count(const char *text)
{
    unsigned n = 0;
    for (const char *at = bench.text; (at = strstr(at, text)) != NULL; at++)
        n++;
    return n;
}

START_TEST(walk_of_both_dimensions)
{
    nest(true);
    attach("svm", PACIFICA_TRACE_TEXT);
    npf(0x400010, NPF_FINAL | PF_US | PF_RW, 0x50010);
    /* Five nested walks of four entries, and the guest's four. */
    ck_assert_uint_eq(count("npf_walk"), 24);
    ck_assert_uint_eq(count("tables guest"), 4);
    has("npf_walk step 1000 cpu 0 tables guest level PDE gpa 0x22010 spa 0x22010 entry 0x23027: "
        "P W U A -> 23000\n");
    has("level PTE spa 0x13280 entry 0x0 stop P: not present\n");
    ck_assert_uint_eq(count("stop"), 1);
}
END_TEST

/* What is read there is nobody's table, and reading it again could have effects. */
START_TEST(walk_says_where_tables_are_not_in_memory)
{
    nest(false);
    bench.cpu.svm->host_regime.root = UINT64_C(0xfee00000);
    attach("svm", PACIFICA_TRACE_TEXT);
    leave(VMEXIT_NPF, NPF_FINAL | PF_US, 0x5000);
    has("npf_walk step 1000 cpu 0 tables nested level PML4E spa 0xfee00000 entry 0x");
    has(": not in memory\n");
    has_not("stop");
    ck_assert_uint_eq(count("npf_walk"), 1);
}
END_TEST

START_TEST(walk_names_the_bit_that_stopped_it)
{
    static const struct {
        uint64_t level, entry, info1;
        const char *stop;
    } row[] = {
        { 1, 0x50066, PF_US, "level PTE spa 0x13280 entry 0x50066 stop P:" },
        { 1, 0x50065, PF_US | PF_P | PF_RW, "level PTE spa 0x13280 entry 0x50065 stop W:" },
        { 1, 0x50063, PF_US | PF_P, "level PTE spa 0x13280 entry 0x50063 stop U:" },
        { 3, 0x12025, PF_US | PF_P | PF_RW, "level PDPE spa 0x11000 entry 0x12025 stop W:" },
        { 1, UINT64_C(0x8000000000050067), PF_US | PF_P | PF_ID, "stop NX:" },
        { 1, UINT64_C(0x1000000050067), PF_US | PF_P | PF_RSV, "stop reserved 0x1000000000000:" },
        { 4, 0x110a7, PF_US | PF_P | PF_RSV,
          "level PML4E spa 0x10000 entry 0x110a7 stop reserved 0x80:" },
    };
    nest(false);
    map(N_CR3, 0x50000, 0x50000);
    *entry(N_CR3 + (4 - row[_i].level) * 0x1000, 0x50000, (unsigned)row[_i].level) = row[_i].entry;
    attach("svm", PACIFICA_TRACE_TEXT);
    npf(0x50123, NPF_FINAL | row[_i].info1, 0x50123);
    has(row[_i].stop);
    ck_assert_uint_eq(count(" stop "), 1);
}
END_TEST

/* APM vol 2, 15.25.13 "Guest Mode Execute Trap Extension". */
START_TEST(walk_under_the_guest_mode_execute_trap)
{
    nest(false);
    bench.cpu.svm->host_regime.gmet = true;
    map(N_CR3, 0x50000, 0x50000);
    attach("svm", PACIFICA_TRACE_TEXT);
    npf(0x50123, NPF_FINAL | PF_P | PF_ID, 0x50123);
    has("level PTE spa 0x13280 entry 0x50067 stop U:");
    bench.used = 0;
    *entry(N_CR3 + 0x3000, 0x50000, 1) = UINT64_C(0x8000000000050063);
    npf(0x50123, NPF_FINAL | PF_P | PF_ID | PF_US, 0x50123); /* code of level 3 */
    has("stop NX:");
    ck_assert_uint_eq(count(" stop "), 1);
}
END_TEST

/* The guest's page 400000h is a shadow stack of its user or supervisor. */
static void nest_shadow_stack(bool user, uint64_t nested_leaf)
{
    nest(true);
    bench.cpu.svm->host_regime.sss = true;
    *entry(G_CR3 + 0x3000, 0x400000, 1) = user ? 0x50065 : 0x50061;
    map(N_CR3, 0x50000, 0x50000);
    *entry(N_CR3 + 0x3000, 0x50000, 1) = nested_leaf;
    attach("svm", PACIFICA_TRACE_TEXT);
}

#define ENTRY_NX UINT64_C(0x8000000000000000)

/* What the page lacks to be one for supervisor shadow stacks, and what one lacks for others. APM vol 2, 15.25.14. */
START_TEST(walk_under_the_supervisor_shadow_stack_check)
{
    static const struct {
        bool user;
        uint64_t leaf, info1;
        const char *stop;
    } row[] = {
        { false, 0x50063, PF_SS | PF_P | PF_RW, "level PTE spa 0x13280 entry 0x50063 stop NX:" },
        { false, ENTRY_NX | 0x50067, PF_SS | PF_P, "entry 0x8000000000050067 stop U:" },
        { false, ENTRY_NX | 0x50062, PF_SS, "entry 0x8000000000050062 stop P:" },
        { true, 0x50065, PF_SS | PF_US | PF_P | PF_RW, "entry 0x50065 stop W:" },
        { true, 0x50063, PF_SS | PF_US | PF_P, "entry 0x50063 stop U:" },
        { true, ENTRY_NX | 0x50061, NPF_SSS | PF_SS | PF_US | PF_P | PF_RW,
          "entry 0x8000000000050061 stop W:" },
        { true, ENTRY_NX | 0x50061, NPF_SSS | PF_US | PF_P | PF_ID,
          "entry 0x8000000000050061 stop NX:" },
    };
    nest_shadow_stack(row[_i].user, row[_i].leaf);
    npf(0x400010, NPF_FINAL | row[_i].info1, 0x50010);
    has(row[_i].stop);
    ck_assert_uint_eq(count(" stop "), 1);
    ck_assert_uint_eq(count("tables guest"), 4);
}
END_TEST

START_TEST(walk_names_the_table_above_a_supervisor_shadow_stack)
{
    nest_shadow_stack(false, ENTRY_NX | 0x50061);
    *entry(N_CR3 + 0x2000, 0x50000, 2) &= ~UINT64_C(2);
    leave(VMEXIT_NPF, NPF_FINAL | PF_SS | PF_P | PF_RW, 0x50010);
    has("level PDE spa 0x12000 entry 0x13025 stop W:");
    ck_assert_uint_eq(count(" stop "), 1);
}
END_TEST

/* Without the check US is 1 whoever pushes: the guest's tables tell whose shadow stack it is. */
START_TEST(walk_to_a_shadow_stack_without_the_check)
{
    nest_shadow_stack(_i, 0x50065);
    bench.cpu.svm->host_regime.sss = false;
    npf(0x400010, NPF_FINAL | PF_SS | PF_US | PF_P | PF_RW, 0x50010);
    has("entry 0x50065 stop W:");
    ck_assert_uint_eq(count("tables guest"), 4);
}
END_TEST

START_TEST(walk_without_a_linear_address_is_the_nested_one)
{
    nest(true);
    attach("svm", PACIFICA_TRACE_TEXT);
    bench.cpu.raised = (struct raised){ .npf = true, .info1 = 1, .info2 = 2 }; /* another fault's */
    leave(VMEXIT_NPF, NPF_FINAL | PF_US, 0x50010);
    ck_assert_uint_eq(count("npf_walk"), 4);
    has("stop P");
}
END_TEST

/* As VMLOAD of a guest with virtual VMLOAD: the address is none of the guest's own paging. */
START_TEST(walk_of_a_guest_physical_address)
{
    nest(true);
    attach("svm", PACIFICA_TRACE_TEXT);
    npf(0x50000, NPF_FINAL | PF_US, 0x50000);
    ck_assert_uint_eq(count("npf_walk"), 4);
    has("level PTE spa 0x13280 entry 0x0 stop P");
}
END_TEST

START_TEST(walk_of_a_guest_table_that_is_read_only)
{
    nest(true);
    *entry(N_CR3 + 0x3000, G_CR3 + 0x1000, 1) &= ~UINT64_C(2);
    attach("svm", PACIFICA_TRACE_TEXT);
    npf(0x400010, NPF_TABLE | PF_US | PF_RW | PF_P, G_CR3 + 0x1000);
    has("level PTE spa 0x13108 entry 0x21065 stop W:");
    ck_assert_uint_eq(count("tables guest"), 1);
}
END_TEST

START_TEST(walk_of_an_address_that_no_table_maps)
{
    nest(false);
    attach("svm", PACIFICA_TRACE_TEXT);
    leave(VMEXIT_NPF, NPF_FINAL | PF_US, UINT64_C(1) << 48);
    has("npf_walk step 1000 cpu 0: the address is beyond what the nested tables can map\n");
}
END_TEST

START_TEST(walk_that_meets_other_tables_than_the_processor_did)
{
    nest(false);
    attach("svm", PACIFICA_TRACE_TEXT);
    npf(0x5000, NPF_FINAL | PF_US, 0x5000); /* is mapped by now */
    has("PTE spa 0x13028 entry 0x5067: P W U A D 4 KiB page\n");
    has("npf_walk step 1000 cpu 0: the tables do not say so now: an older translation was "
        "cached\n");
    has_not("stop");
}
END_TEST

START_TEST(walk_fills_nothing)
{
    nest(true);
    *entry(N_CR3, 0, 4) &= ~UINT64_C(0x20);
    *entry(G_CR3, 0, 4) &= ~UINT64_C(0x20);
    attach("svm", PACIFICA_TRACE_TEXT);
    npf(0x400010, NPF_FINAL | PF_US | PF_RW, 0x50010);
    ck_assert_uint_eq(*entry(N_CR3, 0, 4) & 0x20, 0);
    ck_assert_uint_eq(*entry(G_CR3, 0, 4) & 0x20, 0);
}
END_TEST

START_TEST(npt_alone_shows_the_walk_too)
{
    nest(false);
    attach("npt", PACIFICA_TRACE_TEXT);
    npf(0x50010, NPF_FINAL | PF_US, 0x50010);
    ck_assert_uint_eq(count("npf_walk"), 4);
    bench.used = 0;
    trace_free(bench.trace);
    attach("svm,npt", PACIFICA_TRACE_TEXT);
    npf(0x50010, NPF_FINAL | PF_US, 0x50010);
    ck_assert_uint_eq(count("npf_walk"), 4); /* once */
}
END_TEST

/* --- the reference ------------------------------------------------------------------------------ */

START_TEST(every_exit_code_is_explained)
{
    struct svm_exit_info info;
    unsigned n = 0;
    for (; svm_exit_info(n, &info); n++) {
        ck_assert_msg(info.kind[0] && info.section[0], "%s has no row", info.name);
        ck_assert_ptr_nonnull(info.info1);
        ck_assert_ptr_nonnull(info.info2);
    }
    ck_assert_uint_gt(n, 170);
}
END_TEST

START_TEST(every_intercept_bit_has_one_name)
{
    char names[INTERCEPT_LIMIT][32];
    for (unsigned i = 0; i < INTERCEPT_LIMIT; i++) {
        (void)svm_describe_intercept(names[i], sizeof(names[i]), i);
        for (unsigned other = 0; other < i && strcmp(names[i], "reserved") != 0; other++)
            ck_assert_str_ne(names[i], names[other]);
    }
    ck_assert_str_eq(names[INTERCEPT_LIMIT - 1], "reserved");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("explain");
    TCase *tc = tcase_create("exits");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, vmexit_names_the_intercept_bit, 0, sizeof(causes) / sizeof(causes[0]));
    tcase_add_loop_test(tc, vmexit_without_an_intercept_names_none, 0, 5);
    tcase_add_test(tc, msr_exit_names_number_and_map_bit);
    tcase_add_test(tc, msr_outside_the_map_has_no_map_bit);
    tcase_add_test(tc, port_exit_names_the_first_map_bit_that_is_set);
    tcase_add_test(tc, port_exit_with_maps_outside_ram);
    tcase_add_test(tc, exitintinfo_and_eventinj_are_told_in_words);
    tcase_add_loop_test(tc, instruction_in_each_width, 0, 3);
    tcase_add_test(tc, segment_base_counts_outside_64_bit_mode);
    tcase_add_test(tc, events_show_what_would_run_next);
    tcase_add_loop_test(tc, apic_accesses_show_what_exits_or_what_is_next, 0, 4);
    tcase_add_test(tc, code_that_cannot_be_read_is_left_out);
    tcase_add_test(tc, code_at_an_address_that_is_not_canonical_is_left_out);
    tcase_add_loop_test(tc, words_without_decode_assists, 0, 8);
    tcase_add_test(tc, fields_that_changed_since_vmrun);
    tcase_add_test(tc, changes_in_json);
    tcase_add_test(tc, no_changes_no_line);
    tcase_add_test(tc, many_changes_go_on_in_further_lines);
    tcase_add_test(tc, filters_choose_exits_with_all_that_explains_them);
    tcase_add_test(tc, walk_of_both_dimensions);
    tcase_add_test(tc, walk_says_where_tables_are_not_in_memory);
    tcase_add_loop_test(tc, walk_names_the_bit_that_stopped_it, 0, 7);
    tcase_add_test(tc, walk_under_the_guest_mode_execute_trap);
    tcase_add_loop_test(tc, walk_under_the_supervisor_shadow_stack_check, 0, 7);
    tcase_add_test(tc, walk_names_the_table_above_a_supervisor_shadow_stack);
    tcase_add_loop_test(tc, walk_to_a_shadow_stack_without_the_check, 0, 2);
    tcase_add_test(tc, walk_without_a_linear_address_is_the_nested_one);
    tcase_add_test(tc, walk_of_a_guest_physical_address);
    tcase_add_test(tc, walk_of_a_guest_table_that_is_read_only);
    tcase_add_test(tc, walk_of_an_address_that_no_table_maps);
    tcase_add_test(tc, walk_that_meets_other_tables_than_the_processor_did);
    tcase_add_test(tc, walk_fills_nothing);
    tcase_add_test(tc, npt_alone_shows_the_walk_too);
    tcase_add_test(tc, every_exit_code_is_explained);
    tcase_add_test(tc, every_intercept_bit_has_one_name);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
