/* entry.c: SMI by port B2h: the state in the handler, what is saved, what RSM brings back. APM vol 2, 10.2 "SMM
 * Resources", 10.3 "Using SMM", 10.4 "Leaving SMM", table 10-1, table 10-3. */
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/modes.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"
#include "test-roms/lib/trap.h"
#include "test-roms/smm/kit.h"

#define MARK(n) (UINT64_C(0x1111222200000000) + (n))

/* The sixteen registers, numbered as in the encoding. */
uint64_t regs_before[16], regs_after[16], rip_behind;
void call_smm(void);

static void test_entry(void)
{
    smm_reset();
    outb(APM_PORT + 1, 0x77);
    tap_eq(inb(APM_PORT + 1), 0x77, "port B3h keeps what is written");
    outb(APM_PORT, 0x55);
    tap_eq(smm_seen.entries, 1, "a write of port B2h enters SMM at SMBASE + 8000");
    tap_eq(inb(APM_PORT), 0x55, "and the port keeps what was written");
    tap_eq(smm_seen.entries, 1, "a read of it does not");
    tap_eq(smm_seen.cs, SMBASE_RESET >> 4, "CS is SMBASE / 16");
    tap_eq(smm_seen.ds | smm_seen.es | smm_seen.ss | smm_seen.fs | smm_seen.gs, 0,
           "the other selectors are 0");
    tap_eq(smm_seen.cr0, read_cr0() & ~(CR0_PE | CR0_EM | CR0_TS | CR0_PG),
           "CR0: PE, EM, TS and PG are cleared");
    tap_eq(smm_seen.cr4, 0, "CR4 is 0");
    tap_eq(smm_seen.efer, 0, "EFER is 0");
    tap_eq(smm_seen.eflags &
               ~(uint32_t)(RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF),
           2, "EFLAGS is 2: IF=0");
    tap_eq(smm_seen.dr7, 0x400, "DR7 is 400");
    tap_eq(smm_seen.cr3, read_cr3(), "CR3 is not changed");
}

static bool segment(unsigned at, uint16_t selector, uint64_t base)
{
    return smm_field(at, 2) == selector && smm_field(at + 8, 8) == base;
}

static void test_area(void)
{
    struct table_register gdtr, idtr;
    uint16_t tr, cs;
    bool right = true;

    __asm__ volatile("sgdt %0\n\tsidt %1\n\tstr %2\n\tmovw %%cs, %3"
                     : "=m"(gdtr), "=m"(idtr), "=r"(tr), "=r"(cs));
    smm_reset();
    write_dr6(0xffff4ff0);
    for (unsigned i = 0; i < 16; i++)
        regs_before[i] = MARK(i);
    regs_before[2] = MARK(0) | APM_PORT;
    call_smm();
    for (unsigned i = 0; i < 16; i++)
        right = right && smm_field(SAVE_REG(i), 8) == regs_before[i];
    tap_ok(right, "the sixteen registers are saved");
    right = true;
    for (unsigned i = 0; i < 16; i++)
        right = right && regs_after[i] == regs_before[i];
    tap_ok(right, "and brought back by RSM");
    tap_eq(smm_field(SAVE_RIP, 8), rip_behind, "RIP: behind the OUT");
    tap_eq(smm_field(SAVE_CR0, 8), read_cr0(), "CR0");
    tap_eq(smm_field(SAVE_CR3, 8), read_cr3(), "CR3");
    tap_eq(smm_field(SAVE_CR4, 8), read_cr4(), "CR4");
    tap_eq(smm_field(SAVE_EFER, 8), rdmsr(MSR_EFER), "EFER");
    tap_eq(smm_field(SAVE_DR6, 8), 0xffff4ff0, "DR6");
    tap_eq(smm_field(SAVE_DR7, 8), 0x400, "DR7");
    tap_eq(smm_field(SAVE_RFLAGS, 8) & ~UINT64_C(0x8d5), RFLAGS_ONE, "RFLAGS");
    tap_ok(segment(SAVE_CS, cs, 0) && (smm_field(SAVE_CS + 2, 2) & 0x2ff) == 0x29b,
           "CS with its attributes");
    tap_ok(smm_field(SAVE_SS, 2) == SEL_DATA && smm_field(SAVE_DS, 2) == SEL_DATA, "SS and DS");
    tap_ok(smm_field(SAVE_GDTR + 4, 2) == gdtr.limit && smm_field(SAVE_GDTR + 8, 8) == gdtr.base,
           "GDTR");
    tap_ok(smm_field(SAVE_IDTR + 4, 2) == idtr.limit && smm_field(SAVE_IDTR + 8, 8) == idtr.base,
           "IDTR");
    tap_ok(segment(SAVE_TR, tr, (uintptr_t)trap_tss()), "TR");
    tap_eq(smm_field(SAVE_REVISION, 4), 0x30064, "revision: AMD64, I/O restart, SMBASE relocation");
    tap_eq(smm_field(SAVE_SMBASE, 4), SMBASE_RESET, "SMBASE");
    tap_eq(smm_field(SAVE_IO_DWORD, 4) >> 16, APM_PORT, "I/O trap: the port");
    tap_eq(smm_field(SAVE_IO_DWORD, 4) & 0x7f, 0x12, "a byte, OUT, valid");
    tap_eq(smm_field(SAVE_IO_RIP, 8), rip_behind - 1, "the OUT itself");
    tap_eq(smm_field(SAVE_HALT_RESTART, 1) | smm_field(SAVE_NMI_MASK, 1), 0,
           "neither HLT nor NMI blocking");
    write_dr6(0xffff0ff0);
}

