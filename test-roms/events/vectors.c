/* vectors.c: each exception: fault or trap, where its saved RIP points, its error code; in 64-bit and 32-bit mode, and
 * its pushed width. APM vol 2, 8.2 "Vectors", table 8-1. */
#include "test-roms/lib/apic.h"
#include "test-roms/lib/modes.h"
#include "test-roms/lib/paging.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

#define HOLE PAGING_WINDOW

/* Labels: <name>_insn and <name>_end; a trap's saved RIP is the end, where the UD2 is. */
MODE_CODE32(x_de32, "xorl %ebx, %ebx\n x_de32_insn: divl %ebx");
MODE_CODE64(x_de64, "xorl %ebx, %ebx\n x_de64_insn: divl %ebx");
MODE_CODE32(x_aam32, "x_aam32_insn: .byte 0xd4, 0x00");
MODE_CODE32(x_bp32, "x_bp32_insn: int3");
MODE_CODE64(x_bp64, "x_bp64_insn: int3");
MODE_CODE32(x_of32, "movb $0x7f, %al\n incb %al\n x_of32_insn: into");
MODE_CODE32(x_br32,
            "movl $1, 0x600\n movl $2, 0x604\n movl $3, %eax\n x_br32_insn: bound %eax, 0x600");
MODE_CODE32(x_ud32, "x_ud32_insn: .byte 0x0f, 0x0b");
MODE_CODE64(x_ud64, "x_ud64_insn: .byte 0x0f, 0x0b");
MODE_CODE32(x_np32, "movl $0x80, %eax\n x_np32_insn: movw %ax, %es");
MODE_CODE64(x_np64, "movl $0x80, %eax\n x_np64_insn: movw %ax, %es");
MODE_CODE32(x_ss32, "movl $0x80, %eax\n x_ss32_insn: movw %ax, %ss");
MODE_CODE64(x_ss64, "movl $0x80, %eax\n x_ss64_insn: movw %ax, %ss");
MODE_CODE32(x_gp32, "movl $0x1c8, %eax\n x_gp32_insn: movw %ax, %es");
MODE_CODE64(x_gp64, "movl $0x1c8, %eax\n x_gp64_insn: movw %ax, %es");
MODE_CODE32(x_ts32, "x_ts32_insn: ljmp $0x80, $0");
MODE_CODE32(x_pf32, "x_pf32_insn: movl 0x40000000, %eax");
MODE_CODE64(x_pf64, "movabsq $0x0000008000000000, %rbx\n x_pf64_insn: movl (%rbx), %eax");
MODE_CODE32(x_ac32, "pushfl\n orl $0x40000, (%esp)\n popfl\n x_ac32_insn: movl 0x601, %eax");
MODE_CODE64(x_ac64, "pushfq\n orl $0x40000, (%rsp)\n popfq\n x_ac64_insn: movl 0x601, %eax");
MODE_CODE32(x_int32, "x_int32_insn: int $0x40");
MODE_CODE64(x_int64, "x_int64_insn: int $0x40");
MODE_CODE32(x_int13_32, "x_int13_32_insn: int $13");
MODE_CODE64(x_int13_64, "x_int13_64_insn: int $13");
MODE_CODE64(x_nmi64, "movl $0xfee00300, %edi\n movl $0x4400, (%rdi)\n x_nmi64_insn: nop\n nop");
MODE_CODE64(x_intr64, "sti\n nop\n x_intr64_insn: nop\n nop");
MODE_CODE64(x_df64, "x_df64_insn: int $0x40");
MODE_CODE64(x_first, "x_first_insn: int $0x40");
MODE_CODE64(bad_handler, "bad_handler_insn: movl (%rbx), %eax");

struct kind {
    enum mode mode;
    const char *code, *at;
    unsigned vector;
    uint64_t error;
    const char *what;
};

static void prepare(const struct kind *k)
{
    struct modes_state *m = modes_begin(k->mode, k->code);

    if (k->vector == EXC_AC)
        m->cr0 |= CR0_AM;
    if (k->vector == EXC_PF && k->mode == MODE_PROT32)
        modes_map32(modes_paging_pse(), 0x40000000, 0, 0);
    if (k->vector == EXC_NP || k->vector == EXC_SS)
        modes_set(modes_free(0), modes_descriptor(0, 0xfffff, 0x13, SEG_G | SEG_BIG));
    if (k->vector == EXC_TS) /* a TSS that is too small */
        modes_set(modes_free(0), modes_descriptor(0x600, 0x10, 0x89, 0));
}

static void run(const struct kind *rows, unsigned n, const char *width)
{
    for (unsigned i = 0; i < n; i++) {
        struct mode_event e;

        prepare(&rows[i]);
        e = modes_run();
        tap_ok(e.vector == rows[i].vector && e.error == rows[i].error &&
                   e.ip == (uintptr_t)rows[i].at,
               "%s, %s", rows[i].what, width);
        if (e.ip != (uintptr_t)rows[i].at)
            rom_printf("#   vector %u, error code %lx, at %lx\n", e.vector, e.error, e.ip);
    }
}

