/* Random code in random modes, over random descriptor and page tables, on one to three processors, run in several ways. */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/ways.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader in = { data, size };
    unsigned choice = read8(&in);
    const struct ways_guest guest = { .cpus = choice < 0xc0 ? 1 : 2 + (choice & 1),
                                      .make = modes_make };
    ways_compare(in, &guest);
    return 0;
}
