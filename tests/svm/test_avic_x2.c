/* x2AVIC: the guest's x2APIC registers. APM vol 2, 15.29.10, 16.11. */
#include "tests/check_main.h"
#include "tests/svm/avic_kit.h"

#define WRITE (UINT64_C(1) << 32)

static void refused(struct avic_world *a, enum step step)
{
    ck_assert_int_eq(step, STEP_RAISED);
    ck_assert(!a->cpu->raised.npf);
    ck_assert_uint_eq(a->cpu->raised.event.vector, EXC_GP);
    ck_assert(a->cpu->raised.event.has_code && a->cpu->raised.event.code == 0);
}

WITH_AVIC(which_msrs_are_the_guests, avic_x2apic)
{
    ck_assert(!svm_avic_has_msr(a->cpu, 0x7ff) && svm_avic_has_msr(a->cpu, 0x800));
    ck_assert(svm_avic_has_msr(a->cpu, 0x8ff) && !svm_avic_has_msr(a->cpu, 0x900));
    world_exit(a->w, VMEXIT_HLT);
    ck_assert(!svm_avic_has_msr(a->cpu, 0x808));
}

WITH_AVIC(xavic_leaves_the_msrs_alone, avic_xapic)
{
    ck_assert(!svm_avic_has_msr(a->cpu, 0x808));
}

WITH_AVIC(the_page_is_plain_memory_to_x2avic, avic_x2apic)
{
    ck_assert_int_eq(svm_avic_check(a->cpu, AT_APR, 4, true), STEP_NEXT);
    svm_avic_written(a->cpu, BACKING + AT_SVR, 4);
    ck_assert(!a->avic->trapped);
}

enum { GP, PAGE, EXIT };

WITH_AVIC(every_register_can_be_read_or_not, avic_x2apic)
{
    static const struct {
        unsigned first, last;
        int what;
    } rows[] = { { 0x800, 0x801, GP },   { 0x802, 0x803, PAGE }, { 0x804, 0x807, GP },
                 { 0x808, 0x808, PAGE }, { 0x809, 0x809, EXIT }, { 0x80a, 0x80a, PAGE },
                 { 0x80b, 0x80c, GP },   { 0x80d, 0x80d, PAGE }, { 0x80e, 0x80e, GP },
                 { 0x80f, 0x828, PAGE }, { 0x829, 0x82f, GP },   { 0x831, 0x831, GP },
                 { 0x832, 0x838, PAGE }, { 0x839, 0x839, EXIT }, { 0x83a, 0x83d, GP },
                 { 0x83e, 0x83e, PAGE }, { 0x83f, 0x83f, GP },   { 0x840, 0x842, EXIT },
                 { 0x843, 0x847, GP },   { 0x848, 0x84f, EXIT }, { 0x850, 0x853, PAGE },
                 { 0x854, 0x8ff, GP } };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (unsigned msr = rows[i].first; msr <= rows[i].last; msr++) {
            uint64_t value = 0;
            avic_put(a, 0, (msr & 0xff) * 16, 0xa0000000 | msr);
            enum step step = svm_avic_read_msr(a->cpu, msr, &value);
            if (rows[i].what == GP) {
                refused(a, step);
            } else if (rows[i].what == EXIT) {
                avic_refused(a, step, (msr & 0xff) << 4);
            } else {
                ck_assert_int_eq(step, STEP_NEXT);
                ck_assert_uint_eq(value, 0xa0000000 | msr);
            }
        }
}

