/* What the tests of SMM share: SMI and RSM through the event code and the instruction, fields of the save area. */
#ifndef TESTS_CPU_SMM_KIT_H
#define TESTS_CPU_SMM_KIT_H

#include "tests/cpu/kit.h"

#include "emu/cpu/smm.h"

#define SMBASE 0x30000u
#define AREA (SMBASE + SMM_SAVE_AT)
#define RSM "\x0f\xaa"

/* A field of the save area by its offset from SMBASE, as table 10-1 names it. */
static inline uint64_t field(struct kit *k, unsigned offset, unsigned size)
{
    return kit_get(k, SMBASE + offset, size);
}

static inline void set_field(struct kit *k, unsigned offset, unsigned size, uint64_t value)
{
    kit_put(k, SMBASE + offset, size, value);
}

static inline void smi(struct kit *k)
{
    k->cpu->pins.smi = true;
    ck_assert_int_eq(event_boundary(k->cpu), STEP_JUMP);
    ck_assert(k->cpu->regs.smm);
    ck_assert(!k->cpu->pins.smi);
}

static inline void rsm(struct kit *k)
{
    ck_assert_int_eq(EXEC(k, RSM), STEP_JUMP);
    ck_assert(!k->cpu->regs.smm);
}

static inline void enter_real_mode(struct vcpu *cpu)
{
    cpu->regs.cr0 = CR0_ET;
    cpu->regs.cr4 = 0;
    cpu->regs.efer = 0;
    cpu->regs.cpl = 0;
    for (int s = SEG_ES; s <= SEG_GS; s++)
        cpu->regs.seg[s] =
            (struct segment){ .selector = 0x1000, .base = 0x10000, .limit = 0xffff, .attr = 0x093 };
    cpu_update_mode(cpu);
}

/* --- ports that pull SMI --- */

static inline void trap_write(void *self, uint16_t port, unsigned size, uint32_t value)
{
    struct kit *k = self;
    (void)port;
    (void)size;
    (void)value;
    k->cpu->pins.smi = true;
    cpu_attention(k->cpu);
}

static inline uint32_t trap_read(void *self, uint16_t port, unsigned size)
{
    trap_write(self, port, size, 0);
    return 0x12345678;
}

static const struct port_ops trap_ops = { trap_read, trap_write };

static inline void take_smi(struct kit *k)
{
    ck_assert(k->cpu->pins.smi);
    smi(k);
}

#endif
