/* Where blocks may go on to: links between blocks, exact blocks, and what hot handlers must leave to plain bodies. */
#include "tests/cpu/kit.h"

#define MAX_STEPS 100000u
#define HANDLER_OF(vector) (HANDLER + 16 * (vector) + 1) /* RIP behind the handler's HLT */
#define TARGET (CODE_SPA + 0x10)

/* Code at CODE_SPA; every handler is HLT. */
static void put_code(struct kit *k, const void *bytes, unsigned len)
{
    ck_assert(phys_write_block(k->memory, CODE_SPA, bytes, len));
    for (unsigned v = 0; v < 256; v++)
        kit_put(k, HANDLER + 16 * v, 1, 0xf4);
}
#define CODE(k, bytes) put_code((k), (bytes), sizeof(bytes) - 1)

static void run_to_halt(struct kit *k)
{
    struct run_limits limits = { .max_steps = vcpu_steps(k->cpu) + MAX_STEPS };
    k->cpu->regs.halted = false;
    ck_assert_int_eq(run_vcpu(k->cpu, &limits), PACIFICA_STOP_HALTED);
}

/* The frame of a 64-bit handler with an error code (skip 8) or without (skip 0). */
static uint64_t frame(struct kit *k, unsigned skip, unsigned word)
{
    return kit_get(k, k->cpu->r[REG_RSP] + skip + 8 * word, 8);
}

static void legacy_idt(struct kit *k)
{
    for (unsigned v = 0; v < 32; v++)
        kit_gate32(k, v, CODE32, HANDLER + 16 * v, 14, 0);
    k->cpu->regs.idtr.limit = 0x7ff;
}

/* --- links --- */

WITH_KIT(shadow_covers_one_instruction_each_time)
{
    CODE(k, "\xfb\x48\xff\xc3\x48\xff\xc0\xf4"); /* sti; inc rbx; inc rax; hlt */
    run_to_halt(k);
    for (unsigned i = 0; i < 3; i++) {
        kit_mode(k, MODE_LONG64, 0);
        k->pending = 0x41;
        k->cpu->r[REG_RAX] = k->cpu->r[REG_RBX] = 0;
        run_to_halt(k);
        ck_assert_uint_eq(k->cpu->r[REG_RIP], HANDLER_OF(0x41));
        ck_assert_uint_eq(k->cpu->r[REG_RBX], 1);
        ck_assert_uint_eq(k->cpu->r[REG_RAX], 0);
    }
}

static void interrupt(void *self, uint64_t now_ns)
{
    struct kit *k = self;
    (void)now_ns;
    k->pending = 0x40;
    cpu_attention(k->cpu);
}

/* A 64-bit handler stands where the interrupted 32-bit jump wanted to go. */
WITH_KIT(link_does_not_lead_to_the_handler_that_came_instead)
{
    struct deadline d = { .fire = interrupt, .self = k };
    CODE(k, "\xeb\x0e");               /* jmp TARGET */
    kit_put(k, TARGET, 4, 0xf4c0ff48); /* dec eax; inc eax; hlt, or inc rax; hlt */
    kit_gate64(k, IDT_SPA + 16 * 0x40, CODE64, TARGET, 14, 0, 0);
    kit_mode(k, MODE_COMPAT32, 0);
    k->cpu->rflags |= FLAG_IF;
    k->cpu->r[REG_RAX] = 5;
    clock_arm(&k->clock, &d, vcpu_now_ns(k->cpu) + 1);
    run_to_halt(k);
    ck_assert_uint_eq(k->deliveries, 1);
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 6);

    kit_mode(k, MODE_COMPAT32, 0);
    k->cpu->r[REG_RAX] = 5;
    run_to_halt(k);
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 5);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], TARGET + 4);
}

static void run_from(struct kit *k, uint64_t rip)
{
    kit_mode(k, MODE_LONG64, 0);
    k->cpu->r[REG_RIP] = rip;
    run_to_halt(k);
}

/* A branch that itself crosses a page: its target's page is looked up each time. */
WITH_KIT(branch_across_pages_looks_its_target_up)
{
    CODE(k, "\x90");
    kit_page(k, 0, 0x100000 | 7);
    kit_page(k, 1, 0x101000 | 7);
    kit_page(k, 2, 0x102000 | 7);
    kit_put(k, 0x100ffe, 2, 0xfde9); /* jmp to PAGED_LA + 2000h */
    kit_put(k, 0x101000, 4, 0x00000f);
    kit_put(k, 0x102000, 4, 0xf4c3ff90); /* nop; inc ebx; hlt */
    kit_put(k, 0x103000, 4, 0xf4c1ff90); /* nop; inc ecx; hlt */
    k->cpu->r[REG_RBX] = k->cpu->r[REG_RCX] = 0;
    run_from(k, PAGED_LA + 0xffe);
    run_from(k, PAGED_LA + 0xffe);
    ck_assert_uint_eq(k->cpu->r[REG_RBX], 2);
    kit_page(k, 2, 0x103000 | 7);
    run_from(k, PAGED_LA + 0xffe);
    ck_assert_uint_eq(k->cpu->r[REG_RBX], 2);
    ck_assert_uint_eq(k->cpu->r[REG_RCX], 1);
}

