/* integer.c: general-purpose instructions in 64-bit mode: results of every width and the flags that
 * the manual defines. APM vol 3, chapter 3. */
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"
#include "test-roms/lib/trap.h"

#define CF RFLAGS_CF
#define PF RFLAGS_PF
#define AF RFLAGS_AF
#define ZF RFLAGS_ZF
#define SF RFLAGS_SF
#define OF RFLAGS_OF
#define ALL (CF | PF | AF | ZF | SF | OF)

/* Run one instruction on a register with the given flags. %[a] is its destination (in and out),
 * %[b] its source. */
#define RUN(insn, a, b, flags)                                                \
    __asm__ volatile("pushq %[f]\n\tpopfq\n\t" insn "\n\tpushfq\n\tpopq %[f]" \
                     : [a] "+r"(a), [f] "+r"(flags)                           \
                     : [b] "c"(b)                                             \
                     : "cc", "memory")

/* One row: instruction, destination and source, flags before, and what must come out. Only the flags
 * in `mask` are compared. */
#define ROW(insn, a0, b0, f0, want, mask, want_flags)                                   \
    do {                                                                                \
        uint64_t a = (a0), b = (b0), f = (f0) | RFLAGS_ONE;                             \
        RUN(insn, a, b, f);                                                             \
        tap_eq(a, (want), "%s %lx, %lx: result", insn, (uint64_t)(a0), (uint64_t)(b0)); \
        tap_eq(f &(mask), (want_flags), "%s %lx, %lx: flags", insn, (uint64_t)(a0),     \
               (uint64_t)(b0));                                                         \
    } while (0)

#define B "b %b[b], %b[a]"
#define W "w %w[b], %w[a]"
#define L "l %k[b], %k[a]"
#define Q "q %q[b], %q[a]"
#define HIGH UINT64_C(0x1122334455667788)

static void test_add_sub(void)
{
    ROW("add" B, HIGH, 0x78, 0, 0x1122334455667700, ALL, CF | PF | AF | ZF);
    ROW("add" W, HIGH, 0x0878, 0, 0x1122334455668000, ALL, PF | AF | SF | OF);
    ROW("add" L, 0xffffffff7fffffff, 1, 0, 0x80000000, ALL, PF | AF | SF | OF);
    ROW("add" Q, UINT64_MAX, 1, 0, 0, ALL, CF | PF | AF | ZF);
    ROW("adc" B, 0x7f, 0, CF, 0x80, ALL, AF | SF | OF);
    ROW("adc" Q, UINT64_MAX, UINT64_MAX, CF, UINT64_MAX, ALL, CF | PF | AF | SF);
    ROW("adc" L, 0xffffffff, 0xffffffff, 0, 0xfffffffe, ALL, CF | AF | SF);
    ROW("sub" B, 0x80, 1, 0, 0x7f, ALL, AF | OF);
    ROW("sub" W, 0, 1, 0, 0xffff, ALL, CF | PF | AF | SF);
    ROW("sub" L, 0x100000000, 1, 0, 0xffffffff, ALL, CF | PF | AF | SF);
    ROW("sbb" Q, 0, UINT64_MAX, CF, 0, ALL, CF | PF | AF | ZF);
    ROW("sbb" L, 5, 4, CF, 0, ALL, PF | ZF);
    ROW("cmp" Q, 1, 2, 0, 1, ALL, CF | PF | AF | SF);
    ROW("cmp" B, 0x1180, 0x7f, 0, 0x1180, ALL, AF | OF);
    ROW("and" L, HIGH, 0xf0f0f0f0, CF | OF, 0x50607080, ALL & ~AF, 0);
    ROW("or" Q, UINT64_C(1) << 63, 0, CF | OF, UINT64_C(1) << 63, ALL & ~AF, PF | SF);
    ROW("xor" W, 0x1ffff, 0xffff, CF | OF, 0x10000, ALL & ~AF, PF | ZF);
    ROW("test" B, 0x180, 0x80, CF | OF, 0x180, ALL & ~AF, SF);
}

