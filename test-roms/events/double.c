/* double.c: which second exception becomes #DF, and what a replaced event leaves behind.
 * APM vol 2, 8.2.9 "#DF - Double-Fault Exception". Shutdown: ../bad/triple_fault.c. */
#include "test-roms/lib/modes.h"
#include "test-roms/lib/paging.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

MODE_CODE64(b_de, "xorl %ebx, %ebx\n b_de_insn: divl %ebx");
MODE_CODE64(b_ud, "b_ud_insn: ud2");
MODE_CODE64(b_gp, "movl $0x1c8, %eax\n b_gp_insn: movw %ax, %es");
MODE_CODE64(b_np, "movl $0x80, %eax\n b_np_insn: movw %ax, %es");
MODE_CODE64(b_ss, "movabsq $0x8000000000000000, %rbp\n b_ss_insn: movl (%rbp), %eax");
MODE_CODE64(b_pf, "movabsq $0x0000008000000000, %rbx\n b_pf_insn: movl (%rbx), %eax");
MODE_CODE64(b_int, "b_int_insn: int $0x40");
MODE_CODE64(b_db, "b_db_insn: .byte 0xf1");

struct first {
    const char *code, *insn;
    unsigned vector;
    unsigned class; /* 0 benign, 1 contributory, 2 page fault */
    const char *name;
};
#define FIRST(code, vector, class, name)       \
    {                                          \
        code, code##_insn, vector, class, name \
    }
static const struct first firsts[] = {
    FIRST(b_int, 0x40, 0, "INT"),  FIRST(b_ud, EXC_UD, 0, "#UD"), FIRST(b_db, EXC_DB, 0, "ICEBP"),
    FIRST(b_de, EXC_DE, 1, "#DE"), FIRST(b_gp, EXC_GP, 1, "#GP"), FIRST(b_np, EXC_NP, 1, "#NP"),
    FIRST(b_ss, EXC_SS, 1, "#SS"), FIRST(b_pf, EXC_PF, 2, "#PF"),
};

static void prepare(const struct first *f)
{
    modes_begin(MODE_LONG, f->code);
    modes_set(modes_free(0), modes_descriptor(0, 0xfffff, 0x13, SEG_G));
}

/* A handler in a data segment: #GP in its delivery. */
static void contributory(const struct first *f)
{
    bool is_double = f->class != 0;
    struct mode_event e;

    prepare(f);
    modes_idt_gate64(f->vector)[0] = modes_gate(modes_free(0), 0, 0x8e | SEG_DPL(3), 0);
    e = modes_run();
    tap_ok(is_double ? e.vector == EXC_DF && e.error == 0
                     : e.vector == EXC_GP && (e.error & ~7u) == modes_free(0),
           "%s, then a contributory exception: %s", f->name, is_double ? "#DF(0)" : "the second");
    tap_eq(e.sp, (uintptr_t)modes_stack, "RSP is as before the first");
}

/* A stack that is not mapped: #PF in its delivery, whose own handler has a good one (IST 2). */
static void page_fault(const struct first *f)
{
    static uint8_t good[1024] __attribute__((aligned(16)));
    bool is_double = f->class == 2;
    uint64_t top = (uintptr_t)good + 512, bad = PAGING_WINDOW + 0x1000;
    struct mode_event e;

    prepare(f);
    memcpy(modes_tss + 0x24, &bad, 8);
    memcpy(modes_tss + 0x2c, &top, 8);
    modes_idt_gate64(EXC_PF)[0] |= UINT64_C(2) << 32;
    modes_idt_gate64(EXC_DF)[0] |= UINT64_C(2) << 32;
    modes_idt_gate64(f->vector)[0] =
        (modes_idt_gate64(f->vector)[0] & ~(UINT64_C(7) << 32)) | UINT64_C(1) << 32;
    e = modes_run();
    tap_ok(is_double ? e.vector == EXC_DF && e.error == 0
                     : e.vector == EXC_PF && e.error == PF_RW && e.cr2 >= bad - 64 && e.cr2 < bad,
           "%s, then #PF: %s", f->name, is_double ? "#DF(0)" : "#PF");
    tap_eq(e.ip, (uintptr_t)f->insn, "the saved RIP is the instruction's");
}

int rom_main(void)
{
    const unsigned n = sizeof firsts / sizeof firsts[0];

    /* rows: events 2.1, 2.2, 2.3, 2.6, 2.7, 2.8, 4.4, pitfalls 10.1, 10.3, 10.4 */
    for (unsigned i = 0; i < n; i++)
        contributory(&firsts[i]);
    for (unsigned i = 0; i < n; i++)
        page_fault(&firsts[i]);
    /* rows: events 2.1 */
    prepare(&firsts[3]);
    modes_try(EXC_DE, 0, b_de_insn, "with good handlers the first exception stands");
    tap_done();
}
