/* kit.c: see kit.h. */
#include "test-roms/tasks/kit.h"

uint8_t next_tss[256] __attribute__((aligned(128)));
static uint8_t inner_stack[2048] __attribute__((aligned(16)));

static struct modes_state *begin(enum mode mode, const char *code, unsigned type, unsigned limit)
{
    struct modes_state *m = modes_begin(mode, code);

    memset(next_tss, 0, sizeof next_tss);
    modes_set(SEL_NEXT, modes_descriptor((uint32_t)(uintptr_t)next_tss, limit, type, 0));
    modes_set(SEL_GATE, modes_gate(SEL_NEXT, 0, 0x85 | SEG_DPL(3), 0));
    *modes_idt_gate(0x40) = modes_gate(SEL_NEXT, 0, 0x85 | SEG_DPL(3), 0);
    return m;
}

struct modes_state *task_begin(enum mode mode, const char *code, const char *next)
{
    struct modes_state *m = begin(mode, code, 0x89, TSS_BYTES - 1);

    task_set(TSS_ESP0, (uint32_t)(uintptr_t)inner_stack + sizeof inner_stack - 64, 4);
    task_set(TSS_SS0, SEL_DATA, 2);
    task_set(TSS_EIP, (uint32_t)(uintptr_t)next, 4);
    task_set(TSS_EFLAGS, (uint32_t)RFLAGS_ONE, 4);
    for (uint32_t i = 0; i < 8; i++)
        task_set(TSS_EAX + 4 * i, 0x11111111 * (i + 1), 4);
    task_set(TSS_ESP, (uint32_t)(uintptr_t)modes_user_stack, 4);
    for (unsigned i = 0; i < 6; i++)
        task_set(TSS_ES + 4 * i, SEL_DATA, 2);
    task_set(TSS_CS, SEL_CODE32, 2);
    task_set(TSS_IOMAP, TSS_BYTES, 2);
    return m;
}

struct modes_state *task_begin16(enum mode mode, const char *code, const char *next)
{
    struct modes_state *m = begin(mode, code, 0x81, TSS16_BYTES - 1);

    task_set(0x02, 0x8ff0, 2);
    task_set(0x04, SEL_DATA, 2);
    task_set(0x0e, (uint32_t)(uintptr_t)next, 2);
    task_set(0x10, (uint32_t)RFLAGS_ONE, 2);
    for (uint32_t i = 0; i < 8; i++)
        task_set(0x12 + 2 * i, 0x1111 * (i + 1), 2);
    task_set(0x1a, (uint32_t)(uintptr_t)modes_user_stack, 2);
    task_set(0x22, SEL_DATA, 2);
    task_set(0x24, SEL_CODE32, 2);
    task_set(0x26, MSEL_DATA16, 2); /* ESP[31:16] is not in the TSS */
    task_set(0x28, SEL_DATA, 2);
    return m;
}

void task_user(void)
{
    task_set(TSS_CS, SEL_USER_CODE32, 2);
    task_set(TSS_SS, SEL_USER_DATA, 2);
    for (unsigned i = 0; i < 4; i++)
        task_set((const unsigned[]){ TSS_ES, TSS_DS, TSS_FS, TSS_GS }[i], 0, 2);
}
