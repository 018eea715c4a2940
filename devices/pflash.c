/* Intel's command set for flash memory: 28F640J5 data sheet, "Basic Command Set", and JEDEC's Common Flash Interface
 * (CFI, JESD68). One chip of eight bits' width, with sectors of 4 KiB, as on QEMU's PC.
 *
 * While the array is read, which is almost always, it is a ROM; the device hears writes alone. A command takes the reads
 * too, until "read array".
 * CHOICE: programming and erasing take no time: the status says "ready" from the next access on.
 * CHOICE: the status register is 0 after "clear status" and has bit 7 after programming and erasing, as on QEMU; a real
 * chip keeps bit 7 while it is ready. OVMF takes a chip without a 0 for none. */
#include "devices/pflash.h"

#include <stdlib.h>
#include <string.h>

enum flash_command {
    FLASH_ARRAY = 0xff,
    FLASH_ARRAY_TOO = 0xf0, /* AMD's command set */
    FLASH_READ_ID = 0x90,
    FLASH_QUERY = 0x98,
    FLASH_READ_STATUS = 0x70,
    FLASH_CLEAR_STATUS = 0x50,
    FLASH_PROGRAM = 0x10,
    FLASH_PROGRAM_TOO = 0x40,
    FLASH_ERASE = 0x20,
    FLASH_LOCK = 0x60,
    FLASH_BUFFER = 0xe8,
    FLASH_CONFIRM = 0xd0
};

#define STATUS_READY 0x80u
#define STATUS_ERASE_FAILED 0x20u
#define STATUS_PROGRAM_FAILED 0x10u
#define STATUS_SEQUENCE (STATUS_ERASE_FAILED | STATUS_PROGRAM_FAILED)

#define MANUFACTURER_INTEL 0x89
#define DEVICE_ID 0x18

#define BUFFER_LOG2 8
#define BUFFER_BYTES (1u << BUFFER_LOG2)

#define QUERY_FIRST 0x10
#define QUERY_BYTES 0x32

struct pflash {
    struct bus *bus;
    struct memory *memory;
    struct block *block;
    uint64_t spa, bytes;
    struct bus_window window;
    uint8_t command, status;
    bool second; /* the second write of a command is awaited */
    /* "Write to buffer" takes `wanted` bytes of one piece of BUFFER_BYTES, from the first address on. */
    unsigned wanted, taken;
    uint64_t buffer_at;
    uint8_t buffer[BUFFER_BYTES];
    bool filled[BUFFER_BYTES];
};

static void set_command(struct pflash *flash, uint8_t command)
{
    flash->command = command;
    memory_route_rom(flash->memory, flash->spa,
                     command == FLASH_ARRAY ? ROM_BUS_WRITES : ROM_BUS_ALL);
}

/* --- the array --- */

/* Put `bytes` bytes of one disk sector both into the array and onto the block. */
static bool store(struct pflash *flash, uint64_t offset, const uint8_t *from, unsigned bytes)
{
    uint8_t sector[BLOCK_SECTOR];
    uint64_t number = offset / BLOCK_SECTOR;
    if (block_read(flash->block, number, 1, sector) != BLOCK_OK)
        return false;
    memcpy(sector + offset % BLOCK_SECTOR, from, bytes);
    return block_write(flash->block, number, 1, sector) == BLOCK_OK &&
           memory_program_rom(flash->memory, flash->spa + offset, from, bytes);
}

/* All ones if the block cannot be read: nothing is lost then by programming. */
static uint8_t array_byte(const struct pflash *flash, uint64_t offset)
{
    uint8_t sector[BLOCK_SECTOR];
    bool read = block_read(flash->block, offset / BLOCK_SECTOR, 1, sector) == BLOCK_OK;
    return read ? sector[offset % BLOCK_SECTOR] : 0xff;
}

/* Programming clears bits and sets none. */
static void program(struct pflash *flash, uint64_t offset, uint8_t value)
{
    uint8_t byte = array_byte(flash, offset) & value;
    flash->status |= STATUS_READY | (store(flash, offset, &byte, 1) ? 0 : STATUS_PROGRAM_FAILED);
}

static void erase(struct pflash *flash, uint64_t offset)
{
    uint8_t ones[BLOCK_SECTOR];
    memset(ones, 0xff, sizeof(ones));
    offset -= offset % PFLASH_SECTOR;
    flash->status |= STATUS_READY;
    for (unsigned at = 0; at < PFLASH_SECTOR; at += BLOCK_SECTOR)
        if (!store(flash, offset + at, ones, BLOCK_SECTOR)) {
            flash->status |= STATUS_ERASE_FAILED;
            return;
        }
}

/* --- reads --- */

