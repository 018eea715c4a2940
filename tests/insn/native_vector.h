/* Vector instructions on the workstation's processor: the same bytes that are emulated run from a page of their own.
 *
 * Instructions may use registers 0-3, RAX, RCX, RDX, the status flags and memory at RBX. Tests that include this check
 * native_vector_has() first; on other workstations it is false. */
#ifndef TESTS_INSN_NATIVE_VECTOR_H
#define TESTS_INSN_NATIVE_VECTOR_H

#include <Zydis/Zydis.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "tests/random.h"

#define NATIVE_FLAGS 0x8d5u /* the status flags */
#define NATIVE_MEM_BYTES 32u

struct native_vector {
    uint8_t v[4][32]; /* YMM0-3 */
    uint64_t mm[4];
    uint64_t rax, rcx, rdx, flags;
    uint8_t mem[NATIVE_MEM_BYTES + 32]; /* the operand, at native_mem() */
};

#if defined(__x86_64__)

#include <cpuid.h>
#include <sys/mman.h>

/* Can the workstation run this instruction set? All of it needs AVX here, for the registers' sake. */
static inline bool native_vector_has(unsigned isa_set)
{
    unsigned a, b, c, d, c1 = 0, b7 = 0, c7 = 0, c8 = 0;
    if (!__builtin_cpu_supports("avx"))
        return false;
    if (__get_cpuid(1, &a, &b, &c, &d))
        c1 = c;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d))
        b7 = b, c7 = c;
    if (__get_cpuid(0x80000001, &a, &b, &c, &d))
        c8 = c;
    switch (isa_set) {
    case ZYDIS_ISA_SET_AVX2: return b7 >> 5 & 1;
    case ZYDIS_ISA_SET_AES:
    case ZYDIS_ISA_SET_AVXAES: return c1 >> 25 & 1;
    case ZYDIS_ISA_SET_PCLMULQDQ: return c1 >> 1 & 1;
    case ZYDIS_ISA_SET_SHA: return b7 >> 29 & 1;
    case ZYDIS_ISA_SET_VAES: return c7 >> 9 & 1;
    case ZYDIS_ISA_SET_VPCLMULQDQ: return c7 >> 10 & 1;
    case ZYDIS_ISA_SET_SSE4A: return c8 >> 6 & 1;
    default: return true;
    }
}

/* A page to execute from; NULL when there is none. */
static inline uint8_t *native_page(void)
{
    void *page =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return page == MAP_FAILED ? NULL : page;
}

static inline uint8_t *native_mem(struct native_vector *s)
{
    return s->mem + (-(uintptr_t)s->mem & 31);
}

/* Run one instruction with the operand's bytes at `operand`. */
__attribute__((noinline, unused)) static void native_vector_run(struct native_vector *s,
                                                                uint8_t *page, const uint8_t *bytes,
                                                                unsigned len, void *operand)
{
    memcpy(page, bytes, len);
    page[len] = 0xc3;
    __asm__ volatile("lea -256(%%rsp), %%rsp\n\t"
                     "mov %[operand], %%rbx\n\t"
                     "mov %[s], %%r12\n\t"
                     "mov %[page], %%r13\n\t"
                     "vmovdqu (%%r12), %%ymm0\n\t"
                     "vmovdqu 32(%%r12), %%ymm1\n\t"
                     "vmovdqu 64(%%r12), %%ymm2\n\t"
                     "vmovdqu 96(%%r12), %%ymm3\n\t"
                     "movq 128(%%r12), %%mm0\n\t"
                     "movq 136(%%r12), %%mm1\n\t"
                     "movq 144(%%r12), %%mm2\n\t"
                     "movq 152(%%r12), %%mm3\n\t"
                     "mov 160(%%r12), %%rax\n\t"
                     "mov 168(%%r12), %%rcx\n\t"
                     "mov 176(%%r12), %%rdx\n\t"
                     "push 184(%%r12)\n\t"
                     "popfq\n\t"
                     "call *%%r13\n\t"
                     "pushfq\n\t"
                     "pop 184(%%r12)\n\t"
                     "mov %%rax, 160(%%r12)\n\t"
                     "mov %%rcx, 168(%%r12)\n\t"
                     "mov %%rdx, 176(%%r12)\n\t"
                     "vmovdqu %%ymm0, (%%r12)\n\t"
                     "vmovdqu %%ymm1, 32(%%r12)\n\t"
                     "vmovdqu %%ymm2, 64(%%r12)\n\t"
                     "vmovdqu %%ymm3, 96(%%r12)\n\t"
                     "movq %%mm0, 128(%%r12)\n\t"
                     "movq %%mm1, 136(%%r12)\n\t"
                     "movq %%mm2, 144(%%r12)\n\t"
                     "movq %%mm3, 152(%%r12)\n\t"
                     "emms\n\t"
                     "vzeroupper\n\t"
                     "lea 256(%%rsp), %%rsp\n\t"
                     :
                     : [s] "r"(s), [page] "r"(page), [operand] "r"(operand)
                     : "rax", "rcx", "rdx", "rbx", "r12", "r13", "cc", "memory", "xmm0", "xmm1",
                       "xmm2", "xmm3", "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)",
                       "st(7)");
    s->flags &= NATIVE_FLAGS;
}

