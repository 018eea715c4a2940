/* The workstation's processor as the oracle of floating point in vector registers: one instruction, which stands in
 * a table of this program, runs natively on given registers. x86-64 only. */
#ifndef TESTS_INSN_NATIVE_FP_H
#define TESTS_INSN_NATIVE_FP_H

#include <signal.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>

/* What an instruction reads and writes: operands are xmm0-xmm3, mm0-mm1, eax, ecx, and memory at rdi. */
struct fp_state {
    alignas(64) uint64_t ymm[4][4];
    alignas(64) uint64_t mem[8];
    uint64_t mm[2], rax, rcx, rflags;
    uint32_t mxcsr;
    uint16_t fsw;
    uint8_t tags; /* abridged: 1 is in use */
    bool fault;   /* out: SIGFPE */
    alignas(64) uint8_t fx[512];
};

#define NATIVE_RIP 16 /* REG_RIP of <ucontext.h>, whose name is ours too */

/* Set up for the handler: where a faulting instruction ends, and the MXCSR it left behind. */
static volatile uint64_t native_fp_resume;
static volatile uint32_t native_fp_mxcsr;
static volatile sig_atomic_t native_fp_faults;

static inline void native_fp_handler(int number, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    (void)number;
    (void)info;
    native_fp_mxcsr = uc->uc_mcontext.fpregs->mxcsr;
    native_fp_faults = 1;
    uc->uc_mcontext.fpregs->mxcsr = 0x1f80;
    uc->uc_mcontext.gregs[NATIVE_RIP] = (greg_t)native_fp_resume;
}

static inline void native_fp_begin(void)
{
    struct sigaction action = { .sa_sigaction = native_fp_handler, .sa_flags = SA_SIGINFO };
    sigaction(SIGFPE, &action, NULL);
}

/* Run the function `code`: one instruction of `len` bytes and RET. The x87 stack is empty with TOP = 3 before it. */
static inline void native_fp_run(struct fp_state *s, const void *code, unsigned len)
{
    native_fp_resume = (uint64_t)(uintptr_t)code + len;
    native_fp_faults = 0;
    __asm__ volatile(
        "movq %c[mm](%[s]), %%mm0\n\t"
        "movq %c[mm]+8(%[s]), %%mm1\n\t"
        "emms\n\t"
        "fincstp\n\tfincstp\n\tfincstp\n\t"
        "vmovdqa (%[s]), %%ymm0\n\t"
        "vmovdqa 32(%[s]), %%ymm1\n\t"
        "vmovdqa 64(%[s]), %%ymm2\n\t"
        "vmovdqa 96(%[s]), %%ymm3\n\t"
        "mov %c[rax](%[s]), %%rax\n\t"
        "mov %c[rcx](%[s]), %%rcx\n\t"
        "lea %c[mem](%[s]), %%rdi\n\t"
        "ldmxcsr %c[mxcsr](%[s])\n\t"
        "pushq %c[rflags](%[s])\n\t"
        "popfq\n\t"
        "call *%[code]\n\t"
        "pushfq\n\t"
        "popq %c[rflags](%[s])\n\t"
        "stmxcsr %c[mxcsr](%[s])\n\t"
        "mov %%rax, %c[rax](%[s])\n\t"
        "mov %%rcx, %c[rcx](%[s])\n\t"
        "vmovdqa %%ymm0, (%[s])\n\t"
        "vmovdqa %%ymm1, 32(%[s])\n\t"
        "vmovdqa %%ymm2, 64(%[s])\n\t"
        "vmovdqa %%ymm3, 96(%[s])\n\t"
        "fxsave64 %c[fx](%[s])\n\t"
        "movq %%mm0, %c[mm](%[s])\n\t"
        "movq %%mm1, %c[mm]+8(%[s])\n\t"
        "emms\n\t"
        "ldmxcsr %[reset]\n\t"
        "vzeroupper"
        :
        : [s] "r"(s), [code] "r"(code), [reset] "m"((const uint32_t){ 0x1f80 }),
          [mm] "i"(offsetof(struct fp_state, mm)), [rax] "i"(offsetof(struct fp_state, rax)),
          [rcx] "i"(offsetof(struct fp_state, rcx)), [mem] "i"(offsetof(struct fp_state, mem)),
          [mxcsr] "i"(offsetof(struct fp_state, mxcsr)),
          [rflags] "i"(offsetof(struct fp_state, rflags)), [fx] "i"(offsetof(struct fp_state, fx))
        : "rax", "rcx", "rdi", "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "mm0", "mm1", "st");
    s->fault = native_fp_faults;
    if (s->fault)
        s->mxcsr = native_fp_mxcsr;
    memcpy(&s->fsw, s->fx + 2, 2);
    s->tags = s->fx[4];
}

#endif
