/* Intercept bits, exit codes and the permission maps. */
#include "tests/svm/world.h"

#include <stdio.h>

/* An intercept's number is its exit code, and the names agree but for the few that the manual names differently. */
/* rows: vmcb 1.1, 1.1.1-1.1.5, 1.2.1-1.2.16, 1.3.1-1.3.17, 1.4.1-1.4.7, exit 1.1 */
START_TEST(intercept_bit_has_the_exit_code_of_its_name)
{
    static const struct {
        const char *intercept, *code;
    } renamed[] = { { "INTN", "SWINT" },
                    { "IOIO_PROT", "IOIO" },
                    { "MSR_PROT", "MSR" },
                    { "MWAIT_ARMED", "MWAIT_CONDITIONAL" } };
    static const struct {
        const char *name;
        unsigned number, count;
    } rows[] = {
#define INTERCEPT_BITS(name, word, bit, count) { #name, (word)*32 + (bit), count },
#include "svm/intercepts.def"
#undef INTERCEPT_BITS
    };
    unsigned bits = 0;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (unsigned n = 0; n < rows[i].count; n++) {
            const char *want = rows[i].name;
            char text[64], range[32];
            for (unsigned k = 0; k < sizeof(renamed) / sizeof(renamed[0]); k++)
                if (strcmp(want, renamed[k].intercept) == 0)
                    want = renamed[k].code;
            if (rows[i].count > 1 && strncmp(want, "EXCP", 4) == 0)
                (void)snprintf(range, sizeof(range), "EXCP%u", n);
            else if (rows[i].count > 1)
                (void)snprintf(range, sizeof(range), "%.2s%u%s", want, n, want + 3);
            else
                (void)snprintf(range, sizeof(range), "%s", want);
            (void)snprintf(text, sizeof(text), "VMEXIT_%s", range);
            ck_assert_str_eq(svm_exit_name(rows[i].number + n), text);
            bits++;
        }
    }
    ck_assert_uint_eq(bits, 6 * 32 - (32 - 7)); /* word 5 has 7 bits */
}
END_TEST

START_TEST(intercept_is_one_bit_of_its_word)
{
    struct world *w = world_new();
    static const unsigned all[] = { INTERCEPT_CR0_READ,  INTERCEPT_CR0_WRITE + 15,
                                    INTERCEPT_DR0_WRITE, INTERCEPT_EXCP0 + 31,
                                    INTERCEPT_INTR,      INTERCEPT_SHUTDOWN,
                                    INTERCEPT_VMRUN,     INTERCEPT_RDPRU,
                                    INTERCEPT_INVPCID };
    for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        memset(w->cpu->svm->intercept, 0, sizeof(w->cpu->svm->intercept));
        w->cpu->svm->intercept[all[i] / 32] = 1u << all[i] % 32;
        for (unsigned n = 0; n < INTERCEPT_LIMIT; n++)
            ck_assert_int_eq(svm_intercepts(w->cpu, n), n == all[i]);
    }
    world_free(w);
}
END_TEST

/* VMRUN takes over exactly the bits that exist; those of TLBSYNC, idle HLT and bus locks have CPUID bits. */
/* rows: svmop 5.6, vmcb 1.1.5, 1.4.8 */
START_TEST(vmrun_loads_the_intercepts_that_exist)
{
    const uint32_t expect[6] = {
        0xffffffff, 0xffffffff,
        0xfffffdfb, 0xffffffff,
        0x00007fff, 0x0000000f | (_i & 1 ? 0x10 : 0) | (_i & 2 ? 0x40 : 0) | (_i & 4 ? 0x20 : 0)
    };
    struct world *w = world_new();
    w->cpu->svm->model.features &=
        ~(SVM_FEATURE_TLBICTL | SVM_FEATURE_IDLE_HLT | SVM_FEATURE_BUS_LOCK);
    w->cpu->svm->model.features |= (_i & 1 ? SVM_FEATURE_TLBICTL : 0) |
                                   (_i & 2 ? SVM_FEATURE_IDLE_HLT : 0) |
                                   (_i & 4 ? SVM_FEATURE_BUS_LOCK : 0);
    memset(w->vmcb, 0xff, 24);
    world_enter(w);
    for (unsigned i = 0; i < 6; i++)
        ck_assert_uint_eq(w->cpu->svm->intercept[i], expect[i]);
    world_exit(w, VMEXIT_HLT);
    for (unsigned i = 0; i < 6; i++)
        ck_assert_uint_eq(w->cpu->svm->intercept[i], 0);
    world_free(w);
}
END_TEST

/* --- IOPM --- */

static void set_bit(struct world *w, uint64_t spa, unsigned bit)
{
    uint64_t byte = phys_read(w->memory, spa + bit / 8, 1);
    phys_write(w->memory, spa + bit / 8, 1, byte | 1u << bit % 8);
}

