/* The run loop: exact counts and deadlines, shadows, single step, code that changes, fetch faults, limits. */
#include "svm/world.h"
#include "tests/cpu/kit.h"

#define MAX_STEPS 100000u
#define HANDLER_OF(vector) (HANDLER + 16 * (vector) + 1) /* RIP behind the handler's HLT */

/* Code at CODE_SPA; every handler is HLT. */
static void put_code(struct kit *k, const void *bytes, unsigned len)
{
    ck_assert(phys_write_block(k->memory, CODE_SPA, bytes, len));
    for (unsigned v = 0; v < 256; v++)
        kit_put(k, HANDLER + 16 * v, 1, 0xf4);
}
#define CODE(k, bytes) put_code((k), (bytes), sizeof(bytes) - 1)

static int run_steps(struct kit *k, uint64_t steps)
{
    struct run_limits limits = { .max_steps = vcpu_steps(k->cpu) + steps };
    return run_vcpu(k->cpu, &limits);
}

static void run_to_halt(struct kit *k)
{
    ck_assert_int_eq(run_steps(k, MAX_STEPS), PACIFICA_STOP_HALTED);
}

/* --- counting --- */

WITH_KIT(step_limit_is_exact_in_the_middle_of_a_block)
{
    CODE(k, "\x48\xff\xc0\x48\xff\xc0\x48\xff\xc0\x48\xff\xc0\xeb\xf2"); /* 4 x inc rax; jmp */
    for (unsigned n = 1; n < 40; n++) {
        kit_mode(k, MODE_LONG64, 0);
        k->cpu->r[REG_RAX] = 0;
        uint64_t before = cpu_insns(k->cpu);
        ck_assert_int_eq(run_steps(k, n), PACIFICA_STOP_LIMIT_INSNS);
        ck_assert_uint_eq(cpu_insns(k->cpu) - before, n);
        ck_assert_uint_eq(k->cpu->r[REG_RAX], n - n / 5);
        ck_assert_uint_eq(k->cpu->r[REG_RIP], CODE_SPA + n % 5 * 3);
    }
}

WITH_KIT(branch_out_of_the_middle_of_a_block_gives_the_rest_back)
{
    /* xor eax, eax; 1: inc eax; cmp eax, 10; je +2; jmp 1b; hlt, with a long tail behind the je */
    CODE(k, "\x31\xc0\xff\xc0\x83\xf8\x0a\x74\x05\x90\x90\x90\xeb\xf4\xf4");
    run_to_halt(k);
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 10);
    ck_assert_uint_eq(cpu_insns(k->cpu), 1 + 9 * 7 + 3 + 1);
}

static void fire(void *self, uint64_t now_ns)
{
    struct kit *k = self;
    ck_assert_uint_eq(now_ns, vcpu_now_ns(k->cpu));
    k->pending = 0x40;
    cpu_attention(k->cpu);
}

WITH_KIT(deadline_interrupts_at_its_instruction)
{
    CODE(k, "\x48\xff\xc0\x48\xff\xc0\x48\xff\xc0\xeb\xf5"); /* 3 x inc rax; jmp */
    for (unsigned n = 1; n < 30; n++) {
        struct deadline d = { .fire = fire, .self = k };
        kit_mode(k, MODE_LONG64, 0);
        k->cpu->rflags |= FLAG_IF;
        k->cpu->r[REG_RAX] = 0;
        clock_arm(&k->clock, &d, vcpu_now_ns(k->cpu) + n);
        run_to_halt(k);
        ck_assert_uint_eq(k->cpu->r[REG_RIP], HANDLER_OF(0x40));
        ck_assert_uint_eq(k->cpu->r[REG_RAX], n - n / 4);
        k->cpu->regs.halted = false;
    }
}

/* A device in memory that tells the time and arms a deadline. */
struct alarm {
    struct kit *k;
    struct deadline deadline;
};

static void alarm_write(void *self, uint64_t spa, unsigned size, uint64_t value)
{
    struct alarm *alarm = self;
    (void)spa;
    (void)size;
    clock_arm(&alarm->k->clock, &alarm->deadline, vcpu_now_ns(alarm->k->cpu) + value);
}

static uint64_t alarm_read(void *self, uint64_t spa, unsigned size)
{
    struct alarm *alarm = self;
    (void)spa;
    (void)size;
    return vcpu_now_ns(alarm->k->cpu);
}