/* What "query" shows at offsets 10h and up. CFI, "Query structure output". */
static uint8_t query(const struct pflash *flash, uint64_t offset)
{
    unsigned sectors = (unsigned)(flash->bytes / PFLASH_SECTOR) - 1;
    uint8_t log2 = 0;
    while ((UINT64_C(1) << log2) < flash->bytes)
        log2++;
    const uint8_t table[QUERY_BYTES - QUERY_FIRST] = { 'Q',
                                                       'R',
                                                       'Y',
                                                       0x01,
                                                       0x00, /* Intel's extended command set, */
                                                       0x31,
                                                       0x00,
                                                       0x00,
                                                       0x00,
                                                       0x00,
                                                       0x00, /* whose table is at 31h */
                                                       0x45,
                                                       0x55,
                                                       0x00,
                                                       0x00, /* 4.5 V to 5.5 V */
                                                       0x07,
                                                       0x07,
                                                       0x0a,
                                                       0x00,
                                                       0x04,
                                                       0x04,
                                                       0x04,
                                                       0x00, /* typical times and how they grow */
                                                       log2,
                                                       0x00,
                                                       0x00, /* eight bits wide */
                                                       BUFFER_LOG2,
                                                       0x00,
                                                       0x01, /* one kind of sectors: */
                                                       (uint8_t)sectors,
                                                       (uint8_t)(sectors >> 8),
                                                       PFLASH_SECTOR >> 8 & 0xff,
                                                       PFLASH_SECTOR >> 16 };
    if (offset >= 0x31 && offset < 0x36)
        return (uint8_t) "PRI10"[offset - 0x31];
    return offset >= QUERY_FIRST && offset < QUERY_BYTES ? table[offset - QUERY_FIRST] : 0;
}

static uint8_t read_byte(const struct pflash *flash, uint64_t offset)
{
    static const uint8_t id[4] = { MANUFACTURER_INTEL, DEVICE_ID, 0, 0 };
    switch (flash->command) {
    case FLASH_ARRAY: return array_byte(flash, offset);
    case FLASH_READ_ID: return id[offset % 4];
    case FLASH_QUERY: return query(flash, offset);
    default: return (uint8_t)flash->status;
    }
}

static uint64_t flash_read(void *self, uint64_t offset, unsigned size)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)read_byte(self, offset + i) << (8 * i);
    return value;
}

/* --- writes --- */

static void begin(struct pflash *flash, uint8_t command)
{
    switch (command) {
    case FLASH_ARRAY:
    case FLASH_ARRAY_TOO: set_command(flash, FLASH_ARRAY); return;
    case FLASH_CLEAR_STATUS:
        flash->status = 0;
        set_command(flash, FLASH_ARRAY);
        return;
    case FLASH_READ_ID:
    case FLASH_QUERY:
    case FLASH_READ_STATUS: set_command(flash, command); return;
    case FLASH_BUFFER: flash->status |= STATUS_READY; break;
    case FLASH_PROGRAM:
    case FLASH_PROGRAM_TOO:
    case FLASH_ERASE:
    case FLASH_LOCK: break;
    default:
        bus_tell(flash->bus, PROBE_GUEST_ERROR, "flash memory: no such command");
        set_command(flash, FLASH_ARRAY);
        return;
    }
    flash->second = true;
    flash->wanted = flash->taken = 0;
    flash->buffer_at = 0;
    memset(flash->buffer, 0, sizeof(flash->buffer));
    memset(flash->filled, 0, sizeof(flash->filled));
    set_command(flash, command);
}

static void end_with_status(struct pflash *flash)
{
    flash->second = false;
    set_command(flash, FLASH_READ_STATUS);
}

static void fail_sequence(struct pflash *flash)
{
    flash->status |= STATUS_READY | STATUS_SEQUENCE;
    end_with_status(flash);
}

static void flush_buffer(struct pflash *flash)
{
    uint64_t from = flash->buffer_at;
    for (unsigned i = 0; i < BUFFER_BYTES; i++)
        if (flash->filled[i])
            program(flash, from + i, flash->buffer[i]);
    end_with_status(flash);
}

/* The count, that many bytes, the confirmation. */
static void write_buffer(struct pflash *flash, uint64_t offset, uint8_t value)
{
    if (!flash->wanted) {
        flash->wanted = value + 1u;
        flash->taken = 0;
        memset(flash->filled, 0, sizeof(flash->filled));
    } else if (flash->taken == flash->wanted) {
        if (value == FLASH_CONFIRM)
            flush_buffer(flash);
        else
            fail_sequence(flash);
    } else {
        if (!flash->taken)
            flash->buffer_at = offset - offset % BUFFER_BYTES;
        if (offset - flash->buffer_at >= BUFFER_BYTES) {
            fail_sequence(flash);
            return;
        }
        flash->buffer[offset - flash->buffer_at] = value;
        flash->filled[offset - flash->buffer_at] = true;
        flash->taken++;
    }
}