/* ---- what the handler changes --------------------------------------------------------------------------- */

extern const char elsewhere[];

/* Without the patch this returns 0. */
static __attribute__((noinline)) void call_to_elsewhere(uint64_t *value)
{
    __asm__ volatile("outb %%al, $0xb2\n\txorl %%eax, %%eax\n\tjmp 1f\n\t"
                     ".globl elsewhere\nelsewhere:\n\tmovl $0xe15e, %%eax\n\t1:"
                     : "=a"(*value)
                     :
                     : "memory", "cc");
}

static void test_changes(void)
{
    uint64_t value = 1;

    smm_reset();
    smm_patch(SAVE_REG(0), 0x89abcdef);
    smm_patch(SAVE_REG(0) + 4, 0x01234567);
    __asm__ volatile("outb %%al, $0xb2" : "+a"(value) : : "memory");
    tap_eq(value, UINT64_C(0x0123456789abcdef), "RSM takes RAX from the area");
    smm_reset();
    smm_patch(SAVE_RIP, (uint32_t)(uintptr_t)elsewhere);
    call_to_elsewhere(&value);
    tap_eq(value, 0xe15e, "and RIP");
    smm_reset();
    smm_patch(SAVE_RFLAGS, (uint32_t)(RFLAGS_ONE | RFLAGS_CF | RFLAGS_DF));
    __asm__ volatile("outb %%al, $0xb2\n\tpushfq\n\tpopq %0\n\tcld"
                     : "=r"(value)
                     : "a"(0)
                     : "memory", "cc");
    tap_eq(value & (RFLAGS_CF | RFLAGS_DF), RFLAGS_CF | RFLAGS_DF, "and RFLAGS");
}

/* ---- I/O restart --------------------------------------------------------------------------------------------- */

static void test_io_restart(void)
{
    smm_reset();
    smm_patch(SAVE_IO_RESTART, 0x000000ff);
    outb(APM_PORT, 1);
    tap_eq(smm_seen.entries, 2, "I/O restart: the OUT is done again, and SMI comes again");
    smm_reset();
    outb(APM_PORT, 1);
    tap_eq(smm_seen.entries, 1, "without it, not");
}

/* ---- from every mode ------------------------------------------------------------------------------------------- */

#define CALL "movl $0x12345678, %ecx\n outb %al, $0xb2\n movl $0x600d, %edx"
MODE_CODE16(from16, CALL);
MODE_CODE32(from32, CALL);
MODE_CODE64(from64, CALL);

