/* kit.h: a second task for the tests of this folder. The first one is that of lib/modes.h. */
#ifndef TEST_ROMS_TASKS_KIT_H
#define TEST_ROMS_TASKS_KIT_H

#include "test-roms/lib/modes.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

#define SEL_NEXT MSEL_FREE /* the TSS of the second task; known to the assembly texts as 0x80 */
#define SEL_GATE (MSEL_FREE + 8) /* a task gate to it: 0x88 */
#define TSS16_BYTES 0x2c
#define NT UINT64_C(0x4000)
#define VM UINT64_C(0x20000)
#define BUSY 2u

extern uint8_t next_tss[256];

/* Begin a world of this mode with a second task: 32-bit, flat, at CPL 0, EAX..EDI = 1..8 times 0x11111111 (but
 * ESP); a task gate to it with DPL 3, which is also that of vector 40. */
struct modes_state *task_begin(enum mode mode, const char *code, const char *next);

/* The same with a 16-bit TSS for the second task. */
struct modes_state *task_begin16(enum mode mode, const char *code, const char *next);

/* The second task at CPL 3, so that a fault in its context finds the good stack of its TSS. */
void task_user(void);

static inline void task_set(unsigned offset, uint32_t value, unsigned bytes)
{
    modes_store(next_tss, offset, value, bytes);
}

static inline uint32_t task_old(unsigned offset, unsigned bytes)
{
    return modes_load(modes_tss, offset, bytes);
}

/* Type field of a descriptor in the GDT. */
static inline unsigned task_type(uint16_t selector)
{
    return modes_gdt[selector / 8] >> 40 & 0xf;
}

#endif