static struct world *world_with_maps(void)
{
    struct world *w = world_new();
    VMCB_SET(w->vmcb, INTERCEPT_3,
             1u << (INTERCEPT_IOIO_PROT & 31) | 1u << (INTERCEPT_MSR_PROT & 31));
    world_enter(w);
    return w;
}

/* rows: vmcb 6.1.1, 6.1.3 */
START_TEST(iopm_tests_each_byte_of_an_access)
{
    static const unsigned ports[] = { 0, 7, 8, 0x3f8, 0x7fff, 0x8000, 0xfffd, 0xffff };
    for (unsigned i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
        struct world *w = world_with_maps();
        set_bit(w, IOPM_SPA, ports[i]);
        for (unsigned size = 1; size <= 4; size *= 2)
            for (int delta = -5; delta <= 5; delta++) {
                int port = (int)ports[i] + delta;
                if (port < 0 || port > 0xffff)
                    continue;
                bool hit = port <= (int)ports[i] && (int)ports[i] < port + (int)size;
                ck_assert_msg(svm_io_intercepted(w->cpu, (uint16_t)port, size) == hit,
                              "bit %x, port %x, size %u", ports[i], (unsigned)port, size);
            }
        world_free(w);
    }
}
END_TEST

/* The three bits of the third page; no wrap to port 0. */
/* rows: vmcb 6.1.2-6.1.3 */
START_TEST(iopm_wide_access_at_the_top_uses_the_third_page)
{
    for (unsigned bit = 0x10000; bit <= 0x10003; bit++) {
        struct world *w = world_with_maps();
        set_bit(w, IOPM_SPA, bit);
        ck_assert_int_eq(svm_io_intercepted(w->cpu, 0xffff, 4), bit <= 0x10002);
        ck_assert_int_eq(svm_io_intercepted(w->cpu, 0xffff, 2), bit == 0x10000);
        ck_assert_int_eq(svm_io_intercepted(w->cpu, 0xfffd, 4), bit == 0x10000);
        ck_assert(!svm_io_intercepted(w->cpu, 0xffff, 1));
        ck_assert(!svm_io_intercepted(w->cpu, 0, 4));
        world_free(w);
    }
}
END_TEST

/* rows: vmcb 6.1.3 */
START_TEST(iopm_bit_0_does_not_catch_a_wide_access_at_the_top)
{
    struct world *w = world_with_maps();
    set_bit(w, IOPM_SPA, 0);
    ck_assert(!svm_io_intercepted(w->cpu, 0xffff, 4));
    ck_assert(svm_io_intercepted(w->cpu, 0, 1));
    world_free(w);
}
END_TEST

/* rows: vmcb 6.1.4, 6.2.8 */
START_TEST(maps_are_not_in_force_without_their_intercept)
{
    struct world *w = world_new();
    phys_write(w->memory, IOPM_SPA, 8, UINT64_MAX);
    phys_write(w->memory, MSRPM_SPA, 8, UINT64_MAX);
    world_enter(w);
    ck_assert(!svm_io_intercepted(w->cpu, 0, 4));
    ck_assert(!svm_msr_intercepted(w->cpu, 0, false));
    ck_assert(!svm_msr_intercepted(w->cpu, 0x2000, false));
    world_free(w);
}
END_TEST

/* rows: vmcb 2.3-2.4 */
START_TEST(map_addresses_ignore_bits_11_0)
{
    struct world *w = world_new();
    VMCB_SET(w->vmcb, INTERCEPT_3, 1u << 27 | 1u << 28);
    VMCB_SET(w->vmcb, IOPM_BASE_PA, IOPM_SPA | 0xfff);
    VMCB_SET(w->vmcb, MSRPM_BASE_PA, MSRPM_SPA | 0xfff);
    world_enter(w);
    set_bit(w, IOPM_SPA, 0x80);
    set_bit(w, MSRPM_SPA, 2 * 0x10);
    ck_assert(svm_io_intercepted(w->cpu, 0x80, 1));
    ck_assert(svm_msr_intercepted(w->cpu, 0x10, false));
    world_free(w);
}
END_TEST

START_TEST(maps_outside_ram_intercept_everything)
{
    struct world *w = world_new();
    VMCB_SET(w->vmcb, INTERCEPT_3, 1u << 27 | 1u << 28);
    VMCB_SET(w->vmcb, IOPM_BASE_PA, MMIO_SPA);
    VMCB_SET(w->vmcb, MSRPM_BASE_PA, MMIO_SPA);
    world_enter(w);
    ck_assert(svm_io_intercepted(w->cpu, 0x1234, 1));
    ck_assert(svm_msr_intercepted(w->cpu, 0x1234, true));
    world_free(w);
}
END_TEST

/* --- MSRPM --- */

