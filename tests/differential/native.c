/* The workstation's side: a sandboxed child runs one instruction after the other.
 *
 * All happens in its signal handler. Returning from it loads every register, RFLAGS.TF included, and CS and SS; the next
 * signal tells what became of them. seccomp leaves the child nothing but that return and its end, so that whatever the
 * random bytes do cannot reach anything else. */
#include "tests/differential/differential.h"

#if defined(__x86_64__) && defined(__linux__)
#include <asm/ldt.h>
#include <asm/prctl.h>
#include <cpuid.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/ucontext.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

/* Places in gregset_t; <sys/ucontext.h> names them for _GNU_SOURCE only, with names that state.h has too. */
enum greg { GREG_RSP = 15, GREG_RIP, GREG_EFL, GREG_CSGSFS, GREG_ERR, GREG_TRAPNO, GREG_CR2 = 22 };
static const uint8_t greg_of[16] = { 13, 14, 12, 11, 15, 10, 9, 8, 0, 1, 2, 3, 4, 5, 6, 7 };
#define HWCAP2_FSGSBASE 2u
#define STRICT_SS 6u /* uc_flags: UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS */

#define HANG_SECONDS 5

/* What the handler needs. The child has it by itself; `progress` points into shared memory. */
static struct {
    bool modes[DIFF_MODES];
    bool fsgsbase, avx, amd;
    unsigned processor; /* on which the child runs */
    uint64_t anywhere[16];
    volatile unsigned *progress; /* the case that runs */
    const struct diff_case *cases;
    struct diff_outcome *outcomes;
    unsigned count;
    const uint8_t *data;
    bool running;
    pid_t child;
    uint8_t stack[1 << 16];
    uint8_t now[DIFF_DATA_BYTES];
} native;

/* --- in the child's handler: no thread-local storage, for FS is the test's --- */

static long raw_syscall(long number, long a, long b, long c)
{
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return result;
}

static uint8_t *data_page(unsigned n)
{
    return (uint8_t *)(uintptr_t)(DIFF_DATA + 4096 * diff_page_of(n));
}

static void put_code(const struct diff_case *ran, bool clear)
{
    uint8_t *at = (uint8_t *)(uintptr_t)(diff_code_base(ran->mode) + ran->before.rip);
    uint8_t *end = (uint8_t *)(uintptr_t)(DIFF_CODE + 4096);
    for (unsigned i = 0; i < DIFF_CODE_BYTES && at + i < end; i++)
        at[i] = clear ? 0x90 : ran->bytes[i];
}

/* The pages as they are, one behind the other; and as they were again. */
static void find_changes(struct diff_outcome *out)
{
    bool changed = false;
    for (unsigned n = 0; n < DIFF_DATA_PAGES; n++) {
        uint8_t *page = data_page(n);
        if (memcmp(page, native.data + 4096 * n, 4096) == 0)
            continue;
        if (!changed)
            memcpy(native.now, native.data, DIFF_DATA_BYTES);
        changed = true;
        memcpy(native.now + 4096 * n, page, 4096);
        memcpy(page, native.data + 4096 * n, 4096);
    }
    if (changed)
        diff_describe(out, native.data, native.now);
}

static void read_segments(struct diff_state *state, uint64_t cs_ss)
{
    __asm__ volatile("movw %%ds, %0" : "=r"(state->seg[SEG_DS]));
    __asm__ volatile("movw %%es, %0" : "=r"(state->seg[SEG_ES]));
    __asm__ volatile("movw %%fs, %0" : "=r"(state->seg[SEG_FS]));
    __asm__ volatile("movw %%gs, %0" : "=r"(state->seg[SEG_GS]));
    state->seg[SEG_CS] = (uint16_t)cs_ss;
    state->seg[SEG_SS] = (uint16_t)(cs_ss >> 48);
    state->fs_base = DIFF_FS_BASE;
    state->gs_base = DIFF_GS_BASE;
    if (native.fsgsbase) {
        __asm__ volatile("rdfsbase %0" : "=r"(state->fs_base));
        __asm__ volatile("rdgsbase %0" : "=r"(state->gs_base));
    }
}

static void load_segments(const struct diff_state *state)
{
    __asm__ volatile("movw %0, %%ds" : : "r"(state->seg[SEG_DS]));
    __asm__ volatile("movw %0, %%es" : : "r"(state->seg[SEG_ES]));
    if (!native.fsgsbase)
        return;
    __asm__ volatile("movw %0, %%fs" : : "r"((uint16_t)0));
    __asm__ volatile("movw %0, %%gs" : : "r"((uint16_t)0));
    __asm__ volatile("wrfsbase %0" : : "r"(state->fs_base));
    __asm__ volatile("wrgsbase %0" : : "r"(state->gs_base));
}

