/* The whole register state around one instruction on the workstation's processor: the same bytes that are emulated run from a
 * page of their own.
 *
 * Unlike native_vector.h this takes any register but RSP, and memory and the x87 registers count too; it is slower. Only for
 * instructions that do not fault. */
#ifndef TESTS_INSN_NATIVE_STATE_H
#define TESTS_INSN_NATIVE_STATE_H

#include "emu/cpu/state.h"

#include "tests/insn/native_vector.h"

#define NATIVE_AREA 4096u /* memory that an instruction may reach */

struct native_state {
    uint8_t v[16][32]; /* YMM */
    uint64_t r[16];    /* as the processor numbers them; RSP is not used */
    uint64_t flags;    /* the status flags */
    struct f80 st[8];  /* physical */
    uint16_t fsw;
    uint8_t used;
    uint8_t mem[NATIVE_AREA]; /* at *area when it runs */
};

#if defined(__x86_64__)

/* What the code below addresses, and the frame in which FXSAVE and FXRSTOR want the registers. */
static struct {
    _Alignas(64) uint8_t fx[512];
    uint8_t v[16][32]; /* +512 */
    uint64_t r[16];    /* +1024 */
    uint64_t flags;    /* +1152 */
    uint8_t *page;     /* +1160 */
    uint64_t rsp, rbp; /* +1168, +1176 */
} native_frame;

#define NATIVE_VECTORS(op_)                                                                       \
    op_(0) op_(1) op_(2) op_(3) op_(4) op_(5) op_(6) op_(7) op_(8) op_(9) op_(10) op_(11) op_(12) \
        op_(13) op_(14) op_(15)
#define NATIVE_LOAD(n) "vmovdqu 512+32*" #n "+%[frame], %%ymm" #n "\n\t"
#define NATIVE_STORE(n) "vmovdqu %%ymm" #n ", 512+32*" #n "+%[frame]\n\t"

__attribute__((noinline)) static void native_enter(void)
{
    __asm__ volatile(
        "mov %%rsp, 1168+%[frame]\n\t"
        "mov %%rbp, 1176+%[frame]\n\t"
        "lea -256(%%rsp), %%rsp\n\t"
        "fxrstor %[frame]\n\t" NATIVE_VECTORS(
            NATIVE_LOAD) "push 1152+%[frame]\n\t"
                         "popfq\n\t"
                         "mov 1024+%[frame], %%rax\n\t"
                         "mov 1032+%[frame], %%rcx\n\t"
                         "mov 1040+%[frame], %%rdx\n\t"
                         "mov 1048+%[frame], %%rbx\n\t"
                         "mov 1064+%[frame], %%rbp\n\t"
                         "mov 1072+%[frame], %%rsi\n\t"
                         "mov 1080+%[frame], %%rdi\n\t"
                         "mov 1088+%[frame], %%r8\n\t"
                         "mov 1096+%[frame], %%r9\n\t"
                         "mov 1104+%[frame], %%r10\n\t"
                         "mov 1112+%[frame], %%r11\n\t"
                         "mov 1120+%[frame], %%r12\n\t"
                         "mov 1128+%[frame], %%r13\n\t"
                         "mov 1136+%[frame], %%r14\n\t"
                         "mov 1144+%[frame], %%r15\n\t"
                         "call *1160+%[frame]\n\t"
                         "mov %%rax, 1024+%[frame]\n\t"
                         "mov %%rcx, 1032+%[frame]\n\t"
                         "mov %%rdx, 1040+%[frame]\n\t"
                         "mov %%rbx, 1048+%[frame]\n\t"
                         "mov %%rbp, 1064+%[frame]\n\t"
                         "mov %%rsi, 1072+%[frame]\n\t"
                         "mov %%rdi, 1080+%[frame]\n\t"
                         "mov %%r8, 1088+%[frame]\n\t"
                         "mov %%r9, 1096+%[frame]\n\t"
                         "mov %%r10, 1104+%[frame]\n\t"
                         "mov %%r11, 1112+%[frame]\n\t"
                         "mov %%r12, 1120+%[frame]\n\t"
                         "mov %%r13, 1128+%[frame]\n\t"
                         "mov %%r14, 1136+%[frame]\n\t"
                         "mov %%r15, 1144+%[frame]\n\t"
                         "pushfq\n\t"
                         "pop 1152+%[frame]\n\t"
                         "cld\n\t" NATIVE_VECTORS(NATIVE_STORE) "fxsave %[frame]\n\t"
                                                                "fninit\n\t"
                                                                "vzeroupper\n\t"
                                                                "mov 1168+%[frame], %%rsp\n\t"
                                                                "mov 1176+%[frame], %%rbp\n\t"
        : [frame] "+m"(native_frame)
        :
        : "rax", "rcx", "rdx", "rbx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
          "r15", "cc", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
          "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}

static inline void native_put16(uint8_t *to, uint16_t value)
{
    memcpy(to, &value, 2);
}

/* Run one instruction; `area` holds s->mem while it runs. */
static inline void native_state_run(struct native_state *s, uint8_t *page, const uint8_t *bytes,
                                    unsigned len, uint8_t *area)
{
    uint8_t *fx = native_frame.fx;
    unsigned top = s->fsw >> 11 & 7;
    uint32_t mxcsr = 0x1f80;
    memset(fx, 0, sizeof(native_frame.fx));
    native_put16(fx, 0x37f);
    native_put16(fx + 2, s->fsw);
    fx[4] = s->used;
    memcpy(fx + 24, &mxcsr, 4);
    for (unsigned i = 0; i < 8; i++) {
        memcpy(fx + 32 + 16 * i, &s->st[(top + i) & 7].mant, 8);
        native_put16(fx + 40 + 16 * i, s->st[(top + i) & 7].se);
    }
    memcpy(native_frame.v, s->v, sizeof(s->v));
    memcpy(native_frame.r, s->r, sizeof(s->r));
    native_frame.flags = s->flags | 2;
    native_frame.page = page;
    memcpy(page, bytes, len);
    page[len] = 0xc3;
    memcpy(area, s->mem, NATIVE_AREA);
    native_enter();
    memcpy(s->mem, area, NATIVE_AREA);
    memcpy(s->v, native_frame.v, sizeof(s->v));
    memcpy(s->r, native_frame.r, sizeof(s->r));
    s->flags = native_frame.flags & NATIVE_FLAGS;
    memcpy(&s->fsw, fx + 2, 2);
    s->used = fx[4];
    top = s->fsw >> 11 & 7;
    for (unsigned i = 0; i < 8; i++) {
        memcpy(&s->st[(top + i) & 7].mant, fx + 32 + 16 * i, 8);
        memcpy(&s->st[(top + i) & 7].se, fx + 40 + 16 * i, 2);
    }
}

#else

static inline void native_state_run(struct native_state *s, uint8_t *page, const uint8_t *bytes,
                                    unsigned len, uint8_t *area)
{
    (void)s, (void)page, (void)bytes, (void)len, (void)area;
}

#endif

#endif
