/* The state of vCPUs and of their turns, member by member. */
#include "emu/cpu/snap.h"

#include <string.h>

#include "emu/cpu/control.h"
#include "emu/cpu/monitor.h"
#include "emu/cpu/perf.h"
#include "emu/cpu/run_priv.h"
#include "emu/cpu/smm.h"
#include "emu/cpu/trap.h"
#include "emu/cpu/xstate.h"
#include "svm/snap.h"

#include <pacifica/pacifica.h>

#define CPU_VERSION 1u
#define TURNS_VERSION 1u
#define SEG_ATTR_ALL 0xfffu
#define LINE_BYTES 64u

/* --- registers ------------------------------------------------------------------------------- */

static void segments_state(struct cpu_regs *regs, struct snap *snap)
{
    uint16_t selector[SEG_COUNT], attr[SEG_COUNT];
    uint32_t limit[SEG_COUNT];
    uint64_t base[SEG_COUNT];
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        selector[i] = regs->seg[i].selector;
        attr[i] = regs->seg[i].attr;
        limit[i] = regs->seg[i].limit;
        base[i] = regs->seg[i].base;
    }
    snap_u16s(snap, "selector", selector, SEG_COUNT);
    snap_u16s(snap, "attr", attr, SEG_COUNT);
    snap_u32s(snap, "limit", limit, SEG_COUNT);
    snap_u64s(snap, "base", base, SEG_COUNT);
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        regs->seg[i] = (struct segment){ selector[i], attr[i], limit[i], base[i] };
        if (attr[i] & ~SEG_ATTR_ALL)
            snap_refuse(snap, "attr");
    }
}

static void registers_state(struct vcpu *cpu, struct snap *snap)
{
    struct cpu_regs *regs = &cpu->regs;
    uint64_t rflags = cpu_rflags(cpu);
    snap_u64s(snap, "r", cpu->r, REG_ZERO);
    snap_u64(snap, "rip", &cpu->r[REG_RIP]);
    snap_u64(snap, "rflags", &rflags);
    cpu->rflags = (rflags & FLAGS_WRITABLE) | 2;
    SNAP(snap, regs, cr0);
    SNAP(snap, regs, cr2);
    SNAP(snap, regs, cr3);
    SNAP(snap, regs, cr4);
    SNAP(snap, regs, efer);
    SNAP_ALL(snap, regs, dr);
    segments_state(regs, snap);
    snap_u64(snap, "gdtr", &regs->gdtr.base);
    snap_u16(snap, "gdtr_limit", &regs->gdtr.limit);
    snap_u64(snap, "idtr", &regs->idtr.base);
    snap_u16(snap, "idtr_limit", &regs->idtr.limit);
    SNAP_BELOW(snap, regs, cpl, 4);
    SNAP(snap, regs, shadow);
    SNAP(snap, regs, shadow_next);
    SNAP(snap, regs, nmi_masked);
    SNAP(snap, regs, halted);
    SNAP(snap, regs, wait_sipi);
    SNAP(snap, regs, smm);
    SNAP(snap, regs, smm_nmi_masked);
    if (!regs->smm)
        regs->smm_traps = 0; /* only RSM looks at them */
    SNAP(snap, regs, smm_traps);
    SNAP(snap, regs, cr8);
    SNAP(snap, regs, pkru);
}

static void shadow_stacks_state(struct shadow_stacks *shadow, struct snap *snap)
{
    SNAP(snap, shadow, ssp);
    SNAP(snap, shadow, u_cet);
    SNAP(snap, shadow, s_cet);
    SNAP_ALL(snap, shadow, pl_ssp);
    SNAP(snap, shadow, isst);
}

/* --- MSRs -------------------------------------------------------------------------------------- */

/* clang-format off */
#define MSR_MEMBERS(M) \
    M(star) M(lstar) M(cstar) M(sfmask) M(kernel_gs_base) M(sysenter_cs) M(sysenter_esp) \
    M(sysenter_eip) M(pat) M(tsc_aux) M(tsc_offset) M(xss) M(tsc_ratio) M(tsc_adjust) \
    M(misc_enable) M(mtrr_def) M(mtrr_fix) M(mtrr_phys) M(vm_cr) M(vm_hsave_pa) M(debugctl) \
    M(syscfg) M(hwcr) M(mcg_status) M(bios_sign) M(spec_ctrl) M(virt_spec_ctrl) M(prefetch_ctl) \
    M(cstate_cfg) M(mcg_ctl) M(mc_bank) M(perf_ctl) M(perf_ctr) M(perf_global_ctl) \
    M(perf_global_status) M(mperf) M(aperf) M(irperf) M(last_branch) M(iorr) M(top_mem) \
    M(top_mem2) M(mmio_cfg_base) M(smi_trigger) M(watchdog) M(ignne) M(smbase) M(smm_addr) \
    M(smm_mask) M(svm_key) M(smm_key) M(name) M(cpuid_flip) M(dr_mask) M(dr0_mask) M(core_cfg)
