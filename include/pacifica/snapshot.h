/* libpacifica: saving a machine, going back in time, recording. Included by pacifica/pacifica.h.
 *
 * None of these may be called while the machine runs. */
#ifndef PACIFICA_SNAPSHOT_H
#define PACIFICA_SNAPSHOT_H

#include <pacifica/pacifica.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- snapshots ------------------------------------------------------------------------------ */

/* Where a snapshot goes to: a file, usually. false: it cannot be written (the call returns PACIFICA_EIO). */
struct pacifica_writer {
    bool (*write)(void *self, const void *bytes, size_t size);
    void *self;
};

/* Write all of a machine between two instructions: memory, processors with TLBs and VMCB caches, devices with what their
 * queues hold, what was written to disks that keep that in memory. Formats: docs/snapshots.md. The machine is not changed.
 * Returns PACIFICA_OK; PACIFICA_EIO; PACIFICA_EUNSUPPORTED (a disk with write_through: its image would go on changing
 * without the snapshot); PACIFICA_ENOMEM. */
PACIFICA_API enum pacifica_status pacifica_machine_save(struct pacifica_machine *machine,
                                                        const struct pacifica_writer *writer,
                                                        struct pacifica_diag *diag);

/* Put a machine into the state that was saved. It must be made like the one that was saved: RAM, processors, devices, sizes of
 * disks. Only the CPU model may differ: guests go on seeing what they saw through the CPUID override MSRs (C001_1002h-
 * C001_1005h) as far as these reach, and if a feature that is in use, or switched on in a register, is missing here, the load is refused.
 * snapshot  the whole of it; borrowed for the call
 * Returns PACIFICA_OK; PACIFICA_EFORMAT (no snapshot, truncated or altered); PACIFICA_EUSAGE (of another machine: `diag`
 * names the difference; or one that records or replays); PACIFICA_EUNSUPPORTED (a feature that is in use is missing: `diag` names it; or
 * a disk has write_through); PACIFICA_ENOMEM. On failure the machine is as it was. If one could go back in time, that begins anew. */
PACIFICA_API enum pacifica_status pacifica_machine_load(struct pacifica_machine *machine,
                                                        const struct pacifica_bytes *snapshot,
                                                        struct pacifica_diag *diag);

/* Write what a snapshot holds, as text: the machine it is of, steps and time, sections with sizes, memory.
 * Returns PACIFICA_OK; PACIFICA_EFORMAT. */
PACIFICA_API enum pacifica_status pacifica_snapshot_info(const struct pacifica_bytes *snapshot,
                                                         const struct pacifica_output *output,
                                                         struct pacifica_diag *diag);

/* Write in what two snapshots differ: members of the state by name, and ranges of memory.
 * differences  receives how many; never NULL
 * Returns PACIFICA_OK; PACIFICA_EFORMAT; PACIFICA_EUSAGE (of machines that are not alike); PACIFICA_ENOMEM. */
PACIFICA_API enum pacifica_status pacifica_snapshot_diff(const struct pacifica_bytes *from,
                                                         const struct pacifica_bytes *to,
                                                         const struct pacifica_output *output,
                                                         uint64_t *differences,
                                                         struct pacifica_diag *diag);

/* --- recording ------------------------------------------------------------------------------- */

/* Write down from now on everything that enters the machine from outside and when: serial input, keys, mouse, frames, signals,
 * resets, limits of time, and what a debugger writes. Together with the images it makes a run happen again. Before the first
 * pacifica_machine_run(), and with all that is to be loaded loaded.
 * output  receives the recording, which is complete whenever it ends; docs/snapshots.md has its format. Its last input, which says how
 *         long the run was, comes with pacifica_machine_free()
 * Returns PACIFICA_OK; PACIFICA_EUSAGE (the machine has run, or records already); PACIFICA_ENOMEM. */
PACIFICA_API enum pacifica_status pacifica_record(struct pacifica_machine *machine,
                                                  const struct pacifica_output *output,
                                                  struct pacifica_diag *diag);

/* Run by a recording from now on: what it holds enters at its time, and what callers offer (pacifica_machine_serial_input() and so
 * on) is ignored, until it ends; pacifica_machine_run() returns STOP_REPLAYED there, or where the run turns out to be another one:
 * result->diag.hint is not empty then. Behind that the machine is like any other. Frames that the guest sends meanwhile go
 * nowhere. Before the first run. An input at the end that is not whole is left out: PACIFICA_OK, and `diag` says so.
 * recording  borrowed until the machine is freed
 * Returns PACIFICA_OK; PACIFICA_EFORMAT (no recording, truncated or altered); PACIFICA_EUSAGE (the machine has run, or
 * is not made like the one that was recorded: `diag` names the difference); PACIFICA_ENOMEM. */
