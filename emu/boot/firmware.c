/* Where firmware lies. A PC decodes its ROM below 4 GiB, where the reset vector is, and the last part of it below 1 MiB,
 * where real mode reaches it.
 *
 * CHOICE: an image may be any number of whole pages; QEMU wants multiples of 64 KiB. Small ROMs for tests are easier so. */
#include "emu/boot/firmware.h"

#include <inttypes.h>

#define PAGE_BYTES UINT64_C(4096)
#define PHYSICAL_END (UINT64_C(1) << 52)

static enum pacifica_status check_size(const struct firmware_source *source,
                                       struct pacifica_diag *diag)
{
    if (source->len == 0)
        return diag_set(diag, PACIFICA_EFORMAT, source->name, NULL, "the firmware image is empty");
    if (source->len > FIRMWARE_MOST)
        return diag_set(diag, PACIFICA_ERANGE, source->name,
                        "at most 16 MiB: the local APIC lies below",
                        "a firmware image of %zu KiB is too large", source->len / 1024);
    if (source->len % PAGE_BYTES)
        return diag_set(diag, PACIFICA_EFORMAT, source->name,
                        "its size is a multiple of 4 KiB; is this the right file?",
                        "a firmware image of %zu bytes is no whole number of pages", source->len);
    return PACIFICA_OK;
}

/* Is [spa, spa + len) free of RAM and ROM? */
static enum pacifica_status check_free(const struct memory *memory,
                                       const struct firmware_source *source, uint64_t spa,
                                       uint64_t len, struct pacifica_diag *diag)
{
    for (uint64_t at = spa; at < spa + len; at += PAGE_BYTES)
        if (memory_backing(memory, at) != UINT64_MAX)
            return diag_set(diag, PACIFICA_ERANGE, source->name, "place it elsewhere",
                            "a ROM from 0x%" PRIx64 " to 0x%" PRIx64
                            " would cover RAM or another ROM at 0x%" PRIx64,
                            spa, spa + len - 1, at);
    return PACIFICA_OK;
}

static enum pacifica_status no_room(const struct firmware_source *source,
                                    struct pacifica_diag *diag)
{
    return diag_set(diag, PACIFICA_ENOMEM, source->name, NULL, "no room for another ROM");
}

static enum pacifica_status map_at(struct memory *memory, const struct firmware_source *source,
                                   struct pacifica_diag *diag)
{
    if (source->spa % PAGE_BYTES)
        return diag_set(diag, PACIFICA_EUSAGE, source->name, "a multiple of 4 KiB",
                        "no ROM can begin at 0x%" PRIx64, source->spa);
    if (source->spa > PHYSICAL_END - source->len)
        return diag_set(diag, PACIFICA_ERANGE, source->name, NULL,
                        "a ROM at 0x%" PRIx64 " ends beyond the last physical address",
                        source->spa);
    enum pacifica_status status = check_free(memory, source, source->spa, source->len, diag);
    if (status != PACIFICA_OK)
        return status;
    return memory_add_rom(memory, source->spa, source->bytes, source->len) ? PACIFICA_OK
                                                                           : no_room(source, diag);
}

static enum pacifica_status map_at_top(struct memory *memory, const struct firmware_source *source,
                                       struct pacifica_diag *diag)
{
    uint64_t low = source->len < FIRMWARE_LOW_MOST ? source->len : FIRMWARE_LOW_MOST;
    uint64_t top_spa = FIRMWARE_TOP_END - source->len, low_spa = FIRMWARE_LOW_END - low;
    enum pacifica_status status = check_free(memory, source, top_spa, source->len, diag);
    if (status == PACIFICA_OK)
        status = check_free(memory, source, low_spa, low, diag);
    if (status != PACIFICA_OK)
        return status;
    /* Nobody can write to either, so two copies are as good as one. */
    bool mapped = memory_add_rom(memory, low_spa, source->bytes + source->len - low, low) &&
                  memory_add_rom(memory, top_spa, source->bytes, source->len);
    return mapped ? PACIFICA_OK : no_room(source, diag);
}

enum pacifica_status firmware_map(struct memory *memory, const struct firmware_source *source,
                                  struct pacifica_diag *diag)
{
    enum pacifica_status status = check_size(source, diag);
    if (status != PACIFICA_OK)
        return status;
    return source->at_top ? map_at_top(memory, source, diag) : map_at(memory, source, diag);
}
