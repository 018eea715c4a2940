/* maps.c: the I/O and MSR permission maps: every edge, and EXITINFO of the exits.
 * APM vol 2, 15.10 "IOIO Intercepts", 15.11 "MSR Intercepts". */
#include "test-roms/svm/kit.h"

GUEST_CODE(m_out8, "outb %al, %dx");
GUEST_CODE(m_out16, "outw %ax, %dx");
GUEST_CODE(m_out32, "outl %eax, %dx");
GUEST_CODE(m_in8, "inb %dx, %al");
GUEST_CODE(m_in16, "inw %dx, %ax");
GUEST_CODE(m_in32, "inl %dx, %eax");
GUEST_CODE(m_out_imm, "outb %al, $0x80");
GUEST_CODE(m_outsb, "outsb");
GUEST_CODE(m_rep_outsl, "rep outsl");
GUEST_CODE(m_rep_insw, "rep insw");
GUEST_CODE(m_outsb_fs, "outsb %fs:(%rsi), %dx");
GUEST_CODE(m_outsb_32, "addr32 outsb");
GUEST_CODE(m_rdmsr, "rdmsr");
GUEST_CODE(m_wrmsr, "wrmsr");

#define A32 0x100u

static struct svm_guest g;
static uint8_t *iopm, *msrpm;
static uint8_t buffer[64];

static void fresh_io(const char *code, uint32_t port, unsigned first_bit, unsigned count)
{
    kit_guest(&g, code);
    memset(iopm, 0, 3 * PAGE_4K);
    for (unsigned i = first_bit; i < first_bit + count; i++)
        iopm[i / 8] |= (uint8_t)(1u << i % 8);
    svm_set(&g, VMCB_IOPM_BASE_PA, (uintptr_t)iopm);
    svm_intercept(&g, VMCB_INTERCEPT_3, INTERCEPT3_IOIO_PROT);
    g.rdx = port;
    g.rsi = g.rdi = (uintptr_t)buffer;
    g.rcx = 3;
}

static void io(const char *code, uint32_t port, unsigned bit, bool exits, const char *what)
{
    fresh_io(code, port, bit, 1);
    tap_eq(svm_run(&g), exits ? VMEXIT_IOIO : VMEXIT_VMMCALL, "%s, port %x, bit %x set: %s", what,
           port, bit, exits ? "exits" : "passes");
}

/* Ports 0x80 and 0x84-0x87 do nothing; what lies at the top of the space is open bus. */
/* rows: vmcb 6.1.1-6.1.4 */
static void test_bits(void)
{
    io(m_out8, 0x80, 0x80, true, "OUT 8");
    io(m_out8, 0x80, 0x7f, false, "OUT 8");
    io(m_out8, 0x80, 0x81, false, "OUT 8");
    io(m_out16, 0x84, 0x85, true, "OUT 16");
    io(m_out16, 0x84, 0x86, false, "OUT 16");
    io(m_out32, 0x84, 0x87, true, "OUT 32");
    io(m_out32, 0x84, 0x88, false, "OUT 32");
    io(m_out32, 0x84, 0x83, false, "OUT 32");
    io(m_in8, 0, 0, true, "IN 8");
    io(m_in8, 0xffff, 0xffff, true, "IN 8");
    io(m_in16, 0xffff, 0x10000, true, "IN 16");
    io(m_in16, 0xffff, 0, false, "IN 16");
    io(m_in32, 0xffff, 0x10002, true, "IN 32");
    io(m_in32, 0xffff, 0x10003, false, "IN 32");
    io(m_in32, 0xfffd, 0x10000, true, "IN 32");
    io(m_in8, 0x7fff, 0x7fff, true, "IN 8");
    io(m_in16, 0x7fff, 0x8000, true, "IN 16");
    kit_guest(&g, m_out8);
    memset(iopm, 0xff, 3 * PAGE_4K);
    svm_set(&g, VMCB_IOPM_BASE_PA, (uintptr_t)iopm);
    g.rdx = 0x80;
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "the map means nothing without the IOIO intercept");
    fresh_io(m_out8, 0x80, 0x80, 1);
    svm_set(&g, VMCB_IOPM_BASE_PA, (uintptr_t)iopm + 0xfff);
    tap_eq(svm_run(&g), VMEXIT_IOIO, "bits 11:0 of IOPM_BASE_PA are ignored");
}

static void info(const char *code, uint32_t port, uint64_t want, const char *what)
{
    uint64_t mask = svm_has(SVM_FEATURE_DECODE_ASSISTS) ? UINT64_MAX : ~UINT64_C(0x1c00);

    fresh_io(code, port, port, 4);
    tap_eq(svm_run(&g), VMEXIT_IOIO, "%s exits", what);
    want |= (uint64_t)port << IOIO_PORT_SHIFT;
    tap_eq(svm_get(&g, VMCB_EXITINFO1) & mask, want & mask, "%s: EXITINFO1", what);
    tap_ok(svm_get(&g, VMCB_RIP) == (uintptr_t)code, "%s: RIP is at the instruction", what);
}

