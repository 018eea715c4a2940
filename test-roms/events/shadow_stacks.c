/* shadow_stacks.c: a system with shadow stacks: far CALL and RET, events of both levels with and without IST, IRET, SYSCALL,
 * and what happens when a return address, a token or a page is wrong. APM vol 2, 18.4 "Shadow Stack Operation for Far
 * Transfers" - 18.7 "Shadow Stack Operation for SYSCALL and SYSRET". */
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/paging.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"
#include "test-roms/lib/trap.h"

#define CR4_CET UINT64_C(0x800000)
#define CPUID_7_CET_SS (1u << 7) /* ECX */
#define EXC_CP 21
#define CP_FAR_RET 2u
#define PF_SS 0x40u
#define MSR_U_CET 0x6a0u
#define MSR_S_CET 0x6a2u
#define MSR_PL0_SSP 0x6a4u
#define MSR_PL3_SSP 0x6a7u
#define MSR_ISST 0x6a8u
#define IST 3u

/* Linear addresses of the shadow stacks; `page` are the same bytes as ordinary memory. */
#define STACK_LA(n) (PAGING_WINDOW + UINT64_C(0x2000) * (n))
enum { PL0, INTERRUPT, USER, STACKS };
#define TOKEN(n) (STACK_LA(n) + 0xff8)
#define USER_SSP (STACK_LA(USER) + 0x800)

static uint64_t page[STACKS][512] __attribute__((aligned(4096)));
static uint64_t isst[8] __attribute__((aligned(64)));
static uint8_t ist_stack[4096] __attribute__((aligned(16)));
static uint8_t user_stack[4096] __attribute__((aligned(16)));

void shadow_begin(void (*code)(void));
void end_6(void), end_8(void), end_13(void), end_14(void), end_21(void);
void gate_40(void), gate_41(void), gate_42(void), gate_43(void), syscall_entry(void);
void s_call(void), s_call_bad(void), s_int(void), s_int_bad(void), s_user(void), s_user_moved(void),
    s_user_call(void), s_user_ret(void), s_syscall(void), s_user_int(void);
extern const char s_call_end[], s_call_bad_end[], s_int_end[], gate_41_iret[], s_user_end[],
    s_user_moved_end[], s_user_call_end[], s_user_ret_end[], s_syscall_end[], s_user_int_end[];
extern uint64_t user_rsp, pl0_ssp, seen_vector, seen_error, seen_rip, seen_cs, seen_ssp, seen_cr2,
    seen_r8, seen_r9, seen_r10;

static void gate(unsigned vector, void (*handler)(void), unsigned ist)
{
    uint64_t *g = trap_gate(vector), target = (uintptr_t)handler;

    g[0] = (target & 0xffff) | (uint64_t)SEL_CODE64 << 16 | (uint64_t)ist << 32 |
           UINT64_C(0xee) << 40 | (target >> 16 & 0xffff) << 48;
    g[1] = target >> 32;
}

static void map(unsigned n, uint64_t flags)
{
    paging_map(paging_root(), STACK_LA(n), (uintptr_t)page[n], PAGE_4K, flags);
    invlpg(STACK_LA(n));
}

/* Fresh stacks with idle tokens, and gates without IST. */
static void begin(void)
{
    memset(page, 0xee, sizeof page);
    for (unsigned n = PL0; n <= INTERRUPT; n++) {
        page[n][511] = TOKEN(n);
        map(n, PAGE_P | PAGE_A | PAGE_D);
    }
    map(USER, PAGE_P | PAGE_U | PAGE_A | PAGE_D);
    gate(EXC_UD, end_6, 0);
    gate(EXC_DF, end_8, IST);
    gate(EXC_GP, end_13, IST);
    gate(EXC_PF, end_14, IST);
    gate(EXC_CP, end_21, 0);
    gate(0x40, gate_40, 0);
    gate(0x41, gate_41, 0);
    gate(0x42, gate_42, 0);
    gate(0x43, gate_43, 0);
    wrmsr(MSR_U_CET, 1);
    wrmsr(MSR_PL0_SSP, TOKEN(PL0));
    wrmsr(MSR_PL3_SSP, USER_SSP);
}

/* Run the code, which ends at `rip` with this exception. */
static void run(void (*code)(void), unsigned vector, uint64_t error, const char *rip,
                const char *what)
{
    shadow_begin(code);
    tap_eq(seen_vector, vector, "%s", what);
    tap_eq(seen_error, error, "%s: error code", what);
    tap_eq(seen_rip, (uintptr_t)rip, "%s: RIP", what);
}