static void test_one_operand(void)
{
    ROW("incb %b[a]", 0xff, 0, CF, 0, ALL, CF | PF | AF | ZF);
    ROW("incl %k[a]", 0x7fffffff, 0, 0, 0x80000000, ALL, PF | AF | SF | OF);
    ROW("decw %w[a]", 0x18000, 0, CF, 0x17fff, ALL, CF | PF | AF | OF);
    ROW("decq %q[a]", 0, 0, 0, UINT64_MAX, ALL, PF | AF | SF);
    ROW("negl %k[a]", 0x80000000, 0, 0, 0x80000000, ALL, CF | PF | SF | OF);
    ROW("negq %q[a]", 0, 0, CF, 0, ALL, PF | ZF);
    ROW("notl %k[a]", UINT64_MAX, 0, ALL, 0, ALL, ALL);
    ROW("bswapq %q[a]", HIGH, 0, 0, 0x8877665544332211, 0, 0);
    ROW("bswapl %k[a]", HIGH, 0, 0, 0x88776655, 0, 0);
}

static void test_shifts(void)
{
    ROW("shlb %%cl, %b[a]", 0x1181, 1, 0, 0x1102, CF | OF | ZF | SF | PF, CF | OF);
    ROW("shll %%cl, %k[a]", HIGH, 32, ALL, 0x55667788, ALL, ALL);
    ROW("shlq %%cl, %q[a]", 1, 63, 0, UINT64_C(1) << 63, CF | ZF | SF | PF, PF | SF);
    ROW("shrw %%cl, %w[a]", 0x18001, 1, 0, 0x14000, CF | OF | ZF | SF | PF, CF | OF | PF);
    ROW("sarl %%cl, %k[a]", 0x80000000, 31, 0, 0xffffffff, CF | ZF | SF | PF, PF | SF);
    ROW("sarb %%cl, %b[a]", 0x80, 9, 0, 0xff, ZF | SF | PF, PF | SF);
    ROW("rolb %%cl, %b[a]", 0x81, 1, ZF | SF | PF | AF, 0x03, ALL, ZF | SF | PF | AF | CF | OF);
    ROW("rorq %%cl, %q[a]", 1, 1, 0, UINT64_C(1) << 63, CF | OF, CF | OF);
    ROW("rolw %%cl, %w[a]", 0x11234, 16, 0, 0x11234, CF, 0);
    ROW("rclb %%cl, %b[a]", 0x80, 1, CF, 0x01, CF | OF, CF | OF);
    ROW("rclb %%cl, %b[a]", 0x80, 9, CF, 0x80, CF, CF);
    ROW("rcrl %%cl, %k[a]", 0xffffffff00000001, 1, CF, 0x80000000, CF | OF, CF | OF);
    ROW("rclw %%cl, %w[a]", 0x8000, 17, 0, 0x8000, CF, 0);
    ROW("rcrq %%cl, %q[a]", 2, 2, 0, 0, CF, CF);
    ROW("shldl $8, %k[b], %k[a]", 0x11223344, 0xaabbccdd, 0, 0x223344aa, CF | ZF | SF | PF,
        CF | PF);
    ROW("shrdq $4, %q[b], %q[a]", 0x10, 0xf, 0, UINT64_C(0xf000000000000001), CF | ZF | SF, SF);
    ROW("shldw $0, %w[b], %w[a]", 0x1234, 0xffff, ALL, 0x1234, ALL, ALL);
}

