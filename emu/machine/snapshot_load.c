/* Putting a machine into the state of a snapshot. */
#include "emu/machine/breaks.h"
#include "emu/machine/snapshot.h"

#include "emu/base/diag.h"
#include "emu/cpu/snap.h"
#include "emu/machine/journal.h"
#include "emu/machine/travel_priv.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static enum pacifica_status no_memory(struct pacifica_diag *diag)
{
    return diag_set(diag, PACIFICA_ENOMEM, "snapshot", NULL, "no memory to load it");
}

/* --- before anything changes ----------------------------------------------------------------------- */

static enum pacifica_status check_machine(struct pacifica_machine *machine,
                                          const struct snapshot *snapshot,
                                          struct pacifica_diag *diag)
{
    struct text text = { 0 };
    snapshot_describe(machine, &text);
    enum pacifica_status status =
        text.failed ? no_memory(diag) : snapshot_compare(snapshot->text, text.bytes, diag);
    text_free(&text);
    return status;
}

/* Memory beyond the machine's: the checksums are right, so somebody wrote it on purpose. */
static enum pacifica_status check_memory(const struct pacifica_machine *machine,
                                         const struct snapshot *snapshot,
                                         struct pacifica_diag *diag)
{
    uint64_t count = memory_page_count(machine->memory);
    for (size_t i = 0; i < snapshot->groups; i++) {
        const struct snapshot_group *group = &snapshot->group[i];
        for (unsigned n = 0; n < SNAPSHOT_GROUP; n++)
            if ((group->bitmap[n / 8] >> n % 8 & 1) && group->first + n >= count)
                return diag_set(diag, PACIFICA_EFORMAT, "snapshot", NULL,
                                "page %" PRIu64 " of memory is not there", group->first + n);
    }
    return PACIFICA_OK;
}

/* The sections of both must be the same, in the same order: these are the devices. */
static enum pacifica_status check_sections(const struct snapshot *snapshot, const struct snap *mine,
                                           struct pacifica_diag *diag)
{
    static const char hint[] =
        "give the options that the machine had; `pacifica snap info` tells of it";
    const uint8_t *at = mine->data, *end = mine->data + mine->size;
    for (size_t i = 0;; i++) {
        const struct snapshot_section *section =
            i < snapshot->sections ? &snapshot->section[i] : NULL;
        struct snap_head head = { .name = "nothing more" };
        bool more = at < end && snap_read_head(at, end, &head);
        if (!section && !more)
            return PACIFICA_OK;
        if (!section || !more || strcmp(section->name, head.name) != 0 ||
            section->instance != head.instance)
            return diag_set(diag, PACIFICA_EUSAGE, "snapshot", hint,
                            "of another machine: it has %s.%u where this one has %s.%u",
                            section ? section->name : "nothing more",
                            section ? section->instance : 0, head.name, head.instance);
        if (section->version != head.version)
            return diag_set(diag, PACIFICA_EFORMAT, "snapshot",
                            "load it with the program that saved it",
                            "section %s.%u has version %u, this program reads version %u",
                            section->name, section->instance, section->version, head.version);
        at += SNAP_HEAD + head.bytes;
    }
}

/* --- the change --------------------------------------------------------------------------------------- */

/* Every page, those that are not in the snapshot as zeros. */
static bool load_memory(struct pacifica_machine *machine, struct snapshot *snapshot, uint8_t *pages)
{
    struct memory *memory = machine->memory;
    uint64_t count = memory_page_count(memory);
    size_t next = 0;
    for (uint64_t first = 0; first < count; first += SNAPSHOT_GROUP) {
        const struct snapshot_group *group =
            next < snapshot->groups && snapshot->group[next].first == first ? &snapshot->group[next]
                                                                            : NULL;
        if (group && !snapshot_unpack(snapshot, group, pages))
            return false;
        next += group != NULL;
        for (unsigned i = 0; i < SNAPSHOT_GROUP && first + i < count; i++)
            memory_set_page(memory, first + i, group ? pages + (size_t)i * SNAPSHOT_PAGE : NULL);
    }
    return true;
}

/* The state of a stream that machine_state() has written, or that a snapshot holds. */
static enum pacifica_status load_state(struct pacifica_machine *machine, const void *bytes,
                                       size_t size, struct pacifica_diag *diag)
{
    struct snap snap;
    snap_load(&snap, bytes, size);
    machine_state(machine, &snap);
    if (!snap.failed && snap.from == snap.end)
        return PACIFICA_OK;
    if (!snap.failed)
        return diag_set(diag, PACIFICA_EFORMAT, "snapshot", NULL, "more sections than it may have");
    if (diag)
        *diag = snap.diag;
    return PACIFICA_EFORMAT;
}

