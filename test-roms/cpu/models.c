/* models.c: what a processor model says of itself. CPUID is consistent, the override MSRs act on it, and registers and bits
 * are there if, and only if, CPUID has their feature. The command line may say who it is: signature=, highest=, extended=.
 * APM vol 3, appendix E; vol 2, 3.1.7 "Extended Feature Enable Register", 3.2 "Model-Specific Registers". */
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"
#include "test-roms/lib/trap.h"

#define OVERRIDE 0xc0011002u /* of leaf 7; then 6, 1, 8000_0001h */
#define OSXSAVE (UINT64_C(1) << (32 + 27))
#define APIC (UINT64_C(1) << 9)
#define TOPOEXT (UINT64_C(1) << (32 + 22))

enum reg { EAX, EBX, ECX, EDX };

static uint32_t word(uint32_t leaf, uint32_t sub, enum reg reg)
{
    struct cpuid_result r = cpuid_checked(leaf, sub);

    return reg == EAX ? r.eax : reg == EBX ? r.ebx : reg == ECX ? r.ecx : r.edx;
}

static bool has(uint32_t leaf, enum reg reg, unsigned bit)
{
    return (word(leaf, 0, reg) >> bit & 1) != 0;
}

static uint64_t pair(uint32_t high, uint32_t low)
{
    return (uint64_t)high << 32 | low;
}

/* --- trying MSRs --- */

struct msr_access {
    uint32_t msr;
    uint64_t value;
};

static void do_read(void *arg)
{
    struct msr_access *a = arg;

    a->value = rdmsr(a->msr);
}

static void do_write(void *arg)
{
    const struct msr_access *a = arg;

    wrmsr(a->msr, a->value);
}

/* Does the access fault with #GP(0)? Any other fault counts as neither. */
static bool faults(void (*access)(void *), uint32_t msr, uint64_t value)
{
    struct msr_access a = { msr, value };
    struct trap_result r = trap_try(access, &a);

    return r.vector == EXC_GP && r.error == 0;
}

static bool takes(uint32_t msr, uint64_t value)
{
    struct msr_access a = { msr, value };

    return trap_try(do_write, &a).vector == EXC_NONE;
}

static void absent(uint32_t msr, const char *name)
{
    tap_ok(faults(do_read, msr, 0) && faults(do_write, msr, 0), "%s is not there: #GP(0)", name);
}

/* --- identity and ranges --- */

static bool leaf_is_zero(uint32_t leaf)
{
    struct cpuid_result r = cpuid(leaf, 0);

    return (r.eax | r.ebx | r.ecx | r.edx) == 0;
}

static void test_identity(void)
{
    uint32_t signature = cpuid(1, 0).eax, highest = cpuid(0, 0).eax,
             extended = cpuid(0x80000000, 0).eax;
    bool zero = true;

    tap_eq(signature, rom_arg("signature", signature), "the signature is the model's");
    tap_eq(highest, rom_arg("highest", highest), "the highest standard leaf is the model's");
    tap_eq(extended, rom_arg("extended", extended), "the highest extended leaf is the model's");
    tap_eq(word(0x80000001, 0, EAX), signature, "Fn8000_0001 has the same signature");
    for (uint32_t leaf = highest + 1; leaf < highest + 16; leaf++)
        zero = zero && leaf_is_zero(leaf);
    for (uint32_t leaf = extended + 1; leaf < extended + 16; leaf++)
        zero = zero && leaf_is_zero(leaf);
    tap_ok(zero && leaf_is_zero(0x40000000), "leaves outside the ranges are zero");
    tap_eq(word(0x80000001, 0, EDX) & 0x0183f3ff, word(1, 0, EDX) & 0x0183f3ff,
           "Fn8000_0001 EDX repeats bits of Fn0000_0001 EDX");
    tap_ok(rdmsr(0x8b) != 0 && takes(0x8b, 1) && rdmsr(0x8b) != 1,
           "PATCH_LEVEL is not 0 and ignores writes");
}

/* --- topology and caches --- */