static void write_byte(struct pflash *flash, uint64_t offset, uint8_t value)
{
    if (!flash->second) {
        begin(flash, value);
        return;
    }
    switch (flash->command) {
    case FLASH_PROGRAM:
    case FLASH_PROGRAM_TOO:
        program(flash, offset, value);
        end_with_status(flash);
        break;
    case FLASH_ERASE:
        if (value == FLASH_CONFIRM) {
            erase(flash, offset);
            end_with_status(flash);
        } else {
            fail_sequence(flash);
        }
        break;
    case FLASH_BUFFER: write_buffer(flash, offset, value); break;
    default: /* locks are not kept: nothing is locked */
        flash->status |= STATUS_READY;
        end_with_status(flash);
        break;
    }
}

static void flash_write(void *self, uint64_t offset, unsigned size, uint64_t value)
{
    for (unsigned i = 0; i < size; i++)
        write_byte(self, offset + i, (uint8_t)(value >> (8 * i)));
}

/* --- the device --- */

static void flash_reset(void *self)
{
    struct pflash *flash = self;
    flash->status = 0;
    flash->second = false;
    flash->wanted = flash->taken = 0;
    set_command(flash, FLASH_ARRAY);
}

/* The array that is read as a ROM follows the block, whose content may have come by a mark. */
static void refresh_array(struct pflash *flash)
{
    uint8_t wanted[PFLASH_SECTOR], now[PFLASH_SECTOR];
    set_command(flash, FLASH_ARRAY); /* so that it can be read */
    for (uint64_t at = 0; at < flash->bytes; at += PFLASH_SECTOR) {
        uint64_t spa = flash->spa + at;
        if (block_read(flash->block, at / BLOCK_SECTOR, PFLASH_SECTOR / BLOCK_SECTOR, wanted) ==
                BLOCK_OK &&
            (!bus_dma_read(flash->bus, spa, now, sizeof(now)) ||
             memcmp(now, wanted, sizeof(now)) != 0))
            (void)memory_program_rom(flash->memory, spa, wanted, sizeof(wanted));
    }
}

static bool is_command(uint8_t command)
{
    switch (command) {
    case FLASH_ARRAY:
    case FLASH_READ_ID:
    case FLASH_QUERY:
    case FLASH_READ_STATUS:
    case FLASH_PROGRAM:
    case FLASH_PROGRAM_TOO:
    case FLASH_ERASE:
    case FLASH_LOCK:
    case FLASH_BUFFER: return true;
    default: return false;
    }
}

/* What has been taken of "write to buffer". */
static void buffer_state(struct pflash *flash, struct snap *snap)
{
    SNAP_BELOW(snap, flash, wanted, BUFFER_BYTES + 1);
    SNAP_BELOW(snap, flash, taken, flash->wanted + 1);
    SNAP(snap, flash, buffer_at);
    SNAP_ALL(snap, flash, buffer);
    SNAP_ALL(snap, flash, filled);
    if (!snap_loading(snap))
        return;
    if (flash->buffer_at % BUFFER_BYTES || flash->buffer_at > flash->bytes - BUFFER_BYTES) {
        snap_refuse(snap, "buffer_at");
        flash->buffer_at = 0;
    }
}

static void flash_state(void *self, struct snap *snap)
{
    struct pflash *flash = self;
    block_state(flash->block, snap);
    SNAP(snap, flash, command);
    SNAP(snap, flash, status);
    SNAP(snap, flash, second);
    if (snap_loading(snap) && !is_command(flash->command)) {
        snap_refuse(snap, "command");
        flash->command = FLASH_ARRAY;
    }
    if (flash->command == FLASH_BUFFER && flash->second)
        buffer_state(flash, snap);
    if (!snap_loading(snap))
        return;
    uint8_t command = flash->command;
    refresh_array(flash);
    set_command(flash, command);
}

static const struct dev_class dev_pflash = {
    .name = "pflash",
    .state_size = sizeof(struct pflash),
    .reset = flash_reset,
    .state = flash_state,
    .state_version = 1,
};

static bool map_array(const struct pflash *flash)
{
    uint8_t *image = malloc(flash->bytes);
    bool mapped =
        image &&
        block_read(flash->block, 0, (uint32_t)(flash->bytes / BLOCK_SECTOR), image) == BLOCK_OK &&
        memory_add_rom(flash->memory, flash->spa, image, flash->bytes);
    free(image);
    return mapped;
}

struct pflash *pflash_add(struct bus *bus, uint64_t spa, struct block *block)
{
    uint64_t bytes = block_sectors(block) * BLOCK_SECTOR;
    struct pflash *flash = bytes % PFLASH_SECTOR == 0 ? bus_add(bus, &dev_pflash) : NULL;
    if (!flash)
        return NULL;
    flash->bus = bus;
    flash->memory = bus_memory(bus);
    flash->block = block;
    flash->spa = spa;
    flash->bytes = bytes;
    flash->window = (struct bus_window){
        .read = flash_read, .write = flash_write, .self = flash, .bytes = bytes
    };
    if (!map_array(flash) || !bus_add_window(bus, &flash->window))
        return NULL;
    bus_move_window(bus, &flash->window, true, spa);
    flash_reset(flash);
    return flash;
}
