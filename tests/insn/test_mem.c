/* Guest memory: segmentation, canonical form, page crossings, alignment, MMIO, probes. */
#include "tests/insn/rig.h"

static struct rig *rig;
static struct vcpu *cpu;

static void use(enum cpu_mode mode)
{
    rig = rig_new(mode);
    cpu = &rig->cpu;
}

static void setup64(void)
{
    use(MODE_LONG64);
}

static void teardown(void)
{
    rig_free(rig);
}

static enum step load(enum seg seg, uint64_t off, unsigned size, uint64_t *value)
{
    (void)mem_regime(cpu);
    return mem_load(cpu, seg, off, size, value);
}

static enum step store(enum seg seg, uint64_t off, unsigned size, uint64_t value)
{
    (void)mem_regime(cpu);
    return mem_store(cpu, seg, off, size, value);
}

/* Twice: the second access goes through a fast entry. */
START_TEST(load_and_store_every_size)
{
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned size = 1; size <= 8; size++) {
            uint64_t value = 0, want = 0x8877665544332211u & size_mask(size);
            rig_put(rig, 0x120100, UINT64_MAX);
            ck_assert_int_eq(store(SEG_DS, 0x120100, size, 0x8877665544332211u), STEP_NEXT);
            ck_assert_int_eq(load(SEG_DS, 0x120100, size, &value), STEP_NEXT);
            ck_assert_uint_eq(value, want);
            ck_assert_uint_eq(phys_read(cpu->memory, 0x120100, 8),
                              size == 8 ? want : want | UINT64_MAX << (8 * size));
        }
    }
}
END_TEST

START_TEST(page_crossing_joins_both_pages)
{
    uint64_t value;
    for (unsigned first = 1; first < 8; first++) {
        uint64_t la = 0x121000 - first;
        ck_assert_int_eq(store(SEG_DS, la, 8, 0x1122334455667788u), STEP_NEXT);
        ck_assert_int_eq(load(SEG_DS, la, 8, &value), STEP_NEXT);
        ck_assert_uint_eq(value, 0x1122334455667788u);
        ck_assert_uint_eq(phys_read(cpu->memory, la, 8), 0x1122334455667788u);
    }
}
END_TEST

/* rows: pitfalls 4.11 */
START_TEST(store_across_pages_writes_nothing_when_the_second_faults)
{
    rig_page(rig, 0x121000, 0);
    rig_put(rig, 0x120ff8, 0xaaaaaaaaaaaaaaaau);
    rig_expect_fault(rig, store(SEG_DS, 0x120ffc, 8, 0), EXC_PF, PF_RW);
    ck_assert_uint_eq(cpu->raised.cr2, 0x121000); /* the first byte on the faulting page */
    ck_assert_uint_eq(phys_read(cpu->memory, 0x120ff8, 8), 0xaaaaaaaaaaaaaaaau);
    rig_page(rig, 0x120000, 0);
    rig_expect_fault(rig, store(SEG_DS, 0x120ffc, 8, 0), EXC_PF, PF_RW);
    ck_assert_uint_eq(cpu->raised.cr2, 0x120ffc);
}
END_TEST

START_TEST(read_modify_write_of_a_read_only_page_faults_as_a_write)
{
    struct mem_rmw rmw;
    uint64_t value;
    rig_page(rig, 0x122000, 0x122000 | PTE_P);
    (void)mem_regime(cpu);
    ck_assert_int_eq(load(SEG_DS, 0x122010, 4, &value), STEP_NEXT);
    rig_expect_fault(rig, mem_rmw_begin(cpu, SEG_DS, 0x122010, 4, &rmw, &value), EXC_PF,
                     PF_P | PF_RW);
}
END_TEST

START_TEST(read_modify_write_commits_across_pages)
{
    struct mem_rmw rmw;
    uint64_t value;
    (void)mem_regime(cpu);
    for (unsigned round = 0; round < 2; round++) {
        rig_put(rig, 0x122ffd, 41);
        ck_assert_int_eq(mem_rmw_begin(cpu, SEG_DS, 0x122ffd, 8, &rmw, &value), STEP_NEXT);
        mem_rmw_commit(cpu, &rmw, value + 1);
        ck_assert_uint_eq(phys_read(cpu->memory, 0x122ffd, 8), 42);
        ck_assert_int_eq(mem_rmw_begin(cpu, SEG_DS, 0x122100, 8, &rmw, &value), STEP_NEXT);
        mem_rmw_commit(cpu, &rmw, 7 + round);
        ck_assert_uint_eq(phys_read(cpu->memory, 0x122100, 8), 7 + round);
    }
}
END_TEST

