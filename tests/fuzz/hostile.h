/* Guests whose VMCBs, nested tables and permission maps are hostile (hostile.c). */
#ifndef TESTS_FUZZ_HOSTILE_H
#define TESTS_FUZZ_HOSTILE_H

#include "tests/fuzz/guest.h"

/* A host in 64-bit mode that executes VMRUN again and again, on VMCBs of a script, and changes memory between. */
void hostile_make(struct reader *in, struct pacifica_machine *machine);

#endif