WITH_KIT(deadline_armed_by_a_store_interrupts_at_its_instruction)
{
    static const struct mmio_ops ops = { .read = alarm_read, .write = alarm_write };
    struct alarm alarm = { .k = k, .deadline = { .fire = fire, .self = k } };
    CODE(
        k,
        "\x48\x89\x0b\x48\xff\xc0\x48\xff\xc0\xeb\xf8"); /* mov [rbx], rcx; 1: 2 x inc rax; jmp 1 */
    memory_set_mmio(k->memory, &ops, &alarm);
    for (unsigned n = 1; n < 30; n++) {
        kit_mode(k, MODE_LONG64, 0);
        k->cpu->rflags |= FLAG_IF;
        k->cpu->r[REG_RAX] = 0;
        k->cpu->r[REG_RBX] = 0xa0000;
        k->cpu->r[REG_RCX] = n;
        run_to_halt(k);
        ck_assert_uint_eq(k->cpu->r[REG_RIP], HANDLER_OF(0x40));
        ck_assert_uint_eq(k->cpu->r[REG_RAX], n - 1 - (n - 1) / 3);
        k->cpu->regs.halted = false;
    }
}

WITH_KIT(rep_iterations_count_and_stop_at_the_limit)
{
    CODE(k, "\xf3\xaa\xf4"); /* rep stosb; hlt */
    k->cpu->r[REG_RDI] = DATA_SPA;
    k->cpu->r[REG_RCX] = 1000;
    ck_assert_int_eq(run_steps(k, 300), PACIFICA_STOP_LIMIT_INSNS);
    ck_assert_uint_eq(k->cpu->r[REG_RCX], 700);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], CODE_SPA);
    run_to_halt(k);
    ck_assert_uint_eq(cpu_insns(k->cpu), 1001);
}

WITH_KIT(halt_passes_time_to_the_deadline)
{
    struct deadline d = { .fire = fire, .self = k };
    CODE(k, "\xf4");
    k->cpu->rflags |= FLAG_IF;
    clock_arm(&k->clock, &d, 5000000);
    run_to_halt(k); /* the second HLT, in the handler, for ever */
    ck_assert_uint_eq(k->cpu->r[REG_RIP], HANDLER_OF(0x40));
    ck_assert_uint_eq(cpu_insns(k->cpu), 2);
    ck_assert_uint_ge(vcpu_now_ns(k->cpu), 5000000);
}

/* Devices add to the time: it must not overflow while a guest waits for what lies centuries ahead. */
WITH_KIT(time_has_an_end_that_no_deadline_passes)
{
    struct deadline d = { .fire = fire, .self = k };
    CODE(k, "\xf4");
    k->cpu->rflags |= FLAG_IF;
    clock_arm(&k->clock, &d, CLOCK_LAST + 1);
    ck_assert(!d.queued);
    ck_assert_uint_eq(clock_next_ns(&k->clock), CLOCK_NEVER);
    run_to_halt(k);
    ck_assert_int_eq(k->acks, 0);
    clock_arm(&k->clock, &d, CLOCK_LAST);
    run_to_halt(k);
    ck_assert_int_eq(k->acks, 1);
    ck_assert_uint_ge(vcpu_now_ns(k->cpu), CLOCK_LAST);
    clock_arm(&k->clock, &d, UINT64_MAX); /* what was queued is not any more */
    ck_assert(!d.queued);
}

WITH_KIT(fault_loop_that_retires_nothing_is_limited_by_steps)
{
    CODE(k, "\x0f\x0b");
    kit_put(k, HANDLER + 16 * EXC_UD, 2, 0x0b0f);
    kit_idt(k, EXC_UD, 14, 0, 1); /* on an IST stack, so that it never overflows */
    ck_assert_int_eq(run_steps(k, 1000), PACIFICA_STOP_LIMIT_INSNS);
    ck_assert_uint_eq(cpu_insns(k->cpu), 0);
    ck_assert_uint_eq(vcpu_steps(k->cpu), 1000);
}

WITH_KIT(devices_see_the_time_of_each_iteration)
{
    static const struct mmio_ops ops = { .read = alarm_read, .write = alarm_write };
    struct alarm alarm = { .k = k };
    CODE(k, "\x90\xf3\x48\xa5\x90\xf4"); /* nop; rep movsq; nop; hlt */
    memory_set_mmio(k->memory, &ops, &alarm);
    k->cpu->r[REG_RSI] = 0xa0000;
    k->cpu->r[REG_RDI] = DATA_SPA;
    k->cpu->r[REG_RCX] = 8;
    run_to_halt(k);
    for (unsigned i = 0; i < 8; i++)
        ck_assert_uint_eq(kit_get(k, DATA_SPA + 8 * i, 8), 1 + i);
    ck_assert_uint_eq(cpu_insns(k->cpu), 1 + 8 + 1 + 1);
}

