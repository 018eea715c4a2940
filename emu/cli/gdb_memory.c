/* Packets that read and write memory: addresses are linear, as the chosen processor translates them now. */
#include "emu/cli/gdb_priv.h"

#include <string.h>

#define READ_MOST (GDB_PACKET_MOST / 2)

/* ADDRESS,LENGTH. */
static bool take_range(const char **text, uint64_t *address, uint64_t *length)
{
    return gdb_take_number(text, address) && gdb_take(text, ',') && gdb_take_number(text, length);
}

/* Read what there is of a range, at most what a packet holds. Returns how many bytes, in *bytes. */
static size_t read_range(struct gdb *gdb, uint64_t address, uint64_t length, uint8_t *bytes)
{
    size_t size = length < READ_MOST ? (size_t)length : READ_MOST;
    return pacifica_machine_memory_read(gdb->machine, gdb->cpu, PACIFICA_SPACE_LINEAR, address,
                                        bytes, size);
}

void gdb_memory_read(struct gdb *gdb, const char *text)
{
    uint64_t address, length;
    uint8_t bytes[READ_MOST];
    if (!take_range(&text, &address, &length) || *text) {
        gdb_fail_malformed(gdb);
        return;
    }
    size_t got = read_range(gdb, address, length, bytes);
    if (got || !length)
        gdb_text_hex(&gdb->reply, bytes, got);
    else
        gdb_fail_memory(gdb);
}

/* The reply begins with b, and what does not fit is left for the next packet. */
void gdb_memory_read_binary(struct gdb *gdb, const char *text)
{
    uint64_t address, length;
    uint8_t bytes[READ_MOST];
    if (!take_range(&text, &address, &length) || *text) {
        gdb_fail_malformed(gdb);
        return;
    }
    size_t got = read_range(gdb, address, length, bytes);
    if (!got && length) {
        gdb_fail_memory(gdb);
        return;
    }
    gdb_text_put(&gdb->reply, "b");
    (void)gdb_text_binary(&gdb->reply, bytes, got);
}

static void write_range(struct gdb *gdb, uint64_t address, const void *bytes, size_t size)
{
    if (pacifica_machine_memory_write(gdb->machine, gdb->cpu, PACIFICA_SPACE_LINEAR, address, bytes,
                                      size) == size)
        gdb_ok(gdb);
    else
        gdb_fail_memory(gdb);
}

void gdb_memory_write(struct gdb *gdb, const char *text)
{
    uint64_t address, length;
    uint8_t bytes[READ_MOST];
    if (take_range(&text, &address, &length) && gdb_take(&text, ':') && length <= READ_MOST &&
        gdb_take_bytes(&text, bytes, (size_t)length) && !*text)
        write_range(gdb, address, bytes, (size_t)length);
    else
        gdb_fail_malformed(gdb);
}

/* The bytes stand in the packet as they are; GDB asks by one without any whether we take them. */
void gdb_memory_write_binary(struct gdb *gdb, const char *text)
{
    uint64_t address, length;
    const char *end = gdb->frame.body + gdb->frame.size;
    if (take_range(&text, &address, &length) && gdb_take(&text, ':') &&
        length == (uint64_t)(end - text))
        write_range(gdb, address, text, (size_t)length);
    else
        gdb_fail_malformed(gdb);
}
