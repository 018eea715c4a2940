/* The state of processors, TLBs and turns: all of it comes back, and what a machine cannot have is refused by its name. */
#include "emu/machine/machine.h"

#include "emu/cpu/count.h"
#include "emu/cpu/run_priv.h"
#include "emu/cpu/snap.h"
#include "paging/paging_priv.h"
#include "svm/svm.h"
#include "tests/check_main.h"
#include "tests/random.h"

#include <stdio.h>
#include <stdlib.h>

#define RAM_BYTES (2u << 20)

/* --- machines, and streams of them ------------------------------------------------------------ */

static struct pacifica_machine *new_machine(unsigned cpus)
{
    struct pacifica_options options = PACIFICA_OPTIONS_INIT;
    struct pacifica_machine *machine;
    options.ram_bytes = RAM_BYTES;
    options.cpus = cpus;
    ck_assert_int_eq(pacifica_machine_new(&options, &machine, NULL), PACIFICA_OK);
    return machine;
}

static struct snap save(struct pacifica_machine *machine)
{
    struct snap snap;
    snap_save(&snap);
    machine_state(machine, &snap);
    ck_assert(!snap.failed);
    return snap;
}

static struct snap load(struct pacifica_machine *machine, const struct snap *saved)
{
    struct snap snap;
    snap_load(&snap, saved->data, saved->size);
    machine_state(machine, &snap);
    return snap;
}

/* Another machine with the state of this one. */
static struct pacifica_machine *moved(struct pacifica_machine *machine)
{
    struct pacifica_machine *other = new_machine(machine->cpu_count);
    struct snap saved = save(machine), loaded = load(other, &saved);
    ck_assert_msg(!loaded.failed, "%s: %s", loaded.diag.where, loaded.diag.what);
    ck_assert_ptr_eq(loaded.from, loaded.end);
    struct snap again = save(other);
    ck_assert_uint_eq(again.size, saved.size);
    ck_assert_mem_eq(again.data, saved.data, saved.size);
    ck_assert_uint_eq(pacifica_machine_state_hash(other), pacifica_machine_state_hash(machine));
    snap_free(&saved);
    snap_free(&again);
    return other;
}

static uint64_t random_state = 77;

static void fill(void *to, size_t bytes)
{
    uint8_t *at = to;
    for (size_t i = 0; i < bytes; i++)
        at[i] = (uint8_t)(test_random(&random_state) >> 24);
}

#define FILL(object) fill(&(object), sizeof(object))
#define SAME(a, b) ck_assert_mem_eq(&(a), &(b), sizeof(a))

/* --- what comes back ------------------------------------------------------------------------------ */

START_TEST(registers_come_back)
{
    struct pacifica_machine *a = new_machine(2);
    struct vcpu *cpu = a->cpu[1];
    fill(cpu->r, REG_ZERO * sizeof(cpu->r[0]));
    FILL(cpu->regs.dr);
    FILL(cpu->regs.cr2);
    FILL(cpu->regs.cr3);
    FILL(cpu->regs.pkru);
    FILL(cpu->shadow);
    FILL(cpu->msr);
    for (unsigned n = 0; n < PERF_COUNTERS; n++) {
        cpu->msr.perf_ctl[n] = 0;
        cpu->msr.perf_ctr[n] &= PERF_CTR_VALID;
    }
    cpu->flags_kind = FLAGS_SUB; /* 0 - 1 */
    cpu->src1 = 0;
    cpu->src2 = 1;
    cpu->res = UINT64_MAX;
    cpu->regs.seg[SEG_GS] = (struct segment){ 0x1234, 0xabc, 0x56789abc, 0x123456789abcdef0 };
    cpu->regs.cpl = 3;
    cpu->regs.shadow = cpu->regs.nmi_masked = cpu->regs.smm = cpu->regs.smm_nmi_masked = true;
    cpu->regs.smm_traps = 0x400f;
    struct pacifica_machine *b = moved(a);
    const struct vcpu *got = b->cpu[1];
    ck_assert_mem_eq(got->r, cpu->r, REG_ZERO * sizeof(cpu->r[0]));
    SAME(got->regs, cpu->regs);
    SAME(got->shadow, cpu->shadow);
    SAME(got->msr, cpu->msr);
    ck_assert_uint_eq(got->rflags, 2 | FLAG_CF | FLAG_PF | FLAG_AF | FLAG_SF);
    ck_assert_uint_eq(got->flags_kind, FLAGS_MATERIAL);
    pacifica_machine_free(a);
    pacifica_machine_free(b);
}
END_TEST

