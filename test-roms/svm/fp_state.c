/* fp_state.c: VMRUN and #VMEXIT switch no x87, SSE and AVX registers, no MXCSR, XCR0 and PKRU; but CR0 and CR4, which decide who may use
 * them. APM vol 2, 15.5.1 "Basic Operation", 15.6 "#VMEXIT", 8.2.7 "#UD", 8.2.8 "#NM". */
#include "test-roms/svm/fp_kit.h"

GUEST_CODE(s_save, "movl $7, %eax\nxorl %edx, %edx\nxsave64 (%rdi)");
GUEST_CODE(s_load, "movl $7, %eax\nxorl %edx, %edx\nxrstor64 (%rdi)");
GUEST_CODE(s_xsetbv, "xorl %ecx, %ecx\nmovl $3, %eax\nxorl %edx, %edx\nxsetbv");
GUEST_CODE(s_wrpkru, "xorl %ecx, %ecx\nxorl %edx, %edx\nmovl %ebx, %eax\nwrpkru");
GUEST_CODE(s_read, "movq (%rdi), %rbx");

/* One piece of code for host and guest: for the host VMMCALL is #UD. */
GUEST_CODE(k_x87, "fnop");
GUEST_CODE(k_control, "fnclex");
GUEST_CODE(k_wait, "fwait");
GUEST_CODE(k_mmx, "pxor %mm0, %mm0");
GUEST_CODE(k_sse, "xorps %xmm0, %xmm0");
GUEST_CODE(k_mxcsr, "stmxcsr (%rdi)");
GUEST_CODE(k_avx, "vpxor %ymm1, %ymm1, %ymm1");
GUEST_CODE(k_fxsave, "fxsave (%rdi)");
GUEST_CODE(k_xsave, "xorl %eax, %eax\nxorl %edx, %edx\nxsave (%rdi)");
GUEST_CODE(k_xgetbv, "xorl %ecx, %ecx\nxgetbv");

static struct svm_guest g;
static struct fp_area first, second, seen;

/* ---- what is not switched ------------------------------------------------------------------------ */

static void fill(struct fp_area *area, uint8_t value, uint32_t mxcsr)
{
    memset(area, 0, sizeof *area);
    *(uint16_t *)area->byte = (uint16_t)(0x037f - (value & 1) * 0x100); /* FCW: precision */
    *(uint32_t *)(area->byte + 24) = mxcsr;
    area->byte[4] = 0xff;
    for (unsigned i = 0; i < 8; i++)
        memset(area->byte + 32 + 16 * i, value + (int)i, 10);
    memset(area->byte + 160, value, 256);
    memset(area->byte + 576, value + 0x10, 256);
    area->byte[XSTATE_BV] = XCR0_ALL;
}

static bool same(const struct fp_area *a, const struct fp_area *b)
{
    return memcmp(a->byte, b->byte, 6) == 0 && memcmp(a->byte + 24, b->byte + 24, 4) == 0 &&
           memcmp(a->byte + 32, b->byte + 32, 384) == 0 &&
           memcmp(a->byte + 576, b->byte + 576, 256) == 0;
}

static void test_registers(void)
{
    fill(&first, 0x21, 0x1f80);
    fill(&second, 0x42, 0x7fa1);
    fp_restore(&first);
    kit_guest(&g, s_save);
    g.rdi = (uintptr_t)&seen;
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "a guest saves x87, SSE and AVX");
    tap_ok(same(&first, &seen), "they are the host's: VMRUN loads none of them");
    kit_guest(&g, s_load);
    g.rdi = (uintptr_t)&second;
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "a guest loads others");
    fp_save(&seen);
    tap_ok(same(&second, &seen), "the host has the guest's: #VMEXIT restores none of them");
    tap_eq(fp_mxcsr(), 0x7fa1, "MXCSR too");
    fp_set_mxcsr(0x1f80);
    __asm__ volatile("fninit");
}

static uint32_t host_outcome(const char *code, const char *end)
{
    struct trap_result r = trap_try((void (*)(void *))(uintptr_t)code, &seen);

    if (r.vector == EXC_UD && r.rip == (uintptr_t)end)
        return EXC_NONE;
    return r.rip < (uintptr_t)end ? r.vector : 0x1000;
}