WITH_KIT(movs_reads_its_element_before_it_looks_the_destination_up)
{
    CODE(k, "\xf3\x48\xa5\xf4"); /* rep movsq from the page table of the destination */
    for (unsigned count = 1; count <= 3; count++) {
        kit_mode(k, MODE_LONG64, 0);
        kit_page(k, 0, 0x100000 | 7); /* neither accessed nor dirty */
        k->cpu->r[REG_RSI] = PT_SPA;
        k->cpu->r[REG_RDI] = PAGED_LA;
        k->cpu->r[REG_RCX] = count;
        k->cpu->regs.halted = false;
        run_to_halt(k);
        ck_assert_uint_eq(kit_get(k, 0x100000, 8), 0x100000 | 7);
        ck_assert_uint_eq(kit_get(k, PT_SPA, 8), 0x100000 | 0x67);
    }
}

/* --- shadows and single step --- */

WITH_KIT(sti_shadow_covers_one_instruction)
{
    CODE(k, "\xfb\x48\xff\xc0\x48\xff\xc0\xf4"); /* sti; inc rax; inc rax; hlt */
    k->pending = 0x41;
    k->cpu->r[REG_RAX] = 0;
    run_to_halt(k);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], HANDLER_OF(0x41));
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 1);
}

WITH_KIT(sti_with_if_set_makes_no_shadow)
{
    CODE(k, "\xfb\x48\xff\xc0\xf4");
    k->cpu->rflags |= FLAG_IF;
    k->pending = -1;
    k->cpu->r[REG_RAX] = 0;
    ck_assert_int_eq(run_steps(k, 1), PACIFICA_STOP_LIMIT_INSNS);
    ck_assert(!k->cpu->regs.shadow);
}

WITH_KIT(single_step_traps_behind_each_instruction)
{
    CODE(k, "\x48\xff\xc0\x48\xff\xc0");
    k->cpu->rflags |= FLAG_TF;
    k->cpu->r[REG_RAX] = 0;
    run_to_halt(k);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], HANDLER_OF(EXC_DB));
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 1);
    ck_assert_uint_eq(kit_get(k, k->cpu->r[REG_RSP], 8), CODE_SPA + 3);
    ck_assert_uint_eq(k->cpu->regs.dr[6] & 0x4000, 0x4000);
}

WITH_KIT(popf_that_sets_tf_traps_behind_the_next)
{
    /* push 102h; popfq; inc rax; inc rax */
    CODE(k, "\x68\x02\x01\x00\x00\x9d\x48\xff\xc0\x48\xff\xc0");
    k->cpu->r[REG_RAX] = 0;
    run_to_halt(k);
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 1);
    ck_assert_uint_eq(kit_get(k, k->cpu->r[REG_RSP], 8), CODE_SPA + 9);
}

WITH_KIT(single_step_stops_rep_after_each_iteration)
{
    CODE(k, "\xf3\xaa");
    k->cpu->r[REG_RDI] = DATA_SPA;
    k->cpu->r[REG_RCX] = 5;
    k->cpu->rflags |= FLAG_TF;
    run_to_halt(k);
    ck_assert_uint_eq(k->cpu->r[REG_RCX], 4);
    ck_assert_uint_eq(kit_get(k, k->cpu->r[REG_RSP], 8), CODE_SPA);
}

/* svm-operation.md 3: the trap of a single-stepped VMRUN comes when the host is back. */
/* rows: svmop 3.34, 5.12 */
WITH_KIT(host_trap_flag_acts_after_vmexit)
{
    CODE(k, "\x0f\x01\xd8\x48\xff\xc3");        /* vmrun; inc rbx */
    kit_put(k, CODE_SPA + 0x40, 4, 0x00f4d901); /* behind 0F: the guest's VMMCALL */
    kit_put(k, CODE_SPA + 0x3f, 1, 0x0f);
    k->cpu->r[REG_RIP] = CODE_SPA + 0x3f;
    kit_guest(k); /* fills the VMCB and enters */
    VMCB_SET(k->vmcb, INTERCEPT_4, 3);
    svm_leave_guest(k->cpu->svm);
    k->cpu->svm->gif = true;
    kit_mode(k, MODE_LONG64, 0);
    k->cpu->r[REG_RAX] = VMCB_SPA;
    k->cpu->r[REG_RBX] = 0;
    k->cpu->rflags |= FLAG_TF;
    run_to_halt(k);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), VMEXIT_VMMCALL);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], HANDLER_OF(EXC_DB));
    ck_assert_uint_eq(k->cpu->r[REG_RBX], 0);
    ck_assert_uint_eq(kit_get(k, k->cpu->r[REG_RSP], 8), CODE_SPA + 3);
}