static void test_topology(void)
{
    unsigned count = has(1, EDX, 28) ? word(1, 0, EBX) >> 16 & 0xff : 1;
    unsigned id = word(1, 0, EBX) >> 24;
    unsigned kinds = 0, level;

    tap_eq((word(0x80000008, 0, ECX) & 0xff) + 1, count, "Fn8000_0008 counts the processors alike");
    if (word(0xb, 0, EBX) != 0) {
        tap_eq(word(0xb, 1, EBX), count, "Fn0000_000B counts them alike");
        tap_eq(word(0xb, 0, EDX), id, "Fn0000_000B has the APIC ID");
    }
    tap_eq(word(0x8000001e, 0, EAX), id, "Fn8000_001E has the APIC ID");
    tap_eq((word(0x8000001e, 0, EBX) >> 8 & 0xff) + 1,
           word(0xb, 0, EBX) != 0 ? word(0xb, 0, EBX) : 1,
           "it counts a core's threads as Fn0000_000B does");
    for (level = 0; (word(0x8000001d, level, EAX) & 0x1f) != 0 && level < 8; level++)
        kinds |= 1u << (word(0x8000001d, level, EAX) & 0x1f);
    tap_ok(level == 4 && kinds == 0xe, "Fn8000_001D has data, code, L2 and L3 caches");
    for (unsigned i = 0; i < 3; i++) {
        uint32_t ebx = word(0x8000001d, i, EBX);
        uint32_t kib =
            ((ebx >> 22) + 1) * (word(0x8000001d, i, ECX) + 1) * ((ebx & 0xfff) + 1) / 1024;
        uint32_t old = i == 0   ? word(0x80000005, 0, ECX) >> 24
                       : i == 1 ? word(0x80000005, 0, EDX) >> 24
                                : word(0x80000006, 0, ECX) >> 16;

        tap_eq(kib, old, "cache %u has the size that the older leaf says", i);
    }
    if (word(0x80000026, 0, EBX) != 0)
        tap_eq(word(0x80000026, 3, EBX), count, "Fn8000_0026 counts them alike");
    else
        tap_skip("no Fn8000_0026", "Fn8000_0026 counts them alike");
}

/* --- live bits and XSAVE --- */

static void test_live_bits(void)
{
    uint64_t cr4 = read_cr4();

    if (!has(1, ECX, 26)) {
        tap_ok(!has(1, ECX, 27) && leaf_is_zero(0xd),
               "without XSAVE neither OSXSAVE nor Fn0000_000D");
        for (unsigned i = 1; i < 8; i++)
            tap_skip("no XSAVE", "OSXSAVE and Fn0000_000D");
        return;
    }
    tap_ok(!has(1, ECX, 27), "OSXSAVE is 0 with CR4.OSXSAVE=0");
    write_cr4(cr4 | CR4_OSXSAVE);
    tap_ok(has(1, ECX, 27), "and 1 with CR4.OSXSAVE=1");
    wrmsr(OVERRIDE + 2, rdmsr(OVERRIDE + 2) & ~OSXSAVE);
    tap_ok(!has(1, ECX, 27), "an override of 0 hides it");
    wrmsr(OVERRIDE + 2, rdmsr(OVERRIDE + 2) | OSXSAVE);
    tap_ok(has(1, ECX, 27), "an override of 1 shows it again");
    write_cr4(cr4);
    tap_ok(!has(1, ECX, 27), "but not while CR4.OSXSAVE is 0");
    tap_ok((word(0xd, 0, EAX) & 3) == 3 && word(0xd, 0, ECX) >= 576,
           "Fn0000_000D has x87 and SSE state, and a size");
    tap_ok(!has(1, ECX, 28) || (word(0xd, 2, EAX) == 256 && word(0xd, 2, EBX) == 576),
           "AVX state lies behind the header");
    tap_eq(word(0xd, 0, EAX) >> 9 & 1, has(7, ECX, 3), "PKRU is a component if there are keys");
}

static void test_apic_gate(void)
{
    uint64_t words = rdmsr(OVERRIDE + 2), base = rdmsr(MSR_APIC_BASE);

    wrmsr(OVERRIDE + 2, words & ~APIC);
    tap_ok(!has(1, EDX, 9), "an override of 0 hides the APIC");
    wrmsr(OVERRIDE + 2, words | APIC);
    tap_ok(has(1, EDX, 9), "an override of 1 lets it be seen");
    wrmsr(MSR_APIC_BASE, base & ~UINT64_C(0x800));
    tap_ok(!has(1, EDX, 9) && !has(0x80000001, EDX, 9), "but not while APIC_BASE disables it");
    wrmsr(MSR_APIC_BASE, base);
    tap_ok(has(1, EDX, 9) && has(0x80000001, EDX, 9), "enabled it is back");
}

/* --- the override MSRs --- */

static uint64_t words_of(unsigned n)
{
    switch (n) {
    case 0: return pair(word(7, 0, EAX), word(7, 0, EBX));
    case 1: return word(6, 0, ECX);
    case 2: return pair(word(1, 0, ECX), word(1, 0, EDX));
    default: return pair(word(0x80000001, 0, ECX), word(0x80000001, 0, EDX));
    }
}