/* rows: pitfalls 4.12 */
START_TEST(non_canonical_is_gp_and_ss_by_segment)
{
    static const struct {
        uint64_t la;
        unsigned size;
        bool legal;
    } rows[] = { { 0x00007ffffffffff8u, 8, true },
                 { 0x00007ffffffffff9u, 8, false },
                 { 0x0000800000000000u, 1, false },
                 { 0xffff7fffffffffffu, 1, false },
                 { 0xffff800000000000u, 8, true } };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t value;
        uint64_t vector = rows[i].legal ? EXC_PF : EXC_GP;
        ck_assert_int_eq(load(SEG_DS, rows[i].la, rows[i].size, &value), STEP_RAISED);
        ck_assert_uint_eq(cpu->raised.event.vector, vector);
        ck_assert_int_eq(load(SEG_SS, rows[i].la, rows[i].size, &value), STEP_RAISED);
        ck_assert_uint_eq(cpu->raised.event.vector, rows[i].legal ? EXC_PF : EXC_SS);
        ck_assert_int_eq(mem_load_la(cpu, rows[i].la, rows[i].size, &value), STEP_RAISED);
        ck_assert_uint_eq(cpu->raised.event.vector, vector);
        ck_assert_int_eq(mem_load_sys(cpu, rows[i].la, rows[i].size, &value), STEP_RAISED);
        ck_assert_uint_eq(cpu->raised.event.vector, vector);
    }
}
END_TEST

START_TEST(only_fs_and_gs_have_a_base_in_64_bit_mode)
{
    for (int seg = SEG_ES; seg <= SEG_GS; seg++) {
        cpu->regs.seg[seg].base = 0x3000;
        cpu->regs.seg[seg].limit = 0; /* ignored */
        cpu->regs.seg[seg].attr &= (uint16_t)~SEG_ATTR_P;
    }
    cpu->regs.seg[SEG_CS].attr |= SEG_ATTR_P;
    for (int seg = SEG_ES; seg <= SEG_GS; seg++) {
        uint64_t la;
        ck_assert_int_eq(mem_linear(cpu, (enum seg)seg, 0x1000, 8, ACCESS_WRITE, &la), STEP_NEXT);
        ck_assert_uint_eq(la, seg >= SEG_FS ? 0x4000 : 0x1000);
    }
}
END_TEST

/* rows: pitfalls 4.1 */
START_TEST(user_access_to_a_supervisor_page_faults)
{
    uint64_t value;
    rig_page(rig, 0x123000, 0x123000 | PTE_P | PTE_RW);
    ck_assert_int_eq(store(SEG_DS, 0x123000, 8, 5), STEP_NEXT);
    rig_segments(cpu, true, 3);
    rig_expect_fault(rig, load(SEG_DS, 0x123000, 8, &value), EXC_PF, PF_P | PF_US);
    ck_assert_int_eq(mem_load_sys(cpu, 0x123000, 8, &value), STEP_NEXT); /* implicit access */
    ck_assert_uint_eq(value, 5);
}
END_TEST

/* rows: pitfalls 4.9 */
START_TEST(implicit_access_ignores_ac_under_smap)
{
    uint64_t value;
    cpu->regs.cr4 |= CR4_SMAP;
    cpu_set_rflags(cpu, FLAG_AC);
    cpu_update_mode(cpu);
    ck_assert_int_eq(load(SEG_DS, 0x124000, 8, &value), STEP_NEXT); /* AC lifts SMAP */
    ck_assert_int_eq(load(SEG_DS, 0x124000, 8, &value), STEP_NEXT);
    rig_expect_fault(rig, mem_load_sys(cpu, 0x124000, 8, &value), EXC_PF, PF_P);
    cpu_set_rflags(cpu, 0);
    rig_expect_fault(rig, load(SEG_DS, 0x124000, 8, &value), EXC_PF, PF_P);
}
END_TEST

START_TEST(alignment_check_needs_cpl3_am_and_ac)
{
    for (unsigned bits = 0; bits < 8; bits++) {
        uint64_t value;
        cpu->regs.cr0 = CR0_PE | CR0_PG | CR0_ET | (bits & 1 ? CR0_AM : 0);
        cpu_set_rflags(cpu, bits & 2 ? FLAG_AC : 0);
        rig_segments(cpu, true, bits & 4 ? 3 : 0);
        for (unsigned size = 1; size <= 8; size *= 2) {
            bool faults = bits == 7 && size > 1;
            ck_assert_int_eq(load(SEG_DS, 0x125000, size, &value), STEP_NEXT);
            ck_assert_int_eq(load(SEG_DS, 0x125001, size, &value),
                             faults ? STEP_RAISED : STEP_NEXT);
            if (faults)
                rig_expect_fault(rig, store(SEG_DS, 0x125000 + size / 2, size, 0), EXC_AC, 0);
        }
    }
}
END_TEST

