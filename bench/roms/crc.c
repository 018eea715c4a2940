/* crc.c: table-driven CRC-32 over 64 KiB: a chain of dependent loads, shifts and XORs. */
#include "bench/roms/bench.h"

#define CRC_BYTES 65536u

const char bench_name[] = "crc";

static uint32_t table[256];
static uint8_t buffer[CRC_BYTES];

static void crc_prepare(void)
{
    uint64_t seed = 1;

    for (uint32_t i = 0; i < 256; i++) {
        uint32_t value = i;

        for (int bit = 0; bit < 8; bit++)
            value = (value >> 1) ^ ((value & 1) ? UINT32_C(0xedb88320) : 0);
        table[i] = value;
    }
    for (uint32_t i = 0; i < CRC_BYTES; i++)
        buffer[i] = (uint8_t)bench_random(&seed);
}

static uint32_t crc_update(uint32_t crc)
{
    for (uint32_t i = 0; i < CRC_BYTES; i++)
        crc = table[(crc ^ buffer[i]) & 0xff] ^ (crc >> 8);
    return crc;
}

uint64_t bench_run(uint64_t n)
{
    uint32_t crc = UINT32_C(0xffffffff);

    crc_prepare();
    for (uint64_t i = 0; i < n; i++)
        crc = crc_update(crc);
    return crc;
}