START_TEST(floating_point_comes_back)
{
    struct pacifica_machine *a = new_machine(1);
    struct vcpu *cpu = a->cpu[0];
    struct xstate_restored *restored = &cpu->simd.restored;
    for (unsigned i = 0; i < 8; i++) {
        FILL(cpu->x87.reg[i].mant);
        FILL(cpu->x87.reg[i].se);
    }
    FILL(cpu->x87.fip);
    FILL(cpu->x87.fdp);
    cpu->x87.fsw = 0x3900;
    for (unsigned i = 0; i < 16; i++) {
        fill(&cpu->simd.v[i], 32);
        fill(&restored->v[i], 32);
    }
    cpu->simd.xcr0 = XCR0_X87 | XCR0_SSE | XCR0_AVX;
    restored->valid = restored->guest = true;
    restored->la = 0x1000;
    restored->mask = 7;
    restored->x87.fop = 0x123;
    restored->pkru = 5;
    struct pacifica_machine *b = moved(a);
    SAME(b->cpu[0]->simd, cpu->simd);
    SAME(b->cpu[0]->x87, cpu->x87);
    pacifica_machine_free(a);
    pacifica_machine_free(b);
}
END_TEST

START_TEST(waits_and_pins_come_back)
{
    struct pacifica_machine *a = new_machine(2);
    struct vcpu *cpu = a->cpu[1];
    struct cpu_monitor *monitor = &cpu->monitor;
    monitor->armed = monitor->waiting = monitor->any_interrupt = true;
    monitor->spa = 0x12340;
    monitor->page = 0x12;
    FILL(monitor->line);
    cpu->pins.nmi = cpu->pins.smi = cpu->pins.mc = cpu->pins.ignne = true;
    cpu->pins.sipi_vector = 0x9f;
    cpu->ferr.frozen = true;
    cpu->traps = DR6_BS;
    cpu->trap_held = true;
    cpu->repeat_insns = cpu_insns(cpu);
    cpu->run->woken = true;
    cpu->io_trap =
        (struct cpu_io_trap){ .valid = true, .dword = 5, .rip = 1, .rcx = 2, .rsi = 3, .rdi = 4 };
    cpu->delivering = (struct event){ .valid = true, .vector = 14, .type = EVENT_EXCEPTION };
    struct pacifica_machine *b = moved(a);
    const struct vcpu *got = b->cpu[1];
    SAME(got->monitor, cpu->monitor);
    SAME(got->pins, cpu->pins);
    ck_assert(got->ferr.frozen && got->trap_held && got->run->woken);
    ck_assert_uint_eq(got->traps, DR6_BS);
    ck_assert_uint_eq(got->repeat_insns, cpu_insns(got));
    ck_assert_uint_eq(got->io_trap.rdi, 4);
    ck_assert_uint_eq(got->delivering.vector, 14);
    ck_assert_ptr_eq(got->ferr.self, b); /* and this is the machine's own */
    pacifica_machine_free(a);
    pacifica_machine_free(b);
}
END_TEST

static void fill_guest(struct svm_state *svm)
{
    svm->guest = svm->nested_paging = svm->v_irq = svm->host_if = true;
    FILL(svm->intercept);
    FILL(svm->n_cr3);
    FILL(svm->iopm_spa);
    FILL(svm->g_pat);
    FILL(svm->host_cr0);
    svm->asid = 0x8123;
    svm->bus_locks = 0x4567;
    svm->v_ctl = 0x12345678;
    svm->host_regime.mode = WALK_4LEVEL;
    svm->host_regime.maxphyaddr = 48;
    svm->host_regime.root = svm->n_cr3;
    svm->host_regime.nxe = svm->host_regime.gmet = svm->host_regime.sss = true;
    svm->host_regime.apic_spa = 0x5000;
    svm->avic.on = svm->avic.trapped = true;
    svm->avic.trap_info1 = 0x123;
    svm->avic.max_index = 0x1ff;
}

