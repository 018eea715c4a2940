/* invlpgb.c: INVLPGB of one processor removes stale translations of another: of the host, of guests by their ASIDs, of nested tables. APM
 * vol 2, 5.5.2 "TLB Management" (INVLPGB), 15.16 "TLB Control"; vol 3, "INVLPGB", "TLBSYNC". That an entry is still there before is
 * a promise of ours. */
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/paging.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/smp.h"
#include "test-roms/lib/svm.h"
#include "test-roms/lib/tap.h"
#include "test-roms/lib/trap.h"

/* rAX */
#define VA 0x01u
#define PCID 0x02u
#define ASID 0x04u
#define GLOBALS 0x08u
#define NESTED 0x20u
#define STRIDE_2M (1u << 31) /* in ECX */
#define NESTED_TLBI (UINT64_C(1) << 7)

#define PAGES 5u /* 0 to 3 in a row, 4 at the next 2 MiB */
#define WINDOW PAGING_WINDOW
#define PWU (PAGE_P | PAGE_W | PAGE_U)

static uint8_t old_page[4096] __attribute__((aligned(4096)));
static uint8_t new_page[4096] __attribute__((aligned(4096)));
static volatile uint64_t *entry[PAGES];
static volatile uint8_t seen[PAGES];

static uint64_t address(unsigned n)
{
    return WINDOW + (n < 4 ? n * PAGE_4K : PAGE_2M);
}

/* ---- the other processor ---------------------------------------------------------------------------------- */

static void enable_globals(void *arg)
{
    (void)arg;
    write_cr4(read_cr4() | CR4_PGE);
}

static void read_all(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < PAGES; i++)
        seen[i] = *(volatile uint8_t *)address(i);
}

static void flush_and_read(void *arg)
{
    for (unsigned i = 0; i < PAGES; i++)
        invlpg(address(i));
    read_all(arg);
}

/* MOV EAX, 0xaa or 0xbb; RET */
#define CODE_AT 16u
static void call_all(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < PAGES; i++)
        seen[i] = ((uint8_t(*)(void))(address(i) + CODE_AT))();
}

static void there(smp_task task)
{
    smp_run(1, task, NULL);
    smp_wait(1);
}

/* Which pages show the new contents there: bit n. */
static unsigned fresh(smp_task task)
{
    unsigned mask = 0;

    there(task);
    for (unsigned i = 0; i < PAGES; i++)
        mask |= (seen[i] == 0xbb ? 1u : 0) << i;
    return mask;
}

static void map(const uint8_t *page, uint64_t flags)
{
    for (unsigned i = 0; i < PAGES; i++)
        *entry[i] = (uintptr_t)page | flags;
}

/* Old pages in its TLB, new ones in the tables. */
static void begin(uint64_t flags)
{
    map(old_page, flags);
    flush_and_read(NULL);
    there(flush_and_read);
    map(new_page, flags);
}

static void invlpgb(uint64_t rax, uint32_t ecx, uint32_t edx)
{
    __asm__ volatile(".byte 0x0f, 0x01, 0xfe\n .byte 0x0f, 0x01, 0xff"
                     :
                     : "a"(rax), "c"(ecx), "d"(edx)
                     : "memory");
}

/* ---- the host ------------------------------------------------------------------------------------------------ */

static void test_host(void)
{
    static const struct {
        const char *what;
        uint64_t rax;
        uint32_t ecx, edx;
        unsigned wanted;
        bool global;
    } rows[] = {
        { "one page", WINDOW | VA, 0, 0, 0x01, false },
        { "three pages in a row", WINDOW | VA, 2, 0, 0x07, false },
        { "two pages 2 MiB apart", WINDOW | VA, STRIDE_2M | 1, 0, 0x11, false },
        { "an address that is not canonical: none", UINT64_C(0x0800000000000000) | VA, 3, 0, 0x00,
          false },
        { "all", 0, 0, 0, 0x1f, false },
        { "one page, global, without globals: stays", WINDOW | VA, 0, 0, 0x00, true },
        { "one page, global, with globals", WINDOW | VA | GLOBALS, 0, 0, 0x01, true },
        { "all, global, without globals: stay", 0, 0, 0, 0x00, true },
        { "all, global, with globals", GLOBALS, 0, 0, 0x1f, true },
        { "ASID 0: the host", ASID, 0, 0, 0x1f, false },
        { "ASID 5: not the host", ASID, 0, 5, 0x00, false },
        { "PCID 0", PCID, 0, 0, 0x1f, false },
        { "another PCID", PCID, 0, 7u << 16, 0x00, false },
        { "one page of another PCID", WINDOW | VA | PCID, 0, 7u << 16, 0x00, false },
    };

    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        begin(PWU | (rows[i].global ? PAGE_G : 0));
        if (i == 0)
            tap_eq(fresh(read_all), 0, "the other processor has old translations");
        invlpgb(rows[i].rax, rows[i].ecx, rows[i].edx);
        tap_eq(fresh(read_all), rows[i].wanted, "INVLPGB there, %s", rows[i].what);
        read_all(NULL);
        if (rows[i].wanted == 0x1f || rows[i].wanted == 0)
            tap_eq(seen[0] == 0xbb, rows[i].wanted != 0, "INVLPGB here, %s", rows[i].what);
    }
}