/* The stand-in for the fast table that answers nothing is asked about page 0 with the index of the last page. */
START_TEST(access_wrapping_to_page_0_while_alignment_is_checked)
{
    uint64_t value;
    cpu->regs.cr0 |= CR0_AM;
    cpu_set_rflags(cpu, FLAG_AC);
    rig_segments(cpu, true, 3);
    for (unsigned size = 2; size <= 8; size *= 2) {
        rig_expect_fault(rig, load(SEG_DS, UINT64_MAX, size, &value), EXC_AC, 0);
        rig_expect_fault(rig, store(SEG_DS, UINT64_MAX, size, 0), EXC_AC, 0);
    }
}
END_TEST

START_TEST(mmio_is_accessed_with_its_size)
{
    uint64_t value;
    ck_assert_int_eq(load(SEG_DS, 0xb8004, 4, &value), STEP_NEXT);
    ck_assert_uint_eq(value, 0x55667788);
    ck_assert_uint_eq(rig->mmio_last, 0xb8004);
    ck_assert_int_eq(store(SEG_DS, 0xb8010, 2, 1), STEP_NEXT);
    ck_assert_uint_eq(rig->mmio_last, 0xb8010);
    ck_assert_uint_eq(rig->mmio_reads, 1);
    ck_assert_uint_eq(rig->mmio_writes, 1);
}
END_TEST

static unsigned written_calls;
static void count_written(void *self, uint64_t page, unsigned offset, unsigned len)
{
    (void)self;
    (void)page;
    written_calls += offset == 0x20 && len == 4;
}

START_TEST(stores_to_code_are_reported)
{
    memory_set_written(cpu->memory, count_written, NULL);
    ck_assert_int_eq(store(SEG_DS, 0x126020, 4, 1), STEP_NEXT); /* a fast entry exists now */
    memory_set_marks(cpu->memory, memory_backing(cpu->memory, 0x126000), PAGE_HAS_CODE, 0);
    written_calls = 0;
    ck_assert_int_eq(store(SEG_DS, 0x126020, 4, 1), STEP_NEXT);
    ck_assert_int_eq(store(SEG_DS, 0x126020, 4, 1), STEP_NEXT);
    ck_assert_uint_eq(written_calls, 2);
}
END_TEST

static struct probe_event seen[4];
static unsigned seen_count;
static void see(void *self, const struct probe_event *event)
{
    (void)self;
    if (seen_count < 4)
        seen[seen_count++] = *event;
}

START_TEST(probes_see_every_access)
{
    struct probe_client client = { .mask = 1u << PROBE_MEM, .fire = see };
    uint64_t value;
    ck_assert_int_eq(store(SEG_DS, 0x127000, 4, 0x11), STEP_NEXT);
    probes_attach(&rig->probes, &client);
    cpu_update_mode(cpu); /* run_vcpu() does as much when it begins */
    seen_count = 0;
    ck_assert_int_eq(store(SEG_DS, 0x127000, 4, 0x22), STEP_NEXT);
    ck_assert_int_eq(load(SEG_DS, 0x127000, 2, &value), STEP_NEXT);
    ck_assert_uint_eq(seen_count, 2);
    ck_assert(seen[0].a == 0x127000 && seen[0].b == (4 | 1 << 8) && seen[0].c == 0x22);
    ck_assert(seen[1].a == 0x127000 && seen[1].b == 2 && seen[1].c == 0x22);
    probes_detach(&rig->probes, &client);
}
END_TEST

/* --- segments outside 64-bit mode ------------------------------------------------------------ */

static void setup32(void)
{
    use(MODE_PROT32);
}

struct segment_row {
    uint16_t type; /* attr bits 3:0 */
    uint32_t limit;
    uint64_t off;
    unsigned size;
    bool reads, writes;
};