START_TEST(guests_come_back)
{
    struct pacifica_machine *a = new_machine(2);
    struct svm_state *svm = a->cpu[1]->svm;
    fill_guest(svm);
    svm_copy_guest(svm, &svm->suspended);
    svm->suspended.valid = true;
    svm->suspended.cpl = 2;
    svm->gif = false;
    svm->inject = (struct event){
        .valid = true, .vector = 3, .type = EVENT_SOFT, .has_code = true, .code = 7, .soft_len = 2
    };
    svm->inject_next_rip = 0x1234;
    svm->pause = (struct svm_pause){ 1, 2, 3, true, 4 };
    svm->clean.in_use = svm->clean.valid = true;
    svm->clean.spa = 0x9000;
    svm->clean.host_cr4 = CR4_PAE;
    FILL(svm->clean.intercept);
    svm->clean.regs.cr3 = 0x123000;
    svm->clean.regs.seg[SEG_SS].limit = 0xabcdef;
    svm->launch = (struct svm_launch){ .done = true,
                                       .slb = 0x30000,
                                       .failure = svm_launch_failure_text(SVM_LAUNCH_NO_INIT) };
    svm->last_nrip = 99;
    struct pacifica_machine *b = moved(a);
    const struct svm_state *got = b->cpu[1]->svm;
#define SVM_GUEST(type, member, array) SAME(got->member, svm->member);
#include "svm/guest.def"
#undef SVM_GUEST
    SAME(got->suspended, svm->suspended);
    SAME(got->pause, svm->pause);
    SAME(got->launch, svm->launch);
    ck_assert_uint_eq(got->inject.soft_len, 2);
    ck_assert_uint_eq(got->inject_next_rip, 0x1234);
    ck_assert_uint_eq(got->clean.regs.cr3, 0x123000);
    ck_assert_uint_eq(got->clean.regs.seg[SEG_SS].limit, 0xabcdef);
    SAME(got->clean.intercept, svm->clean.intercept);
    ck_assert_uint_eq(got->last_nrip, 99);
    pacifica_machine_free(a);
    pacifica_machine_free(b);
}
END_TEST

/* Translations of many pages of several ASIDs, so that sets are full and replacement goes round. */
static void fill_tlb(struct paging *paging)
{
    for (unsigned i = 0; i < 5000; i++) {
        uint64_t page = (test_random(&random_state) >> 20) << 12 & 0x7ffffffff000;
        unsigned shift = i % 7 == 0 ? 21 : 12;
        struct tlb_tags tags =
            tlb_make_tags((uint16_t)(i % 5), (uint16_t)(i % 3), TLB_W | TLB_NESTED_W, i % 16, shift,
                          i % 11 == 0 ? 30 : shift);
        page &= ~((UINT64_C(1) << shift) - 1);
        (void)tlb_insert(paging, i % 2 ? TLB_D4K : TLB_I4K, page, page, page, tags);
        if (i % 13 == 0)
            paging_flush_page(paging, (uint16_t)(i % 5), (uint16_t)(i % 3), page, true);
    }
}

static void count_view(void *self, const struct tlb_view *view)
{
    (void)view;
    ++*(unsigned *)self;
}

START_TEST(a_tlb_comes_back_with_what_it_will_replace)
{
    struct pacifica_machine *a = new_machine(1);
    struct paging *paging = a->cpu[0]->paging;
    unsigned count = 0;
    fill_tlb(paging);
    struct pacifica_machine *b = moved(a);
    struct paging *got = b->cpu[0]->paging;
    SAME(got->tags, paging->tags);
    SAME(got->next_way, paging->next_way);
    SAME(got->live, paging->live);
    ck_assert(got->pcids);
    for (uint16_t asid = 0; asid < 5; asid++) {
        ck_assert_mem_eq(paging_counters(got, asid), paging_counters(paging, asid),
                         sizeof(struct tlb_counters));
        ck_assert_uint_eq(got->asids[asid].fractured, paging->asids[asid].fractured);
    }
    paging_each(got, count_view, &count);
    ck_assert_uint_gt(count, 100);
    paging_flush_all(got); /* by the lists of the ASIDs: they hold all */
    count = 0;
    paging_each(got, count_view, &count);
    ck_assert_uint_eq(count, 0);
    pacifica_machine_free(a);
    pacifica_machine_free(b);
}
END_TEST