static void do_rdtscp(void *arg)
{
    (void)arg;
    __asm__ volatile("rdtscp" : : : "rax", "rcx", "rdx");
}

static void test_override(void)
{
    static const char *const leaves[] = { "Fn0000_0007", "Fn0000_0006", "Fn0000_0001",
                                          "Fn8000_0001" };

    for (unsigned n = 0; n < 4; n++) {
        uint64_t before = rdmsr(OVERRIDE + n), others = 0, others_after = 0;

        for (unsigned i = 0; i < 4; i++)
            others += i != n ? words_of(i) * (i + 1) : 0;
        tap_eq(before & ~OSXSAVE, words_of(n) & ~OSXSAVE, "the override of %s is its true value",
               leaves[n]);
        wrmsr(OVERRIDE + n, before ^ 0x8000000100000005);
        tap_eq(words_of(n),
               (before & (n == 2 ? ~OSXSAVE : ~UINT64_C(0))) ^
                   (n == 1 ? 5 : UINT64_C(0x8000000100000005)),
               "written, %s follows", leaves[n]);
        for (unsigned i = 0; i < 4; i++)
            others_after += i != n ? words_of(i) * (i + 1) : 0;
        tap_eq(others_after, others, "no other leaf does");
        wrmsr(OVERRIDE + n, before);
        tap_eq(words_of(n) & ~OSXSAVE, before & ~OSXSAVE, "and comes back");
    }
    if (has(0x80000001, EDX, 27)) {
        wrmsr(OVERRIDE + 3, rdmsr(OVERRIDE + 3) & ~(UINT64_C(1) << 27));
        tap_ok(!has(0x80000001, EDX, 27) && trap_try(do_rdtscp, NULL).vector == EXC_NONE,
               "an instruction whose bit is hidden stays");
        wrmsr(OVERRIDE + 3, rdmsr(OVERRIDE + 3) | UINT64_C(1) << 27);
    }
    wrmsr(OVERRIDE + 3, rdmsr(OVERRIDE + 3) & ~TOPOEXT);
    tap_ok(!has(0x80000001, ECX, 22), "TOPOEXT can be hidden as firmware does");
    wrmsr(OVERRIDE + 3, rdmsr(OVERRIDE + 3) | TOPOEXT);
    tap_ok(has(0x80000001, ECX, 22), "and be shown again as Linux does");
}

/* --- registers and bits by feature --- */

/* Bit by bit, what is `legal` is taken and reads back, all else is #GP(0). */
static void bits_of(uint32_t msr, uint64_t legal, bool readable, const char *name)
{
    bool right = true;

    for (unsigned bit = 0; bit < 64; bit++) {
        uint64_t value = UINT64_C(1) << bit;

        if (legal & value)
            right = right && takes(msr, value) && (!readable || rdmsr(msr) == value);
        else
            right = right && faults(do_write, msr, value);
    }
    if (readable)
        wrmsr(msr, 0);
    tap_ok(right, "%s takes the bits of its features, all others are #GP(0)", name);
}

static void test_speculation(void)
{
    uint64_t spec = (has(0x80000008, EBX, 14) ? 1u : 0) | (has(0x80000008, EBX, 15) ? 2u : 0) |
                    (has(0x80000008, EBX, 24) ? 4u : 0) | (has(0x80000008, EBX, 28) ? 0x80u : 0);
    uint64_t pred = (has(0x80000008, EBX, 12) ? 1u : 0) | (has(0x80000021, EAX, 27) ? 0x80u : 0);

    if (spec != 0)
        bits_of(0x48, spec, true, "SPEC_CTRL");
    else
        absent(0x48, "SPEC_CTRL");
    if (pred != 0) {
        bits_of(0x49, pred, false, "PRED_CMD");
        tap_ok(faults(do_read, 0x49, 0), "PRED_CMD cannot be read");
    } else {
        absent(0x49, "PRED_CMD");
    }
}