START_TEST(segment_type_and_limit)
{
    static const struct segment_row rows[] = {
        { 0x3, 0xfff, 0xffc, 4, true, true },
        { 0x3, 0xfff, 0xffd, 4, false, false },
        { 0x3, UINT32_MAX, 0xfffffffe, 4, false, false }, /* wraps past the top */
        { 0x1, 0xfff, 0, 4, true, false },                /* read-only data */
        { 0xb, 0xfff, 0, 4, true, false },                /* readable code */
        { 0x9, 0xfff, 0, 4, false, false },               /* execute-only code */
        { 0x7, 0xfff, 0xfff, 1, false, false },           /* expand-down: above the limit */
        { 0x7, 0xfff, 0x1000, 4, true, true },
        { 0x7, 0xfff, 0xfffffffd, 4, false, false },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct segment_row *row = &rows[i];
        cpu->regs.seg[SEG_DS].attr = (uint16_t)(SEG_ATTR_P | SEG_ATTR_S | SEG_ATTR_DB | row->type);
        cpu->regs.seg[SEG_DS].limit = row->limit;
        uint64_t la;
        ck_assert_int_eq(mem_linear(cpu, SEG_DS, row->off, row->size, ACCESS_READ, &la),
                         row->reads ? STEP_NEXT : STEP_RAISED);
        ck_assert_int_eq(mem_linear(cpu, SEG_DS, row->off, row->size, ACCESS_WRITE, &la),
                         row->writes ? STEP_NEXT : STEP_RAISED);
    }
}
END_TEST

START_TEST(null_segment_is_gp_and_small_expand_down_ends_at_64k)
{
    uint64_t la;
    cpu->regs.seg[SEG_ES].attr &= (uint16_t)~SEG_ATTR_P;
    rig_expect_fault(rig, mem_linear(cpu, SEG_ES, 0, 1, ACCESS_READ, &la), EXC_GP, 0);
    cpu->regs.seg[SEG_SS].limit = 0xff;
    rig_expect_fault(rig, mem_linear(cpu, SEG_SS, 0x100, 1, ACCESS_READ, &la), EXC_SS, 0);
    cpu->regs.seg[SEG_DS].attr = SEG_ATTR_P | SEG_ATTR_S | 7;
    cpu->regs.seg[SEG_DS].limit = 0xff;
    ck_assert_int_eq(mem_linear(cpu, SEG_DS, 0xffff, 1, ACCESS_READ, &la), STEP_NEXT);
    ck_assert_int_eq(mem_linear(cpu, SEG_DS, 0xffff, 2, ACCESS_READ, &la), STEP_RAISED);
}
END_TEST

START_TEST(base_wraps_at_4_gib)
{
    uint64_t la;
    cpu->regs.seg[SEG_DS].base = 0xfffff000;
    ck_assert_int_eq(mem_linear(cpu, SEG_DS, 0x130000, 4, ACCESS_WRITE, &la), STEP_NEXT);
    ck_assert_uint_eq(la, 0x12f000);
    ck_assert_int_eq(store(SEG_DS, 0x130000, 4, 0x77), STEP_NEXT);
    ck_assert_uint_eq(phys_read(cpu->memory, 0x12f000, 4), 0x77);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mem");
    TCase *long64 = tcase_create("64-bit"), *legacy = tcase_create("32-bit");
    tcase_add_checked_fixture(long64, setup64, teardown);
    tcase_add_test(long64, load_and_store_every_size);
    tcase_add_test(long64, page_crossing_joins_both_pages);
    tcase_add_test(long64, store_across_pages_writes_nothing_when_the_second_faults);
    tcase_add_test(long64, read_modify_write_of_a_read_only_page_faults_as_a_write);
    tcase_add_test(long64, read_modify_write_commits_across_pages);
    tcase_add_test(long64, non_canonical_is_gp_and_ss_by_segment);
    tcase_add_test(long64, only_fs_and_gs_have_a_base_in_64_bit_mode);
    tcase_add_test(long64, user_access_to_a_supervisor_page_faults);
    tcase_add_test(long64, implicit_access_ignores_ac_under_smap);
    tcase_add_test(long64, alignment_check_needs_cpl3_am_and_ac);
    tcase_add_test(long64, access_wrapping_to_page_0_while_alignment_is_checked);
    tcase_add_test(long64, mmio_is_accessed_with_its_size);
    tcase_add_test(long64, stores_to_code_are_reported);
    tcase_add_test(long64, probes_see_every_access);
    tcase_add_checked_fixture(legacy, setup32, teardown);
    tcase_add_test(legacy, segment_type_and_limit);
    tcase_add_test(legacy, null_segment_is_gp_and_small_expand_down_ends_at_64k);
    tcase_add_test(legacy, base_wraps_at_4_gib);
    suite_add_tcase(suite, long64);
    suite_add_tcase(suite, legacy);
    return rig_run(suite);
}