/* The image that the signal saved, and that its return loads: FXSAVE's 512 bytes, XSAVE's header, upper halves. Other
 * components (AVX-512) stay as they are. */
static void read_fp(struct diff_fp *fp, const uint8_t *image)
{
    memcpy(&fp->fcw, image, 2);
    memcpy(&fp->fsw, image + 2, 2);
    fp->used = image[4];
    memcpy(&fp->fop, image + 6, 2);
    memcpy(&fp->fip, image + 8, 8);
    memcpy(&fp->fdp, image + 16, 8);
    memcpy(&fp->mxcsr, image + 24, 4);
    for (unsigned i = 0; i < 8; i++)
        memcpy(fp->st[i], image + 32 + 16 * i, 10);
    memcpy(fp->xmm, image + 160, sizeof(fp->xmm));
    if (native.avx)
        memcpy(fp->high, image + 576, sizeof(fp->high));
}

static void load_fp(const struct diff_fp *fp, uint8_t *image)
{
    memcpy(image, &fp->fcw, 2);
    memcpy(image + 2, &fp->fsw, 2);
    image[4] = (uint8_t)fp->used;
    memcpy(image + 6, &fp->fop, 2);
    memcpy(image + 8, &fp->fip, 8);
    memcpy(image + 16, &fp->fdp, 8);
    memcpy(image + 24, &fp->mxcsr, 4);
    for (unsigned i = 0; i < 8; i++)
        memcpy(image + 32 + 16 * i, fp->st[i], 10);
    memcpy(image + 160, fp->xmm, sizeof(fp->xmm));
    if (!native.avx)
        return;
    memcpy(image + 576, fp->high, sizeof(fp->high));
    image[512] |= XCR0_X87 | XCR0_SSE | XCR0_AVX;
}

/* false: a string instruction is to go on. */
static bool record(int number, const greg_t *g, const uint8_t *image)
{
    const struct diff_case *ran = &native.cases[*native.progress];
    struct diff_outcome *out = &native.outcomes[*native.progress];
    out->steps++;
    out->vector = (uint32_t)g[GREG_TRAPNO];
    if (ran->repeats && number == SIGTRAP && out->vector == EXC_DB &&
        (uint64_t)g[GREG_RIP] == ran->before.rip && out->steps < DIFF_STEPS_MAX)
        return false;
    for (unsigned i = 0; i < 16; i++)
        out->after.r[i] = (uint64_t)g[greg_of[i]];
    out->after.rip = (uint64_t)g[GREG_RIP];
    out->after.rflags = (uint64_t)g[GREG_EFL];
    read_segments(&out->after, (uint64_t)g[GREG_CSGSFS]);
    read_fp(&out->after.fp, image);
    out->code = (uint32_t)g[GREG_ERR];
    out->cr2 = (uint64_t)g[GREG_CR2];
    out->signal = (int16_t)(number == SIGSYS ? number : 0);
    put_code(ran, true);
    find_changes(out);
    out->done = true;
    return true;
}

static void prepare(greg_t *g, uint8_t *image)
{
    const struct diff_case *next = &native.cases[*native.progress];
    put_code(next, false);
    for (unsigned i = 0; i < 16; i++)
        g[greg_of[i]] = (greg_t)next->before.r[i];
    g[GREG_RIP] = (greg_t)next->before.rip;
    g[GREG_EFL] = (greg_t)next->before.rflags;
    g[GREG_CSGSFS] = (greg_t)(next->before.seg[SEG_CS] | (uint64_t)next->before.seg[SEG_SS] << 48);
    load_fp(&next->before.fp, image);
    load_segments(&next->before);
}

/* RFLAGS.AC may be set: nothing may be misaligned before it is cleared. NT and ID, which the return does not load, would
 * stay for the next case. */
static void on_signal(int number, siginfo_t *info, void *context)
{
    __asm__ volatile("pushfq\n\tandq $~0x244000, (%%rsp)\n\tpopfq" : : : "memory", "cc");
    ucontext_t *uc = context;
    greg_t *g = uc->uc_mcontext.gregs;
    uint8_t *image = (uint8_t *)uc->uc_mcontext.fpregs;
    (void)info;
    if (native.running) {
        if (!record(number, g, image))
            return;
        ++*native.progress;
    }
    native.running = true;
    if (*native.progress == native.count)
        (void)raw_syscall(SYS_exit_group, 0, 0, 0);
    uc->uc_flags |= STRICT_SS;
    prepare(g, image);
}

/* --- the child --- */