/* clang-format on */

#define MSR_SIZE(member) +sizeof(((struct cpu_msrs *)NULL)->member)
static_assert(0 MSR_MEMBERS(MSR_SIZE) == sizeof(struct cpu_msrs), "one is forgotten");

#define MSR_STATE(member)                                      \
    snap_u64s(snap, #member, (uint64_t *)(void *)&msr->member, \
              sizeof(msr->member) / sizeof(uint64_t));

static void msrs_state(struct cpu_msrs *msr, struct snap *snap)
{
    MSR_MEMBERS(MSR_STATE)
    for (unsigned n = 0; n < PERF_COUNTERS; n++)
        if (msr->perf_ctr[n] > PERF_CTR_VALID)
            snap_refuse(snap, "perf_ctr");
}

/* --- floating point and vectors ------------------------------------------------------------------ */

/* XMM0-15 with their upper halves: all that there is. */
#define VECTORS 16u
#define VECTOR_WORDS 4u

static void vectors_state(union vector *v, struct snap *snap, const char *name)
{
    uint64_t words[VECTORS * VECTOR_WORDS];
    for (unsigned i = 0; i < VECTORS * VECTOR_WORDS; i++)
        words[i] = v[i / VECTOR_WORDS].u64[i % VECTOR_WORDS];
    snap_u64s(snap, name, words, VECTORS * VECTOR_WORDS);
    for (unsigned i = 0; i < VECTORS * VECTOR_WORDS; i++)
        v[i / VECTOR_WORDS].u64[i % VECTOR_WORDS] = words[i];
}

static void x87_state(struct cpu_x87 *x87, struct snap *snap)
{
    uint64_t mant[8];
    uint16_t se[8];
    for (unsigned i = 0; i < 8; i++) {
        mant[i] = x87->reg[i].mant;
        se[i] = x87->reg[i].se;
    }
    snap_u64s(snap, "mant", mant, 8);
    snap_u16s(snap, "se", se, 8);
    for (unsigned i = 0; i < 8; i++)
        x87->reg[i] = (struct f80){ .mant = mant[i], .se = se[i] };
    SNAP(snap, x87, fcw);
    SNAP(snap, x87, fsw);
    SNAP(snap, x87, used);
    SNAP(snap, x87, fop);
    SNAP(snap, x87, fcs);
    SNAP(snap, x87, fds);
    SNAP(snap, x87, fip);
    SNAP(snap, x87, fdp);
}

/* What decides about the modified optimization of XSAVEOPT. */
static void restored_state(struct xstate_restored *restored, struct snap *snap)
{
    if (!restored->valid || snap_loading(snap))
        *restored = (struct xstate_restored){ .valid = restored->valid };
    snap_bool(snap, "restored", &restored->valid);
    if (!restored->valid)
        return;
    SNAP_BELOW(snap, restored, cpl, 4);
    SNAP(snap, restored, guest);
    SNAP(snap, restored, la);
    SNAP(snap, restored, layout);
    SNAP(snap, restored, mask);
    x87_state(&restored->x87, snap);
    vectors_state(restored->v, snap, "restored_ymm");
    SNAP(snap, restored, mxcsr);
    SNAP(snap, restored, pkru);
}

static void simd_state(struct vcpu *cpu, struct snap *snap)
{
    struct cpu_simd *simd = &cpu->simd;
    if (snap_loading(snap))
        memset(simd->v, 0, sizeof(simd->v));
    vectors_state(simd->v, snap, "ymm");
    SNAP(snap, simd, mxcsr);
    if (simd->mxcsr & ~MXCSR_MASK)
        snap_refuse(snap, "mxcsr");
    SNAP(snap, simd, xcr0);
    if (simd->xcr0 != XCR0_X87 && !xstate_xcr0_ok(cpu, simd->xcr0))
        snap_refuse(snap, "xcr0");
    restored_state(&simd->restored, snap);
}

