/* legacy.c: dead ends of the older modes, one a program: CASE. APM vol 2, 8.2.9 "#DF - Double-Fault Exception", 8.6 "Real-Mode
 * Interrupt Control Transfers". */
#include "test-roms/lib/modes.h"
#include "test-roms/lib/rom.h"

#define REAL_IDT 1
#define REAL_STACK 2
#define DOUBLE_TASK 3
#define PROTECTED_STACK 4
#define TASK_RING 5
#define V86_STORM 6

MODE_CODE16(l_int, "int $0x40");
MODE_CODE16(l_push, "movw $1, %sp\n pushw %ax");
MODE_CODE32(l_ud, "ud2");
MODE_CODE32(l_stack, "movw $0x80, %ax\n movw %ax, %ss\n movl $0x8000, %esp\n pushl %eax");
MODE_CODE32(l_ring, "1: incl %ebx\n ljmp $0x80, $0\n jmp 1b");
MODE_CODE32(l_other, "1: incl %ecx\n ljmp $0x58, $0\n jmp 1b");
MODE_CODE16(l_cli, "cli");

MODE_CODE32(l_again, "addl $4, %esp\n iretl");

static uint8_t other_tss[128] __attribute__((aligned(128)));

static void second_task(const char *code, unsigned type)
{
    modes_store(other_tss, TSS_EIP, (uint32_t)(uintptr_t)code, 4);
    modes_store(other_tss, TSS_EFLAGS, 2, 4);
    modes_store(other_tss, TSS_ESP, (uint32_t)(uintptr_t)modes_user_stack, 4);
    for (unsigned at = TSS_ES; at <= TSS_GS; at += 4)
        modes_store(other_tss, at, at == TSS_CS ? SEL_CODE32 : SEL_DATA, 2);
    modes_set(modes_free(0),
              modes_descriptor((uint32_t)(uintptr_t)other_tss, TSS_BYTES - 1, type, 0));
}

int rom_main(void)
{
    struct modes_state *m;

    rom_printf("# going there\n");
    switch (CASE) {
    case REAL_IDT:
        /* rows: events 2.12, 7.1.1 */
        m = modes_begin(MODE_REAL, l_int);
        m->idtr.limit = 8 * 4 - 1; /* neither #GP nor #DF */
        break;
    case REAL_STACK:
        /* rows: events 2.4, 7.1.2, pitfalls 10.2 */
        m = modes_begin(MODE_REAL, l_push);
        break;
    case DOUBLE_TASK:
        /* rows: events 2.4, pitfalls 10.2 */
        m = modes_begin(MODE_PROT32, l_ud);
        second_task(l_other, 0x8b); /* busy already */
        *modes_idt_gate(EXC_UD) = modes_gate(0, 0, 0x8e, 0);
        *modes_idt_gate(EXC_GP) = modes_gate(0, 0, 0x8e, 0);
        *modes_idt_gate(EXC_DF) = modes_gate(modes_free(0), 0, 0x85, 0);
        break;
    case PROTECTED_STACK:
        /* rows: events 2.4, pitfalls 10.2 */
        m = modes_begin(MODE_PROT32, l_stack);
        modes_set(modes_free(0), modes_descriptor(0, 0xff, SEG_DATA, SEG_BIG));
        break;
    case TASK_RING:
        m = modes_begin(MODE_PROT32, l_ring);
        second_task(l_other, 0x89);
        break;
    default:
        m = modes_begin(MODE_V86, l_cli);
        m->rflags &= ~RFLAGS_IOPL;
        *modes_idt_gate(EXC_GP) =
            modes_gate(SEL_CODE32, (uint32_t)(uintptr_t)l_again, 0x8e, 0); /* the CLI once more */
        break;
    }
    modes_run();
    rom_printf("not ok 1 - the program came back\n");
    return 1;
}