/* One of Linux's segments has the processor's number in its limit, which LSL shows. */
static void pin_to_processor(void)
{
    uint64_t mask[16] = { 0 };
    if (native.processor < 64 * 16)
        mask[native.processor / 64] = UINT64_C(1) << native.processor % 64;
    (void)syscall(SYS_sched_setaffinity, 0, sizeof(mask), mask);
}

static void sandbox(void)
{
    static struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigreturn, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    static struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        _exit(2);
    if (raw_syscall(SYS_arch_prctl, ARCH_SET_GS, (long)DIFF_GS_BASE, 0) != 0 ||
        raw_syscall(SYS_arch_prctl, ARCH_SET_FS, (long)DIFF_FS_BASE, 0) != 0 ||
        raw_syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, (long)(uintptr_t)&program) != 0)
        (void)raw_syscall(SYS_exit_group, 2, 0, 0);
}

static void child_main(void)
{
    pin_to_processor();
    static const int signals[] = { SIGSEGV, SIGILL, SIGFPE, SIGTRAP, SIGBUS, SIGSYS };
    stack_t stack = { .ss_sp = native.stack, .ss_size = sizeof(native.stack) };
    struct sigaction action = { .sa_sigaction = on_signal,
                                .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };
    bool ok = sigaltstack(&stack, NULL) == 0;
    for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        ok = sigaction(signals[i], &action, NULL) == 0 && ok;
    for (unsigned n = 0; n < DIFF_DATA_PAGES; n++)
        memcpy(data_page(n), native.data + 4096 * n, 4096);
    ok = ok && mprotect(data_page(DIFF_READ_ONLY), 4096, PROT_READ) == 0;
    if (!ok)
        _exit(2);
    sandbox();
    __asm__ volatile("ud2");
}

static void start_child(void)
{
    native.child = fork();
    if (native.child == 0) {
        child_main();
        _exit(2);
    }
    if (native.child < 0) {
        perror("fork");
        exit(EXIT_FAILURE);
    }
}

/* --- the parent --- */

static bool make_ldt(void)
{
    struct user_desc code = { .entry_number = 0,
                              .base_addr = (unsigned)(DIFF_CODE - DIFF_CODE16),
                              .limit = 0xffff,
                              .contents = MODIFY_LDT_CONTENTS_CODE };
    struct user_desc data[DIFF_SEGMENTS] = {
#define SEGMENT(name, limit_, contents_, big, bit1, present)           \
    [DIFF_SEGMENT_##name] = { .entry_number = DIFF_SEGMENT_##name + 1, \
                              .base_addr = (unsigned)DIFF_DATA,        \
                              .limit = limit_,                         \
                              .seg_32bit = big,                        \
                              .contents = contents_,                   \
                              .read_exec_only = !(bit1),               \
                              .seg_not_present = !(present) },
#include "tests/differential/segments.def"
#undef SEGMENT
    };
    bool ok = syscall(SYS_modify_ldt, 0x11, &code, sizeof(code)) == 0;
    for (unsigned i = 0; i < DIFF_SEGMENTS; i++)
        ok = ok && syscall(SYS_modify_ldt, 0x11, &data[i], sizeof(data[i])) == 0;
    return ok;
}

/* Is selector 23h a 32-bit code segment that we may enter? */
static bool has_32bit(void)
{
    uint32_t rights = DIFF_CS32;
    bool valid;
    __asm__("lar %0, %0" : "+r"(rights), "=@ccz"(valid));
    return valid && (rights & 0x0060f800) == 0x0040f800; /* D, not L, DPL 3 code */
}

static bool map_at(uint64_t address, size_t bytes, int protection)
{
    return mmap((void *)(uintptr_t)address, bytes, protection,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
                0) == (void *)(uintptr_t)address;
}

/* Where the child will run, and the parent until it has asked for the segments. */
static void choose_processor(void)
{
    if (syscall(SYS_getcpu, &native.processor, NULL, NULL) != 0)
        native.processor = 0;
    (void)syscall(SYS_sched_getaffinity, 0, sizeof(native.anywhere), native.anywhere);
    pin_to_processor();
}

void native_unpin(void)
{
    (void)syscall(SYS_sched_setaffinity, 0, sizeof(native.anywhere), native.anywhere);
}

static bool is_amd(void)
{
    unsigned eax, ebx, ecx, edx;
    if (!__get_cpuid(0, &eax, &ebx, &ecx, &edx) || ebx != signature_AMD_ebx)
        return false;
    (void)__get_cpuid(1, &eax, &ebx, &ecx, &edx);
    return ((eax >> 8) & 15) + ((eax >> 20) & 255) >= 0x19;
}