static void test_bits(void)
{
    ROW("bsfq %q[b], %q[a]", 77, 0x8000, 0, 15, ZF, 0);
    ROW("bsfq %q[b], %q[a]", 77, 0, 0, 77, ZF, ZF);
    ROW("bsrl %k[b], %k[a]", 77, 0x80000001, 0, 31, ZF, 0);
    ROW("bsrw %w[b], %w[a]", HIGH, 0x10, 0, 0x1122334455660004, ZF, 0);
    ROW("btl %k[b], %k[a]", 0x10, 4 + 32, 0, 0x10, CF, CF);
    ROW("btsq %q[b], %q[a]", 0, 63, CF, UINT64_C(1) << 63, CF, 0);
    ROW("btrw %w[b], %w[a]", 0xffff, 15 + 16, 0, 0x7fff, CF, CF);
    ROW("btcl $33, %k[a]", 0, 0, CF, 2, CF, 0);
}

/* BT with a register offset reaches outside the operand, in both directions. */
static void test_bit_strings(void)
{
    static uint64_t words[4];
    uint64_t flags = 0, offset = (uint64_t)-65;

    words[0] = UINT64_C(1) << 63;
    words[3] = 0;
    __asm__ volatile("btq %2, %1\n\tpushfq\n\tpopq %0" : "=r"(flags) : "m"(words[2]), "r"(offset));
    tap_eq(flags & CF, CF, "BT memory, offset -65: the bit below");
    __asm__ volatile("btsq %1, %0" : "+m"(words[2]) : "r"((uint64_t)64 + 5) : "cc");
    tap_eq(words[3], 0x20, "BTS memory, offset 69: the next quadword");
    __asm__ volatile("btcl %1, %0" : "+m"(words[2]) : "r"(-1) : "cc");
    tap_eq(words[1], UINT64_C(1) << 63, "BTC memory, offset -1: the doubleword before");
}

static void test_extend(void)
{
    ROW("movzbl %b[b], %k[a]", UINT64_MAX, 0x80, ALL, 0x80, ALL, ALL);
    ROW("movsbq %b[b], %q[a]", 0, 0x80, 0, UINT64_C(0xffffffffffffff80), 0, 0);
    ROW("movswl %w[b], %k[a]", UINT64_MAX, 0x8000, 0, 0xffff8000, 0, 0);
    ROW("movslq %k[b], %q[a]", 0, 0x80000000, 0, UINT64_C(0xffffffff80000000), 0, 0);
    ROW("movw %w[b], %w[a]", HIGH, 0, 0, 0x1122334455660000, 0, 0);
    ROW("movl %k[b], %k[a]", HIGH, 5, 0, 5, 0, 0);
    ROW("cmovcl %k[b], %k[a]", HIGH, 5, 0, 0x55667788, 0, 0);
    ROW("cmovcq %q[b], %q[a]", HIGH, 5, CF, 5, CF, CF);
    ROW("cmovgew %w[b], %w[a]", HIGH, 5, SF | OF, 0x1122334455660005, 0, 0);
    ROW("setbe %b[a]", HIGH, 0, ZF, 0x1122334455667701, 0, 0);
    ROW("setl %b[a]", 0xff, 0, SF | OF, 0, 0, 0);
    ROW("leaq -5(%q[b], %q[b], 2), %q[a]", 0, 7, ALL, 16, ALL, ALL);
    ROW("leal 1(%q[b]), %k[a]", HIGH, 0xffffffff, 0, 0, 0, 0);
    ROW("leal 1(%k[b]), %k[a]", HIGH, 0xfffffffff, 0, 0, 0, 0);
}