/* The state of a snapshot. What its registers may hold is a matter of the model that they are of. */
static enum pacifica_status load_state_of(struct pacifica_machine *machine,
                                          const struct snapshot *snapshot,
                                          const struct cpu_model *model, struct pacifica_diag *diag)
{
    const struct cpu_model mine = machine->model;
    memcpy(machine->model.features, model->features, sizeof(model->features));
    enum pacifica_status status = load_state(machine, snapshot->state, snapshot->state_bytes, diag);
    machine->model = mine;
    group_loaded(machine->cpu[0]);
    return status;
}

/* `back` is the state of now: what is to be loaded if the other cannot be. */
static enum pacifica_status change(struct pacifica_machine *machine, struct snapshot *snapshot,
                                   const struct cpu_model *model, const struct snap *back,
                                   struct pacifica_diag *diag)
{
    uint8_t *pages = malloc(SNAPSHOT_GROUP_BYTES);
    if (!pages)
        return no_memory(diag);
    enum pacifica_status status = load_state_of(machine, snapshot, model, diag);
    if (status == PACIFICA_OK)
        status = snapshot_migrate(machine, snapshot, model, diag);
    if (status != PACIFICA_OK)
        (void)load_state(machine, back->data, back->size, NULL);
    else if (!load_memory(machine, snapshot, pages)) /* each frame was unpacked once before */
        status = no_memory(diag);
    free(pages);
    return status;
}

/* What was before cannot be reached from another state: going back begins anew. Returns whether it was on. */
static bool end_travel(struct pacifica_machine *machine, struct pacifica_travel_options *options)
{
    if (!machine->travel)
        return false;
    options->every_steps = machine->travel->every;
    options->memory_most = machine->travel->most;
    pacifica_travel_end(machine);
    return true;
}

static enum pacifica_status load(struct pacifica_machine *machine, struct snapshot *snapshot,
                                 struct pacifica_diag *diag)
{
    struct cpu_model model;
    struct snap back;
    enum pacifica_status status = check_machine(machine, snapshot, diag);
    if (status == PACIFICA_OK)
        status = check_memory(machine, snapshot, diag);
    if (status == PACIFICA_OK)
        status = snapshot_model(snapshot, &model, diag);
    if (status != PACIFICA_OK)
        return status;
    snap_save(&back);
    machine_state(machine, &back);
    status = back.failed ? no_memory(diag) : check_sections(snapshot, &back, diag);
    if (status == PACIFICA_OK) {
        struct pacifica_travel_options travel = PACIFICA_TRAVEL_INIT;
        bool travels = end_travel(machine, &travel);
        status = change(machine, snapshot, &model, &back, diag);
        if (travels)
            (void)pacifica_travel_begin(machine, &travel, NULL);
    }
    snap_free(&back);
    return status;
}

void machine_tell_loaded(struct pacifica_machine *machine)
{
    for (unsigned i = 0; i < machine->cpu_count; i++)
        if (probes_want(&machine->probes, PROBE_LOADED))
            probes_fire(&machine->probes,
                        &(struct probe_event){ .kind = PROBE_LOADED, .cpu = machine->cpu[i] });
}

/* What cannot go to another state at all. */
static enum pacifica_status check_fixed(const struct pacifica_machine *machine,
                                        struct pacifica_diag *diag)
{
    const struct journal *journal = machine->journal;
    for (unsigned i = 0; i < MACHINE_DISKS; i++)
        if (machine->block[i] && block_through(machine->block[i]))
            return diag_set(diag, PACIFICA_EUNSUPPORTED, "snapshot",
                            "snapshot=on keeps in memory what the guest writes",
                            "disk %u writes through to its image, which would not go back", i);
    if (journal && (journal->recording || journal->replay))
        return diag_set(diag, PACIFICA_EUSAGE, "snapshot", "a recording is of one run",
                        "the machine records or replays what enters it");
    return PACIFICA_OK;
}

enum pacifica_status pacifica_machine_load(struct pacifica_machine *machine,
                                           const struct pacifica_bytes *bytes,
                                           struct pacifica_diag *diag)
{
    struct snapshot snapshot;
    enum pacifica_status status = check_fixed(machine, diag);
    if (status != PACIFICA_OK)
        return status;
    status = snapshot_open(&snapshot, bytes, diag);
    if (status == PACIFICA_OK)
        status = load(machine, &snapshot, diag);
    if (status == PACIFICA_OK)
        machine_tell_loaded(machine);
    machine_breaks_refresh(machine);
    snapshot_close(&snapshot);
    return status;
}
