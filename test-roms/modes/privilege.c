/* privilege.c: what CPL, IOPL and the I/O map allow in 16-bit and 32-bit protected mode, compatibility and 64-bit mode.
 * APM vol 2, 12.2.4 "TSS Descriptor" and I/O map, 4.9.1 "Types of Privilege"; vol 3, the system instructions. */
#include "test-roms/lib/modes.h"
#include "test-roms/lib/paging.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

#define VIF UINT64_C(0x80000)
#define VIP UINT64_C(0x100000)
#define CR4_PVI UINT64_C(2)
#define IOPL(n) (UINT64_C(0x1000) * (n))

/* The same text in 32-bit and 64-bit code. */
#define BOTH(name, text)                           \
    MODE_CODE32(name##32, #name "32_insn: " text); \
    MODE_CODE64(name##64, #name "64_insn: " text)
BOTH(hlt, "hlt");
BOTH(clts, "clts");
BOTH(lmsw, "lmsw %ax");
BOTH(lgdt, "lgdt 0x500");
BOTH(lidt, "lidt 0x500");
BOTH(lldt, "lldt %ax");
BOTH(ltr, "ltr %ax");
BOTH(invd, "invd");
BOTH(wbinvd, "wbinvd");
BOTH(rdmsr, "rdmsr");
BOTH(wrmsr, "wrmsr");
BOTH(invlpg, "invlpg 0x500");
BOTH(clac, ".byte 0x0f, 0x01, 0xca");
BOTH(stac, ".byte 0x0f, 0x01, 0xcb");
BOTH(cli, "cli");
BOTH(sti, "sti");
BOTH(in8, "inb $0x80, %al");
BOTH(out32, "outl %eax, $0x80");
BOTH(insb, "movl $0x80, %edx\n movl $0x600, %edi\n .byte 0x6c");
MODE_CODE32(read_cr32, "read_cr32_insn: movl %cr3, %eax");
MODE_CODE64(read_cr64, "read_cr64_insn: movq %cr3, %rax");
MODE_CODE32(write_cr32, "write_cr32_insn: movl %eax, %cr2");
MODE_CODE64(write_cr64, "write_cr64_insn: movq %rax, %cr8");
MODE_CODE32(read_dr32, "read_dr32_insn: movl %dr7, %eax");
MODE_CODE64(read_dr64, "read_dr64_insn: movq %dr7, %rax");
MODE_CODE32(bad_cr32, "bad_cr32_insn: .byte 0x0f, 0x20, 0xc8");
MODE_CODE64(bad_cr64, "bad_cr64_insn: .byte 0x0f, 0x20, 0xc8");
MODE_CODE32(popf32, "pushl %ebx\n popf32_insn: popfl\n pushfl\n popl %eax");
MODE_CODE64(popf64, "pushq %rbx\n popf64_insn: popfq\n pushfq\n popq %rax");

struct pair {
    const char *code32, *insn32, *end32, *code64, *insn64, *end64;
    const char *what;
};
#define PAIR(name, what)                                                                   \
    {                                                                                      \
        name##32, name##32_insn, name##32_end, name##64, name##64_insn, name##64_end, what \
    }

static void expect(enum mode mode, const struct pair *p, bool passes, unsigned vector,
                   const char *how)
{
    bool is64 = mode == MODE_LONG || mode == MODE_LONG_USER;
    const char *at = is64 ? passes ? p->end64 : p->insn64 : passes ? p->end32 : p->insn32;
    struct mode_event e = modes_run();

    tap_ok(e.vector == (passes ? EXC_UD : vector) && e.error == 0 && e.ip == (uintptr_t)at, "%s %s",
           p->what, how);
    if (e.ip != (uintptr_t)at)
        rom_printf("#   vector %u at %lx, want %p\n", e.vector, e.ip, (const void *)at);
}

static struct modes_state *begin(enum mode mode, const struct pair *p)
{
    bool is64 = mode == MODE_LONG || mode == MODE_LONG_USER;

    return modes_begin(mode, is64 ? p->code64 : p->code32);
}

static const enum mode user_modes[] = { MODE_PROT32_USER, MODE_COMPAT32_USER, MODE_LONG_USER };

static void test_cpl(void)
{
    static const struct pair gp[] = {
        PAIR(hlt, "HLT"),
        PAIR(clts, "CLTS"),
        PAIR(lmsw, "LMSW"),
        PAIR(lgdt, "LGDT"),
        PAIR(lidt, "LIDT"),
        PAIR(lldt, "LLDT"),
        PAIR(ltr, "LTR"),
        PAIR(invd, "INVD"),
        PAIR(wbinvd, "WBINVD"),
        PAIR(rdmsr, "RDMSR"),
        PAIR(wrmsr, "WRMSR"),
        PAIR(invlpg, "INVLPG"),
        PAIR(read_cr, "MOV from CR"),
        PAIR(write_cr, "MOV to CR"),
        PAIR(read_dr, "MOV from DR"),
    };
    static const struct pair ud[] = {
        PAIR(clac, "CLAC"),
        PAIR(stac, "STAC"),
        PAIR(bad_cr, "MOV from CR1"),
    };

    for (unsigned m = 0; m < 3; m++) {
        /* rows: pitfalls 5.11, events 3.2.3 */
        for (unsigned i = 0; i < sizeof gp / sizeof gp[0]; i++) {
            begin(user_modes[m], &gp[i]);
            expect(user_modes[m], &gp[i], false, EXC_GP, "at CPL 3 is #GP(0)");
        }
        /* rows: pitfalls 5.13, 1.13, events 3.2.1 */
        for (unsigned i = 0; i < sizeof ud / sizeof ud[0]; i++) {
            begin(user_modes[m], &ud[i]);
            expect(user_modes[m], &ud[i], false, EXC_UD, "at CPL 3 is #UD");
        }
    }
}

static void test_iopl(void)
{
    static const struct pair pairs[] = { PAIR(cli, "CLI"), PAIR(sti, "STI"), PAIR(in8, "IN") };

    /* rows: events 14.2, 14.3, pitfalls 9.2 */
    for (unsigned m = 0; m < 3; m++)
        for (unsigned i = 0; i < 3; i++)
            for (unsigned iopl = 0; iopl < 4; iopl++) {
                begin(user_modes[m], &pairs[i])->rflags |= IOPL(iopl);
                expect(user_modes[m], &pairs[i], iopl == 3, EXC_GP,
                       iopl == 3 ? "at CPL 3 with IOPL 3" : "at CPL 3 with a lower IOPL is #GP(0)");
            }
}

static void ports(enum mode mode, const struct pair *p, unsigned bit, bool passes, const char *how)
{
    begin(mode, p);
    modes_open_ports();
    if (bit < 8)
        modes_tss[0x88 + 0x10] = (uint8_t)(1u << bit);
    expect(mode, p, passes, EXC_GP, how);
}

static void test_ports(void)
{
    static const struct pair in = PAIR(in8, "IN of port 80"), out = PAIR(out32, "OUT of 80-83");
    static const struct pair ins = PAIR(insb, "INSB of port 80");

    /* rows: pitfalls 9.2 */
    for (unsigned m = 0; m < 3; m++) {
        ports(user_modes[m], &in, 8, true, "with its bit clear");
        ports(user_modes[m], &in, 0, false, "with its bit set is #GP(0)");
        ports(user_modes[m], &in, 1, true, "with the next bit set");
        ports(user_modes[m], &out, 3, false, "with the bit of 83 set is #GP(0)");
        ports(user_modes[m], &out, 4, true, "with the bit of 84 set");
        ports(user_modes[m], &ins, 8, true, "with its bit clear");
        begin(user_modes[m], &in);
        modes_open_ports();
        modes_gdt[MSEL_TSS / 8] = (modes_gdt[MSEL_TSS / 8] & ~UINT64_C(0xffff)) |
                                  (0x88 + 0x10); /* the bit's byte is last */
        expect(user_modes[m], &in, false, EXC_GP, "at the end of the TSS: two bytes are read");
    }
}

static uint64_t popf(enum mode mode, uint64_t start, uint64_t image)
{
    static const struct pair p = PAIR(popf, "POPF");
    struct modes_state *m = begin(mode, &p);

    m->rflags |= start;
    m->regs[M_BX] = image | RFLAGS_ONE;
    modes_run();
    return modes_reg(M_AX);
}

static void test_popf(void)
{
    const uint64_t all = IOPL(3) | RFLAGS_IF | RFLAGS_AC | RFLAGS_CF | UINT64_C(0x4000);

    for (unsigned i = 0; i < 3; i++) {
        enum mode user = user_modes[i];
        enum mode kernel = (const enum mode[]){ MODE_PROT32, MODE_COMPAT32, MODE_LONG }[i];

        /* rows: events 14.2, 14.3, pitfalls 2.17 */
        tap_eq(popf(kernel, 0, all) & all, all, "POPF at CPL 0 loads IOPL and IF");
        tap_eq(popf(user, 0, all) & all, all & ~(IOPL(3) | RFLAGS_IF),
               "at CPL 3 with IOPL 0 it keeps both");
        tap_eq(popf(user, IOPL(3), RFLAGS_IF) & all, IOPL(3) | RFLAGS_IF,
               "with IOPL 3 it loads IF and keeps IOPL");
        tap_eq(popf(kernel, 0, VIF | VIP | UINT64_C(0x20000) | RFLAGS_RF) &
                   (VIF | VIP | UINT64_C(0x20000) | RFLAGS_RF),
               0, "it never loads VM, VIF, VIP and RF");
    }
}

static void test_pvi(void)
{
    static const struct pair set = PAIR(sti, "STI"), clear = PAIR(cli, "CLI");
    struct modes_state *m;

    if ((cpuid(1, 0).edx >> 1 & 1) == 0) {
        tap_skip("no VME", "virtual interrupts of protected mode");
        return;
    }
    /* rows: events 14.3 */
    m = begin(MODE_PROT32_USER, &set);
    m->cr4 |= CR4_PVI;
    expect(MODE_PROT32_USER, &set, true, 0, "with PVI");
    tap_eq(modes_event(0).flags & (VIF | RFLAGS_IF), VIF, "sets VIF");
    m = begin(MODE_PROT32_USER, &clear);
    m->cr4 |= CR4_PVI;
    m->rflags |= VIF;
    expect(MODE_PROT32_USER, &clear, true, 0, "with PVI");
    tap_eq(modes_event(0).flags & VIF, 0, "clears VIF");
    m = begin(MODE_PROT32_USER, &set);
    m->cr4 |= CR4_PVI;
    m->rflags |= VIP;
    expect(MODE_PROT32_USER, &set, false, EXC_GP, "with PVI and VIP is #GP(0)");
}

int rom_main(void)
{
    test_cpl();
    test_iopl();
    test_ports();
    test_popf();
    test_pvi();
    tap_done();
}