START_TEST(turns_and_routing_come_back)
{
    struct pacifica_machine *a = new_machine(3);
    struct vcpu_group *group = a->cpu[0]->run->group;
    for (unsigned i = 0; i < 3; i++)
        a->cpu[i]->skipped_ns = 1000 + i;
    group->current = 2;
    group->end_ns = 11000;
    group->idle = group->alone = true;
    group->skips = 7;
    group->turns = 1234;
    a->clock.highest_ns = 1001;
    a->random.state = 42;
    a->gsi_level[5] = 9;
    bus_port_ops.write(a->bus, 0x92, 1, 0); /* A20 closed */
    bus_port_ops.write(a->bus, 0xcf8, 4, 0x80000058);
    bus_port_ops.write(a->bus, 0xcfe, 1, 0x11); /* PAM1: C0000h-C7FFFh are read from RAM */
    memory_set_slb(a->memory, 0x20000);
    struct pacifica_machine *b = moved(a);
    const struct vcpu_group *got = b->cpu[0]->run->group;
    ck_assert_uint_eq(got->current, 2);
    ck_assert_uint_eq(got->end_ns, 11000);
    ck_assert(got->idle && got->alone && got->skips == 7 && got->turns == 1234);
    ck_assert_uint_eq(b->clock.highest_ns, 1001);
    ck_assert_uint_eq(b->random.state, 42);
    ck_assert_uint_eq(b->gsi_level[5], 9);
    ck_assert(!memory_a20(b->memory));
    ck_assert_uint_eq(memory_slb(b->memory), 0x20000);
    ck_assert_uint_eq(memory_backing(b->memory, 0xc4000), 0xc4);
    ck_assert_ptr_eq(vcpu_current(b->cpu[0]), b->cpu[2]);
    pacifica_machine_free(a);
    pacifica_machine_free(b);
}
END_TEST

START_TEST(a_hash_does_not_ask_how_a_run_was_cut)
{
    struct pacifica_machine *machine = new_machine(1);
    struct vcpu *cpu = machine->cpu[0];
    uint64_t hash = pacifica_machine_state_hash(machine);
    cpu->insns_end += 100; /* the same number of instructions */
    cpu->budget += 100;
    cpu->run->group->end_ns = 12345; /* a limit of time */
    cpu->run->group->turns++;
    cpu->paging->touched_count = 0;
    ck_assert_uint_eq(pacifica_machine_state_hash(machine), hash);
    cpu->iterations = 0;
    cpu->extra_steps++;
    ck_assert_uint_ne(pacifica_machine_state_hash(machine), hash);
    pacifica_machine_free(machine);
}
END_TEST

/* --- what is refused ---------------------------------------------------------------------------------- */

/* Where a member stands in a stream. */
struct place {
    const char *section, *name;
    unsigned index;
    size_t at;
};

static void find(void *self, const struct snap *snap, const char *name, unsigned index,
                 uint64_t value)
{
    struct place *place = self;
    (void)value;
    if (place->at == 0 && index == place->index && snap->section &&
        strcmp(snap->section, place->section) == 0 && strcmp(name, place->name) == 0)
        place->at = snap->size;
}

/* A machine with all that is optional: an armed monitor, a guest, a cache of it, a translation. */
static struct pacifica_machine *rich_machine(void)
{
    struct pacifica_machine *machine = new_machine(2);
    struct vcpu *cpu = machine->cpu[0];
    cpu->monitor.armed = true;
    cpu->io_trap.valid = true;
    fill_guest(cpu->svm);
    cpu->svm->inject = (struct event){ .valid = true, .type = EVENT_NMI };
    cpu->svm->clean.in_use = true;
    struct tlb_tags tags = tlb_make_tags(0, 0, TLB_W, 0, 12, 12);
    (void)tlb_insert(cpu->paging, TLB_D4K, 0x5000, 0x5000, 0x5000, tags);
    return machine;
}

