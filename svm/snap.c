/* The SVM state of a vCPU, member by member. */
#include "svm/snap.h"

#include "svm/rules.h"
#include "svm/world.h"

#define VERSION 1u
#define MOST_ADDRESS_BITS 52u

/* --- parts ------------------------------------------------------------------------------------ */

void svm_event_snap(struct snap *snap, const char *name, struct event *event)
{
    struct event none = { .valid = false };
    uint32_t type = event->type;
    if (!event->valid || snap_loading(snap))
        *event = none;
    snap_bool(snap, name, &event->valid);
    if (!event->valid)
        return;
    SNAP(snap, event, vector);
    type = snap_below(snap, "type", type, EVENT_SOFT + 1);
    event->type = (enum event_type)type;
    if (type == 1)
        snap_refuse(snap, "type");
    SNAP(snap, event, has_code);
    SNAP(snap, event, code);
    SNAP(snap, event, soft_len);
    if (event->soft_len > 15)
        snap_refuse(snap, "soft_len");
}

/* How the nested tables are walked. It points nowhere: it has no second stage itself. */
static void regime_state(struct snap *snap, const char *name, struct walk_regime *regime)
{
    (void)name;
    regime->nested = NULL;
    regime->mode = (enum walk_mode)snap_below(snap, "mode", regime->mode, WALK_5LEVEL + 1);
    SNAP(snap, regime, root);
    SNAP(snap, regime, wp);
    SNAP(snap, regime, nxe);
    SNAP(snap, regime, smep);
    SNAP(snap, regime, smap);
    SNAP(snap, regime, pse);
    SNAP(snap, regime, pge);
    SNAP(snap, regime, pcide);
    SNAP(snap, regime, pke);
    SNAP(snap, regime, pkru);
    regime->cpl = (uint8_t)snap_below(snap, "cpl", regime->cpl, 4);
    SNAP(snap, regime, ac);
    SNAP(snap, regime, asid);
    regime->maxphyaddr =
        (uint8_t)snap_below(snap, "maxphyaddr", regime->maxphyaddr, MOST_ADDRESS_BITS + 1);
    SNAP(snap, regime, page_1gb);
    SNAP(snap, regime, gmet);
    SNAP(snap, regime, rogpt);
    SNAP(snap, regime, sss);
    SNAP(snap, regime, smm);
    SNAP(snap, regime, shadow_stack);
    SNAP(snap, regime, apic_gpa);
    SNAP(snap, regime, apic_spa);
}

static void avic_state(struct snap *snap, const char *name, struct svm_avic *avic)
{
    (void)name;
    SNAP(snap, avic, on);
    SNAP(snap, avic, x2);
    SNAP(snap, avic, vector);
    SNAP(snap, avic, trapped);
    SNAP(snap, avic, trap_code);
    SNAP(snap, avic, trap_info1);
    SNAP(snap, avic, trap_info2);
    SNAP(snap, avic, backing_spa);
    SNAP(snap, avic, logical_spa);
    SNAP(snap, avic, physical_spa);
    SNAP(snap, avic, max_index);
}

static void intercepts_state(struct snap *snap, const char *name, uint32_t (*words)[6])
{
    snap_u32s(snap, name, *words, 6);
}