static void test_exchange(void)
{
    static uint64_t pair[2] __attribute__((aligned(16)));
    uint64_t rax, rdx, flags;

    ROW("xaddl %k[b], %k[a]", 0xffffffffffffffff, 1, 0, 0, ALL, CF | PF | AF | ZF);
    ROW("xchgw %w[b], %w[a]", HIGH, 0xabcd, 0, 0x112233445566abcd, 0, 0);
    rax = HIGH;
    pair[0] = HIGH;
    __asm__ volatile("cmpxchgq %3, %0\n\tpushfq\n\tpopq %2"
                     : "+m"(pair[0]), "+a"(rax), "=&r"(flags)
                     : "r"(UINT64_C(99))
                     : "cc");
    tap_ok(pair[0] == 99 && (flags & ZF) != 0, "CMPXCHG equal: stores, ZF");
    rax = UINT64_MAX;
    __asm__ volatile("cmpxchgl %k3, %k0\n\tpushfq\n\tpopq %2"
                     : "+m"(pair[0]), "+a"(rax), "=&r"(flags)
                     : "r"(UINT64_C(1))
                     : "cc");
    tap_ok(pair[0] == 99 && rax == 99 && (flags & ZF) == 0, "CMPXCHG different: loads EAX");
    pair[0] = 1;
    pair[1] = 2;
    rax = 1;
    rdx = 2;
    __asm__ volatile("cmpxchg16b %0\n\tpushfq\n\tpopq %3"
                     : "+m"(*(struct { uint64_t q[2]; } *)pair), "+a"(rax), "+d"(rdx), "=&r"(flags)
                     : "b"(UINT64_C(3)), "c"(UINT64_C(4))
                     : "cc");
    tap_ok(pair[0] == 3 && pair[1] == 4 && (flags & ZF) != 0, "CMPXCHG16B equal: stores 16 bytes");
    rax = 0;
    rdx = 0;
    __asm__ volatile("cmpxchg8b %0\n\tpushfq\n\tpopq %3"
                     : "+m"(pair[0]), "+a"(rax), "+d"(rdx), "=&r"(flags)
                     : "b"(UINT64_C(9)), "c"(UINT64_C(9))
                     : "cc");
    tap_ok(rax == 3 && rdx == 0 && (flags & ZF) == 0, "CMPXCHG8B different: loads EDX:EAX");
}

static void test_multiply(void)
{
    uint64_t rax, rdx;

#define MULDIV(insn, a0, d0, source, want_a, want_d)                                    \
    rax = (a0);                                                                         \
    rdx = (d0);                                                                         \
    __asm__ volatile(insn : "+a"(rax), "+d"(rdx) : "r"(source) : "cc");                 \
    tap_ok(rax == (want_a) && rdx == (want_d), "%s %lx:%lx, %lx", insn, (uint64_t)(d0), \
           (uint64_t)(a0), (uint64_t)(source))
    MULDIV("mulb %b2", 0xaa00ff, 7, UINT64_C(0xff), 0xaafe01, 7);
    MULDIV("mulw %w2", 0x1ffff, 0x10000, UINT64_C(0xffff), 0x10001, 0x1fffe);
    MULDIV("mull %k2", UINT64_MAX, UINT64_MAX, UINT64_C(0xffffffff), 1, 0xfffffffe);
    MULDIV("mulq %q2", UINT64_MAX, 0, UINT64_MAX, 1, UINT64_C(0xfffffffffffffffe));
    MULDIV("imulq %q2", UINT64_MAX, 0, UINT64_C(2), UINT64_C(0xfffffffffffffffe), UINT64_MAX);
    MULDIV("imulb %b2", 0xff, 9, UINT64_C(0xff), 1, 9);
    MULDIV("divb %b2", 0x11ff, 3, UINT64_C(0x20), 0x1f8f, 3);
    MULDIV("divl %k2", 0, 1, UINT64_C(2), 0x80000000, 0);
    MULDIV("divq %q2", 5, 1, UINT64_C(3), UINT64_C(0x5555555555555557), 0);
    MULDIV("idivl %k2", (uint64_t)(uint32_t)-7, 0xffffffff, UINT64_C(2), (uint32_t)-3,
           (uint32_t)-1);
    MULDIV("idivq %q2", (uint64_t)-7, UINT64_MAX, (uint64_t)-2, 3, UINT64_MAX);
    MULDIV("cqto", UINT64_C(1) << 63, 0, UINT64_C(0), UINT64_C(1) << 63, UINT64_MAX);
    MULDIV("cltd", 0x80000000, 0, UINT64_C(0), 0x80000000, 0xffffffff);
    MULDIV("cltq", 0x80000000, 0, UINT64_C(0), UINT64_C(0xffffffff80000000), 0);
    MULDIV("cwtl", 0xffffffff00008000, 0, UINT64_C(0), 0xffff8000, 0);
    ROW("imulq %q[b], %q[a]", 3, (uint64_t)-5, 0, (uint64_t)-15, CF | OF, 0);
    ROW("imull $0x10000, %k[b], %k[a]", 0, 0x10000, 0, 0, CF | OF, CF | OF);
}

