/* Shadow stacks for tests of far transfers, in the paged area of kit.h: a stack for each level and one behind an entry of the
 * interrupt shadow stack table. SUPER_TOP is in the middle of its page, without a token; the others have theirs at the top. */
#ifndef TESTS_CPU_SHADOW_FAR_KIT_H
#define TESTS_CPU_SHADOW_FAR_KIT_H

#include "emu/cpu/shadow_stack.h"
#include "tests/cpu/modes.h"

enum shadow_page { PAGE_SUPER, PAGE_USER, PAGE_PL0, PAGE_PL1, PAGE_IST, PAGE_ISST, SHADOW_PAGES };

#define SHADOW_LA(page) ((uint64_t)PAGED_LA + 0x1000u * (page))
#define SUPER_TOP (SHADOW_LA(PAGE_SUPER) + 0x800)
#define USER_TOP (SHADOW_LA(PAGE_USER) + 0x800)
#define PL0_TOKEN (SHADOW_LA(PAGE_PL0) + 0xff8)
#define PL1_TOKEN (SHADOW_LA(PAGE_PL1) + 0xff8)
#define IST_TOKEN (SHADOW_LA(PAGE_IST) + 0xff8)

/* P, A, D; user; writable. W = 0 and D = 1 make a shadow stack page. */
#define PTE_SUPER 0x61u
#define PTE_USER 0x65u
#define PTE_PLAIN 0x67u

static inline uint64_t shadow_get(struct kit *k, uint64_t la)
{
    return kit_get(k, la, 8);
}

/* What stands in the shadow stacks; the pages are the mode's to make. */
static inline void shadow_contents(struct kit *k)
{
    for (uint64_t la = SHADOW_LA(0); la < SHADOW_LA(SHADOW_PAGES); la += 8)
        kit_put(k, la, 8, 0xeeeeeeeeeeeeeeee);
    kit_put(k, PL0_TOKEN, 8, PL0_TOKEN);
    kit_put(k, PL1_TOKEN, 8, PL1_TOKEN);
    kit_put(k, IST_TOKEN, 8, IST_TOKEN);
    kit_put(k, SHADOW_LA(PAGE_ISST) + 8, 8, IST_TOKEN); /* of IST 1 */
}

static inline void shadow_registers(struct kit *k, bool user, bool super)
{
    struct vcpu *cpu = k->cpu;
    cpu->regs.cr4 |= CR4_CET;
    cpu->shadow = (struct shadow_stacks){
        .ssp = cpu->regs.cpl == 3 ? USER_TOP : SUPER_TOP,
        .u_cet = user,
        .s_cet = super,
        .pl_ssp = { PL0_TOKEN, PL1_TOKEN, 0, 0x1234 },
        .isst = SHADOW_LA(PAGE_ISST),
    };
    cpu_update_mode(cpu);
}

/* Long mode at a level, with shadow stacks for users and supervisors as given. */
static inline void shadow_long(struct kit *k, enum cpu_mode mode, unsigned cpl, bool user,
                               bool super)
{
    kit_mode(k, mode, cpl);
    shadow_contents(k);
    for (unsigned page = 0; page < SHADOW_PAGES; page++)
        kit_page(k, page, SHADOW_LA(page) | (page == PAGE_USER ? PTE_USER : PTE_SUPER));
    kit_page(k, PAGE_ISST, SHADOW_LA(PAGE_ISST) | PTE_PLAIN);
    for (unsigned n = 0; n < 0x100; n += 8)
        kit_put(k, STACK_TOP - 8 - n, 8, 0);
    shadow_registers(k, user, super);
}

/* 32-bit paging for protected mode: the identity by 4 MiB pages, but for the paged area. */
static inline void shadow_paging32(struct kit *k)
{
    struct vcpu *cpu = k->cpu;
    const uint32_t pd = LEGACY_PD, table = LEGACY_PD + 0x1000;
    for (unsigned i = 0; i < 1024; i++)
        kit_put(k, pd + 4 * i, 4, (uint64_t)i << 22 | 0xe7);
    kit_put(k, pd + 4 * (PAGED_LA >> 22), 4, table | 7);
    for (unsigned i = 0; i < 1024; i++)
        kit_put(k, table + 4 * i, 4, PAGED_LA + (i << 12) + PTE_PLAIN);
    for (unsigned page = 0; page < PAGE_ISST; page++)
        kit_put(k, table + 4 * page, 4,
                SHADOW_LA(page) | (page == PAGE_USER ? PTE_USER : PTE_SUPER));
    cpu->regs.cr3 = pd;
    cpu->regs.cr4 |= CR4_PSE;
    cpu->regs.cr0 |= CR0_PG;
    cpu_update_mode(cpu);
    paging_flush_all(cpu->paging);
}

static inline void shadow_page32(struct kit *k, unsigned page, uint32_t pte)
{
    kit_put(k, LEGACY_PD + 0x1000 + 4 * page, 4, pte);
    paging_flush_all(k->cpu->paging);
}

/* 32-bit protected mode. */
static inline void shadow_prot32(struct kit *k, unsigned cpl, bool user, bool super)
{
    mode_prot32(k, cpl);
    shadow_contents(k);
    shadow_paging32(k);
    shadow_registers(k, user, super);
}

/* At level 1 of 64-bit mode. */
static inline void shadow_level1(struct kit *k)
{
    shadow_long(k, MODE_LONG64, 0, true, true);
    kit_load_segment(k, SEG_CS, CODE64_1 | 1);
    kit_load_segment(k, SEG_SS, DATA1 | 1);
    k->cpu->regs.cpl = 1;
    cpu_update_mode(k->cpu);
}

/* The frame below `top`. */
static inline void shadow_expect_frame(struct kit *k, uint64_t top, uint64_t cs, uint64_t lip,
                                       uint64_t ssp)
{
    ck_assert_uint_eq(shadow_get(k, top - 8), cs);
    ck_assert_uint_eq(shadow_get(k, top - 16), lip);
    ck_assert_uint_eq(shadow_get(k, top - 24), ssp);
}

static inline void shadow_put_frame(struct kit *k, uint64_t top, uint64_t cs, uint64_t lip,
                                    uint64_t ssp)
{
    kit_put(k, top - 8, 8, cs);
    kit_put(k, top - 16, 8, lip);
    kit_put(k, top - 24, 8, ssp);
}

/* A transfer that was refused has changed neither registers nor the stacks that it found; the word below the program's stack
 * is still 0. */
static inline void shadow_expect_nothing(struct kit *k, uint64_t rsp, uint64_t ssp, unsigned cpl)
{
    ck_assert_uint_eq(k->cpu->r[REG_RIP], CODE_SPA);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], rsp);
    ck_assert_uint_eq(k->cpu->shadow.ssp, ssp);
    ck_assert_uint_eq(k->cpu->shadow.pl_ssp[3], 0x1234);
    ck_assert_uint_eq(k->cpu->regs.cpl, cpl);
    ck_assert_uint_eq(kit_get(k, rsp - 8, 8), 0);
}

/* #PF of this address. */
static inline void shadow_page_fault(struct kit *k, enum step step, unsigned code, uint64_t la)
{
    kit_raised(k, step, EXC_PF, (int)code);
    ck_assert_uint_eq(k->cpu->raised.cr2, la);
}

#endif