WITH_KIT(linked_jump_beyond_the_cs_limit_is_gp)
{
    CODE(k, "\xeb\x0e"); /* jmp TARGET */
    kit_put(k, TARGET, 2, 0xf490);
    for (unsigned i = 0; i < 3; i++) {
        kit_mode(k, MODE_PROT32, 0);
        legacy_idt(k);
        if (i == 2)
            k->cpu->regs.seg[SEG_CS].limit = TARGET - 1;
        run_to_halt(k);
        ck_assert_uint_eq(k->cpu->r[REG_RIP], i == 2 ? HANDLER_OF(EXC_GP) : TARGET + 2);
    }
}

/* An empty slot of the jump cache must not answer for RIP 0, whichever context it is. */
WITH_KIT(branch_to_address_0_looks_its_target_up)
{
    (void)k;
    for (unsigned pcid = 0; pcid < 64; pcid++) {
        struct kit *fresh = kit_new();
        CODE(fresh, "\x31\xc0\xff\xe0"); /* xor eax, eax; jmp rax */
        kit_put(fresh, 0, 1, 0xf4);
        fresh->cpu->regs.cr4 |= CR4_PCIDE;
        fresh->cpu->regs.cr3 |= pcid;
        cpu_update_mode(fresh->cpu);
        run_to_halt(fresh);
        ck_assert_uint_eq(fresh->cpu->r[REG_RIP], 1);
        kit_free(fresh);
    }
}

static void note_access(void *self, const struct probe_event *event)
{
    struct kit *k = self;
    if (event->kind == PROBE_MEM)
        k->reads++;
}

/* Hot handlers too. */
WITH_KIT(every_access_is_told_to_a_client_that_comes_between_runs)
{
    struct probe_client client = { .mask = 1u << PROBE_MEM, .fire = note_access, .self = k };
    CODE(
        k,
        "\x48\x8b\x03\x48\x89\x03\x50\x58\xf4"); /* mov rax, [rbx]; mov [rbx], rax; push rax; pop rax; hlt */
    for (unsigned i = 0; i < 4; i++) {
        kit_mode(k, MODE_LONG64, 0);
        k->cpu->r[REG_RBX] = DATA_SPA;
        k->reads = 0;
        if (i == 2)
            probes_attach(&k->probes, &client);
        run_to_halt(k);
        ck_assert_uint_eq(k->reads, i < 2 ? 0 : 4);
    }
    probes_detach(&k->probes, &client);
}

WITH_KIT(return_addresses_need_no_alignment)
{
    CODE(k, "\xe8\x01\x00\x00\x00\xf4\xff\xc0\xc3"); /* call 1f; hlt; 1: inc eax; ret */
    for (unsigned i = 0; i < 16; i++) {
        kit_mode(k, MODE_LONG64, 0);
        k->cpu->r[REG_RSP] = STACK_TOP - i;
        k->cpu->r[REG_RAX] = 0;
        run_to_halt(k);
        ck_assert_uint_eq(k->cpu->r[REG_RAX], 1);
        ck_assert_uint_eq(k->cpu->r[REG_RSP], STACK_TOP - i);
        ck_assert_uint_eq(k->cpu->r[REG_RIP], CODE_SPA + 6);
    }
}

/* --- far ends of near branches --- */

WITH_KIT(displacements_next_to_two_gib_keep_their_sign)
{
    static const struct {
        const char *bytes;
        unsigned len;
    } rows[] = {
        { "\xe9\xfe\xff\xff\x7f", 5 },             /* jmp */
        { "\xe8\xfe\xff\xff\x7f", 5 },             /* call */
        { "\x0f\x83\xfe\xff\xff\x7f", 6 },         /* jnc */
        { "\x39\xc0\x0f\x84\xfe\xff\xff\x7f", 8 }, /* cmp eax, eax; jz */
    };
    CODE(k, "\x90");
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        kit_mode(k, MODE_LONG64, 0);
        put_code(k, rows[i].bytes, rows[i].len);
        run_to_halt(k);
        ck_assert_uint_eq(k->cpu->r[REG_RIP], HANDLER_OF(EXC_PF));
        ck_assert_uint_eq(k->cpu->regs.cr2, CODE_SPA + rows[i].len + 0x7ffffffe);
    }
}

/* The last page of the lower half: PML4 entry 255. */
static void map_canonical_end(struct kit *k)
{
    kit_put(k, PML4_SPA + 8 * 255, 8, 0x200007);
    kit_put(k, 0x200ff8, 8, 0x201007);
    kit_put(k, 0x201ff8, 8, 0x202007);
    kit_put(k, 0x202ff8, 8, 0x100007);
}

