/* Breaks: adding and removing them, what the run loop and probe points tell, and what becomes a stop. */
#include "emu/machine/breaks_priv.h"

#include "emu/base/diag.h"
#include "svm/svm.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_SHIFT 12u

/* --- meeting ------------------------------------------------------------------------------------- */

void breaks_meet(struct breaks *breaks, struct break_item *item, bool surely)
{
    struct vcpu *cpu = machine_current(breaks->machine);
    if (surely)
        item->met = true;
    else
        item->unsettled = true;
    breaks->met = true;
    if (breaks->running && cpu)
        vcpu_stop(cpu, PACIFICA_STOP_BREAK);
}

/* What was met becomes hits: the number of the first item, 0 if it came to nothing. */
static unsigned settle(struct breaks *breaks)
{
    unsigned told = 0;
    breaks->met = false;
    for (unsigned i = 0; i < breaks->count; i++) {
        struct break_item *item = breaks->item[i];
        if (!item->met && !item->unsettled)
            continue;
        bool changed = item->unsettled && breaks_changed(breaks, item);
        bool met = item->met || changed;
        item->met = item->unsettled = false;
        if (!met || breaks->held)
            continue;
        item->hits++;
        told = told ? told : item->id;
    }
    return told;
}

static void forget_met(struct breaks *breaks)
{
    for (unsigned i = 0; i < breaks->count; i++)
        breaks->item[i]->met = breaks->item[i]->unsettled = false;
    breaks->met = false;
}

/* --- EXECUTE ---------------------------------------------------------------------------------------- */

static uint64_t next_linear(const struct vcpu *cpu)
{
    uint64_t rip = cpu->r[REG_RIP];
    return cpu_long64(cpu) ? rip : (uint32_t)((uint32_t)rip + cpu->regs.seg[SEG_CS].base);
}

static unsigned filter_bit(uint64_t la)
{
    uint64_t page = la >> PAGE_SHIFT;
    return (unsigned)((page * 0x9e3779b97f4a7c15ull) >> 52); /* 12 bits */
}