/* RF between two iterations is the guest's: the INT of the host pushes its own. */
WITH_KIT(rf_of_a_half_done_string_stays_with_the_guest)
{
    struct deadline d = { .fire = fire, .self = k };
    CODE(k, "\x0f\x01\xd8\xcd\x41");        /* vmrun; int 41h */
    kit_put(k, CODE_SPA + 0x40, 2, 0xaaf3); /* rep stosb */
    k->cpu->r[REG_RIP] = CODE_SPA + 0x40;
    k->cpu->rflags |= FLAG_IF;
    kit_guest(k);                      /* fills the VMCB and enters */
    VMCB_SET(k->vmcb, INTERCEPT_3, 1); /* INTR */
    VMCB_SET(k->vmcb, INTERCEPT_4, 1);
    svm_leave_guest(k->cpu->svm);
    k->cpu->svm->gif = true;
    kit_mode(k, MODE_LONG64, 0);
    k->cpu->r[REG_RAX] = VMCB_SPA;
    k->cpu->r[REG_RDI] = DATA_SPA;
    k->cpu->r[REG_RCX] = 1000;
    clock_arm(&k->clock, &d, vcpu_now_ns(k->cpu) + 300);
    run_to_halt(k);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), VMEXIT_INTR);
    ck_assert_uint_eq(k->cpu->r[REG_RCX], 701);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], HANDLER_OF(0x41));
    ck_assert_uint_eq(kit_get(k, k->cpu->r[REG_RSP] + 16, 8) & FLAG_RF, 0);
}

/* --- code that changes, and its pages --- */

WITH_KIT(store_into_the_next_instruction_is_seen)
{
    /* mov byte [rip + 0], 0xc3 -> changes "inc eax" (ff c0) into "inc ebx" (ff c3); hlt */
    CODE(k, "\xc6\x05\x01\x00\x00\x00\xc3\xff\xc0\xf4");
    k->cpu->r[REG_RAX] = k->cpu->r[REG_RBX] = 0;
    run_to_halt(k);
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 0);
    ck_assert_uint_eq(k->cpu->r[REG_RBX], 1);
}

WITH_KIT(store_through_an_alias_is_seen)
{
    /* mov byte [alias + 8], 0xc3 with the alias page mapped to the code */
    kit_page(k, 0, CODE_SPA | 7);
    CODE(k, "\xc6\x04\x25\x09\x00\x40\x00\xc3\xff\xc0\xf4");
    k->cpu->r[REG_RAX] = k->cpu->r[REG_RBX] = 0;
    run_to_halt(k);
    ck_assert_uint_eq(k->cpu->r[REG_RBX], 1);
}

WITH_KIT(instruction_across_pages_uses_both_translations)
{
    /* mov eax, 0x11223344 at the end of page 0 of the paged area; its tail is elsewhere */
    kit_page(k, 0, 0x100000 | 7);
    kit_page(k, 1, 0x180000 | 7);
    CODE(k, "\x90");
    kit_put(k, 0x100ffe, 2, 0x44b8);
    kit_put(k, 0x180000, 4, 0xf4112233);
    for (unsigned i = 0; i < 3; i++) {
        k->cpu->r[REG_RIP] = PAGED_LA + 0xffe;
        k->cpu->regs.halted = false;
        run_to_halt(k);
        ck_assert_uint_eq(k->cpu->r[REG_RAX], 0x11223344);
    }
    kit_page(k, 1, 0x181000 | 7); /* remapped: the cached block must not be believed */
    kit_put(k, 0x181000, 4, 0xf4556677);
    k->cpu->r[REG_RIP] = PAGED_LA + 0xffe;
    k->cpu->regs.halted = false;
    run_to_halt(k);
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 0x55667744);
}

WITH_KIT(fault_on_the_second_page_reports_its_start)
{
    kit_page(k, 0, 0x100000 | 7);
    kit_page(k, 1, 0);
    CODE(k, "\x90");
    kit_put(k, 0x100ffe, 2, 0x44b8);
    k->cpu->r[REG_RIP] = PAGED_LA + 0xffe;
    run_to_halt(k);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], HANDLER_OF(EXC_PF));
    ck_assert_uint_eq(k->cpu->regs.cr2, PAGED_LA + 0x1000);
    ck_assert_uint_eq(kit_get(k, k->cpu->r[REG_RSP] + 8, 8), PAGED_LA + 0xffe);
}