/* The word n places below the top of a stack, counted from 1. */
static uint64_t word(unsigned stack, unsigned n)
{
    return page[stack][511 - n];
}

static void test_far(void)
{
    begin();
    gate(EXC_UD, end_6, IST); /* what ends the code leaves the stack as it is */
    run(s_call, EXC_UD, 0, s_call_end, "far CALL and RET at level 0");
    tap_eq(word(PL0, 1), SEL_CODE64, "the shadow stack gets CS");
    tap_eq(word(PL0, 2), (uintptr_t)s_call + 7, "the address behind the CALL");
    tap_eq(word(PL0, 3), TOKEN(PL0), "and SSP");
    tap_eq(seen_r8, TOKEN(PL0) - 24, "SSP goes down by 24");
    tap_eq(seen_r9, TOKEN(PL0), "and up again");
    begin();
    run(s_call_bad, EXC_CP, CP_FAR_RET, s_call_bad_end, "a far RET to another place is #CP");
}

static void test_same_level(void)
{
    begin();
    run(s_int, EXC_UD, 0, s_int_end, "an event at level 0");
    tap_eq(seen_r8, TOKEN(PL0) - 24, "stays on its shadow stack");
    tap_eq(seen_r9, TOKEN(PL0), "IRET restores SSP");
    tap_eq(word(PL0, 0), TOKEN(PL0) | 1, "and the stack remains busy");
    begin();
    gate(0x40, gate_40, IST);
    run(s_int, EXC_UD, 0, s_int_end, "an event with IST");
    tap_eq(seen_r8, TOKEN(INTERRUPT) - 24, "takes the stack of the table");
    tap_eq(word(INTERRUPT, 1), SEL_CODE64, "and pushes CS there");
    tap_eq(word(INTERRUPT, 2), (uintptr_t)s_int + 2, "the return address");
    tap_eq(word(INTERRUPT, 3), TOKEN(PL0), "and the old SSP");
    tap_eq(seen_r9, TOKEN(PL0), "IRET goes back to the old stack");
    tap_eq(word(INTERRUPT, 0), TOKEN(INTERRUPT), "and sets the other free");
    begin();
    run(s_int_bad, EXC_CP, CP_FAR_RET, gate_41_iret, "IRET to another place is #CP");
    begin();
    gate(0x41, gate_41, IST);
    run(s_int_bad, EXC_CP, CP_FAR_RET, gate_41_iret, "from a stack of the table, too");
    tap_eq(word(INTERRUPT, 0), TOKEN(INTERRUPT) | 1, "which stays busy");
}

static void test_user(void)
{
    begin();
    run(s_user, EXC_UD, 0, s_user_end, "events from level 3");
    tap_eq(seen_r9, USER_SSP, "IRET to level 3 takes PL3_SSP");
    tap_eq(seen_r8, TOKEN(PL0), "an event from there PL0_SSP, and pushes nothing");
    tap_eq(seen_r10, USER_SSP, "SSP comes back");
    tap_eq(rdmsr(MSR_PL3_SSP), USER_SSP, "from PL3_SSP");
    tap_eq(word(PL0, 0), TOKEN(PL0) | 1, "the last event has set the token busy");
    begin();
    gate(0x42, gate_42, IST);
    run(s_user, EXC_UD, 0, s_user_end, "with IST");
    tap_eq(seen_r8, TOKEN(INTERRUPT), "the stack of the table");
    tap_eq(word(INTERRUPT, 0), TOKEN(INTERRUPT), "which is free again");
    begin();
    run(s_user_moved, EXC_UD, 0, s_user_moved_end, "IRET to level 3 compares no addresses");
    begin();
    run(s_user_call, EXC_UD, 0, s_user_call_end, "CALL and RET at level 3, near and far");
    tap_eq(seen_r9, USER_SSP, "near ones");
    tap_eq(seen_r8, USER_SSP - 24, "far ones");
    tap_eq(seen_r10, USER_SSP, "use the user's stack");
    begin();
    run(s_user_ret, EXC_CP, CP_FAR_RET, s_user_ret_end, "a far RET without CALL is #CP");
    tap_eq(seen_cs, SEL_USER_CODE64, "at level 3");
    begin();
    wrmsr(MSR_U_CET, 0);
    wrmsr(MSR_PL3_SSP, 0x1230);
    run(s_user, EXC_UD, 0, s_user_end, "without shadow stacks of users");
    tap_eq(seen_r9, UINT64_MAX, "RDSSP does nothing at level 3");
    tap_eq(rdmsr(MSR_PL3_SSP), 0x1230, "PL3_SSP is not written");
    tap_eq(seen_r8, TOKEN(PL0), "and events take PL0_SSP all the same");
}

