/* AVIC: interprocessor interrupts. APM vol 2, 15.29.6.1, 15.29.9.1. */
#include "tests/check_main.h"
#include "tests/svm/avic_kit.h"

#define LOGICALLY 0x800u
#define TO_SELF 0x40000u
#define TO_ALL 0x80000u
#define TO_OTHERS 0xc0000u
#define ID(n) ((uint32_t)(n) << 24)

static void incomplete(struct avic_world *a, uint32_t high, uint32_t low, unsigned reason,
                       unsigned index)
{
    avic_trapped(a, VMEXIT_AVIC_INCOMPLETE_IPI, (uint64_t)high << 32 | low,
                 (uint64_t)reason << 32 | index);
    ck_assert_uint_eq(avic_get(a, 0, AT_ICR_LOW), low);
}

/* Which virtual processors have the vector in IRR, as a set; it is cleared. */
static unsigned requested(struct avic_world *a, unsigned vector)
{
    unsigned set = 0;
    for (unsigned n = 0; n < 3; n++) {
        if (avic_bit(a, n, AT_IRR, vector))
            set |= 1u << n;
        avic_put(a, n, AT_IRR + vector / 32 * 16, 0);
    }
    return set;
}

/* rows: svmop 18.14, exit 1.4.2, 3.6.1, 3.6.2, 3.6.4 */
WITH_AVIC(only_fixed_and_edge_is_accelerated, avic_xapic)
{
    for (uint32_t type = 1; type < 8; type++) {
        avic_send(a, ID(1), type << 8 | 0x61);
        incomplete(a, ID(1), type << 8 | 0x61, 0, 0);
    }
    avic_send(a, ID(1), 0xc061); /* level, assert */
    incomplete(a, ID(1), 0xc061, 0, 0);
    avic_send(a, ID(1), 0x8005); /* before the vector */
    incomplete(a, ID(1), 0x8005, 0, 0);
    ck_assert_uint_eq(requested(a, 0x61), 0);
    ck_assert_uint_eq(a->rings, 0);
}

/* rows: svmop 18.14, exit 3.6.8 */
WITH_AVIC(vectors_below_16_are_refused, avic_xapic)
{
    avic_send(a, ID(1), 0x4f - 0x40);
    incomplete(a, ID(1), 0x0f, 4, 0);
    avic_send(a, ID(1), TO_SELF | 0);
    incomplete(a, ID(1), TO_SELF, 4, 0);
    avic_send(a, ID(1), 0x10);
    ck_assert(!a->avic->trapped);
    ck_assert_uint_eq(requested(a, 0x10), 2);
}

/* rows: svmop 18.5, 18.15, 18.17, 18.18 */
WITH_AVIC(physical_destination, avic_xapic)
{
    avic_send(a, ID(2), 0x4000 | 0xe5);
    ck_assert(!a->avic->trapped);
    ck_assert_uint_eq(requested(a, 0xe5), 4);
    ck_assert_uint_eq(a->rings, 1);
    ck_assert_uint_eq(a->rang[0], 0x12);
}

WITH_AVIC(to_self_needs_no_table, avic_xapic)
{
    for (unsigned n = 0; n < 3; n++)
        avic_physical(a, n, 0);
    avic_send(a, ID(2), TO_SELF | 0x61);
    ck_assert(!a->avic->trapped);
    ck_assert_uint_eq(a->avic->vector, 0x61);
    ck_assert_uint_eq(a->rings, 0);
    ck_assert_uint_eq(requested(a, 0x61), 1);
}

/* rows: svmop 18.15 */
WITH_AVIC(everybody_and_others, avic_xapic)
{
    static const struct {
        uint32_t high, low;
        unsigned set;
    } rows[] = {
        { 0, TO_ALL, 7 }, { 0, TO_OTHERS, 6 }, { ID(0xff), 0, 7 }, { ID(0xff), LOGICALLY, 7 }
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        avic_send(a, rows[i].high, rows[i].low | 0x61);
        ck_assert(!a->avic->trapped);
        ck_assert_uint_eq(requested(a, 0x61), rows[i].set);
    }
    ck_assert_uint_eq(a->rings, 11);
}

/* rows: svmop 18.16 */
WITH_AVIC(broadcasts_skip_invalid_entries, avic_xapic)
{
    avic_physical(a, 1, RUNNING | (BACKING + 0x1000));
    avic_send(a, 0, TO_ALL | 0x61);
    ck_assert(!a->avic->trapped);
    ck_assert_uint_eq(requested(a, 0x61), 5);
}

WITH_AVIC(max_index_is_the_last, avic_xapic)
{
    a->avic->max_index = 1;
    avic_send(a, 0, TO_ALL | 0x61);
    ck_assert_uint_eq(requested(a, 0x61), 3);
    avic_send(a, ID(1), 0x61);
    ck_assert(!a->avic->trapped);
    ck_assert_uint_eq(requested(a, 0x61), 2);
    avic_send(a, ID(2), 0x61);
    incomplete(a, ID(2), 0x61, 2, 2);
    ck_assert_uint_eq(requested(a, 0x61), 0);
}