#define NEXT(code) \
    tap_eq(svm_get(&g, VMCB_EXITINFO2), (uintptr_t)code##_end, #code ": EXITINFO2 is the next RIP")
#define SEG(n) ((uint64_t)(n) << 10)

/* rows: exit 1.2.22, 2.29, 3.3.1-3.3.9 */
static void test_info(void)
{
    info(m_out8, 0x80, IOIO_SZ8 | IOIO_A64, "OUT 8");
    NEXT(m_out8);
    info(m_out16, 0x84, IOIO_SZ16 | IOIO_A64, "OUT 16");
    info(m_in32, 0x84, IOIO_IN | IOIO_SZ32 | IOIO_A64, "IN 32");
    info(m_out_imm, 0x80, IOIO_SZ8 | IOIO_A64, "OUT to an immediate port");
    NEXT(m_out_imm);
    info(m_outsb, 0x80, IOIO_STR | IOIO_SZ8 | IOIO_A64 | SEG(3), "OUTSB");
    info(m_outsb_fs, 0x80, IOIO_STR | IOIO_SZ8 | IOIO_A64 | SEG(4), "OUTSB with FS");
    info(m_outsb_32, 0x80, IOIO_STR | IOIO_SZ8 | A32 | SEG(3), "OUTSB with address size 32");
    info(m_rep_outsl, 0x84, IOIO_STR | IOIO_REP | IOIO_SZ32 | IOIO_A64 | SEG(3), "REP OUTSD");
    tap_ok(g.rcx == 3 && g.rsi == (uintptr_t)buffer, "REP OUTSD: nothing was done");
    NEXT(m_rep_outsl);
    info(m_rep_insw, 0x84, IOIO_IN | IOIO_STR | IOIO_REP | IOIO_SZ16 | IOIO_A64, "REP INSW");
    fresh_io(m_rep_outsl, 0x84, 0x84, 4);
    g.rcx = 0;
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "REP OUTSD with RCX=0 makes no access and no exit");
    fresh_io(m_outsb, 0x80, 0x80, 1);
    g.rsi = UINT64_C(0x0000800000000000);
    tap_eq(svm_run(&g), VMEXIT_IOIO, "the map is tested before the operand's address");
    fresh_io(m_out8, 0x80, 0x80, 1);
    kit_guest_user(&g);
    {
        struct kit_end end = kit_run(&g);

        tap_ok(end.event != NULL && end.event->vector == EXC_GP,
               "CPL 3, IOPL 0: #GP before the map");
    }
}

/* ---- MSRs ---------------------------------------------------------------------------------------- */

static void fresh_msr(const char *code, uint32_t msr)
{
    kit_guest(&g, code);
    svm_set(&g, VMCB_MSRPM_BASE_PA, (uintptr_t)msrpm);
    svm_intercept(&g, VMCB_INTERCEPT_3, INTERCEPT3_MSR_PROT);
    g.rcx = msr;
}

static void msr(uint32_t number, unsigned byte, unsigned bit, const char *what)
{
    memset(msrpm, 0, 2 * PAGE_4K);
    msrpm[byte] = (uint8_t)(1u << bit);
    fresh_msr(m_rdmsr, number);
    tap_ok(svm_run(&g) == VMEXIT_MSR && svm_get(&g, VMCB_EXITINFO1) == 0,
           "RDMSR %x, %s: byte %x bit %u", number, what, byte, bit);
    memset(msrpm, 0xff, 2 * PAGE_4K);
    msrpm[byte] = (uint8_t) ~(1u << bit);
    fresh_msr(m_rdmsr, number);
    tap_ok(svm_run(&g) != VMEXIT_MSR, "RDMSR %x: no other bit counts", number);
    memset(msrpm, 0, 2 * PAGE_4K);
    msrpm[byte] = (uint8_t)(2u << bit);
    fresh_msr(m_wrmsr, number);
    tap_ok(svm_run(&g) == VMEXIT_MSR && svm_get(&g, VMCB_EXITINFO1) == 1,
           "WRMSR %x: the next bit, EXITINFO1 1", number);
}

/* rows: vmcb 6.2.1-6.2.3, 6.2.5-6.2.6, 6.2.8, exit 1.2.23, 2.28 */
static void test_msrs(void)
{
    struct kit_end end;

    msr(0x00000000, 0x000, 0, "first of the first range");
    msr(0x00001fff, 0x7ff, 6, "last of the first range");
    msr(0xc0000000, 0x800, 0, "first of the second range");
    msr(0xc0000080, 0x820, 0, "EFER");
    msr(0xc0001fff, 0xfff, 6, "last of the second range");
    msr(0xc0010000, 0x1000, 0, "first of the third range");
    msr(0xc0011fff, 0x17ff, 6, "last of the third range");
    memset(msrpm, 0, 2 * PAGE_4K);
    fresh_msr(m_rdmsr, 0x2000);
    tap_eq(svm_run(&g), VMEXIT_MSR, "an MSR behind the first range always exits");
    fresh_msr(m_wrmsr, 0xc0002000);
    tap_eq(svm_run(&g), VMEXIT_MSR, "an MSR behind the second range always exits");
    fresh_msr(m_rdmsr, 0xbfffffff);
    tap_eq(svm_run(&g), VMEXIT_MSR, "an MSR before the second range always exits");
    fresh_msr(m_rdmsr, 0xc0000082);
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "a clear bit passes");
    memset(msrpm, 0xff, 2 * PAGE_4K);
    fresh_msr(m_rdmsr, 0xc0000082);
    svm_set32(&g, VMCB_INTERCEPT_3, 0);
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "the map means nothing without the MSR intercept");
    fresh_msr(m_rdmsr, 0xc0000082);
    tap_eq(svm_run(&g), VMEXIT_MSR, "RDMSR exits");
    if (svm_has(SVM_FEATURE_NRIPS))
        tap_eq(svm_get(&g, VMCB_NRIP), (uintptr_t)m_rdmsr_end, "with nRIP behind it");
    else
        tap_skip("no NRIPS", "with nRIP behind it");
    fresh_msr(m_rdmsr, 0xc0000082);
    kit_guest_user(&g);
    end = kit_run(&g);
    tap_ok(end.event != NULL && end.event->vector == EXC_GP, "CPL 3: #GP before the map");
}

int rom_main(void)
{
    kit_init();
    iopm = rom_pages(3);
    msrpm = rom_pages(2);
    test_bits();
    test_info();
    test_msrs();
    tap_done();
}