WITH_KIT(instruction_that_ends_at_the_page_end_needs_no_second_page)
{
    kit_page(k, 0, 0x100000 | 7);
    kit_page(k, 1, 0);
    kit_put(k, 0x100fff, 1, 0xf4);
    k->cpu->r[REG_RIP] = PAGED_LA + 0xfff;
    run_to_halt(k);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], PAGED_LA + 0x1000);
}

WITH_KIT(code_in_mmio_is_fetched)
{
    CODE(k, "\x90");
    k->cpu->r[REG_RIP] = 0xa0000; /* the VGA hole: open bus, FF FF is no instruction */
    run_to_halt(k);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], HANDLER_OF(EXC_UD));
    ck_assert_uint_eq(kit_get(k, k->cpu->r[REG_RSP], 8), 0xa0000);
}

/* --- fetch faults --- */

WITH_KIT(non_canonical_rip_is_gp_in_place)
{
    CODE(k, "\x90");
    k->cpu->r[REG_RIP] = NONCANON;
    run_to_halt(k);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], HANDLER_OF(EXC_GP));
    ck_assert_uint_eq(kit_get(k, k->cpu->r[REG_RSP] + 8, 8), NONCANON);
}

WITH_KIT(sixteen_bytes_are_gp)
{
    CODE(k, "\x2e\x2e\x2e\x2e\x2e\x2e\x2e\x2e\x2e\x2e\x2e\x2e\x2e\x2e\x2e\x90");
    run_to_halt(k);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], HANDLER_OF(EXC_GP));
}

WITH_KIT(code_beyond_the_cs_limit_is_gp)
{
    CODE(k, "\x90\x90\x90\x90\xf4");
    kit_mode(k, MODE_PROT32, 0);
    for (unsigned v = 0; v < 32; v++)
        kit_gate32(k, v, CODE32, HANDLER + 16 * v, 14, 0);
    k->cpu->regs.idtr.limit = 0x7ff;
    k->cpu->regs.seg[SEG_CS].limit = CODE_SPA + 2; /* three NOPs fit */
    uint64_t before = cpu_insns(k->cpu);
    run_to_halt(k);
    ck_assert_uint_eq(cpu_insns(k->cpu) - before, 3 + 1);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], HANDLER_OF(EXC_GP));
}

int main(void)
{
    Suite *suite = suite_create("run");
    TCase *tc = tcase_create("run");
    tcase_add_test(tc, step_limit_is_exact_in_the_middle_of_a_block);
    tcase_add_test(tc, branch_out_of_the_middle_of_a_block_gives_the_rest_back);
    tcase_add_test(tc, deadline_interrupts_at_its_instruction);
    tcase_add_test(tc, deadline_armed_by_a_store_interrupts_at_its_instruction);
    tcase_add_test(tc, rep_iterations_count_and_stop_at_the_limit);
    tcase_add_test(tc, devices_see_the_time_of_each_iteration);
    tcase_add_test(tc, movs_reads_its_element_before_it_looks_the_destination_up);
    tcase_add_test(tc, halt_passes_time_to_the_deadline);
    tcase_add_test(tc, time_has_an_end_that_no_deadline_passes);
    tcase_add_test(tc, fault_loop_that_retires_nothing_is_limited_by_steps);
    tcase_add_test(tc, sti_shadow_covers_one_instruction);
    tcase_add_test(tc, sti_with_if_set_makes_no_shadow);
    tcase_add_test(tc, single_step_traps_behind_each_instruction);
    tcase_add_test(tc, popf_that_sets_tf_traps_behind_the_next);
    tcase_add_test(tc, single_step_stops_rep_after_each_iteration);
    tcase_add_test(tc, host_trap_flag_acts_after_vmexit);
    tcase_add_test(tc, rf_of_a_half_done_string_stays_with_the_guest);
    tcase_add_test(tc, store_into_the_next_instruction_is_seen);
    tcase_add_test(tc, store_through_an_alias_is_seen);
    tcase_add_test(tc, instruction_across_pages_uses_both_translations);
    tcase_add_test(tc, fault_on_the_second_page_reports_its_start);
    tcase_add_test(tc, instruction_that_ends_at_the_page_end_needs_no_second_page);
    tcase_add_test(tc, code_in_mmio_is_fetched);
    tcase_add_test(tc, non_canonical_rip_is_gp_in_place);
    tcase_add_test(tc, sixteen_bytes_are_gp);
    tcase_add_test(tc, code_beyond_the_cs_limit_is_gp);
    suite_add_tcase(suite, tc);
    return kit_run(suite);
}