static void test_syscall(void)
{
    begin();
    run(s_syscall, EXC_UD, 0, s_syscall_end, "SYSCALL and SYSRET");
    tap_eq(seen_r8, 0, "SYSCALL clears SSP");
    tap_eq(seen_r9, TOKEN(PL0), "SETSSBSY makes a stack");
    tap_eq(seen_r10, USER_SSP, "SYSRET restores the user's");
}

static void test_faults(void)
{
    /* What ends the code has a stack of the table: the other cannot be used. */
    begin();
    wrmsr(MSR_PL0_SSP, TOKEN(PL0) - 8);
    page[PL0][510] = TOKEN(PL0) - 8;
    run(s_user, EXC_UD, 0, s_user_end, "PL0_SSP leads to the token");
    tap_eq(seen_r8, TOKEN(PL0) - 8, "wherever it is");

    begin();
    gate(0x42, gate_42, 4); /* no such stack: 0 is no address of a token */
    run(s_user_int, EXC_PF, PF_SS | PF_RW | PF_P, s_user_int_end, "a stack that is none is #PF");
    tap_eq(seen_cr2, 0, "at its token");

    begin();
    gate(0x42, gate_42, 4);
    isst[4] = TOKEN(INTERRUPT) - 4;
    run(s_user_int, EXC_GP, 0, s_user_int_end, "an SSP that is not aligned is #GP");
    begin();
    gate(0x42, gate_42, 4);
    page[USER][511] = TOKEN(USER);
    isst[4] = TOKEN(USER);
    run(s_user_int, EXC_PF, PF_SS | PF_RW | PF_P, s_user_int_end,
        "a user's stack is none for supervisors");
    tap_eq(seen_cr2, TOKEN(USER), "at the address of the token");
    tap_eq(seen_ssp, TOKEN(INTERRUPT), "its handler has the stack of the table");
    begin();
    gate(0x42, gate_42, 4);
    isst[4] = STACK_LA(PL0) + 0x100; /* no token there */
    run(s_user_int, EXC_GP, 0, s_user_int_end, "a stack without token is #GP");
    begin();
    gate(0x42, gate_42, 4);
    isst[4] = STACK_LA(PL0) + 0x100;
    page[PL0][0x20] = isst[4] | 1;
    run(s_user_int, EXC_GP, 0, s_user_int_end, "so is a busy one");
    tap_eq(page[PL0][0x20], isst[4] | 1, "which stays busy");
    begin();
    gate(EXC_GP, end_13, 4);
    gate(0x42, gate_42, 4);
    isst[4] = STACK_LA(PL0) + 0x100;
    run(s_user_int, EXC_DF, 0, s_user_int_end, "a second one is #DF");
}

int rom_main(void)
{
    if (!(cpuid_checked(7, 0).ecx & CPUID_7_CET_SS)) {
        tap_skip("no shadow stacks", "far transfers and events");
        tap_done();
    }
    uint64_t ist_top = (uintptr_t)(ist_stack + sizeof ist_stack);
    memcpy(trap_tss() + 0x24 + 8 * (IST - 1), &ist_top, 8);
    memcpy(trap_tss() + 0x24 + 8 * 3, &ist_top, 8); /* IST 4 */
    isst[IST] = TOKEN(INTERRUPT);
    user_rsp = (uintptr_t)(user_stack + sizeof user_stack);
    pl0_ssp = TOKEN(PL0);
    paging_allow_user(true);
    wrmsr(MSR_STAR, (uint64_t)SEL_USER_CODE32 << 48 | (uint64_t)SEL_CODE64 << 32);
    wrmsr(MSR_LSTAR, (uintptr_t)syscall_entry);
    wrmsr(MSR_SFMASK, 0);
    wrmsr(MSR_ISST, (uintptr_t)isst);
    write_cr0(read_cr0() | CR0_WP);
    write_cr4(read_cr4() | CR4_CET);
    test_far();
    test_same_level();
    test_user();
    test_syscall();
    test_faults();
    tap_done();
}