static const struct {
    enum mode mode;
    const char *code, *end, *name;
    uint8_t pe, lma, vm, cpl;
} modes[] = {
    { MODE_REAL, from16, from16_end, "real mode", 0, 0, 0, 0 },
    { MODE_UNREAL, from16, from16_end, "unreal mode", 0, 0, 0, 0 },
    { MODE_PROT16, from16, from16_end, "16-bit protected mode", 1, 0, 0, 0 },
    { MODE_PROT32, from32, from32_end, "32-bit protected mode", 1, 0, 0, 0 },
    { MODE_PROT32_USER, from32, from32_end, "32-bit, CPL 3", 1, 0, 0, 3 },
    { MODE_V86, from16, from16_end, "virtual-8086 mode", 1, 0, 1, 3 },
    { MODE_COMPAT16, from16, from16_end, "16-bit compatibility mode", 1, 1, 0, 0 },
    { MODE_COMPAT32, from32, from32_end, "compatibility mode", 1, 1, 0, 0 },
    { MODE_COMPAT32_USER, from32, from32_end, "compatibility mode, CPL 3", 1, 1, 0, 3 },
    { MODE_LONG, from64, from64_end, "64-bit mode", 1, 1, 0, 0 },
    { MODE_LONG_USER, from64, from64_end, "64-bit mode, CPL 3", 1, 1, 0, 3 },
};

static void test_modes(void)
{
    for (unsigned i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        struct modes_state *m = modes_begin(modes[i].mode, modes[i].code);
        struct mode_event e;
        bool saved;

        if (modes[i].cpl == 3) {
            modes_open_ports();
            m->rflags |= RFLAGS_IOPL;
        }
        smm_reset();
        e = modes_run();
        saved = (smm_field(SAVE_CR0, 8) & CR0_PE) == modes[i].pe &&
                (smm_field(SAVE_EFER, 8) >> 10 & 1) == modes[i].lma &&
                (smm_field(SAVE_RFLAGS, 8) >> 17 & 1) == modes[i].vm &&
                smm_field(SAVE_REG(1), 4) == 0x12345678;
        tap_ok(smm_seen.entries == 1 && saved, "SMI from %s: the mode is in the area",
               modes[i].name);
        tap_ok(modes_done(&e, modes[i].end) && modes_reg(M_DX) == 0x600d &&
                   modes_reg(M_CX) == 0x12345678,
               "RSM goes back to %s", modes[i].name);
    }
}

/* Unreal mode's limits survive SMM. */
MODE_CODE16(big16, "outb %al, $0xb2\n movl $0x100000, %ebx\n big16_insn: movl (%ebx), %eax");
MODE_CODE16(small16, "outb %al, $0xb2\n movl $0x100000, %ebx\n small16_insn: movl (%ebx), %eax");

static void test_limits(void)
{
    smm_reset();
    PASS(MODE_UNREAL, big16, "limits of 4 GiB in real mode survive");
    smm_reset();
    FAULT(MODE_REAL, small16, EXC_GP, 0, "and so do those of 64 KiB");
}

/* ---- RSM elsewhere ----------------------------------------------------------------------------------------------- */

MODE_CODE16(rsm16, "rsm16_insn: rsm");
MODE_CODE32(rsm32, "rsm32_insn: rsm");
MODE_CODE64(rsm64, "rsm64_insn: rsm");

static void test_rsm(void)
{
    FAULT(MODE_LONG, rsm64, EXC_UD, 0, "RSM outside SMM: #UD, 64-bit mode");
    FAULT(MODE_LONG_USER, rsm64, EXC_UD, 0, "RSM outside SMM: #UD, CPL 3");
    FAULT(MODE_PROT32, rsm32, EXC_UD, 0, "RSM outside SMM: #UD, protected mode");
    FAULT(MODE_REAL, rsm16, EXC_UD, 0, "RSM outside SMM: #UD, real mode");
    FAULT(MODE_V86, rsm16, EXC_UD, 0, "RSM outside SMM: #UD, virtual-8086 mode");
}

int rom_main(void)
{
    smm_require();
    test_entry();
    test_area();
    test_changes();
    test_io_restart();
    test_modes();
    test_limits();
    test_rsm();
    tap_done();
}