static bool has_execute(const struct breaks *breaks, uint64_t la)
{
    unsigned low = 0, high = breaks->of_kind[PACIFICA_BREAK_EXECUTE];
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (breaks->execute[middle] == la)
            return true;
        if (breaks->execute[middle] < la)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static struct break_stand stand_of(const struct vcpu *cpu)
{
    return (struct break_stand){
        .valid = true, .la = next_linear(cpu), .rsp = cpu->r[REG_RSP], .cr3 = cpu->regs.cr3
    };
}

static bool stands_there(const struct break_stand *stand, const struct vcpu *cpu)
{
    struct break_stand now = stand_of(cpu);
    return stand->valid && stand->la == now.la && stand->rsp == now.rsp && stand->cr3 == now.cr3;
}

/* An instruction is about to execute at `la`, where there is a break. */
static bool arrive(struct breaks *breaks, struct vcpu *cpu, uint64_t la)
{
    struct break_stand *stand = &breaks->stand[cpu->index];
    bool met = false;
    if (cpu->repeat_insns == cpu_insns(cpu))
        return false; /* between two iterations */
    if (stands_there(stand, cpu)) {
        stand->valid = false;
        return false;
    }
    for (unsigned i = 0; i < breaks->count; i++) {
        struct break_item *item = breaks->item[i];
        if (item->what.kind != PACIFICA_BREAK_EXECUTE || item->what.address != la ||
            !break_is_of_cpu(item, cpu))
            continue;
        item->met = breaks->met = met = true;
    }
    if (met)
        *stand = stand_of(cpu);
    return met;
}

static int look_ahead(void *self, struct vcpu *cpu, bool *exact)
{
    struct breaks *breaks = self;
    uint64_t la = next_linear(cpu);
    unsigned bit = filter_bit(la);
    if (!(breaks->page_filter[bit / 64] >> (bit % 64) & 1))
        return PACIFICA_STOP_NONE;
    *exact = true;
    return has_execute(breaks, la) && arrive(breaks, cpu, la) ? PACIFICA_STOP_BREAK
                                                              : PACIFICA_STOP_NONE;
}

static int compare_addresses(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void collect_addresses(struct breaks *breaks)
{
    unsigned count = 0;
    memset(breaks->page_filter, 0, sizeof(breaks->page_filter));
    for (unsigned i = 0; i < breaks->count; i++) {
        const struct pacifica_break *what = &breaks->item[i]->what;
        if (what->kind != PACIFICA_BREAK_EXECUTE)
            continue;
        unsigned bit = filter_bit(what->address);
        breaks->page_filter[bit / 64] |= UINT64_C(1) << (bit % 64);
        breaks->execute[count++] = what->address;
    }
    qsort(breaks->execute, count, sizeof(breaks->execute[0]), compare_addresses);
}

/* --- MODE --------------------------------------------------------------------------------------------- */

/* As people count modes: segments of 16 and 32 bits are one. */
static uint8_t mode_of(const struct vcpu *cpu)
{
    static const uint8_t modes[] = {
        [MODE_REAL] = 0,   [MODE_REAL32] = 0,   [MODE_V86] = 1,      [MODE_PROT16] = 2,
        [MODE_PROT32] = 2, [MODE_COMPAT16] = 3, [MODE_COMPAT32] = 3, [MODE_LONG64] = 4
    };
    return (uint8_t)(modes[cpu->mode] | svm_guest(cpu) << 4 | cpu->regs.smm << 5);
}

static const char *const mode_names[] = { "real mode", "virtual-8086 mode", "protected mode",
                                          "compatibility mode", "64-bit mode" };

static void look_at_mode(struct breaks *breaks, const struct vcpu *cpu)
{
    uint8_t mode = mode_of(cpu);
    if (breaks->mode[cpu->index] == mode)
        return;
    breaks->mode[cpu->index] = mode;
    for (unsigned i = 0; i < breaks->count; i++)
        if (breaks->item[i]->what.kind == PACIFICA_BREAK_MODE &&
            break_is_of_cpu(breaks->item[i], cpu))
            breaks->item[i]->met = breaks->met = true;
}

static void take_modes(struct breaks *breaks)
{
    for (unsigned i = 0; i < breaks->machine->cpu_count; i++)
        breaks->mode[i] = mode_of(breaks->machine->cpu[i]);
}

static int look_behind(void *self, struct vcpu *cpu)
{
    struct breaks *breaks = self;
    if (breaks->linear)
        breaks_follow(breaks, cpu);
    if (breaks->of_kind[PACIFICA_BREAK_MODE])
        look_at_mode(breaks, cpu);
    return breaks->met ? PACIFICA_STOP_BREAK : PACIFICA_STOP_NONE;
}

/* --- probe points --------------------------------------------------------------------------------------- */

static bool is_number(const struct pacifica_break *what, uint64_t number)
{
    return what->number == PACIFICA_ANY || what->number == number;
}

/* A port access of several bytes is one of each of these ports. */
static bool has_port(uint64_t wanted, uint64_t port, unsigned size)
{
    return wanted == PACIFICA_ANY || (wanted >= port && wanted - port < size);
}

static bool is_exit(const struct pacifica_break *what, const struct probe_event *event)
{
    uint64_t code = event->a, number = what->number;
    if (number == PACIFICA_EXIT_INVALID)
        number = VMEXIT_INVALID;
    else if (number == PACIFICA_ANY)
        number = code;
    if (number != code)
        return false;
    switch (what->detail == PACIFICA_ANY ? VMEXIT_INVALID : code) {
    case VMEXIT_MSR: return what->detail == (uint32_t)event->cpu->r[REG_RCX];
    case VMEXIT_IOIO: return has_port(what->detail, event->b >> 16 & 0xffff, event->b >> 4 & 7);
    default: return true;
    }
}

static bool is_event(const struct pacifica_break *what, const struct probe_event *event)
{
    switch (what->kind) {
    case PACIFICA_BREAK_VMRUN: return event->kind == PROBE_ENTRY && svm_guest(event->cpu);
    case PACIFICA_BREAK_VMEXIT: return event->kind == PROBE_EXIT && is_exit(what, event);
    case PACIFICA_BREAK_EXCEPTION:
        return event->kind == PROBE_EXCEPTION && is_number(what, event->a & 0xff);
    case PACIFICA_BREAK_MSR: return event->kind == PROBE_MSR && is_number(what, event->a);
    case PACIFICA_BREAK_PORT:
        return event->kind == PROBE_IO && has_port(what->number, event->a, event->b & 0xff);
    case PACIFICA_BREAK_MAGIC: return event->kind == PROBE_MAGIC;
    default: return false;
    }
}

/* What was delivered last has been: another exception, or #VMEXIT, comes in its place if the delivery fails. */
static void forget_deliveries(struct breaks *breaks)
{
    for (unsigned i = 0; i < breaks->count; i++)
        if (breaks->item[i]->what.kind == PACIFICA_BREAK_EXCEPTION)
            breaks->item[i]->met = false;
}

static void hear(void *self, const struct probe_event *event)
{
    struct breaks *breaks = self;
    const struct vcpu *cpu = event->cpu ? event->cpu : machine_current(breaks->machine);
    if (!breaks->running || breaks->held)
        return;
    if (event->kind == PROBE_TOUCH) {
        breaks_touched(breaks, event);
        return;
    }
    if (event->kind == PROBE_EXCEPTION || event->kind == PROBE_EXIT)
        forget_deliveries(breaks);
    for (unsigned i = 0; i < breaks->count; i++)
        if (break_is_of_cpu(breaks->item[i], cpu) && is_event(&breaks->item[i]->what, event))
            breaks_meet(breaks, breaks->item[i], true);
}

static uint32_t mask_of(const struct breaks *breaks)
{
    static const uint32_t masks[PACIFICA_BREAK_KINDS] = {
        [PACIFICA_BREAK_READ] = 1u << PROBE_TOUCH,
        [PACIFICA_BREAK_ACCESS] = 1u << PROBE_TOUCH,
        [PACIFICA_BREAK_VMRUN] = 1u << PROBE_ENTRY,
        [PACIFICA_BREAK_VMEXIT] = 1u << PROBE_EXIT,
        [PACIFICA_BREAK_EXCEPTION] = 1u << PROBE_EXCEPTION | 1u << PROBE_EXIT,
        [PACIFICA_BREAK_MSR] = 1u << PROBE_MSR,
        [PACIFICA_BREAK_PORT] = 1u << PROBE_IO,
        [PACIFICA_BREAK_MAGIC] = 1u << PROBE_MAGIC,
    };
    uint32_t mask = 0;
    for (unsigned kind = 0; kind < PACIFICA_BREAK_KINDS; kind++)
        mask |= breaks->of_kind[kind] ? masks[kind] : 0;
    return mask;
}

/* --- adding and removing ------------------------------------------------------------------------------------ */

/* What all items together need is what is there. */
static bool attach(struct breaks *breaks)
{
    struct probes *probes = &breaks->machine->probes;
    bool memory = false;
    memset(breaks->of_kind, 0, sizeof(breaks->of_kind));
    breaks->linear = 0;
    for (unsigned i = 0; i < breaks->count; i++) {
        const struct break_item *item = breaks->item[i];
        breaks->of_kind[item->what.kind]++;
        memory |= break_is_memory(item);
        breaks->linear += break_is_memory(item) && item->what.space == PACIFICA_SPACE_LINEAR;
    }
    collect_addresses(breaks);
    if (breaks->client.mask)
        probes_detach(probes, &breaks->client);
    breaks->client.mask = mask_of(breaks);
    if (breaks->client.mask)
        probes_attach(probes, &breaks->client);
    vcpu_hear_writes(breaks->machine->cpu[0], memory ? breaks_written : NULL, breaks);
    breaks->stale = true;
    return breaks_mark(breaks);
}

static struct breaks *breaks_new(struct pacifica_machine *machine)
{
    struct breaks *breaks = calloc(1, sizeof(*breaks));
    if (!breaks)
        return NULL;
    breaks->machine = machine;
    breaks->client = (struct probe_client){ .fire = hear, .self = breaks, .decides = true };
    breaks->watch = (struct run_watch){ look_behind, look_ahead, breaks };
    breaks->next_id = 1;
    machine->breaks = breaks;
    return breaks;
}

static const char *check(const struct pacifica_machine *machine, const struct pacifica_break *what)
{
    bool memory = what->kind == PACIFICA_BREAK_WRITE || what->kind == PACIFICA_BREAK_READ ||
                  what->kind == PACIFICA_BREAK_ACCESS;
    if ((unsigned)what->kind >= PACIFICA_BREAK_KINDS)
        return "there is no such kind";
    if (what->cpu != PACIFICA_CPU_ANY && what->cpu >= machine->cpu_count)
        return "there is no such processor";
    if (!memory)
        return what->detail != PACIFICA_ANY &&
                       (what->kind != PACIFICA_BREAK_VMEXIT ||
                        (what->number != VMEXIT_MSR && what->number != VMEXIT_IOIO))
                   ? "only exits by MSR and port have a detail"
                   : NULL;
    if (what->space != PACIFICA_SPACE_LINEAR && what->space != PACIFICA_SPACE_PHYSICAL)
        return "memory is watched by linear or by physical address";
    if (what->size == 0 || what->size > 4096)
        return "1 to 4096 bytes can be watched";
    return what->address > UINT64_MAX - (what->size - 1) ? "it ends behind the last address" : NULL;
}

static void item_free(struct break_item *item)
{
    free(item->old);
    free(item);
}

/* Take item n out of the array. */
static void take_out(struct breaks *breaks, unsigned n)
{
    breaks->count--;
    memmove(&breaks->item[n], &breaks->item[n + 1], (breaks->count - n) * sizeof(breaks->item[0]));
}

/* Processors that stand there execute that instruction first. */
static void note_stands(struct breaks *breaks, uint64_t la)
{
    for (unsigned i = 0; i < breaks->machine->cpu_count; i++) {
        struct break_stand now = stand_of(breaks->machine->cpu[i]);
        if (now.la == la)
            breaks->stand[i] = now;
    }
}

enum pacifica_status pacifica_break_add(struct pacifica_machine *machine,
                                        const struct pacifica_break *wanted, unsigned *id,
                                        struct pacifica_diag *diag)
{
    struct breaks *breaks = machine->breaks ? machine->breaks : breaks_new(machine);
    const char *why = check(machine, wanted);
    *id = 0;
    if (why)
        return diag_set(diag, PACIFICA_EUSAGE, "break", NULL, "%s", why);
    struct break_item *item = calloc(1, sizeof(*item));
    if (!breaks || !item) {
        free(item);
        return diag_set(diag, PACIFICA_ENOMEM, "break", NULL, "no memory for a break");
    }
    if (breaks->count == PACIFICA_BREAKS_MOST) {
        item_free(item);
        return diag_set(diag, PACIFICA_ERANGE, "break", "remove some", "there are %u breaks",
                        PACIFICA_BREAKS_MOST);
    }
    item->what = *wanted;
    item->id = breaks->next_id;
    why = break_is_memory(item) ? breaks_watch(breaks, item) : NULL;
    if (why) {
        bool lacks = !item->old;
        item_free(item);
        return diag_set(diag, lacks ? PACIFICA_ENOMEM : PACIFICA_EUSAGE, "break", NULL, "%s", why);
    }
    breaks->item[breaks->count++] = item;
    if (!attach(breaks)) {
        take_out(breaks, breaks->count - 1);
        (void)attach(breaks);
        item_free(item);
        return diag_set(diag, PACIFICA_ENOMEM, "break", NULL, "no memory for a break");
    }
    breaks->next_id++;
    if (wanted->kind == PACIFICA_BREAK_EXECUTE) {
        vcpu_forget_code(machine->cpu[0]);
        note_stands(breaks, wanted->address);
    }
    if (wanted->kind == PACIFICA_BREAK_MODE)
        take_modes(breaks);
    *id = item->id;
    return PACIFICA_OK;
}

static unsigned find(const struct breaks *breaks, unsigned id)
{
    unsigned n = 0;
    while (n < breaks->count && breaks->item[n]->id != id)
        n++;
    return n;
}

enum pacifica_status pacifica_break_remove(struct pacifica_machine *machine, unsigned id)
{
    struct breaks *breaks = machine->breaks;
    unsigned n = breaks ? find(breaks, id) : 0;
    if (!breaks || n == breaks->count)
        return PACIFICA_EUSAGE;
    struct break_item *item = breaks->item[n];
    take_out(breaks, n);
    (void)attach(breaks); /* without memory pages stay marked, which only costs time */
    item_free(item);
    return PACIFICA_OK;
}

const struct pacifica_break *pacifica_break_get(const struct pacifica_machine *machine, unsigned id,
                                                uint64_t *hits)
{
    const struct breaks *breaks = machine->breaks;
    unsigned n = breaks ? find(breaks, id) : 0;
    if (!breaks || n == breaks->count)
        return NULL;
    if (hits)
        *hits = breaks->item[n]->hits;
    return &breaks->item[n]->what;
}

void machine_breaks_free(struct pacifica_machine *machine)
{
    struct breaks *breaks = machine->breaks;
    if (!breaks)
        return;
    for (unsigned i = 0; i < breaks->count; i++)
        item_free(breaks->item[i]);
    free(breaks->page);
    free(breaks);
    machine->breaks = NULL;
}

/* --- round a run ------------------------------------------------------------------------------------------- */

bool machine_breaks_begin(struct pacifica_machine *machine, struct run_limits *limits)
{
    struct breaks *breaks = machine->breaks;
    if (!breaks || breaks->count == 0)
        return false;
    if (breaks->met && (breaks->told = settle(breaks)) != 0)
        return true;
    breaks->running = true;
    bool looks = breaks->linear || breaks->of_kind[PACIFICA_BREAK_MODE] ||
                 breaks->of_kind[PACIFICA_BREAK_EXECUTE];
    limits->watch = looks && !breaks->held ? &breaks->watch : NULL;
    return false;
}

bool machine_breaks_settle(struct pacifica_machine *machine)
{
    struct breaks *breaks = machine->breaks;
    if (!breaks)
        return false;
    breaks->told = settle(breaks);
    return breaks->told != 0;
}

void machine_breaks_end(struct pacifica_machine *machine)
{
    if (!machine->breaks)
        return;
    machine->breaks->running = false;
    for (unsigned i = 0; i < machine->cpu_count; i++)
        if (machine->cpu[i]->stop.reason == PACIFICA_STOP_BREAK)
            machine->cpu[i]->stop.reason = PACIFICA_STOP_NONE;
}

void machine_breaks_stepped(struct pacifica_machine *machine, unsigned cpu)
{
    if (machine->breaks)
        machine->breaks->stand[cpu] = stand_of(machine->cpu[cpu]);
}

void machine_breaks_refresh(struct pacifica_machine *machine)
{
    struct breaks *breaks = machine->breaks;
    if (!breaks)
        return;
    forget_met(breaks);
    memset(breaks->stand, 0, sizeof(breaks->stand));
    breaks_remember(breaks);
    take_modes(breaks);
    (void)breaks_mark(breaks);
}

void machine_breaks_hold(struct pacifica_machine *machine, bool hold)
{
    if (!machine->breaks)
        return;
    machine->breaks->held = hold;
    if (!hold)
        machine_breaks_refresh(machine);
}

void machine_breaks_quiet(struct pacifica_machine *machine, bool quiet)
{
    if (machine->breaks)
        machine->breaks->quiet = quiet;
}

/* --- words --------------------------------------------------------------------------------------------------- */

static void describe(const struct breaks *breaks, const struct break_item *item, char *text,
                     size_t size)
{
    static const char *const names[PACIFICA_BREAK_KINDS] = {
        [PACIFICA_BREAK_EXECUTE] = "execute",  [PACIFICA_BREAK_WRITE] = "write",
        [PACIFICA_BREAK_READ] = "read",        [PACIFICA_BREAK_ACCESS] = "access",
        [PACIFICA_BREAK_VMRUN] = "VMRUN",      [PACIFICA_BREAK_VMEXIT] = "#VMEXIT",
        [PACIFICA_BREAK_EXCEPTION] = "event",  [PACIFICA_BREAK_MSR] = "MSR",
        [PACIFICA_BREAK_PORT] = "port",        [PACIFICA_BREAK_MODE] = "mode",
        [PACIFICA_BREAK_MAGIC] = "XCHG BX, BX"
    };
    const struct pacifica_break *what = &item->what;
    const struct vcpu *cpu = machine_current(breaks->machine);
    const char *name = names[what->kind];
    char exit[120];
    switch (what->kind) {
    case PACIFICA_BREAK_EXECUTE:
    case PACIFICA_BREAK_WRITE:
    case PACIFICA_BREAK_READ:
    case PACIFICA_BREAK_ACCESS:
        (void)snprintf(text, size, "break %u: %s at %#" PRIx64, item->id, name, what->address);
        return;
    case PACIFICA_BREAK_VMEXIT:
        (void)svm_describe_exit(exit, sizeof(exit), cpu->svm->last_exit_code, cpu->svm->last_info1,
                                cpu->svm->last_info2);
        (void)snprintf(text, size, "break %u: #VMEXIT %s", item->id, exit);
        return;
    case PACIFICA_BREAK_MODE:
        (void)snprintf(text, size, "break %u: %s, %s", item->id, mode_names[mode_of(cpu) & 7],
                       svm_guest(cpu) ? "guest" : "host");
        return;
    default:
        if (what->number == PACIFICA_ANY)
            (void)snprintf(text, size, "break %u: %s", item->id, name);
        else
            (void)snprintf(text, size, "break %u: %s %#" PRIx64, item->id, name, what->number);
    }
}

void machine_breaks_say(struct pacifica_machine *machine, unsigned id)
{
    if (machine->breaks)
        machine->breaks->told = id;
}

void machine_breaks_tell(const struct pacifica_machine *machine, struct pacifica_result *result)
{
    const struct breaks *breaks = machine->breaks;
    unsigned n = breaks ? find(breaks, breaks->told) : 0;
    char text[200], where[64];
    if (!breaks || n == breaks->count)
        return;
    const struct vcpu *cpu = machine_current(machine);
    result->break_id = breaks->told;
    describe(breaks, breaks->item[n], text, sizeof(text));
    (void)snprintf(where, sizeof(where), "%04x:%016" PRIx64, cpu->regs.seg[SEG_CS].selector,
                   cpu_rip(cpu));
    (void)diag_set(&result->diag, PACIFICA_OK, where, NULL, "%s", text);
}