static void test_stack(void)
{
    uint64_t a, b, c;

    __asm__ volatile("movq %%rsp, %1\n\tpushq %%rsp\n\tpopq %0" : "=&r"(a), "=&r"(b));
    tap_eq(a, b, "PUSH RSP pushes the old value");
    __asm__ volatile(
        "movq %%rsp, %%rbx\n\tpushq $0x1234\n\tmovq %%rsp, %0\n\tpopw %w1\n\tpopw %w2\n\t"
        "movq %%rbx, %%rsp"
        : "=&r"(a), "=&r"(b), "=&r"(c)
        :
        : "rbx", "memory");
    tap_ok((b & 0xffff) == 0x1234 && (c & 0xffff) == 0, "POP of 16 bits moves RSP by 2");
    __asm__ volatile("pushq $-2\n\tpopq %0" : "=r"(a));
    tap_eq(a, (uint64_t)-2, "PUSH imm8 is sign-extended to 64 bits");
    __asm__ volatile(
        "pushq %%rbp\n\tmovq %%rsp, %%rbp\n\tmovq %%rsp, %%rbx\n\tenter $32, $1\n\t"
        "movq %%rbx, %0\n\tsubq %%rsp, %0\n\tleave\n\tmovq %%rbx, %1\n\tsubq %%rsp, %1\n\t"
        "popq %%rbp"
        : "=&r"(a), "=&r"(b)
        :
        : "rbx", "memory");
    tap_ok(a == 32 + 16 && b == 0, "ENTER 32,1 and LEAVE");
    __asm__ volatile(
        "pushq %2\n\tpopfq\n\tlahf\n\tmovq %%rax, %0\n\tmovb $0, %%ah\n\tsahf\n\tpushfq\n\t"
        "popq %1"
        : "=&r"(a), "=&r"(b)
        : "r"(ALL | RFLAGS_ONE)
        : "rax", "cc");
    tap_ok((a >> 8 & 0xff) == 0xd7 && (b & ALL) == OF, "LAHF and SAHF");
    __asm__ volatile(
        "xorl %%eax, %%eax\n\tmovb $0x12, %%ah\n\tmovb %%ah, %%bl\n\tmovb %%bl, %%al\n\t"
        "movq %%rax, %0"
        : "=r"(a)
        :
        : "rax", "rbx");
    tap_eq(a, 0x1212, "AH without REX is bits 15:8");
}

static void overflow_divide(void *arg)
{
    (void)arg;
    __asm__ volatile("idivl %%ecx" : : "a"(0x80000000), "d"(0xffffffff), "c"(-1) : "cc");
}

static void test_divide_error(void)
{
    struct trap_result r = trap_try(overflow_divide, NULL);

    tap_eq(r.vector, EXC_DE, "IDIV of the smallest number by -1 is #DE");
}

static void try_crc32(void *arg)
{
    uint32_t crc = 0;

    (void)arg;
    __asm__ volatile("crc32b %%al, %0" : "+r"(crc));
}