/* rows: svmop 18.16, exit 3.6.3, 3.6.6 */
WITH_AVIC(directed_at_an_invalid_entry, avic_xapic)
{
    avic_physical(a, 2, RUNNING | (BACKING + 0x2000));
    avic_send(a, ID(2), 0x61);
    incomplete(a, ID(2), 0x61, 2, 2);
    avic_send(a, ID(0xfe), 0x61);
    incomplete(a, ID(0xfe), 0x61, 2, 0xfe);
    ck_assert_uint_eq(a->rings, 0);
}

/* rows: exit 3.6.7 */
WITH_AVIC(a_backing_page_that_is_no_address, avic_xapic)
{
    avic_physical(a, 2, VALID | RUNNING | LIMIT_SPA);
    avic_send(a, ID(2), 0x61);
    incomplete(a, ID(2), 0x61, 3, 2);
    avic_send(a, 0, TO_ALL | 0x61);
    incomplete(a, 0, TO_ALL | 0x61, 3, 2);
    avic_logical(a, 5, LOGICAL_VALID | 2);
    avic_send(a, ID(0x21), LOGICALLY | 0x61);
    incomplete(a, ID(0x21), LOGICALLY | 0x61, 3, 5);
    ck_assert_uint_eq(requested(a, 0x61), 0); /* nobody got it */
    avic_physical(a, 2, VALID | RUNNING | (LIMIT_SPA - 0x1000));
    avic_send(a, ID(2), 0x61);
    ck_assert(!a->avic->trapped);
}

/* rows: svmop 18.18, exit 3.6.5 */
WITH_AVIC(a_target_that_does_not_run, avic_xapic)
{
    avic_physical(a, 1, VALID | (BACKING + 0x1000) | 0x11);
    avic_physical(a, 2, VALID | (BACKING + 0x2000) | 0x12);
    avic_send(a, ID(2), 0x61);
    incomplete(a, ID(2), 0x61, 1, 2);
    ck_assert_uint_eq(requested(a, 0x61), 4); /* in IRR all the same */
    ck_assert_uint_eq(a->rings, 0);
    avic_send(a, 0, TO_ALL | 0x61);
    incomplete(a, 0, TO_ALL | 0x61, 1, 1); /* the first of them */
    ck_assert_uint_eq(requested(a, 0x61), 7);
    ck_assert_uint_eq(a->rings, 1);
    avic_logical(a, 6, LOGICAL_VALID | 2);
    avic_send(a, ID(0x40), LOGICALLY | 0x61);
    incomplete(a, ID(0x40), LOGICALLY | 0x61, 1, 6);
}

/* rows: svmop 18.2 */
WITH_AVIC(flat_destination, avic_xapic)
{
    avic_logical(a, 7, LOGICAL_VALID | 2);
    avic_send(a, ID(0x82), LOGICALLY | 0x61);
    ck_assert(!a->avic->trapped);
    ck_assert_uint_eq(requested(a, 0x61), 6);
    avic_send(a, ID(0x00), LOGICALLY | 0x61);
    ck_assert(!a->avic->trapped);
    ck_assert_uint_eq(requested(a, 0x61), 0);
    avic_send(a, ID(0x09), LOGICALLY | 0x61); /* entry 3 is invalid: nobody gets it */
    incomplete(a, ID(0x09), LOGICALLY | 0x61, 2, 3);
    ck_assert_uint_eq(requested(a, 0x61), 0);
    avic_logical(a, 3, LOGICAL_VALID | 0x101);
    avic_send(a, ID(0x08), LOGICALLY | 0x61);
    incomplete(a, ID(0x08), LOGICALLY | 0x61, 2, 3);
}

/* rows: svmop 18.2 */
WITH_AVIC(cluster_destination, avic_xapic)
{
    avic_put(a, 0, AT_DFR, 0x0fffffff);
    avic_logical(a, 4 * 14 + 3, LOGICAL_VALID | 2);
    avic_logical(a, 4 * 14, LOGICAL_VALID | 1);
    avic_send(a, ID(0xe9), LOGICALLY | 0x61);
    ck_assert(!a->avic->trapped);
    ck_assert_uint_eq(requested(a, 0x61), 6);
    avic_send(a, ID(0x12), LOGICALLY | 0x61);
    incomplete(a, ID(0x12), LOGICALLY | 0x61, 2, 5);
    avic_logical(a, 61, LOGICAL_VALID | 1);
    avic_send(a, ID(0xf2), LOGICALLY | 0x61); /* cluster 15 is reserved */
    incomplete(a, ID(0xf2), LOGICALLY | 0x61, 2, 61);
}

/* rows: svmop 18.1 */
WITH_AVIC(the_entry_tells_the_host_processor, avic_xapic)
{
    avic_physical(a, 1, VALID | RUNNING | (BACKING + 0x1000) | 0xabc);
    avic_send(a, ID(1), 0x61);
    ck_assert_uint_eq(a->rang[0], 0xabc);
}