/* The members of svm/guest.def. */
static void guest_state(struct snap *snap, struct svm_suspended *guest)
{
#define SVM_GUEST(type, member, array) \
    _Generic(&guest->member, bool *           \
             : snap_bool, uint8_t *           \
             : snap_u8, uint16_t *            \
             : snap_u16, uint32_t *           \
             : snap_u32, uint64_t *           \
             : snap_u64, uint32_t(*)[6]       \
             : intercepts_state, struct svm_avic * \
             : avic_state, struct walk_regime * \
             : regime_state)(snap, #member, &guest->member);
#include "svm/guest.def"
#undef SVM_GUEST
    if (guest->vmload > SVM_VMLOAD_EXITS)
        snap_refuse(snap, "vmload");
}

static void put_guest(struct svm_state *svm, const struct svm_suspended *guest)
{
#define SVM_GUEST(type, member, array) memcpy(&svm->member, &guest->member, sizeof(svm->member));
#include "svm/guest.def"
#undef SVM_GUEST
}

/* What is true of every processor outside guest mode: whoever finds an intercept or an access to trap makes a #VMEXIT. */
static bool is_consistent(const struct svm_state *svm)
{
    if (svm->guest)
        return true;
    uint32_t intercepts = 0;
    for (unsigned i = 0; i < sizeof(svm->intercept) / sizeof(svm->intercept[0]); i++)
        intercepts |= svm->intercept[i];
    return intercepts == 0 && !svm->avic.on && !svm->avic.trapped && !svm->inject.valid &&
           svm->v_ctl == 0;
}

static void suspended_state(struct snap *snap, struct svm_suspended *suspended)
{
    if (!suspended->valid || snap_loading(snap))
        *suspended = (struct svm_suspended){ .valid = suspended->valid };
    snap_bool(snap, "suspended", &suspended->valid);
    if (!suspended->valid)
        return;
    suspended->cpl = (uint8_t)snap_below(snap, "suspended.cpl", suspended->cpl, 4);
    guest_state(snap, suspended);
}

static void pause_state(struct snap *snap, struct svm_pause *pause)
{
    SNAP(snap, pause, count);
    SNAP(snap, pause, threshold);
    SNAP(snap, pause, left);
    SNAP(snap, pause, seen);
    SNAP(snap, pause, last_ns);
}

/* Why a launch failed is a text of this program, which stands for itself in the stream by its number. */
static void launch_state(struct snap *snap, struct svm_launch *launch)
{
    uint32_t failure = svm_launch_failure_of(launch);
    snap_bool(snap, "launch", &launch->done);
    SNAP(snap, launch, slb);
    SNAP(snap, launch, entry);
    SNAP(snap, launch, length);
    failure = snap_below(snap, "failure", failure, SVM_LAUNCH_FAILURES);
    launch->failure = svm_launch_failure_text((enum svm_launch_failure)failure);
    SNAP_ALL(snap, launch, sha1);
    SNAP_ALL(snap, launch, sha256);
}

/* --- what is told of the last world switch ------------------------------------------------------- */

static uint32_t rule_number(const struct svm_invalid *invalid)
{
    for (unsigned i = 0; i < svm_rule_count; i++)
        if (invalid->rule == svm_rules[i].text)
            return i;
    return 0;
}

static void invalid_state(struct snap *snap, struct svm_invalid *invalid)
{
    uint32_t number = snap_below(snap, "rule", rule_number(invalid), svm_rule_count);
    const struct svm_rule *rule = &svm_rules[number];
    invalid->rule = rule->text;
    invalid->field = vmcb_fields[rule->field].name;
    invalid->section = rule->section;
    SNAP(snap, invalid, value);
}

/* For those who explain and trace: nothing comes of it. */
static void told_state(struct snap *snap, struct svm_state *svm)
{
    SNAP(snap, svm, last_exit_code);
    SNAP(snap, svm, last_info1);
    SNAP(snap, svm, last_info2);
    SNAP(snap, svm, last_exitintinfo);
    SNAP(snap, svm, last_nrip);
    SNAP(snap, svm, last_rip);
    SNAP(snap, svm, last_eventinj);
    SNAP(snap, svm, last_cr3);
    SNAP(snap, svm, last_asid);
    SNAP(snap, svm, last_cs);
    SNAP(snap, svm, last_tlb_control);
    SNAP(snap, svm, last_nested);
    SNAP_BELOW(snap, svm, invalid_count, svm_rule_count + 1);
    if (snap_loading(snap))
        svm->invalid = (struct svm_invalid){ .rule = NULL };
    for (unsigned i = 0; i < svm->invalid_count; i++)
        invalid_state(snap, i == 0 ? &svm->invalid : &svm->further[i - 1]);
}

/* ---------------------------------------------------------------------------------------------- */

void svm_state_snap(struct vcpu *cpu, struct snap *snap)
{
    struct svm_state *svm = cpu->svm;
    struct svm_suspended now = { .valid = false };
    if (!snap_begin(snap, "svm", cpu->index, VERSION))
        return;
    svm_copy_guest(svm, &now);
    SNAP(snap, svm, guest);
    SNAP(snap, svm, gif);
    guest_state(snap, &now);
    if (snap_loading(snap))
        put_guest(svm, &now);
    SNAP(snap, svm, vmruns);
    SNAP(snap, svm, exits);
    svm_event_snap(snap, "inject", &svm->inject);
    SNAP(snap, svm, inject_next_rip);
    suspended_state(snap, &svm->suspended);
    svm_clean_snap(cpu, snap);
    pause_state(snap, &svm->pause);
    launch_state(snap, &svm->launch);
    if (!snap_hashing(snap))
        told_state(snap, svm);
    snap_end(snap);
    if (!snap_loading(snap))
        return;
    svm->insn_count = 0;
    if (!is_consistent(svm))
        snap_refuse(snap, "svm.guest");
    if (snap->failed) { /* half of a guest is none */
        struct svm_model model = svm->model;
        svm_reset(svm);
        svm->model = model;
    }
}