WITH_KIT(near_branch_to_a_non_canonical_target_faults_in_place)
{
    static const struct {
        const char *bytes;
        unsigned len, at, retired; /* at: where the branch is; retired: before it */
    } rows[] = {
        { "\xe9\x00\x10\x00\x00", 5, 0, 0 },         /* jmp */
        { "\xe8\x00\x10\x00\x00", 5, 0, 0 },         /* call */
        { "\x50\x58\xe8\x00\x10\x00\x00", 7, 2, 2 }, /* push, pop, call: the stack is known */
        { "\x0f\x83\x00\x10\x00\x00", 6, 0, 0 },     /* jnc */
        { "\x0f\x82\x00\x10\x00\x00\xe9\x00\x10\x00\x00", 11, 6, 1 }, /* jc, not taken; jmp */
        { "\x39\xc0\x0f\x84\x00\x10\x00\x00", 8, 2, 1 },              /* cmp eax, eax; jz */
        { "\x39\xc0\x0f\x85\x00\x10\x00\x00\xe9\x00\x10\x00\x00", 13, 8, 2 },
    };
    const uint64_t page = 0x7ffffffff000;
    CODE(k, "\x90");
    map_canonical_end(k);
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        kit_mode(k, MODE_LONG64, 0);
        ck_assert(phys_write_block(k->memory, 0x100800, rows[i].bytes, rows[i].len));
        kit_idt(k, EXC_GP, 14, 0, 1);
        k->cpu->r[REG_RIP] = page + 0x800;
        kit_put(k, STACK_TOP - 8, 8, 0);
        k->cpu->r[REG_RAX] = 0;
        uint64_t before = cpu_insns(k->cpu);
        run_to_halt(k);
        ck_assert_uint_eq(k->cpu->r[REG_RIP], HANDLER_OF(EXC_GP));
        ck_assert_uint_eq(frame(k, 8, 0), page + 0x800 + rows[i].at);
        ck_assert_uint_eq(frame(k, 8, 3), STACK_TOP);
        ck_assert_uint_eq(kit_get(k, STACK_TOP - 8, 8), 0); /* a CALL pushed nothing */
        ck_assert_uint_eq(cpu_insns(k->cpu) - before, rows[i].retired + 1);
    }
}

WITH_KIT(running_off_the_canonical_end_faults_behind_it)
{
    CODE(k, "\x90");
    map_canonical_end(k);
    kit_put(k, 0x100fff, 1, 0x90);
    k->cpu->r[REG_RIP] = 0x7fffffffffff;
    run_to_halt(k);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], HANDLER_OF(EXC_GP));
    ck_assert_uint_eq(frame(k, 8, 0), 0x800000000000);
}

/* --- instructions that only look like hot ones --- */

WITH_KIT(lock_before_a_branch_is_ud_behind_a_compare)
{
    CODE(k, "\x39\xc0\xf0\x74\x00\xf4"); /* cmp eax, eax; lock jz */
    run_to_halt(k);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], HANDLER_OF(EXC_UD));
    ck_assert_uint_eq(frame(k, 0, 0), CODE_SPA + 2);
}

WITH_KIT(flags_are_there_when_the_next_writer_does_not_exist)
{
    static const char *const codes[] = {
        "\x29\xd8\xf0\x01\xd1",         /* sub eax, ebx; lock add ecx, edx */
        "\x29\xd8\xf0\x89\xd1\x01\xd1", /* sub eax, ebx; lock mov ecx, edx; add ecx, edx */
        "\x29\xd8\xf0\x8d\x0a\x01\xd1", /* sub eax, ebx; lock lea ecx, [rdx]; add ecx, edx */
    };
    CODE(k, "\x90");
    for (unsigned i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        kit_mode(k, MODE_LONG64, 0);
        put_code(k, codes[i], (unsigned)strlen(codes[i]));
        k->cpu->r[REG_RAX] = 0;
        k->cpu->r[REG_RBX] = 1;
        run_to_halt(k);
        ck_assert_uint_eq(k->cpu->r[REG_RIP], HANDLER_OF(EXC_UD));
        ck_assert_uint_eq(frame(k, 0, 0), CODE_SPA + 2);
        ck_assert_uint_eq(frame(k, 0, 2) & FLAGS_STATUS, FLAG_CF | FLAG_PF | FLAG_AF | FLAG_SF);
    }
}

int main(void)
{
    Suite *suite = suite_create("chain");
    TCase *tc = tcase_create("chain");
    tcase_add_test(tc, shadow_covers_one_instruction_each_time);
    tcase_add_test(tc, link_does_not_lead_to_the_handler_that_came_instead);
    tcase_add_test(tc, branch_across_pages_looks_its_target_up);
    tcase_add_test(tc, linked_jump_beyond_the_cs_limit_is_gp);
    tcase_add_test(tc, branch_to_address_0_looks_its_target_up);
    tcase_add_test(tc, every_access_is_told_to_a_client_that_comes_between_runs);
    tcase_add_test(tc, return_addresses_need_no_alignment);
    tcase_add_test(tc, displacements_next_to_two_gib_keep_their_sign);
    tcase_add_test(tc, near_branch_to_a_non_canonical_target_faults_in_place);
    tcase_add_test(tc, running_off_the_canonical_end_faults_behind_it);
    tcase_add_test(tc, lock_before_a_branch_is_ud_behind_a_compare);
    tcase_add_test(tc, flags_are_there_when_the_next_writer_does_not_exist);
    suite_add_tcase(suite, tc);
    return kit_run(suite);
}
