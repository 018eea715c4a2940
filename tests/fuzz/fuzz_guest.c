/* Random hypervisors and their guests in 64-bit mode, run in several ways. */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/ways.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct ways_guest guest = { .cpus = 1, .make = guest_make };
    ways_compare((struct reader){ data, size }, &guest);
    return 0;
}
