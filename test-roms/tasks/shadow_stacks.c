/* shadow_stacks.c: shadow stacks of users in 32-bit protected mode: far transfers, events, and task switches.
 * APM vol 2, 12.3.2 "Switching Tasks", 18.8 "Shadow Stack Operation for Task Switches". Supervisors have none here: the way
 * back to the program leads through their code. */
#include "test-roms/lib/paging.h"
#include "test-roms/tasks/kit.h"

#define CR4_CET UINT64_C(0x800000)
#define CPUID_7_CET_SS (1u << 7) /* ECX */
#define EXC_CP 21
#define CP_FAR_RET 2u
#define MSR_U_CET 0x6a0u
#define MSR_S_CET 0x6a2u
#define MSR_PL3_SSP 0x6a7u
#define TSS_SSP 0x68

/* The first task's shadow stack and the second's, which has a token at its top. */
#define FIRST_LA 0x40000000u
#define NEXT_LA 0x40002000u
#define FIRST_SSP (FIRST_LA + 0x800)
#define NEXT_TOKEN (NEXT_LA + 0xff8)
static uint64_t first_page[512] __attribute__((aligned(4096)));
static uint64_t next_page[512] __attribute__((aligned(4096)));

MODE_CODE32(s_far, "rdsspd %ebx\n s_far_insn: lcall $0x1b, $1f\n rdsspd %edx\n jmp s_far_end\n"
                   "1: rdsspd %ecx\n lret");
MODE_CODE32(s_near, "call 1f\n rdsspd %edx\n jmp s_near_end\n 1: rdsspd %ecx\n ret");
MODE_CODE32(s_bad, "pushl $0x1b\n pushl $s_bad_end\n s_bad_insn: lret");
MODE_CODE32(s_int, "int $0x50\n rdsspd %edx");
MODE_CODE32(s_call, "s_call_insn: lcall $0x88, $0\n rdsspd %edx");
MODE_CODE32(s_deep, "call 1f\n 1: call 2f\n jmp s_deep_end\n 2: lcall $0x88, $0\n ret");
MODE_CODE32(s_jmp, "ljmp $0x88, $0");
MODE_CODE32(s_task_int, "s_task_int_insn: int $0x40\n rdsspd %edx");
MODE_CODE32(next, "rdsspd %eax\n");
MODE_CODE32(next_return, "rdsspd %eax\n iretl");
MODE_CODE32(next_moves, "incl %ss:modes_tss + 0x20\n iretl");
MODE_CODE16(next_v86, "nop");

static void map(uint32_t la, uint64_t *page, struct modes_state *m)
{
    modes_map32((uint32_t *)(uintptr_t)m->cr3, la, (uintptr_t)page,
                (uint32_t)(PAGE_P | PAGE_U | PAGE_A | PAGE_D));
}

/* A user's program, and a second task at level 3 with a shadow stack. */
static struct modes_state *begin(const char *code, const char *second)
{
    static uint32_t *directory;
    struct modes_state *m = task_begin(MODE_PROT32_USER, code, second);

    if (!directory) {
        directory = modes_paging_pse();
        map(FIRST_LA, first_page, m);
        map(NEXT_LA, next_page, m);
    }
    m->cr0 |= CR0_PG | CR0_WP;
    m->cr3 = (uintptr_t)directory;
    m->cr4 |= UINT64_C(0x10) | CR4_CET; /* PSE */
    memset(first_page, 0xee, sizeof first_page);
    memset(next_page, 0xee, sizeof next_page);
    next_page[511] = NEXT_TOKEN;
    modes_store(modes_tss, TSS_CR3, (uint32_t)m->cr3, 4);
    task_set(TSS_CR3, (uint32_t)m->cr3, 4);
    task_set(TSS_SSP, NEXT_TOKEN, 4);
    task_set(TSS_IOMAP, 0x70, 2);
    task_user();
    modes_set(SEL_NEXT, modes_descriptor((uint32_t)(uintptr_t)next_tss, TSS_SSP + 3, 0x89, 0));
    modes_set(MSEL_TSS, modes_descriptor((uint32_t)(uintptr_t)modes_tss, TSS_SSP + 3, 0x89, 0));
    wrmsr(MSR_U_CET, 1);
    wrmsr(MSR_S_CET, 0);
    wrmsr(MSR_PL3_SSP, FIRST_SSP);
    return m;
}

/* A frame below the top of a page's stack, which is `top` words above its start. */
static void expect_frame(const uint64_t *page, unsigned top, uint64_t cs, uint64_t lip,
                         uint64_t ssp, const char *what)
{
    tap_eq(page[top - 1], cs, "%s pushes CS", what);
    tap_eq(page[top - 2], lip, "%s: LIP", what);
    tap_eq(page[top - 3], ssp, "%s: SSP", what);
}

static void test_user(void)
{
    begin(s_near, next);
    RUN_PASS(s_near, "a near CALL and RET");
    tap_eq(modes_reg(M_CX), FIRST_SSP - 4, "use 4 bytes");
    tap_eq(modes_reg(M_DX), FIRST_SSP, "and give them back");
    tap_eq(first_page[255], ((uintptr_t)s_near + 5) << 32 | 0xeeeeeeee, "of the return address");
    begin(s_far, next);
    RUN_PASS(s_far, "a far CALL and RET");
    tap_eq(modes_reg(M_BX), FIRST_SSP, "IRET to level 3 has loaded PL3_SSP");
    tap_eq(modes_reg(M_CX), FIRST_SSP - 24, "they use 24 bytes");
    tap_eq(modes_reg(M_DX), FIRST_SSP, "and give them back");
    expect_frame(first_page, 256, SEL_USER_CODE32, (uintptr_t)s_far_insn + 7, FIRST_SSP,
                 "far CALL");
    begin(s_bad, next);
    RUN_FAULT(s_bad, EXC_CP, CP_FAR_RET, "a far RET without CALL is #CP");
    begin(s_int, next);
    modes_resume[0x50] = RESUME;
    RUN_PASS(s_int, "an event and its IRET");
    tap_eq(modes_reg(M_DX), FIRST_SSP, "keep SSP in PL3_SSP");
    tap_eq(first_page[255], 0xeeeeeeeeeeeeeeee, "and push nothing");
}