static void test_code(void)
{
    map(old_page, PWU);
    there(flush_and_read);
    tap_eq(fresh(call_all), 0, "the other processor executes in old pages");
    map(new_page, PWU);
    tap_eq(fresh(call_all), 0, "and goes on there");
    invlpgb(WINDOW | VA, 1, 0);
    tap_eq(fresh(call_all), 0x03, "INVLPGB of two pages: it fetches from the new ones");
    invlpgb(0, 0, 0);
    tap_eq(fresh(call_all), 0x1f, "INVLPGB of all: from all");
}

static void illegal(void *arg)
{
    const uint64_t *operands = arg;

    invlpgb(operands[0], (uint32_t)operands[1], (uint32_t)operands[2]);
}

static void test_illegal(void)
{
    uint64_t most = cpuid_checked(0x80000008u, 0).edx & 0xffff;
    uint64_t rows[][3] = {
        { 0x40, 0, 0 },  { WINDOW | VA, most + 1, 0 }, { WINDOW | VA, 1u << 16, 0 },
        { 0x800, 0, 0 }, { PCID, 0, 1u << 28 },        { WINDOW | VA, most, 0 }
    };

    begin(PWU);
    for (unsigned i = 0; i < 6; i++) {
        struct trap_result r = trap_try(illegal, rows[i]);

        tap_eq(r.vector, i < 5 ? EXC_GP : EXC_NONE, "INVLPGB, rAX %lx, ECX %lx, EDX %lx",
               rows[i][0], rows[i][1], rows[i][2]);
        if (i == 4)
            tap_eq(fresh(read_all), 0, "what is illegal removes nothing");
    }
}

/* ---- guests ------------------------------------------------------------------------------------------------------ */

extern const char guest_read[], guest_invlpgb[];
__asm__(".pushsection .text\n"
        /* RSI: the window; RDI: bytes to fill */
        "guest_read: xorl %ecx, %ecx\n 1: movb (%rsi), %al\n movb %al, (%rdi)\n addq $0x1000, "
        "%rsi\n incq %rdi\n"
        "incl %ecx\n cmpl $4, %ecx\n jne 1b\n movb (%rbx), %al\n movb %al, (%rdi)\n vmmcall\n"
        "guest_invlpgb: movq %rbx, %rax\n .byte 0x0f, 0x01, 0xfe\n .byte 0x0f, 0x01, 0xff\n "
        "vmmcall\n.popsection");

static struct svm_guest guest[2];
static uint8_t stacks[2][1024] __attribute__((aligned(16)));
static uint32_t reader_asid;
static uint64_t *nested;

static void enable(void *arg)
{
    (void)arg;
    svm_enable();
}

static void prepare(unsigned n, const char *code, uint32_t asid)
{
    svm_guest_init(&guest[n], (uintptr_t)code, (uintptr_t)stacks[n] + sizeof stacks[n], asid);
    svm_set(&guest[n], VMCB_NP_ENABLE, NESTED_TLBI);
    if (nested != NULL) {
        svm_set(&guest[n], VMCB_NP_ENABLE, NESTED_TLBI | 1);
        svm_set(&guest[n], VMCB_N_CR3, (uintptr_t)nested);
    }
}

static void run_reader(uint8_t tlb_control)
{
    prepare(1, guest_read, reader_asid);
    guest[1].rsi = WINDOW;
    guest[1].rbx = address(4);
    guest[1].rdi = (uintptr_t)seen;
    svm_set8(&guest[1], VMCB_TLB_CONTROL, tlb_control);
    svm_run(&guest[1]);
}