/* --- what comes to it and what it waits for --------------------------------------------------------- */

static void pins_state(struct vcpu *cpu, struct snap *snap)
{
    struct cpu_pins *pins = &cpu->pins;
    SNAP(snap, pins, nmi);
    SNAP(snap, pins, smi);
    SNAP(snap, pins, init);
    SNAP(snap, pins, sipi);
    SNAP(snap, pins, mc);
    SNAP(snap, pins, sipi_vector);
    SNAP(snap, pins, ignne);
    snap_bool(snap, "ferr", &cpu->ferr.asserted);
    snap_bool(snap, "frozen", &cpu->ferr.frozen);
}

static void monitor_line_state(struct cpu_monitor *monitor, struct snap *snap)
{
    SNAP(snap, monitor, armed);
    SNAP(snap, monitor, waiting);
    SNAP(snap, monitor, any_interrupt);
    SNAP(snap, monitor, expired);
    if (!monitor->armed) {
        monitor->spa = monitor->page = 0;
        memset(monitor->line, 0, sizeof(monitor->line));
        return;
    }
    SNAP(snap, monitor, spa);
    SNAP(snap, monitor, page);
    SNAP_ALL(snap, monitor, line);
    if (monitor->spa % LINE_BYTES) {
        snap_refuse(snap, "spa");
        monitor->armed = false;
    }
}

/* A port access that SMM may still restart; behind the next boundary nobody can. */
static void io_trap_state(struct vcpu *cpu, struct snap *snap)
{
    struct cpu_io_trap *io = &cpu->io_trap;
    if (snap_loading(snap) || !smm_io_is_fresh(cpu))
        *io = (struct cpu_io_trap){ .valid = false };
    snap_bool(snap, "io_trap", &io->valid);
    if (!io->valid)
        return;
    SNAP(snap, io, dword);
    SNAP_BELOW(snap, io, segment, SEG_LDTR);
    SNAP(snap, io, rip);
    SNAP(snap, io, rcx);
    SNAP(snap, io, rsi);
    SNAP(snap, io, rdi);
    SNAP(snap, io, steps);
}

/* Causes of a #DB, and a string instruction that is half done. */
static void traps_state(struct vcpu *cpu, struct snap *snap)
{
    bool repeats = cpu->repeat_insns == cpu_insns(cpu);
    SNAP(snap, cpu, traps);
    SNAP(snap, cpu, trap_held);
    SNAP_BELOW(snap, cpu, trap_rule, TRAP_KEEP_RF + 1);
    snap_bool(snap, "repeats", &repeats);
    cpu->repeat_insns = repeats ? cpu_insns(cpu) : UINT64_MAX;
    svm_event_snap(snap, "delivering", &cpu->delivering);
}

/* How far it has come. How many instructions its block may still run is a matter of how the run was cut. */
static void counters_state(struct vcpu *cpu, struct snap *snap)
{
    uint64_t insns = cpu_insns(cpu);
    snap_u64(snap, "insns", &insns);
    SNAP(snap, cpu, extra_steps);
    SNAP(snap, cpu, skipped_ns);
    SNAP(snap, cpu, iterations);
    if (!snap_loading(snap))
        return;
    if (insns > CLOCK_LAST || cpu->extra_steps > CLOCK_LAST || cpu->skipped_ns > CLOCK_LAST ||
        cpu->iterations > insns) {
        snap_refuse(snap, "insns");
        insns = cpu->extra_steps = cpu->skipped_ns = cpu->iterations = 0;
    }
    cpu->insns_end = insns;
    cpu->budget = 0;
    cpu->left = 0;
}

/* Why the run ended: for those who ask again. */
static void stop_state(struct vcpu *cpu, struct snap *snap)
{
    char *text = cpu->stop.text;
    uint32_t reason = (uint32_t)cpu->stop.reason;
    if (!snap_loading(snap)) { /* nothing behind its end */
        size_t length = strlen(text);
        memset(text + length, 0, sizeof(cpu->stop.text) - length);
    }
    cpu->stop.reason = (int)snap_below(snap, "stop", reason, PACIFICA_STOP_REPLAYED + 1);
    snap_bytes(snap, "stop_text", (uint8_t *)text, sizeof(cpu->stop.text));
    text[sizeof(cpu->stop.text) - 1] = '\0';
    if (snap_loading(snap))
        cpu->stop.feature = NULL;
}