/* rows: vmcb 6.2.1-6.2.3, 6.2.5 */
START_TEST(msrpm_has_a_read_and_a_write_bit_at_the_edges_of_its_ranges)
{
    static const struct {
        uint32_t msr;
        unsigned byte, shift;
    } rows[] = { { 0x00000000, 0x000, 0 },  { 0x00000003, 0x000, 6 },  { 0x00001fff, 0x7ff, 6 },
                 { 0xc0000000, 0x800, 0 },  { 0xc0000080, 0x820, 0 },  { 0xc0001fff, 0xfff, 6 },
                 { 0xc0010000, 0x1000, 0 }, { 0xc0010117, 0x1045, 6 }, { 0xc0011fff, 0x17ff, 6 } };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct world *w = world_with_maps();
        ck_assert(!svm_msr_intercepted(w->cpu, rows[i].msr, false));
        ck_assert(!svm_msr_intercepted(w->cpu, rows[i].msr, true));
        phys_write(w->memory, MSRPM_SPA + rows[i].byte, 1, 1u << rows[i].shift);
        ck_assert(svm_msr_intercepted(w->cpu, rows[i].msr, false));
        ck_assert(!svm_msr_intercepted(w->cpu, rows[i].msr, true));
        phys_write(w->memory, MSRPM_SPA + rows[i].byte, 1, 2u << rows[i].shift);
        ck_assert(!svm_msr_intercepted(w->cpu, rows[i].msr, false));
        ck_assert(svm_msr_intercepted(w->cpu, rows[i].msr, true));
        world_free(w);
    }
}
END_TEST

/* rows: vmcb 6.2.6 */
START_TEST(msr_outside_the_map_is_always_intercepted)
{
    static const uint32_t msrs[] = { 0x2000,     0x40000000, 0xbfffffff, 0xc0002000,
                                     0xc000ffff, 0xc0012000, 0xffffffff };
    struct world *w = world_with_maps();
    for (unsigned i = 0; i < sizeof(msrs) / sizeof(msrs[0]); i++) {
        ck_assert(svm_msr_intercepted(w->cpu, msrs[i], false));
        ck_assert(svm_msr_intercepted(w->cpu, msrs[i], true));
    }
    world_free(w);
}
END_TEST

/* --- EXITINFO1 of VMEXIT_IOIO --- */

/* rows: exit 3.3.1-3.3.2, 3.3.5-3.3.6, 3.3.8-3.3.9 */
START_TEST(ioio_info_has_one_size_and_one_address_bit)
{
    ck_assert_uint_eq(svm_ioio_info(0x80, false, false, false, 1, 8, SEG_DS), 0x00800210);
    ck_assert_uint_eq(svm_ioio_info(0x3f8, true, false, false, 1, 8, SEG_DS), 0x03f80211);
    ck_assert_uint_eq(svm_ioio_info(0xcf8, true, false, false, 4, 4, SEG_DS), 0x0cf80141);
    ck_assert_uint_eq(svm_ioio_info(0xffff, false, false, false, 2, 2, SEG_DS), 0xffff00a0);
}
END_TEST

/* rows: exit 3.3.3-3.3.4, 3.3.7 */
START_TEST(ioio_info_of_strings_has_segment_and_rep)
{
    ck_assert_uint_eq(svm_ioio_info(0x1f0, false, true, true, 2, 8, SEG_FS), 0x01f0122c);
    ck_assert_uint_eq(svm_ioio_info(0x1f0, false, true, false, 2, 8, SEG_DS), 0x01f00e24);
    /* INS writes through ES whatever the prefix says; REP without a string operation does not count */
    ck_assert_uint_eq(svm_ioio_info(0x1f0, true, true, true, 2, 8, SEG_FS), 0x01f0022d);
    ck_assert_uint_eq(svm_ioio_info(0x1f0, true, false, true, 2, 8, SEG_FS), 0x01f00221);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("svm/intercepts");
    TCase *tc = tcase_create("intercepts");
    tcase_add_test(tc, intercept_bit_has_the_exit_code_of_its_name);
    tcase_add_test(tc, intercept_is_one_bit_of_its_word);
    tcase_add_loop_test(tc, vmrun_loads_the_intercepts_that_exist, 0, 8);
    tcase_add_test(tc, iopm_tests_each_byte_of_an_access);
    tcase_add_test(tc, iopm_wide_access_at_the_top_uses_the_third_page);
    tcase_add_test(tc, iopm_bit_0_does_not_catch_a_wide_access_at_the_top);
    tcase_add_test(tc, maps_are_not_in_force_without_their_intercept);
    tcase_add_test(tc, map_addresses_ignore_bits_11_0);
    tcase_add_test(tc, maps_outside_ram_intercept_everything);
    tcase_add_test(tc, msrpm_has_a_read_and_a_write_bit_at_the_edges_of_its_ranges);
    tcase_add_test(tc, msr_outside_the_map_is_always_intercepted);
    tcase_add_test(tc, ioio_info_has_one_size_and_one_address_bit);
    tcase_add_test(tc, ioio_info_of_strings_has_segment_and_rep);
    suite_add_tcase(suite, tc);
    return world_run_suite(suite);
}