PACIFICA_API enum pacifica_status pacifica_replay(struct pacifica_machine *machine,
                                                  const struct pacifica_bytes *recording,
                                                  struct pacifica_diag *diag);

/* --- going back ------------------------------------------------------------------------------ */

/* Start from PACIFICA_TRAVEL_INIT. */
struct pacifica_travel_options {
    uint64_t every_steps; /* between two checkpoints, at least 1000 */
    uint64_t memory_most; /* bytes that checkpoints may take: older ones are thinned out then */
};
#define PACIFICA_TRAVEL_INIT                                               \
    ((struct pacifica_travel_options){ .every_steps = UINT64_C(100000000), \
                                       .memory_most = UINT64_C(1) << 30 })

/* Make it possible to go back to any step from here on: pacifica_machine_run() keeps checkpoints and all input. While a step is
 * executed again, nothing is written to outputs a second time, traces included, and what callers offer as input finds no
 * room. A change through pacifica_machine_register_set(), memory_write(), signal() or reset() in the past makes that the latest
 * step: the future is new. But a reset that was there comes again by itself, and asking for it there changes nothing.
 * Returns PACIFICA_OK; PACIFICA_EUSAGE (it is on already, or options make no sense); PACIFICA_EUNSUPPORTED (a disk with
 * write_through); PACIFICA_ENOMEM. */
PACIFICA_API enum pacifica_status pacifica_travel_begin(
    struct pacifica_machine *machine, const struct pacifica_travel_options *options,
    struct pacifica_diag *diag);
PACIFICA_API void pacifica_travel_end(struct pacifica_machine *machine); /* forget it all */

/* From where and to where one can go: the first step that can be reached, and the latest that was. False: travel is off, or there
 * was no memory for any checkpoint. */
PACIFICA_API bool pacifica_travel_range(const struct pacifica_machine *machine, uint64_t *first,
                                        uint64_t *latest);

/* Be at a step between these two. Breaks on the way stop nobody.
 * Returns PACIFICA_OK; PACIFICA_ERANGE (cannot be reached; nothing has changed); PACIFICA_EUSAGE (travel is off). */
PACIFICA_API enum pacifica_status pacifica_travel_goto(struct pacifica_machine *machine,
                                                       uint64_t steps,
                                                       struct pacifica_result *result,
                                                       struct pacifica_diag *diag);

/* Run backwards, to the last moment before now at which a break would have stopped a run: result->stop is STOP_BREAK. For
 * WRITE, READ and ACCESS breaks that is before the instruction that does it. STOP_BEGINNING: there was none, the machine is at the first step.
 * STOP_REQUEST: pacifica_machine_stop() was called; the machine is where it was. Statuses as above. */
PACIFICA_API enum pacifica_status pacifica_travel_back(struct pacifica_machine *machine,
                                                       struct pacifica_result *result,
                                                       struct pacifica_diag *diag);

/* Be where processor `cpu` was before its last step. result->stop is STOP_STEP, or STOP_BEGINNING. Statuses as above. */
PACIFICA_API enum pacifica_status pacifica_travel_back_step(struct pacifica_machine *machine,
                                                            unsigned cpu,
                                                            struct pacifica_result *result,
                                                            struct pacifica_diag *diag);

/* Who last changed memory. */
struct pacifica_write {
    uint64_t steps;                /* before the instruction, event or device access that did it */
    unsigned cpu;                  /* whose turn it was */
    uint64_t rip;                  /* linear address of the instruction */
    bool guest;                    /* it ran in a guest */
    uint64_t old_value, new_value; /* of the first 8 bytes at most */
};

/* Find the last step before now that changed [physical, physical + size), size 1 to 4096. The machine is where it was afterwards.
 * Returns PACIFICA_OK; PACIFICA_ERANGE (nothing changed it since the first step); PACIFICA_EUSAGE. */
PACIFICA_API enum pacifica_status pacifica_travel_last_write(struct pacifica_machine *machine,
                                                             uint64_t physical, size_t size,
                                                             struct pacifica_write *write,
                                                             struct pacifica_diag *diag);

#ifdef __cplusplus
}
#endif

#endif