WITH_AVIC(id_255_is_reserved, avic_xapic)
{
    a->avic->max_index = 255;
    avic_physical(a, 255, VALID | RUNNING | LIMIT_SPA);
    avic_physical(a, 254, VALID | RUNNING | (BACKING + 0x2000) | 0xfe);
    avic_physical(a, 2, 0);
    avic_send(a, 0, TO_OTHERS | 0x61);
    ck_assert(!a->avic->trapped);
    ck_assert_uint_eq(requested(a, 0x61), 6);
}

/* --- x2AVIC --- */

static void send_x2(struct avic_world *a, uint64_t icr)
{
    ck_assert_int_eq(svm_avic_write_msr(a->cpu, 0x830, icr), STEP_NEXT);
}

WITH_AVIC(x2_physical_destination, avic_x2apic)
{
    send_x2(a, UINT64_C(2) << 32 | 0x61);
    ck_assert(!a->avic->trapped);
    ck_assert_uint_eq(requested(a, 0x61), 4);
    send_x2(a, UINT64_C(0xff) << 32 | 0x61); /* no broadcast */
    incomplete(a, 0xff, 0x61, 2, 0xff);
    send_x2(a, UINT64_C(0xffffffff) << 32 | 0x61);
    ck_assert(!a->avic->trapped);
    ck_assert_uint_eq(requested(a, 0x61), 7);
}

WITH_AVIC(x2_logical_destination, avic_x2apic)
{
    for (unsigned n = 0; n < 3; n++)
        avic_logical(a, n, 0); /* not looked at */
    send_x2(a, UINT64_C(0x00000006) << 32 | LOGICALLY | 0x61);
    ck_assert(!a->avic->trapped);
    ck_assert_uint_eq(requested(a, 0x61), 6);
    a->avic->max_index = 0x1f;
    avic_physical(a, 0x1f, VALID | RUNNING | (BACKING + 0x2000) | 0x12);
    send_x2(a, UINT64_C(0x00018000) << 32 | LOGICALLY | 0x61); /* cluster 1, bit 15 */
    ck_assert(!a->avic->trapped);
    ck_assert_uint_eq(requested(a, 0x61), 4);
    send_x2(a, UINT64_C(0x00014000) << 32 | LOGICALLY | 0x61);
    incomplete(a, 0x14000, LOGICALLY | 0x61, 2, 0x1e);
    send_x2(a, UINT64_C(0x00020001) << 32 | LOGICALLY | 0x61); /* above MAX_INDEX */
    incomplete(a, 0x20001, LOGICALLY | 0x61, 2, 0x20);
}

/* The table of the extension has up to eight pages, one behind the other. */
/* rows: vmcb 2.34, svmop 18.1 */
WITH_AVIC(x2_table_beyond_its_first_page, avic_x2apic)
{
    a->avic->max_index = 4095;
    avic_physical(a, 512, VALID | RUNNING | (BACKING + 0x1000) | 0x11);
    avic_physical(a, 4095, VALID | RUNNING | (BACKING + 0x2000) | 0x12);
    send_x2(a, UINT64_C(512) << 32 | 0x61);
    ck_assert(!a->avic->trapped);
    ck_assert_uint_eq(requested(a, 0x61), 2);
    send_x2(a, UINT64_C(4095) << 32 | 0x61);
    ck_assert(!a->avic->trapped);
    ck_assert_uint_eq(requested(a, 0x61), 4);
    send_x2(a, UINT64_C(0x00ff8000) << 32 | LOGICALLY | 0x61); /* cluster 255, bit 15 */
    ck_assert(!a->avic->trapped);
    ck_assert_uint_eq(requested(a, 0x61), 4);
    send_x2(a, UINT64_C(4094) << 32 | 0x61);
    incomplete(a, 4094, 0x61, 2, 4094);
    send_x2(a, UINT64_C(4096) << 32 | 0x61);
    incomplete(a, 4096, 0x61, 2, 0);
}

/* rows: svmop 18.11 */
WITH_AVIC(x2_self_ipi, avic_x2apic)
{
    ck_assert_int_eq(svm_avic_write_msr(a->cpu, 0x83f, 0x61), STEP_NEXT);
    ck_assert(!a->avic->trapped);
    ck_assert_uint_eq(a->avic->vector, 0x61);
    ck_assert_int_eq(svm_avic_write_msr(a->cpu, 0x83f, 0x0f), STEP_NEXT);
    avic_trapped(a, VMEXIT_AVIC_INCOMPLETE_IPI, TO_SELF | 0x0f, UINT64_C(4) << 32);
}

CHECK_MAIN("svm/avic_ipi", only_fixed_and_edge_is_accelerated, vectors_below_16_are_refused,
           physical_destination, to_self_needs_no_table, everybody_and_others,
           broadcasts_skip_invalid_entries, max_index_is_the_last, directed_at_an_invalid_entry,
           a_backing_page_that_is_no_address, a_target_that_does_not_run, flat_destination,
           cluster_destination, the_entry_tells_the_host_processor, id_255_is_reserved,
           x2_physical_destination, x2_logical_destination, x2_table_beyond_its_first_page,
           x2_self_ipi)
