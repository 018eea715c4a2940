/* guest.c: a guest that goes through all modes by itself, as entry.c does, with and without nested paging, and
 * without one exit. APM vol 2, 15.5 "VMRUN Instruction", 15.22 "Paged Real Mode" (for what is allowed), 15.25 "Nested Paging". */
#include "test-roms/lib/modes.h"
#include "test-roms/lib/paging.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/svm.h"
#include "test-roms/lib/tap.h"

#define PWU (PAGE_P | PAGE_W | PAGE_U)
#define STACK_BYTES 32768

/* The same bytes in 16-bit, 32-bit and 64-bit code: the default operand size shows. */
#define WIDTH "movl %esp, %ebx\n .byte 0x6a, 0x01\n movl %esp, %ecx\n .byte 0x58\n"
MODE_CODE16(width16, WIDTH);
MODE_CODE32(width32, WIDTH);
MODE_CODE64(width64, WIDTH);
MODE_CODE32(touch, "movl (%esi), %eax\n movl $0x77, 4(%esi)");
MODE_CODE16(far_away, "movw $0x2000, %ax\n movw %ax, %ds\n movw $0x4321, 0x10\n movw 0x10, %bx");
MODE_CODE32(fault, "fault_insn: movl (%esi), %eax");

static const struct {
    enum mode mode;
    const char *name, *code, *end;
    unsigned width;
} rows[] = {
    { MODE_REAL, "real mode", width16, width16_end, 2 },
    { MODE_UNREAL, "real mode with big segments", width16, width16_end, 2 },
    { MODE_PROT16, "16-bit protected mode", width16, width16_end, 2 },
    { MODE_PROT32, "32-bit protected mode", width32, width32_end, 4 },
    { MODE_PROT32_USER, "32-bit protected mode, CPL 3", width32, width32_end, 4 },
    { MODE_V86, "virtual-8086 mode", width16, width16_end, 2 },
    { MODE_COMPAT16, "16-bit compatibility mode", width16, width16_end, 2 },
    { MODE_COMPAT32_USER, "32-bit compatibility mode, CPL 3", width32, width32_end, 4 },
    { MODE_LONG, "64-bit mode", width64, width64_end, 8 },
    { MODE_LONG_USER, "64-bit mode, CPL 3", width64, width64_end, 8 },
};

static uint32_t page[1][1024] __attribute__((aligned(4096)));
static uint8_t guest_stack[STACK_BYTES] __attribute__((aligned(16)));
static const char *how;

static void check(unsigned i, const char *paging)
{
    struct mode_event e = modes_run();

    tap_ok(modes_done(&e, rows[i].end) && modes_reg(M_BX) - modes_reg(M_CX) == rows[i].width,
           "%s: %s%s", how, rows[i].name, paging);
    if (!modes_done(&e, rows[i].end))
        rom_printf("#   vector %u, error code %lx at %lx\n", e.vector, e.error, e.ip);
}

static void test_paging(bool pae)
{
    struct modes_state *m = modes_begin(MODE_PROT32, touch);
    struct mode_event e;

    page[0][0] = 0x1234;
    page[0][1] = 0;
    if (pae)
        modes_map_pae(modes_paging_pae(), 0x40000000, (uintptr_t)page[0], PWU);
    else
        modes_map32(modes_paging_pse(), 0x40000000, (uintptr_t)page[0], (uint32_t)PWU);
    m->regs[M_SI] = 0x40000000;
    e = modes_run();
    tap_ok(modes_done(&e, touch_end) && modes_reg(M_AX) == 0x1234 && page[0][1] == 0x77,
           "%s: %s paging finds its page", how, pae ? "PAE" : "32-bit");
    m = modes_begin(MODE_PROT32, fault);
    if (pae)
        modes_map_pae(modes_paging_pae(), 0x40000000, 0, 0);
    else
        modes_map32(modes_paging_pse(), 0x40000000, 0, 0);
    m->regs[M_SI] = 0x40000008;
    e = modes_run();
    tap_ok(e.vector == EXC_PF && e.error == 0 && e.cr2 == 0x40000008 &&
               e.ip == (uintptr_t)fault_insn,
           "%s: %s paging: #PF comes to the guest", how, pae ? "PAE" : "32-bit");
}

/* The guest. */
static void inside(void)
{
    struct mode_event e;

    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        modes_begin(rows[i].mode, rows[i].code);
        check(i, "");
        if (rows[i].mode >= MODE_PROT16 && rows[i].mode <= MODE_V86) {
            modes_begin(rows[i].mode, rows[i].code);
            modes_paging_pse();
            check(i, ", 4 MiB pages");
            modes_begin(rows[i].mode, rows[i].code);
            modes_paging_pae();
            check(i, ", PAE");
        }
    }
    test_paging(false);
    test_paging(true);
    modes_begin(MODE_REAL, far_away);
    e = modes_run();
    tap_ok(modes_done(&e, far_away_end) && (modes_reg(M_BX) & 0xffff) == 0x4321 &&
               *(volatile uint16_t *)(uintptr_t)0x20010 == 0x4321,
           "%s: real mode writes where its segment says", how);
    __asm__ volatile("vmmcall" : : : "memory");
}

static void run(bool nested)
{
    static struct svm_guest g;
    uint64_t code;

    how = nested ? "nested paging" : "no nested paging";
    g.vmcb = NULL;
    svm_guest_init(&g, (uintptr_t)inside, (uintptr_t)guest_stack + STACK_BYTES - 8, 1);
    if (nested) {
        uint64_t *root = paging_new_root();

        paging_map_identity(root, PWU);
        svm_set_nested(&g, root);
    }
    svm_set8(&g, VMCB_TLB_CONTROL, TLB_CONTROL_FLUSH_ALL);
    code = svm_run(&g);
    tap_ok(code == VMEXIT_VMMCALL, "%s: the only exit is its VMMCALL", how);
    if (code != VMEXIT_VMMCALL)
        rom_printf("#   exit code %lx, EXITINFO %lx %lx, RIP %lx\n", code,
                   svm_get(&g, VMCB_EXITINFO1), svm_get(&g, VMCB_EXITINFO2), svm_get(&g, VMCB_RIP));
}

int rom_main(void)
{
    if (!svm_enable()) {
        tap_skip("no SVM", "guests");
        tap_done();
    }
    /* rows: svmop 15.1.2, 15.2.1, 15.2.4, 15.2.7, 15.2.8, 14.1 */
    run(false);
    if (svm_has(SVM_FEATURE_NP))
        run(true);
    else
        tap_skip("no nested paging", "guests with nested paging");
    tap_done();
}