static void section_cpu(struct vcpu *cpu, struct snap *snap)
{
    if (!snap_begin(snap, "cpu", cpu->index, CPU_VERSION))
        return;
    if (cpu->perf.active && !snap_loading(snap))
        perf_settle(cpu);
    counters_state(cpu, snap);
    registers_state(cpu, snap);
    shadow_stacks_state(&cpu->shadow, snap);
    msrs_state(&cpu->msr, snap);
    x87_state(&cpu->x87, snap);
    simd_state(cpu, snap);
    pins_state(cpu, snap);
    monitor_line_state(&cpu->monitor, snap);
    io_trap_state(cpu, snap);
    traps_state(cpu, snap);
    if (!snap_hashing(snap)) {
        SNAP(snap, cpu, yield);
        stop_state(cpu, snap);
    }
    snap_end(snap);
}

void vcpu_state(struct vcpu *cpu, struct snap *snap)
{
    section_cpu(cpu, snap);
    svm_state_snap(cpu, snap);
    paging_state(cpu->paging, snap, cpu->index);
}

/* --- turns ---------------------------------------------------------------------------------------- */

/* The times of the slowest and of the fastest vCPU. */
static void span(const struct vcpu_group *group, uint64_t *slowest, uint64_t *fastest)
{
    *slowest = UINT64_MAX;
    *fastest = 0;
    for (unsigned i = 0; i < group->count; i++) {
        uint64_t now = vcpu_now_ns(group->cpu[i]);
        *slowest = now < *slowest ? now : *slowest;
        *fastest = now > *fastest ? now : *fastest;
    }
}

void group_settle(struct vcpu *cpu)
{
    uint64_t slowest, fastest;
    span(cpu->run->group, &slowest, &fastest);
    clock_settle(cpu->run->group->clock, slowest);
}

/* A turn's end is a matter of how the run was cut where there is one vCPU: limits of time are deadlines too. */
static void rounds_state(struct vcpu_group *group, struct snap *snap)
{
    struct vclock *clock = group->clock;
    uint64_t slowest, fastest;
    SNAP_BELOW(snap, group, current, group->count);
    SNAP(snap, group, end_ns);
    SNAP(snap, group, alone);
    SNAP(snap, group, idle);
    SNAP_BELOW(snap, group, skips, IDLE_ROUNDS_MAX + 1);
    SNAP(snap, clock, highest_ns);
    span(group, &slowest, &fastest);
    if (fastest - slowest > CLOCK_LATE_NS || clock->highest_ns > fastest ||
        (group->end_ns > CLOCK_LAST && group->end_ns != CLOCK_NEVER)) {
        snap_refuse(snap, "highest_ns");
        if (snap_loading(snap))
            clock->highest_ns = group->end_ns = 0;
    }
}

void group_state(struct vcpu *cpu, struct snap *snap)
{
    struct vcpu_group *group = cpu->run->group;
    uint32_t count = group->count;
    if (!snap_begin(snap, "turns", 0, TURNS_VERSION))
        return;
    count = snap_below(snap, "count", count, VCPUS_MAX + 1);
    if (count != group->count)
        snap_refuse(snap, "count");
    if (!snap_hashing(snap))
        SNAP(snap, group, turns);
    if (!snap_hashing(snap) || group->count > 1)
        rounds_state(group, snap);
    for (unsigned i = 0; i < group->count; i++) {
        snap_bool(snap, "woken", &group->cpu[i]->run->woken);
        monitor_deadline_state(group->cpu[i], snap);
    }
    snap_end(snap);
}

static void vcpu_loaded(struct vcpu *cpu)
{
    cpu_update_mode(cpu);
    count_anew(cpu);
    perf_settle(cpu);
    cpu->raised = (struct raised){ 0 };
    cpu->leave = STEP_JUMP;
    cpu_attention(cpu);
}

void group_loaded(struct vcpu *cpu)
{
    struct vcpu_group *group = cpu->run->group;
    for (unsigned i = 0; i < group->count; i++)
        vcpu_loaded(group->cpu[i]);
    group->between = false;
    if (group->turn)
        group->turn(group->turn_self, group->current);
    smm_view(group->cpu[group->current]);
    group_forget_code(group);
}
