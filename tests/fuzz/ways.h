/* Random guests: the same final state, whatever way they are run.
 *
 * A guest is run for a limited number of steps, again and again: as usual, in blocks of one instruction, with all derived
 * tables dropped every few steps, traced, and stopped and resumed. All that machine_state() tells, RAM and the reason of the
 * stop must be equal, or the process aborts. FUZZ_VERBOSE=1 says what differs, and at which step first. */
#ifndef TESTS_FUZZ_WAYS_H
#define TESTS_FUZZ_WAYS_H

#include "tests/fuzz/guest.h"

struct ways_guest {
    unsigned cpus;
    /* Fill the memory of a new machine and set its CPUs to their first instructions. */
    void (*make)(struct reader *in, struct pacifica_machine *machine);
};

/* The first bytes of the input say how it is run and what happens outside; the rest makes the guest. */
void ways_compare(struct reader in, const struct ways_guest *guest);

#endif
