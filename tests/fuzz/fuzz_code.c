/* Random x87 and vector code in random modes, over random floating-point state, on one or two processors, run in several ways. */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/ways.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader in = { data, size };
    unsigned choice = read8(&in);
    const struct ways_guest guest = { .cpus = choice < 0xe0 ? 1 : 2, .make = modes_make_vectors };
    ways_compare(in, &guest);
    return 0;
}