static void test_switches(void)
{
    begin(s_call, next_return);
    RUN_PASS(s_call, "CALL to a task, and IRET");
    tap_eq(modes_load(next_tss, TSS_EAX, 4), NEXT_TOKEN - 24,
           "the new task has the SSP of its TSS");
    expect_frame(next_page, 511, SEL_USER_CODE32, (uintptr_t)s_call_insn + 7, FIRST_SSP,
                 "CALL to a task");
    tap_eq(modes_reg(M_DX), FIRST_SSP, "IRET gives SSP back");
    tap_eq(next_page[511], NEXT_TOKEN, "and sets the token free");
    begin(s_call, next);
    struct mode_event e = modes_try(EXC_UD, 0, next_end, "in the new task");
    tap_eq(e.handler_tr, SEL_NEXT, "whose TSS is TR");
    tap_eq(next_page[511], NEXT_TOKEN | 1, "the token is busy");
    begin(s_jmp, next);
    modes_try(EXC_UD, 0, next_end, "JMP to a task");
    tap_eq(modes_reg(M_AX), NEXT_TOKEN, "pushes nothing");
    tap_eq(next_page[511], NEXT_TOKEN | 1, "on a stack that becomes busy");
    begin(s_task_int, next_return);
    RUN_PASS(s_task_int, "an event through a task gate, and IRET");
    expect_frame(next_page, 511, SEL_USER_CODE32, (uintptr_t)s_task_int_insn + 2, FIRST_SSP,
                 "the event");
    begin(s_call, next_moves);
    modes_try(EXC_CP, CP_FAR_RET, s_call_insn + 8, "IRET to another EIP is #CP, in that task");
    /* To a supervisor, who has no shadow stack. */
    begin(s_deep, next);
    task_set(TSS_CS, SEL_CODE32, 2);
    task_set(TSS_SS, SEL_DATA, 2);
    modes_try(EXC_UD, 0, next_end, "CALL to a task at level 0");
    tap_eq(rdmsr(MSR_PL3_SSP), FIRST_SSP - 4,
           "saves SSP in PL3_SSP: CALL to the next instruction pushes nothing");
    tap_eq(next_page[511], NEXT_TOKEN, "and looks for no token");
    begin(s_deep, next_return);
    task_set(TSS_CS, SEL_CODE32, 2);
    task_set(TSS_SS, SEL_DATA, 2);
    modes_try(EXC_UD, 0, s_deep_end, "and IRET from it");
}

static void test_checks(void)
{
    begin(s_call, next);
    modes_set(SEL_NEXT, modes_descriptor((uint32_t)(uintptr_t)next_tss, TSS_SSP + 2, 0x89, 0));
    RUN_FAULT(s_call, EXC_TS, SEL_NEXT, "a TSS without room for SSP is #TS");
    static const struct {
        uint32_t ssp;
        uint64_t token;
        const char *what;
    } rows[] = {
        { NEXT_TOKEN, NEXT_TOKEN | 1, "a busy token is #TS in the new task" },
        { NEXT_TOKEN, NEXT_TOKEN - 8, "so is one with another address" },
        { NEXT_TOKEN - 4, NEXT_TOKEN - 4, "and an SSP that is not aligned to 8 bytes" },
    };
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        begin(s_call, next);
        task_set(TSS_SSP, rows[i].ssp, 4);
        next_page[511] = rows[i].token;
        struct mode_event e = modes_try(EXC_TS, SEL_NEXT, next, rows[i].what);
        tap_eq(e.handler_tr, SEL_NEXT, "there");
        tap_eq(next_page[511], rows[i].token, "the token stays");
    }
    begin(s_call, next);
    task_set(TSS_EFLAGS, (uint32_t)(VM | RFLAGS_ONE), 4);
    task_set(TSS_EIP, (uint32_t)(uintptr_t)next_v86, 4);
    task_set(TSS_CS, 0, 2);
    task_set(TSS_SS, 0, 2);
    modes_try(EXC_TS, SEL_NEXT, next_v86, "a task in virtual-8086 mode is #TS");
    struct modes_state *m = begin(s_call, next);
    m->rflags |= RFLAGS_IOPL;
    wrmsr(MSR_U_CET, 0);
    task_set(TSS_EFLAGS, (uint32_t)(VM | RFLAGS_ONE), 4);
    task_set(TSS_EIP, (uint32_t)(uintptr_t)next_v86, 4);
    task_set(TSS_CS, 0, 2);
    task_set(TSS_SS, 0, 2);
    modes_try(EXC_UD, 0, next_v86_end, "but not without shadow stacks of users");
}

int rom_main(void)
{
    if (!(cpuid_checked(7, 0).ecx & CPUID_7_CET_SS)) {
        tap_skip("no shadow stacks", "task switches");
        tap_done();
    }
    test_user();
    test_switches();
    test_checks();
    tap_done();
}