static void test_xcr0(void)
{
    struct kit_end end;

    kit_guest(&g, s_xsetbv);
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "XSETBV of a guest without intercept");
    tap_eq(fp_xcr0(), XCR0_X87 | XCR0_SSE, "XCR0 is the host's, too");
    tap_eq(host_outcome(k_avx, k_avx_end), EXC_UD, "without AVX in it VPXOR is #UD in the host");
    kit_guest(&g, k_avx);
    end = kit_run(&g);
    tap_ok(end.event != NULL && end.event->vector == EXC_UD, "and in a guest");
    fp_set_xcr0(XCR0_ALL);
    kit_guest(&g, k_avx);
    end = kit_run(&g);
    tap_ok(end.event == NULL, "what the host enables is enabled for guests");
}

static uint32_t rdpkru(void)
{
    uint32_t value, high;

    __asm__ volatile("rdpkru" : "=a"(value), "=d"(high) : "c"(0));
    return value;
}

static void wrpkru(uint32_t value)
{
    __asm__ volatile("wrpkru" : : "a"(value), "c"(0), "d"(0) : "memory");
}

/* A page with key 1, below user tables. */
static void test_pkru(void)
{
    const uint64_t window = PAGING_WINDOW + UINT64_C(0x5000000), key1 = UINT64_C(1) << 59;
    struct kit_end end;

    if ((cpuid_checked(7, 0).ecx & 1u << 3) == 0) {
        for (unsigned i = 0; i < 5; i++)
            tap_skip("no PKU", "PKRU");
        return;
    }
    write_cr4(read_cr4() | CR4_PKE);
    paging_map(paging_root(), window, (uintptr_t)&seen, PAGE_4K, PAGE_P | PAGE_W | PAGE_U | key1);
    wrpkru(0x4); /* key 1: no access */
    kit_guest(&g, s_read);
    g.rdi = window;
    end = kit_run(&g);
    tap_ok(end.event != NULL && end.event->vector == EXC_PF && end.event->error == (0x20 | PF_P),
           "PKRU of the host forbids a key to the guest");
    kit_guest(&g, s_wrpkru);
    g.rbx = 0x8;
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "a guest writes PKRU");
    tap_eq(rdpkru(), 0x8, "the host reads what the guest wrote");
    tap_eq(trap_try((void (*)(void *))(uintptr_t)s_read, (void *)window).vector, EXC_UD,
           "and may read the page that it forbade itself");
    kit_guest(&g, s_read);
    svm_set(&g, VMCB_CR4, read_cr4() & ~CR4_PKE);
    wrpkru(0x4);
    g.rdi = window;
    tap_eq(svm_run(&g), VMEXIT_VMMCALL,
           "CR4.PKE is the guest's own: without it PKRU forbids nothing");
    wrpkru(0);
    write_cr4(read_cr4() & ~CR4_PKE);
}

/* ---- CR0 and CR4 decide, on each side its own -------------------------------------------------------- */

enum need { NEED_X87, NEED_WAIT, NEED_MMX, NEED_SSE, NEED_AVX, NEED_XSAVE, NEED_XGETBV };

#define SETTINGS 32u

/* A setting: bits 3:1 as in CR0; bit 0: CR4.OSXSAVE is 0; bit 4: CR4.OSFXSR is 0. */
static uint64_t cr0_of(unsigned setting)
{
    return (setting & 0xe) | CR0_NE;
}

static bool osxsave(unsigned setting)
{
    return (setting & 1) == 0;
}

static bool osfxsr(unsigned setting)
{
    return (setting & 16) == 0;
}

