/* Hostile VMCBs, nested tables and permission maps, on one or two processors, run in several ways. */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/hostile.h"
#include "tests/fuzz/ways.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader in = { data, size };
    unsigned choice = read8(&in);
    const struct ways_guest guest = { .cpus = choice < 0xc0 ? 1 : 2, .make = hostile_make };
    ways_compare(in, &guest);
    return 0;
}
