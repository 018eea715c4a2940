/* Going back in time: checkpoints. See travel.c. */
#ifndef EMU_MACHINE_TRAVEL_PRIV_H
#define EMU_MACHINE_TRAVEL_PRIV_H

#include "emu/machine/machine.h"
#include "emu/machine/travel_pages.h"

struct block_mark;

/* A moment from which the machine can go on: all of its state. */
struct checkpoint {
    uint64_t steps, turns, sends;
    size_t next;                   /* of the journal */
    uint64_t cpu_steps[VCPUS_MAX]; /* of each processor */
    bool extra;                    /* not one of those at regular distances */
    uint8_t *state;                /* what machine_state() names */
    size_t size;
    struct block_mark *mark[MACHINE_DISKS];
    struct vga_mark *screen;
    struct version_list pages;
};

#define TRAVEL_WANTED 24u

/* Invariants: checkpoints stand by rising steps, of which no two are equal. wanted[] is sorted falling. */
struct travel {
    struct travel_pages pages;
    struct checkpoint **at;
    size_t count, room;
    uint64_t every, most;
    uint64_t state_bytes;           /* of all states */
    uint64_t wanted[TRAVEL_WANTED]; /* steps of checkpoints that are to be made on the way */
    unsigned wanted_count;
    bool lost; /* there was no memory for a single one */
};

/* travel_points.c: make a checkpoint where the machine is, which is between two steps; none if there is one of the same steps.
 * Without memory others go; in the end all do. */
void travel_keep(struct pacifica_machine *machine, bool extra);

/* The machine is as it was at a checkpoint. */
void travel_load(struct pacifica_machine *machine, size_t index);

/* Forget the checkpoints from this one on. */
void travel_drop_from(struct pacifica_machine *machine, size_t index);

/* The last checkpoint from which a run gets to where a limit of `steps` stops it. SIZE_MAX: there is none. */
size_t travel_find(const struct pacifica_machine *machine, uint64_t steps);

/* Forget extra checkpoints but for some around the steps. */
void travel_thin_extra(struct pacifica_machine *machine, uint64_t steps);

/* travel.c: execute until the steps, or to the present. The machine is in the past. STOP_LIMIT_INSNS: it is there; STOP_REQUEST. */
enum pacifica_stop travel_execute(struct pacifica_machine *machine, uint64_t steps);

/* Be at these steps; from a checkpoint, if need be. */
enum pacifica_stop travel_seek(struct pacifica_machine *machine, uint64_t steps);

/* What the public functions begin with: the machine is in the past from now on, where it is. */
enum pacifica_status travel_leave(struct pacifica_machine *machine, struct pacifica_diag *diag);

/* On the way to these steps, make checkpoints that are nearer and nearer to each other. */
void travel_want(struct pacifica_machine *machine, uint64_t steps);

#endif
