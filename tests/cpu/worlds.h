/* A guest's mode as a number, for tests that go through all of them. */
#ifndef TESTS_CPU_WORLDS_H
#define TESTS_CPU_WORLDS_H

#include "tests/cpu/modes.h"

enum world { REAL, V86, PROT16, PROT32, PROT32_3, COMPAT, LONG, LONG_3, WORLDS };

/* With the tables of that mode. */
static inline void set_world(struct kit *k, enum world world)
{
    kit_tables(k);
    switch (world) {
    case REAL: mode_real(k); break;
    case V86: mode_v86(k, 3, false); break;
    case PROT16: mode_prot16(k, 0); break;
    case PROT32: mode_prot32(k, 0); break;
    case PROT32_3: mode_prot32(k, 3); break;
    case COMPAT: kit_mode(k, MODE_COMPAT32, 0); break;
    case LONG: kit_mode(k, MODE_LONG64, 0); break;
    default: kit_mode(k, MODE_LONG64, 3); break;
    }
}

#endif
