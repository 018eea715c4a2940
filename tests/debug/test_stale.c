/* Translations that outlive the tables: what `-d tlb` tells of them at VMRUN. */
#include "emu/debug/trace.h"
#include "tests/check_main.h"
#include "tests/cpu/kit.h"

#define PAGE (PAGED_LA + 0x3000)
#define PTE (PT_SPA + 8 * 3)
#define N_TABLES UINT64_C(0x700000) /* copies of the guest's four tables, a page each */
#define N_PTE (N_TABLES + 0x3000 + 8 * 3)

static char text[65536];

static void collect(void *self, const void *bytes, size_t size)
{
    (void)self;
    ck_assert_uint_lt(strlen(text) + size, sizeof(text));
    strncat(text, bytes, size);
}

/* The same address space for the guest's physical addresses: one to one. */
static void nest(struct kit *k)
{
    static const uint64_t tables[] = { PML4_SPA, 0x2000, 0x3000, PT_SPA };
    for (unsigned i = 0; i < 4; i++)
        memcpy(memory_ptr(k->memory, N_TABLES + 0x1000 * i, 4096),
               memory_ptr(k->memory, tables[i], 4096), 4096);
    kit_put(k, N_TABLES, 8, (N_TABLES + 0x1000) | 7);
    kit_put(k, N_TABLES + 0x1000, 8, (N_TABLES + 0x2000) | 7);
    kit_put(k, N_TABLES + 0x2000 + 8 * (PAGED_LA >> 21), 8, (N_TABLES + 0x3000) | 7);
    VMCB_SET(k->vmcb, NESTED_CONTROL, NESTED_NP_ENABLE);
    VMCB_SET(k->vmcb, N_CR3, N_TABLES);
    VMCB_SET(k->vmcb, G_PAT, k->cpu->msr.pat);
}

/* A guest reads and writes a page; back in the host. */
static void used(struct kit *k, bool nested)
{
    uint64_t value;
    kit_guest(k);
    if (nested) {
        ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_INTR, 0, 0), STEP_VMEXIT);
        nest(k);
        ck_assert_int_eq(svm_vmrun(k->cpu, VMCB_SPA, CODE_SPA), STEP_JUMP);
    }
    ck_assert_int_eq(mem_load_la(k->cpu, PAGE, 8, &value), STEP_NEXT);
    ck_assert_int_eq(mem_store_la(k->cpu, PAGE, 8, value), STEP_NEXT);
    ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_INTR, 0, 0), STEP_VMEXIT);
}

/* VMRUN with a trace. */
static void enter(struct kit *k, const char *events)
{
    const struct pacifica_trace_options options = { .events = events,
                                                    .output = { .write = collect } };
    struct pacifica_trace *trace;
    text[0] = '\0';
    ck_assert_int_eq(trace_new(&k->probes, k->cpu, &options, &trace, NULL), PACIFICA_OK);
    ck_assert_int_eq(svm_vmrun(k->cpu, VMCB_SPA, CODE_SPA), STEP_JUMP);
    trace_free(trace);
}

static void expect(const char *line)
{
    const char *stale = strstr(text, "op stale");
    ck_assert_msg(stale != NULL, "nothing told in:\n%s", text);
    ck_assert_msg(strncmp(stale, line, strlen(line)) == 0, "%s", stale);
    ck_assert_msg(strstr(stale + 1, "op stale") == NULL, "more than one:\n%s", text);
}

static void expect_none(void)
{
    ck_assert_msg(strstr(text, "stale") == NULL, "%s", text);
}

static const struct {
    uint64_t pte;
    const char *line;
} rows[] = {
    { 0, "op stale asid 1 la 0x403000 spa 0x403000: the tables do not map it any more\n" },
    { 0x777067, "op stale asid 1 la 0x403000 spa 0x403000: the tables say 0x777000 now\n" },
    { 0x403065, "op stale asid 1 la 0x403000 spa 0x403000: the tables deny writes now\n" },
    { 0x403063, "op stale asid 1 la 0x403000 spa 0x403000: the tables deny users now\n" },
    { UINT64_C(0x8000000000403067),
      "op stale asid 1 la 0x403000 spa 0x403000: the tables deny execution now\n" },
};

WITH_KIT(change_of_the_guests_tables)
{
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        kit_page(k, 3, PAGE | 7);
        used(k, false);
        kit_put(k, PTE, 8, rows[i].pte);
        enter(k, "tlb");
        expect(rows[i].line);
        ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_INTR, 0, 0), STEP_VMEXIT);
    }
}

WITH_KIT(change_of_the_nested_tables)
{
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        paging_flush_all(k->cpu->paging);
        used(k, true);
        kit_put(k, N_PTE, 8, rows[i].pte);
        enter(k, "tlb");
        expect(rows[i].pte & 4 ? rows[i].line : rows[0].line); /* every access there is a user's */
        ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_INTR, 0, 0), STEP_VMEXIT);
    }
}

WITH_KIT(nested_translation_of_the_guests_tables)
{
    used(k, true);
    kit_put(k, N_TABLES + 0x2000, 8, 0x200087); /* PML4_SPA is in the first 2 MiB */
    enter(k, "tlb");
    ck_assert_ptr_nonnull(strstr(text, "op stale asid 1 gpa 0x0 spa 0x0: the tables say "));
}

WITH_KIT(flush_that_was_asked_for)
{
    used(k, true);
    kit_put(k, N_PTE, 8, 0);
    VMCB_SET(k->vmcb, TLB_CONTROL, TLB_CONTROL_FLUSH_ALL);
    enter(k, "tlb");
    expect_none();
}

WITH_KIT(invlpga)
{
    used(k, false);
    kit_put(k, PTE, 8, 0);
    paging_flush_page_any_pcid(k->cpu->paging, 1, PAGE);
    enter(k, "tlb");
    expect_none();
}

WITH_KIT(rights_that_were_gained)
{
    kit_put(k, PTE, 8, 0x403061);
    uint64_t value;
    kit_guest(k);
    ck_assert_int_eq(mem_load_la(k->cpu, PAGE, 8, &value), STEP_NEXT);
    ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_INTR, 0, 0), STEP_VMEXIT);
    kit_put(k, PTE, 8, 0x403067);
    enter(k, "tlb");
    expect_none();
}

WITH_KIT(other_asids_and_other_events)
{
    used(k, false);
    kit_put(k, PTE, 8, 0);
    enter(k, "tlb:2");
    expect_none();
    ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_INTR, 0, 0), STEP_VMEXIT);
    enter(k, "svm");
    expect_none();
    ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_INTR, 0, 0), STEP_VMEXIT);
    VMCB_SET(k->vmcb, GUEST_ASID, 2);
    enter(k, "tlb");
    expect_none();
}

CHECK_MAIN("debug/stale", change_of_the_guests_tables, change_of_the_nested_tables,
           nested_translation_of_the_guests_tables, flush_that_was_asked_for, invlpga,
           rights_that_were_gained, other_asids_and_other_events)