/* `bits` may be 1; the first that may not, and bit 32, are #GP(0). */
WITH_AVIC(every_register_can_be_written_or_not, avic_x2apic)
{
    static const struct {
        unsigned msr;
        int what; /* GP, PAGE: only that, EXIT: behind the instruction */
        uint32_t bits, reserved;
    } rows[] = { { 0x802, GP, 0, 0 },
                 { 0x803, GP, 0, 0 },
                 { 0x808, PAGE, 0xff, 0x100 },
                 { 0x809, GP, 0, 0 },
                 { 0x80a, GP, 0, 0 },
                 { 0x80b, PAGE, 0, 1 },
                 { 0x80d, GP, 0, 0 },
                 { 0x80f, EXIT, 0x3ff, 0x400 },
                 { 0x810, GP, 0, 0 },
                 { 0x827, GP, 0, 0 },
                 { 0x828, EXIT, 0, 1 },
                 { 0x832, EXIT, 0x310ff, 0x40000 },
                 { 0x833, EXIT, 0x117ff, 0x8000 },
                 { 0x835, EXIT, 0x1d7ff, 0x2000 },
                 { 0x837, EXIT, 0x117ff, 0x800 },
                 { 0x838, EXIT, 0xffffffff, 0 },
                 { 0x839, GP, 0, 0 },
                 { 0x83e, EXIT, 0xb, 4 },
                 { 0x840, GP, 0, 0 },
                 { 0x850, EXIT, 0x117ff, 0x20000 },
                 { 0x854, GP, 0, 0 } };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        unsigned msr = rows[i].msr, at = (msr & 0xff) * 16;
        avic_put(a, 0, at, 0x5a5a);
        refused(a, svm_avic_write_msr(a->cpu, msr, UINT64_C(1) << 32));
        if (rows[i].reserved)
            refused(a, svm_avic_write_msr(a->cpu, msr, rows[i].reserved));
        ck_assert_uint_eq(avic_get(a, 0, at), 0x5a5a);
        enum step step = svm_avic_write_msr(a->cpu, msr, rows[i].bits);
        if (rows[i].what == GP) {
            refused(a, step);
            continue;
        }
        ck_assert_int_eq(step, STEP_NEXT);
        ck_assert_uint_eq(avic_get(a, 0, at), rows[i].bits);
        if (rows[i].what == EXIT)
            avic_trapped(a, VMEXIT_AVIC_NOACCEL, WRITE | at, 0);
        ck_assert(!a->avic->trapped);
    }
}

WITH_AVIC(writes_of_the_extended_space_exit_before, avic_x2apic)
{
    avic_refused(a, svm_avic_write_msr(a->cpu, 0x841, 7), WRITE | 0x410);
    refused(a, svm_avic_write_msr(a->cpu, 0x841, 8));
    avic_refused(a, svm_avic_write_msr(a->cpu, 0x842, 0xff), WRITE | 0x420);
    avic_refused(a, svm_avic_write_msr(a->cpu, 0x84f, 1), WRITE | 0x4f0);
    a->cpu->svm->model.ext_apic = false;
    uint64_t value;
    refused(a, svm_avic_write_msr(a->cpu, 0x841, 7));
    refused(a, svm_avic_read_msr(a->cpu, 0x850, &value));
}

WITH_AVIC(icr_is_two_registers_of_the_page, avic_x2apic)
{
    uint64_t value, icr = UINT64_C(0x2) << 32 | 0x4061;
    ck_assert_int_eq(svm_avic_write_msr(a->cpu, 0x830, icr), STEP_NEXT);
    ck_assert_uint_eq(avic_get(a, 0, AT_ICR_LOW), 0x4061);
    ck_assert_uint_eq(avic_get(a, 0, AT_ICR_HIGH), 2);
    ck_assert_int_eq(svm_avic_read_msr(a->cpu, 0x830, &value), STEP_NEXT);
    ck_assert_uint_eq(value, icr);
    refused(a, svm_avic_write_msr(a->cpu, 0x830, 0x1061));
    for (unsigned type = 1; type < 8; type++)
        if (type == 1 || type == 3 || type == 7)
            refused(a, svm_avic_write_msr(a->cpu, 0x830, type << 8 | 0x61));
    ck_assert(!a->avic->trapped);
    ck_assert_int_eq(svm_avic_write_msr(a->cpu, 0x830, 0x400), STEP_NEXT); /* NMI */
    avic_trapped(a, VMEXIT_AVIC_INCOMPLETE_IPI, 0x400, 0);
}

WITH_AVIC(tpr_and_eoi_act, avic_x2apic)
{
    avic_set(a, 0, AT_ISR, 0x71);
    ck_assert_int_eq(svm_avic_write_msr(a->cpu, 0x808, 0x42), STEP_NEXT);
    ck_assert_uint_eq(a->cpu->svm->v_tpr, 4);
    ck_assert_uint_eq(avic_get(a, 0, AT_PPR), 0x70);
    ck_assert_int_eq(svm_avic_write_msr(a->cpu, 0x80b, 0), STEP_NEXT);
    ck_assert(!avic_bit(a, 0, AT_ISR, 0x71));
    ck_assert_uint_eq(avic_get(a, 0, AT_PPR), 0x42);
}

CHECK_MAIN("svm/avic_x2", which_msrs_are_the_guests, xavic_leaves_the_msrs_alone,
           the_page_is_plain_memory_to_x2avic, every_register_can_be_read_or_not,
           every_register_can_be_written_or_not, writes_of_the_extended_space_exit_before,
           icr_is_two_registers_of_the_page, tpr_and_eoi_act)