bool native_feature(uint32_t leaf, unsigned reg, unsigned bit)
{
    unsigned answer[4] = { 0 };
    unsigned sub = leaf < 0x80000000 ? leaf >> 16 : 0; /* CPUID_SUB1 */
    leaf -= sub << 16;
    return __get_cpuid_count(leaf, sub, &answer[0], &answer[1], &answer[2], &answer[3]) &&
           (answer[reg] >> bit & 1);
}

bool native_setup(void)
{
    choose_processor();
    native.amd = is_amd();
    native.avx = native_feature(1, 2, 28) && native_feature(1, 2, 27);
    bool mapped = map_at(DIFF_CODE, 4096, PROT_READ | PROT_WRITE | PROT_EXEC);
    for (unsigned n = 0; n < DIFF_DATA_PAGES; n++)
        mapped = mapped && map_at(DIFF_DATA + 4096 * diff_page_of(n), 4096, PROT_READ | PROT_WRITE);
    if (!mapped)
        return false;
    memset((void *)(uintptr_t)DIFF_CODE, 0x90, 4096);
    native.fsgsbase = getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE;
    native.progress = native_shared(sizeof(*native.progress));
    native.modes[DIFF_64] = true;
    native.modes[DIFF_32] = has_32bit();
    native.modes[DIFF_16] = native.modes[DIFF_32] && make_ldt();
    return native.progress != NULL;
}

bool native_has_mode(unsigned mode)
{
    return native.modes[mode];
}

bool native_loads_segments(void)
{
    return native.fsgsbase && native.modes[DIFF_16];
}

bool native_descriptor(uint16_t selector, uint16_t *attr, uint32_t *limit)
{
    uint32_t rights = selector, size = selector;
    bool valid, has_limit;
    __asm__("lar %0, %0" : "+r"(rights), "=@ccz"(valid));
    __asm__("lsl %0, %0" : "+r"(size), "=@ccz"(has_limit));
    *attr = (uint16_t)((rights >> 8 & 0xff) | (rights >> 12 & 0xf00));
    *limit = has_limit ? size : 0;
    return valid;
}

bool native_follows_amd(void)
{
    return native.amd;
}

void *native_shared(unsigned long bytes)
{
    void *ptr = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return ptr == MAP_FAILED ? NULL : ptr;
}

void native_start(const struct diff_case *cases, struct diff_outcome *outcomes, unsigned count,
                  const uint8_t *data)
{
    memset(outcomes, 0, count * sizeof(*outcomes));
    *native.progress = 0;
    native.cases = cases;
    native.outcomes = outcomes;
    native.count = count;
    native.data = data;
    (void)fflush(NULL);
    start_child();
}

/* The child's end. A child that hangs is killed, and so says what hung. */
static int wait_for_child(void)
{
    int status = 0;
    unsigned seen = 0;
    for (unsigned ms = 0; waitpid(native.child, &status, WNOHANG) == 0; ms++) {
        struct timespec pause = { .tv_nsec = 1000000 };
        (void)nanosleep(&pause, NULL);
        if (*native.progress != seen)
            ms = 0;
        seen = *native.progress;
        if (ms == HANG_SECONDS * 1000)
            (void)kill(native.child, SIGKILL);
    }
    return status;
}

void native_finish(struct diff_outcome *outcomes)
{
    for (;;) {
        int status = wait_for_child();
        if (*native.progress >= native.count)
            return;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 2) {
            fprintf(stderr, "differential: the sandbox cannot be made\n");
            exit(EXIT_FAILURE);
        }
        outcomes[*native.progress].signal = (int16_t)(WIFSIGNALED(status) ? WTERMSIG(status) : -1);
        if (++*native.progress >= native.count)
            return;
        start_child();
    }
}
#else
#include <stddef.h>

bool native_setup(void)
{
    return false;
}

bool native_has_mode(unsigned mode)
{
    (void)mode;
    return false;
}

bool native_follows_amd(void)
{
    return false;
}

void native_unpin(void)
{
}

bool native_feature(uint32_t leaf, unsigned reg, unsigned bit)
{
    (void)leaf;
    (void)reg;
    (void)bit;
    return false;
}

bool native_loads_segments(void)
{
    return false;
}

bool native_descriptor(uint16_t selector, uint16_t *attr, uint32_t *limit)
{
    (void)selector;
    (void)attr;
    (void)limit;
    return false;
}

void *native_shared(unsigned long bytes)
{
    (void)bytes;
    return NULL;
}

void native_start(const struct diff_case *cases, struct diff_outcome *outcomes, unsigned count,
                  const uint8_t *data)
{
    (void)cases;
    (void)outcomes;
    (void)count;
    (void)data;
}

void native_finish(struct diff_outcome *outcomes)
{
    (void)outcomes;
}
#endif
