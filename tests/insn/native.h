/* Running one instruction on the workstation's own processor, with chosen registers, flags and scratch memory. */
#ifndef TESTS_INSN_NATIVE_H
#define TESTS_INSN_NATIVE_H

#include <check.h>
#include <cpuid.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct native_state {
    uint64_t r[16]; /* in the order of enum reg */
    uint64_t rflags;
};

struct native {
    uint8_t *code, *scratch, *signal_stack;
    size_t scratch_bytes;
    struct native_state in, out;
    uint64_t stack; /* our own RSP meanwhile */
};

static sigjmp_buf native_fault;

static void native_on_fpe(int number)
{
    (void)number;
    siglongjmp(native_fault, 1);
}

static void native_emit(uint8_t **at, const void *bytes, unsigned len)
{
    memcpy(*at, bytes, len);
    *at += len;
}

#define NATIVE_BYTES(at, ...) \
    native_emit(at, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

/* MOV RAX, imm64 */
static void native_mov_rax(uint8_t **at, const void *ptr)
{
    uint64_t value = (uint64_t)(uintptr_t)ptr;
    NATIVE_BYTES(at, 0x48, 0xb8);
    native_emit(at, &value, 8);
}

/* MOV reg, [RAX + 8 * reg] (0x8b) or MOV [RAX + 8 * reg], reg (0x89); neither changes flags. */
static void native_mov_slot(uint8_t **at, uint8_t opcode, unsigned reg)
{
    NATIVE_BYTES(at, (uint8_t)(0x48 | (reg & 8) >> 1), opcode, (uint8_t)(0x40 | (reg & 7) << 3),
                 (uint8_t)(8 * reg));
}

static inline void native_build(struct native *native, const uint8_t *insn, unsigned len)
{
    uint8_t *at = native->code;
    uint64_t out_rax = (uint64_t)(uintptr_t)&native->out.r[0];
    NATIVE_BYTES(&at, 0x53, 0x55, 0x41, 0x54, 0x41, 0x55, 0x41, 0x56, 0x41,
                 0x57); /* PUSH RBX RBP R12-R15 */
    native_mov_rax(&at, &native->stack);
    NATIVE_BYTES(&at, 0x48, 0x89, 0x20); /* MOV [RAX], RSP */
    native_mov_rax(&at, &native->in);
    NATIVE_BYTES(&at, 0xff, 0xb0, 0x80, 0, 0, 0, 0x9d); /* PUSH [RAX + 80h]; POPFQ */
    for (unsigned reg = 1; reg < 16; reg++)
        native_mov_slot(&at, 0x8b, reg);
    NATIVE_BYTES(&at, 0x48, 0x8b, 0x00); /* MOV RAX, [RAX] */

    native_emit(&at, insn, len);

    NATIVE_BYTES(&at, 0x48, 0xa3); /* MOV [moffs], RAX */
    native_emit(&at, &out_rax, 8);
    native_mov_rax(&at, &native->out);
    for (unsigned reg = 1; reg < 16; reg++)
        native_mov_slot(&at, 0x89, reg);
    native_mov_rax(&at, &native->stack);
    NATIVE_BYTES(&at, 0x48, 0x8b, 0x20); /* MOV RSP, [RAX] */
    native_mov_rax(&at, &native->out);
    NATIVE_BYTES(&at, 0x9c, 0x8f, 0x80, 0x80, 0, 0, 0); /* PUSHFQ; POP [RAX + 80h] */
    NATIVE_BYTES(&at, 0xfc, 0x41, 0x5f, 0x41, 0x5e, 0x41, 0x5d, 0x41, 0x5c, 0x5d, 0x5b, 0xc3);
}

/* Returns false if the processor raised #DE; *after is not written then. */
static inline bool native_run(struct native *native, const uint8_t *insn, unsigned len,
                              const struct native_state *before, struct native_state *after)
{
    void (*enter)(void);
    native_build(native, insn, len);
    native->in = *before;
    memcpy(&enter, &native->code, sizeof(enter));
    if (sigsetjmp(native_fault, 1) != 0)
        return false;
    enter();
    *after = native->out;
    return true;
}

static inline struct native *native_new(uint64_t scratch, size_t bytes)
{
    struct native *native = calloc(1, sizeof(*native));
    native->scratch_bytes = bytes;
    native->code =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    native->scratch = mmap((void *)(uintptr_t)scratch, bytes, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    ck_assert(native->code != MAP_FAILED);
    ck_assert_uint_eq((uint64_t)(uintptr_t)native->scratch, scratch);
    native->signal_stack = malloc(1 << 16);
    stack_t stack = { .ss_sp = native->signal_stack, .ss_size = 1 << 16 };
    ck_assert_int_eq(sigaltstack(&stack, NULL), 0);
    struct sigaction action = { .sa_handler = native_on_fpe, .sa_flags = SA_ONSTACK };
    ck_assert_int_eq(sigaction(SIGFPE, &action, NULL), 0);
    return native;
}

static inline void native_free(struct native *native)
{
    stack_t off = { .ss_flags = SS_DISABLE };
    (void)signal(SIGFPE, SIG_DFL);
    (void)sigaltstack(&off, NULL);
    (void)munmap(native->code, 4096);
    (void)munmap(native->scratch, native->scratch_bytes);
    free(native->signal_stack);
    free(native);
}

/* Is selector 23h a 32-bit code segment that we may enter? */
static inline bool native_has_32bit(void)
{
    uint32_t rights = 0x23;
    bool valid;
    __asm__("lar %0, %0" : "+r"(rights), "=@ccz"(valid));
    return valid && (rights & 0x0060f800) == 0x0040f800; /* D, not L, DPL 3 code */
}

/* Run an instruction without memory operands in a 32-bit code segment, which Linux keeps at selector 23h; `code` is
 * below 4 GiB. EAX and flags go in and out. The upper half of RSP does not survive the 32-bit segment. */
static inline void native_run32(uint8_t *code, const uint8_t *insn, unsigned len, uint64_t *rax,
                                uint64_t *rflags)
{
    uint8_t *at = code + 64;
    uint32_t target = (uint32_t)(uintptr_t)at;
    uint16_t selector = 0x23;
    memcpy(code, &target, 4);
    memcpy(code + 4, &selector, 2);
    native_emit(&at, insn, len);
    uint32_t back = (uint32_t)(uintptr_t)(at + 7), stack = (uint32_t)(uintptr_t)(code + 16);
    NATIVE_BYTES(&at, 0xea); /* JMP 33h:back */
    native_emit(&at, &back, 4);
    NATIVE_BYTES(&at, 0x33, 0x00, 0x48, 0x8b, 0x24, 0x25); /* 64-bit mode again: MOV RSP, [stack] */
    native_emit(&at, &stack, 4);
    NATIVE_BYTES(&at, 0xc3);

    uint64_t a = *rax, f = *rflags;
    __asm__ volatile("subq $128, %%rsp\n\tleaq 1f(%%rip), %%rcx\n\tpushq %%rcx\n\tmovq %%rsp, "
                     "16(%[code])\n\tpushq %[f]\n\tpopfq\n\t"
                     "ljmp *(%[code])\n1:\tpushfq\n\tpopq %[f]\n\tleaq 128(%%rsp), %%rsp"
                     : "+a"(a), [f] "+d"(f)
                     : [code] "S"(code)
                     : "rcx", "memory", "cc");
    *rax = a;
    *rflags = f;
}

/* Is this an AMD processor of family 19h or later, whose undefined results we follow? */
static inline bool native_follows_amd(void)
{
    unsigned eax, ebx, ecx, edx;
    if (!__get_cpuid(0, &eax, &ebx, &ecx, &edx) || ebx != signature_AMD_ebx)
        return false;
    (void)__get_cpuid(1, &eax, &ebx, &ecx, &edx);
    return ((eax >> 8) & 15) + ((eax >> 20) & 255) >= 0x19;
}

/* Does the processor have what the differential test asks for beyond the baseline? */
static inline bool native_has_bmi(void)
{
    unsigned eax, ebx, ecx, edx;
    if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx))
        return false;
    return (ebx & (1u << 3)) && (ebx & (1u << 8)) && (ebx & (1u << 19)); /* BMI1, BMI2, ADX */
}

static inline bool native_has_counts(void)
{
    unsigned eax, ebx, ecx, edx, lzcnt;
    if (!__get_cpuid(0x80000001, &eax, &ebx, &lzcnt, &edx) ||
        !__get_cpuid(1, &eax, &ebx, &ecx, &edx))
        return false;
    return (lzcnt & (1u << 5)) && (ecx & (1u << 20)) && (ecx & (1u << 22)) && (ecx & (1u << 23)) &&
           (ecx & (1u << 13)); /* LZCNT; SSE4.2, MOVBE, POPCNT, CMPXCHG16B */
}

#endif