static void test_table(void)
{
    /* rows: events 1.1, 1.4-1.7, 1.11-1.15, 1.17, 1.25, 3.1.7, 3.1.8, pitfalls 10.6 */
    static const struct kind legacy[] = {
        { MODE_PROT32, x_de32, x_de32_insn, EXC_DE, 0, "#DE of DIV is a fault" },
        { MODE_PROT32, x_aam32, x_aam32_insn, EXC_DE, 0, "#DE of AAM is a fault" },
        { MODE_PROT32, x_bp32, x_bp32_end, EXC_BP, 0, "#BP is a trap" },
        { MODE_PROT32, x_of32, x_of32_end, EXC_OF, 0, "#OF is a trap" },
        { MODE_PROT32, x_br32, x_br32_insn, EXC_BR, 0, "#BR is a fault" },
        { MODE_PROT32, x_ud32, x_ud32_insn, EXC_UD, 0, "#UD is a fault" },
        { MODE_PROT32, x_ts32, x_ts32_insn, EXC_TS, MSEL_FREE, "#TS has a selector" },
        { MODE_PROT32, x_np32, x_np32_insn, EXC_NP, MSEL_FREE, "#NP has a selector" },
        { MODE_PROT32, x_ss32, x_ss32_insn, EXC_SS, MSEL_FREE, "#SS of a load has a selector" },
        { MODE_PROT32, x_gp32, x_gp32_insn, EXC_GP, 0x1c8, "#GP of a load has a selector" },
        { MODE_PROT32, x_pf32, x_pf32_insn, EXC_PF, 0, "#PF has its own code" },
        { MODE_PROT32_USER, x_ac32, x_ac32_insn, EXC_AC, 0, "#AC has 0" },
        { MODE_PROT32, x_int32, x_int32_end, 0x40, 0, "INT is a trap" },
    };
    static const struct kind lng[] = {
        { MODE_LONG, x_de64, x_de64_insn, EXC_DE, 0, "#DE is a fault" },
        { MODE_LONG, x_bp64, x_bp64_end, EXC_BP, 0, "#BP is a trap" },
        { MODE_LONG, x_ud64, x_ud64_insn, EXC_UD, 0, "#UD is a fault" },
        { MODE_LONG, x_np64, x_np64_insn, EXC_NP, MSEL_FREE, "#NP has a selector" },
        { MODE_LONG, x_ss64, x_ss64_insn, EXC_SS, MSEL_FREE, "#SS of a load has a selector" },
        { MODE_LONG, x_gp64, x_gp64_insn, EXC_GP, 0x1c8, "#GP of a load has a selector" },
        { MODE_LONG, x_pf64, x_pf64_insn, EXC_PF, 0, "#PF has its own code" },
        { MODE_LONG_USER, x_ac64, x_ac64_insn, EXC_AC, 0, "#AC has 0" },
        { MODE_LONG, x_int64, x_int64_end, 0x40, 0, "INT is a trap" },
    };

    run(legacy, sizeof legacy / sizeof legacy[0], "32 bits");
    run(lng, sizeof lng / sizeof lng[0], "64 bits");
}

static void test_interrupts(void)
{
    struct mode_event e;

    /* rows: events 1.25 */
    modes_begin(MODE_PROT32, x_int13_32);
    modes_no_error(true);
    modes_try(13, 0, x_int13_32_end, "INT 13 pushes no error code, 32 bits");
    tap_eq(modes_reg(M_SP), (uintptr_t)modes_stack - 12, "three doublewords");
    modes_begin(MODE_LONG, x_int13_64);
    modes_no_error(true);
    modes_try(13, 0, x_int13_64_end, "INT 13 pushes no error code, 64 bits");
    tap_eq(modes_reg(M_SP), (uintptr_t)modes_stack - 40, "five quadwords");
    /* rows: events 1.3 */
    modes_begin(MODE_LONG, x_nmi64);
    apic_write(APIC_ICR_HIGH, apic_read(APIC_ID) & 0xff000000u);
    modes_try(EXC_NMI, 0, x_nmi64_insn, "an NMI saves the next instruction");
    /* rows: events 1.24 */
    modes_begin(MODE_LONG, x_intr64);
    apic_self_ipi(0x51);
    modes_try(0x51, 0, x_intr64_insn, "so does an interrupt");
    apic_eoi();
    /* rows: events 1.9 */
    modes_begin(MODE_LONG, x_df64);
    modes_idt_gate64(0x40)[0] = modes_gate(0, 0, 0xee, 0);
    modes_idt_gate64(EXC_GP)[0] = modes_gate(0, 0, 0xee, 0);
    e = modes_try(EXC_DF, 0, x_df64_insn, "#DF has 0, and here the instruction");
    tap_eq(modes_reg(M_SP), (uintptr_t)modes_stack - 48, "it pushes its code");
    /* rows: events 2.5 */
    modes_begin(MODE_LONG, x_first)->regs[M_BX] = HOLE;
    modes_idt_gate64(0x40)[0] = modes_gate(SEL_CODE64, (uint32_t)(uintptr_t)bad_handler, 0xee, 0);
    e = modes_try(EXC_PF, 0, bad_handler_insn, "a fault of the handler's first instruction is new");
    tap_eq(e.cs, SEL_CODE64, "and comes from the handler");
}

int rom_main(void)
{
    apic_init();
    test_table();
    test_interrupts();
    tap_done();
}