#else

static inline bool native_vector_has(unsigned isa_set)
{
    (void)isa_set;
    return false;
}

static inline uint8_t *native_page(void)
{
    return NULL;
}

static inline uint8_t *native_mem(struct native_vector *s)
{
    return s->mem;
}

static inline void native_vector_run(struct native_vector *s, uint8_t *page, const uint8_t *bytes,
                                     unsigned len, void *operand)
{
    (void)s, (void)page, (void)bytes, (void)len, (void)operand;
}

#endif

/* --- operands, weighted towards the edges ------------------------------------------------------ */

/* An element of `size` bytes: an edge of its type, a small number, or anything. */
static inline uint64_t native_element(uint64_t *state, unsigned size)
{
    uint64_t r = test_random(state), sign = UINT64_C(1) << (8 * size - 1);
    switch (r >> 60) {
    case 0: return 0;
    case 1: return sign;
    case 2: return sign - 1;
    case 3: return UINT64_MAX;
    case 4: return sign + 1;
    case 5:
    case 6: return r & 127;
    case 7: return 0 - (r & 127);
    default: return r;
    }
}

/* 32 bytes of elements of one size; sometimes text of few letters, shift counts, or the same as `like`. */
static inline void native_operand(uint64_t *state, uint8_t *to, const uint8_t *like)
{
    uint64_t kind = test_random(state) >> 59;
    if (kind < 6) {
        for (unsigned i = 0; i < 32; i++)
            to[i] = (uint8_t)("abcd\0\xff"
                              "ab"[test_random(state) >> 61]);
        if (kind < 3)
            for (unsigned i = 1; i < 32; i += 2)
                to[i] = 0;
        return;
    }
    if (kind < 8) {
        for (unsigned i = 0; i < 32; i++)
            to[i] = kind == 6 ? like[i] : (uint8_t)~like[i];
        to[test_random(state) >> 59] ^= 1u << (test_random(state) >> 61);
        return;
    }
    unsigned size = 1u << (kind & 3);
    for (unsigned i = 0; i < 32; i += size) {
        uint64_t x = native_element(state, size);
        memcpy(to + i, &x, size);
    }
}

static inline void native_vector_random(uint64_t *state, struct native_vector *s)
{
    memset(s, 0, sizeof(*s));
    for (unsigned i = 0; i < 4; i++)
        native_operand(state, s->v[i], s->v[i ? i - 1 : 0]);
    for (unsigned i = 0; i < 4; i++)
        memcpy(&s->mm[i], s->v[3 - i], 8);
    s->rax = native_element(state, 4);
    s->rcx = native_element(state, 8);
    s->rdx = test_random(state) & 1 ? test_random(state) % 18 : native_element(state, 8);
    s->flags = (test_random(state) & NATIVE_FLAGS) | 2;
    native_operand(state, native_mem(s), s->v[1]);
}

#endif