static const struct {
    const char *section, *name;
    unsigned index, bytes;
    uint64_t value;
} refused[] = {
    { "cpu", "insns", 0, 8, UINT64_C(1) << 63 },
    { "cpu", "skipped_ns", 0, 8, UINT64_MAX },
    { "cpu", "iterations", 0, 8, 1 },
    { "cpu", "attr", SEG_CS, 2, 0x1093 },
    { "cpu", "cpl", 0, 4, 4 },
    { "cpu", "halted", 0, 1, 2 },
    { "cpu", "perf_ctr", 5, 8, UINT64_C(1) << 48 },
    { "cpu", "mxcsr", 0, 4, 0x80001f80 },
    { "cpu", "xcr0", 0, 8, 5 },
    { "cpu", "xcr0", 0, 8, 0xe7 },
    { "cpu", "spa", 0, 8, 0x1001 },
    { "cpu", "segment", 0, 4, SEG_LDTR },
    { "cpu", "trap_rule", 0, 4, TRAP_KEEP_RF + 1 },
    { "cpu", "stop", 0, 4, PACIFICA_STOP_REPLAYED + 1 },
    { "svm", "guest", 0, 1, 0 }, /* while there are intercepts */
    { "svm", "type", 0, 4, 1 },
    { "svm", "type", 0, 4, 5 },
    { "svm", "soft_len", 0, 1, 16 },
    { "svm", "mode", 0, 4, 5 },
    { "svm", "maxphyaddr", 0, 4, 53 },
    { "svm", "vmload", 0, 1, 3 },
    { "svm", "failure", 0, 4, SVM_LAUNCH_FAILURES },
    { "svm", "invalid_count", 0, 4, 1000 },
    { "tlb", "next_way", 0, 1, 8 },
    { "tlb", "entries", 0, 4, TLB_ENTRIES + 1 },
    { "tlb", "entry", 0, 4, TLB_ENTRIES },
    { "tlb", "entry", 0, 4, 0 }, /* another set */
    { "tlb", "page", 0, 8, 0x5001 },
    { "tlb", "spa", 0, 8, 0x5800 },
    { "tlb", "shift", 0, 1, 21 },
    { "tlb", "guest_shift", 0, 1, 64 },
    { "tlb", "asids", 0, 4, ASID_COUNT + 1 },
    { "turns", "count", 0, 4, 1 },
    { "turns", "current", 0, 4, 2 },
    { "turns", "skips", 0, 4, IDLE_ROUNDS_MAX + 1 },
    { "turns", "highest_ns", 0, 8, 1 },
    { "turns", "end_ns", 0, 8, UINT64_MAX - 1 },
    { "memory", "ram_bytes", 0, 8, RAM_BYTES * 2 },
    { "memory", "roms", 0, 4, 1 },
    { "memory", "slb", 0, 8, 0x1000 },
    { "machine", "ended", 0, 4, PACIFICA_STOP_REPLAYED + 1 },
};

START_TEST(what_a_machine_cannot_have_is_refused)
{
    struct pacifica_machine *machine = rich_machine(), *other = new_machine(2);
    struct place place = { .section = refused[_i].section,
                           .name = refused[_i].name,
                           .index = refused[_i].index };
    struct snap saved, loaded;
    snap_save(&saved);
    saved.tell = find;
    saved.tell_self = &place;
    machine_state(machine, &saved);
    ck_assert_msg(place.at != 0, "no %s in %s", place.name, place.section);
    unsigned bytes = refused[_i].bytes;
    memcpy(saved.data + place.at - bytes, &refused[_i].value, bytes);
    loaded = load(other, &saved);
    ck_assert_msg(loaded.failed, "%s.%s", place.section, place.name);
    ck_assert_ptr_nonnull(strstr(loaded.diag.where, place.section));
    /* And the good one loads afterwards. */
    struct snap good = save(machine);
    loaded = load(other, &good);
    ck_assert_msg(!loaded.failed, "%s: %s", loaded.diag.where, loaded.diag.what);
    ck_assert_uint_eq(pacifica_machine_state_hash(other), pacifica_machine_state_hash(machine));
    snap_free(&saved);
    snap_free(&good);
    pacifica_machine_free(machine);
    pacifica_machine_free(other);
}
END_TEST

START_TEST(every_truncated_stream_is_refused)
{
    struct pacifica_machine *machine = rich_machine(), *other = new_machine(2);
    struct snap saved = save(machine);
    size_t whole = saved.size;
    for (unsigned i = 0; i < 300; i++) {
        saved.size = i < 60 ? i * 16 : (size_t)(test_random(&random_state) >> 8) % whole;
        struct snap loaded = load(other, &saved);
        ck_assert(loaded.failed);
        ck_assert_int_eq(pacifica_machine_info(other, 0, "registers",
                                               &(struct pacifica_output){ .write = NULL }, NULL),
                         PACIFICA_OK);
    }
    snap_free(&saved);
    pacifica_machine_free(machine);
    pacifica_machine_free(other);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("state");
    TCase *tcase = tcase_create("state");
    tcase_add_test(tcase, registers_come_back);
    tcase_add_test(tcase, floating_point_comes_back);
    tcase_add_test(tcase, waits_and_pins_come_back);
    tcase_add_test(tcase, guests_come_back);
    tcase_add_test(tcase, a_tlb_comes_back_with_what_it_will_replace);
    tcase_add_test(tcase, turns_and_routing_come_back);
    tcase_add_test(tcase, a_hash_does_not_ask_how_a_run_was_cut);
    tcase_add_loop_test(tcase, what_a_machine_cannot_have_is_refused, 0,
                        sizeof(refused) / sizeof(refused[0]));
    tcase_add_test(tcase, every_truncated_stream_is_refused);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