static void test_efer(void)
{
    static const struct {
        unsigned bit;
        uint32_t leaf;
        enum reg reg;
        unsigned feature;
        const char *name;
    } rows[] = {
        { 0, 0x80000001, EDX, 11, "SCE" },    { 11, 0x80000001, EDX, 20, "NXE" },
        { 12, 0x80000001, ECX, 2, "SVME" },   { 14, 0x80000001, EDX, 25, "FFXSR" },
        { 15, 0x80000001, ECX, 17, "TCE" },   { 17, 0x80000008, EBX, 8, "MCOMMIT" },
        { 18, 0x80000008, EBX, 13, "INTWB" }, { 21, 0x80000021, EAX, 8, "AIBRSE" },
    };
    uint64_t efer = rdmsr(MSR_EFER), known = EFER_LME | EFER_LMA;
    bool right = true;

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t bit = UINT64_C(1) << rows[i].bit;
        bool there = has(rows[i].leaf, rows[i].reg, rows[i].feature);

        known |= bit;
        tap_ok(there ? takes(MSR_EFER, efer | bit) : faults(do_write, MSR_EFER, efer | bit),
               "EFER.%s can be set if CPUID has it", rows[i].name);
        wrmsr(MSR_EFER, efer);
    }
    for (unsigned bit = 0; bit < 64; bit++)
        if (!(known >> bit & 1))
            right = right && faults(do_write, MSR_EFER, efer | UINT64_C(1) << bit);
    tap_ok(right, "EFER: every other bit is #GP(0)");
}

static void test_features(void)
{
    static const struct {
        uint32_t msr, leaf;
        enum reg reg;
        unsigned bit;
        const char *name;
    } rows[] = {
        { 0x3b, 7, EBX, 1, "TSC_ADJUST" },
        { 0xc0000103, 0x80000001, EDX, 27, "TSC_AUX" },
        { 0xc0000108, 0x80000021, EAX, 13, "PREFETCH_CTL" },
        { 0xc001011f, 0x80000008, EBX, 25, "VIRT_SPEC_CTRL" },
        { 0xc0010140, 0x80000001, ECX, 9, "OSVW_ID_LENGTH" },
        { 0xc0010141, 0x80000001, ECX, 9, "OSVW_STATUS" },
        { 0xc0010117, 0x80000001, ECX, 2, "VM_HSAVE_PA" },
        { 0xc0011019, 0x80000001, ECX, 26, "DR1_ADDR_MASK" },
        { 0x179, 1, EDX, 14, "MCG_CAP" },
        { 0xc0010118, 0x8000000a, EDX, 2, "SVM_KEY" },
        { 0xc0000104, 0x8000000a, EDX, 4, "TSC_RATIO" },
    };

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bool there = has(rows[i].leaf, rows[i].reg, rows[i].bit);

        tap_eq(faults(do_read, rows[i].msr, 0), !there, "%s is there if CPUID has its feature",
               rows[i].name);
    }
    if (has(7, EDX, 28)) {
        bits_of(0x10b, 1, false, "FLUSH_CMD");
        tap_ok(faults(do_read, 0x10b, 0), "FLUSH_CMD cannot be read");
    } else {
        absent(0x10b, "FLUSH_CMD");
    }
}

/* --- registers that every part has --- */

static void test_registers(void)
{
    static const struct {
        uint32_t msr;
        uint64_t value;
        const char *name;
    } fixed[] = {
        { 0xc0010055, 0, "INT_PENDING" },
        { 0xc0010061, 0, "the P-state limit" },
        { 0xc0010063, 0, "the P-state status" },
    };
    uint64_t brand = rdmsr(0xc0010030);

    for (unsigned i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
        tap_ok(rdmsr(fixed[i].msr) == fixed[i].value && takes(fixed[i].msr, ~UINT64_C(0)) &&
                   rdmsr(fixed[i].msr) == fixed[i].value,
               "%s is constant", fixed[i].name);
    tap_ok(rdmsr(0xc0010064) >> 63 == 1, "P-state 0 is enabled");
    tap_ok((rdmsr(0xc0011029) & 2) != 0, "DE_CFG: LFENCE serializes");
    tap_ok((rdmsr(0xc0010015) >> 24 & 1) != 0, "HWCR: the TSC counts at the P0 frequency");
    tap_ok(faults(do_write, 0xfe, rdmsr(0xfe)), "MTRRcap is read-only");
    wrmsr(0xc0010030, UINT64_C(0x4847464544434241));
    tap_eq(pair(cpuid(0x80000002, 0).ebx, cpuid(0x80000002, 0).eax), UINT64_C(0x4847464544434241),
           "the name of Fn8000_0002 is that of its MSRs");
    wrmsr(0xc0010030, brand);
    absent(0x3a, "Intel's FEATURE_CONTROL");
    absent(0x186, "Intel's PERFEVTSEL0");
    absent(0xdeadbeef, "an unknown register");
}

int rom_main(void)
{
    test_identity();
    test_topology();
    test_live_bits();
    test_apic_gate();
    test_override();
    test_speculation();
    test_efer();
    test_features();
    test_registers();
    tap_done();
}