static uint32_t expected(enum need need, unsigned setting)
{
    bool ts = (setting & CR0_TS) != 0, em = (setting & CR0_EM) != 0, mp = (setting & CR0_MP) != 0;
    uint32_t unavailable = ts ? EXC_NM : EXC_NONE;

    switch (need) {
    case NEED_X87: return em ? EXC_NM : unavailable;
    case NEED_WAIT: return ts && mp ? EXC_NM : EXC_NONE;
    case NEED_MMX: return em ? EXC_UD : unavailable;
    case NEED_SSE: return em || !osfxsr(setting) ? EXC_UD : unavailable;
    case NEED_XGETBV: return osxsave(setting) ? EXC_NONE : EXC_UD;
    default: return osxsave(setting) ? unavailable : EXC_UD;
    }
}

static const struct kind {
    const char *name, *code, *end;
    enum need need;
} kinds[] = {
    { "FNOP", k_x87, k_x87_end, NEED_X87 },
    { "FNCLEX", k_control, k_control_end, NEED_X87 },
    { "FWAIT", k_wait, k_wait_end, NEED_WAIT },
    { "PXOR MMX", k_mmx, k_mmx_end, NEED_MMX },
    { "XORPS", k_sse, k_sse_end, NEED_SSE },
    { "STMXCSR", k_mxcsr, k_mxcsr_end, NEED_SSE },
    { "VPXOR", k_avx, k_avx_end, NEED_AVX },
    { "FXSAVE", k_fxsave, k_fxsave_end, NEED_X87 },
    { "XSAVE", k_xsave, k_xsave_end, NEED_XSAVE },
    { "XGETBV", k_xgetbv, k_xgetbv_end, NEED_XGETBV },
};

static uint64_t base_cr0, base_cr4;

static uint64_t cr4_of(unsigned setting)
{
    return (base_cr4 & ~(osfxsr(setting) ? 0 : CR4_OSFXSR)) & ~(osxsave(setting) ? 0 : CR4_OSXSAVE);
}

static uint32_t guest_outcome(const struct kind *k, unsigned setting)
{
    struct kit_end end;

    svm_set(&g, VMCB_RIP, (uintptr_t)k->code);
    svm_set(&g, VMCB_RSP, kit_stack_top());
    svm_set(&g, VMCB_CR0, base_cr0 | cr0_of(setting));
    svm_set(&g, VMCB_CR4, cr4_of(setting));
    g.rdi = (uintptr_t)&seen;
    end = kit_run(&g);
    if (end.exitcode != VMEXIT_VMMCALL)
        return 0x1000;
    if (end.event != NULL)
        return end.event->rip < (uintptr_t)k->end ? (uint32_t)end.event->vector : 0x1000;
    return end.rip == (uintptr_t)k->end ? EXC_NONE : 0x1000;
}

/* The host's setting stays while guests with all settings run, and before and after each the host tries the same bytes itself. */
static void test_kind(const struct kind *k)
{
    static const unsigned hosts[] = { 0, 1, 16, CR0_TS, CR0_EM, CR0_TS | CR0_MP, CR0_EM | CR0_TS };
    unsigned wrong_guest = 0, wrong_host = 0;

    kit_guest(&g, k->code);
    for (unsigned h = 0; h < sizeof hosts / sizeof hosts[0]; h++)
        for (unsigned setting = 0; setting < SETTINGS; setting++) {
            write_cr4(cr4_of(hosts[h]));
            write_cr0(base_cr0 | cr0_of(hosts[h]));
            if (guest_outcome(k, setting) != expected(k->need, setting))
                wrong_guest++;
            if (host_outcome(k->code, k->end) != expected(k->need, hosts[h]))
                wrong_host++;
        }
    write_cr0(base_cr0);
    write_cr4(base_cr4);
    tap_eq(wrong_guest, 0, "%s: in a guest its own CR0 and CR4 decide, whatever the host's",
           k->name);
    tap_eq(wrong_host, 0, "%s: behind #VMEXIT the host's decide, whatever the guest's", k->name);
}

int rom_main(void)
{
    fp_init();
    base_cr0 = (read_cr0() & ~(CR0_TS | CR0_EM | CR0_MP)) | CR0_NE;
    base_cr4 = read_cr4();
    write_cr0(base_cr0);
    test_registers();
    test_xcr0();
    test_pkru();
    for (unsigned i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        test_kind(&kinds[i]);
    tap_done();
}