static void test_extensions(void)
{
    struct cpuid_result one = cpuid(1, 0), seven = cpuid_checked(7, 0);
    struct cpuid_result ext = cpuid_checked(0x80000001u, 0);
    uint64_t m = HIGH;

    if ((one.ecx >> 23 & 1) != 0) {
        ROW("popcntq %q[b], %q[a]", 0, UINT64_MAX, ALL, 64, ALL, 0);
        ROW("popcntl %k[b], %k[a]", UINT64_MAX, 0, ALL, 0, ALL, ZF);
    }
    if ((ext.ecx >> 5 & 1) != 0) {
        ROW("lzcntl %k[b], %k[a]", 0, 0, 0, 32, CF | ZF, CF);
        ROW("lzcntq %q[b], %q[a]", 0, UINT64_C(1) << 63, 0, 0, CF | ZF, ZF);
    }
    if ((one.ecx >> 22 & 1) != 0) {
        uint64_t a = UINT64_MAX;

        __asm__ volatile("movbel %1, %k0" : "+r"(a) : "m"(m));
        tap_eq(a, 0x88776655, "MOVBE of 32 bits swaps and zero-extends");
        __asm__ volatile("movbew %w1, %0" : "+m"(m) : "r"(UINT64_C(0xabcd)));
        tap_eq(m, 0x112233445566cdab, "MOVBE store of 16 bits");
    }
    /* CPUID reports CRC32 only as part of SSE4.2; a processor may have it alone. */
    if ((one.ecx >> 20 & 1) != 0 || trap_try(try_crc32, NULL).vector == EXC_NONE) {
        ROW("crc32b %b[b], %k[a]", 0xffffffff, 'a', 0, 0x3e2fbccf, 0, 0);
        ROW("crc32q %q[b], %q[a]", UINT64_MAX, 0, 0, 0x73d74d75, 0, 0);
    }
    if ((seven.ebx >> 3 & 1) != 0) {
        ROW("tzcntw %w[b], %w[a]", 0, 0, 0, 16, CF | ZF, CF);
        ROW("andnq %q[a], %q[b], %q[a]", 0xff, 0x0f, 0, 0xf0, ZF | SF | CF | OF, 0);
        ROW("blsrl %k[b], %k[a]", 0, 0x18, 0, 0x10, ZF | SF | CF, 0);
        ROW("blsiq %q[b], %q[a]", 0, 0x18, 0, 8, ZF | SF | CF, CF);
        ROW("bextrl %k[b], %k[a], %k[a]", 0xabcd, 0x0804, 0, 0xbc, ZF, 0);
    }
    if ((seven.ebx >> 8 & 1) != 0) {
        ROW("bzhiq %q[b], %q[a], %q[a]", UINT64_MAX, 12, 0, 0xfff, ZF | SF | CF, 0);
        ROW("pdepl %k[a], %k[b], %k[a]", 0xf0f0, 0x5a, ALL, 0x50a0, ALL, ALL);
        ROW("pextl %k[a], %k[b], %k[a]", 0xf0f0, 0x1234, ALL, 0x13, ALL, ALL);
        ROW("rorxl $8, %k[b], %k[a]", 0, 0x11223344, ALL, 0x44112233, ALL, ALL);
        ROW("sarxq %q[b], %q[a], %q[a]", UINT64_C(1) << 63, 63, ALL, UINT64_MAX, ALL, ALL);
        ROW("shlxl %k[b], %k[a], %k[a]", 1, 33, ALL, 2, ALL, ALL);
    }
    if ((seven.ebx >> 19 & 1) != 0) {
        ROW("adcxq %q[b], %q[a]", UINT64_MAX, 0, CF | OF, 0, CF | OF, CF | OF);
        ROW("adoxl %k[b], %k[a]", 1, 1, OF | CF, 3, CF | OF, CF);
    }
}

int rom_main(void)
{
    test_add_sub();
    test_one_operand();
    test_shifts();
    test_bits();
    test_bit_strings();
    test_extend();
    test_exchange();
    test_multiply();
    test_stack();
    test_divide_error();
    test_extensions();
    tap_done();
}