static void guest_reads(void *arg)
{
    (void)arg;
    run_reader(TLB_CONTROL_NONE);
}

static void guest_reads_anew(void *arg)
{
    (void)arg;
    run_reader(TLB_CONTROL_FLUSH_ASID);
}

static void begin_guest(uint32_t asid)
{
    reader_asid = asid;
    map(old_page, PWU);
    there(flush_and_read);
    there(guest_reads_anew);
    map(new_page, PWU);
}

/* INVLPGB by a guest of this processor. */
static uint64_t by_guest(uint32_t asid, uint64_t rax, uint32_t edx)
{
    prepare(0, guest_invlpgb, asid);
    guest[0].rbx = rax;
    guest[0].rdx = edx;
    return svm_run(&guest[0]);
}

static void test_guests(void)
{
    begin_guest(5);
    tap_eq(fresh(guest_reads), 0, "a guest of the other processor has old translations");
    invlpgb(ASID, 0, 6);
    tap_eq(fresh(guest_reads), 0, "INVLPGB of another ASID: it keeps them");
    invlpgb(WINDOW | VA | ASID, 1, 5);
    tap_eq(fresh(guest_reads), 0x03, "INVLPGB of two pages of its ASID");
    tap_eq(fresh(read_all), 0, "the host there keeps its own");
    invlpgb(ASID, 0, 5);
    tap_eq(fresh(guest_reads), 0x1f, "INVLPGB of its ASID");

    begin_guest(5);
    tap_eq(by_guest(6, 0, 0), VMEXIT_VMMCALL, "INVLPGB of a guest");
    tap_eq(fresh(guest_reads), 0, "removes nothing of another ASID");
    tap_eq(by_guest(6, ASID, 5), VMEXIT_VMMCALL, "INVLPGB of a guest that names another ASID");
    tap_eq(fresh(guest_reads), 0, "removes nothing of it either");
    by_guest(5, WINDOW | VA, 0);
    tap_eq(fresh(guest_reads), 0x01,
           "INVLPGB of a page by a guest of the same ASID: on the other processor too");
    by_guest(5, 0, 0);
    tap_eq(fresh(guest_reads), 0x1f, "INVLPGB of all by a guest of the same ASID");
    tap_eq(fresh(read_all), 0, "the host keeps its own");
}

/* The nested tables change, the guest's own do not. */
static void test_nested(void)
{
    volatile uint64_t *leaf;

    if (!svm_has(SVM_FEATURE_NP) || (cpuid_checked(0x80000008u, 0).ebx >> 21 & 1) == 0) {
        tap_skip("no INVLPGB of nested translations", "stale nested translations");
        tap_skip("no INVLPGB of nested translations", "INVLPGB of nested translations");
        return;
    }
    nested = paging_new_root();
    paging_map_identity(nested, PWU);
    leaf = paging_map(nested, (uintptr_t)old_page, (uintptr_t)old_page, PAGE_4K, PWU);
    map(old_page, PWU);
    reader_asid = 8;
    there(guest_reads_anew);
    *leaf = (uintptr_t)new_page | PWU;
    tap_eq(fresh(guest_reads), 0, "a guest has old nested translations");
    invlpgb(ASID | NESTED, 0, 8);
    tap_eq(fresh(guest_reads), 0x1f, "INVLPGB of its ASID with nested translations");
    nested = NULL;
}

int rom_main(void)
{
    bool svm = (cpuid_checked(0x80000001u, 0).ecx & 1u << 2) != 0;

    if (smp_start() < 2 || (cpuid_checked(0x80000008u, 0).ebx >> 3 & 1) == 0) {
        tap_skip("no INVLPGB, or one processor", "everything");
        tap_done();
    }
    memset(old_page, 0xaa, sizeof old_page);
    memset(new_page, 0xbb, sizeof new_page);
    memcpy(old_page + CODE_AT, "\xb8\xaa\0\0\0\xc3", 6);
    memcpy(new_page + CODE_AT, "\xb8\xbb\0\0\0\xc3", 6);
    for (unsigned i = 0; i < PAGES; i++)
        entry[i] = paging_map(paging_root(), address(i), (uintptr_t)old_page, PAGE_4K, PWU);
    enable_globals(NULL);
    there(enable_globals);
    test_host();
    test_code();
    test_illegal();
    if (svm) {
        enable(NULL);
        there(enable);
        test_guests();
        test_nested();
    } else {
        tap_skip("no SVM", "guests");
    }
    tap_done();
}
