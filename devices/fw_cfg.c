/* fw_cfg. Source: QEMU's specification "QEMU Firmware Configuration (fw_cfg) Device": a 16-bit selector at 510h, data bytes
 * at 511h, and the DMA interface at 514h. Numbers are little-endian, except in the file directory and all of DMA. What lies
 * behind the end of an item, and items that do not exist, read as zeros; nothing can be written.
 * CHOICE: DMA reaches RAM only, and asks for at most 16 MiB of the zeros behind an item; a longer request is an error, for it
 * would hold up the machine. So is one into the block that SKINIT protects; a request there is not seen. */
#include "devices/fw_cfg.h"

#include <stdlib.h>
#include <string.h>

enum fw_cfg_key {
    KEY_SIGNATURE = 0x00,
    KEY_ID = 0x01,
    KEY_RAM_SIZE = 0x03,
    KEY_CPUS = 0x05,
    KEY_BOOT_MENU = 0x0e,
    KEY_MAX_CPUS = 0x0f,
    KEY_DIRECTORY = 0x19,
    KEY_FIRST_FILE = 0x20,
    KEY_IRQ0_OVERRIDE = 0x8002 /* is the timer input 2 of the I/O APIC? SeaBIOS makes an MP table */
};
#define ID_TRADITIONAL 1u
#define ID_DMA 2u

#define SELECTOR_PORT 0x510
#define DMA_PORT \
    0x514 /* eight: the address of a request, the high half first; the low half starts it */
#define DMA_SIGNATURE 0x51454d5520434647u /* "QEMU CFG", what the ports read */

/* A request in memory: control (4 bytes), length (4), address (8). */
#define REQUEST_BYTES 16
#define DMA_ERROR 0x01u
#define DMA_READ 0x02u
#define DMA_SKIP 0x04u
#define DMA_SELECT 0x08u
#define DMA_WRITE 0x10u
#define DMA_CHUNK 4096u
#define DMA_ZEROS_MAX (16u << 20)

struct fw_file {
    char name[FW_CFG_NAME_BYTES];
    uint8_t *bytes;
    size_t len;
};

#define DIRECTORY_BYTES (4 + FW_CFG_FILES * 64)

struct fw_cfg {
    uint16_t key;
    uint64_t at; /* the next byte of the selected item */
    uint32_t dma_high;
    struct bus *bus;
    uint64_t ram_bytes;
    uint16_t cpus;
    bool boot_menu;
    unsigned count;
    struct fw_file file[FW_CFG_FILES];
    uint8_t directory[DIRECTORY_BYTES];
};

static uint8_t number_byte(uint64_t value, size_t size, uint64_t at)
{
    return at < size ? (uint8_t)(value >> (8 * at)) : 0;
}

static const struct fw_file *selected_file(const struct fw_cfg *fw)
{
    bool is_file = fw->key >= KEY_FIRST_FILE && fw->key < KEY_FIRST_FILE + fw->count;
    return is_file ? &fw->file[fw->key - KEY_FIRST_FILE] : NULL;
}

static uint64_t item_length(const struct fw_cfg *fw)
{
    const struct fw_file *file = selected_file(fw);
    if (file)
        return file->len;
    return fw->key == KEY_DIRECTORY ? sizeof(fw->directory) : sizeof(uint64_t);
}

static uint8_t item_byte(const struct fw_cfg *fw, uint64_t at)
{
    const struct fw_file *file = selected_file(fw);
    if (file)
        return at < file->len ? file->bytes[at] : 0;
    switch (fw->key) {
    case KEY_SIGNATURE: return at < 4 ? (uint8_t) "QEMU"[at] : 0;
    case KEY_ID: return number_byte(ID_TRADITIONAL | ID_DMA, 4, at);
    case KEY_RAM_SIZE: return number_byte(fw->ram_bytes, 8, at);
    case KEY_CPUS:
    case KEY_MAX_CPUS: return number_byte(fw->cpus, 2, at);
    case KEY_BOOT_MENU: return number_byte(fw->boot_menu, 2, at);
    case KEY_IRQ0_OVERRIDE: return number_byte(1, 4, at);
    case KEY_DIRECTORY: return at < sizeof(fw->directory) ? fw->directory[at] : 0;
    default: return 0;
    }
}

/* --- DMA ---------------------------------------------------------------------------------------- */

static uint64_t get_be(const uint8_t *from, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value = value << 8 | from[i];
    return value;
}

static void put_be(uint8_t *to, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        to[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
}

/* Copy from the selected item to memory. false: not all of that is RAM, or it is too much. */
static bool dma_read(struct fw_cfg *fw, uint64_t spa, uint32_t length)
{
    uint8_t chunk[DMA_CHUNK];
    uint64_t end = item_length(fw);
    if (length > DMA_ZEROS_MAX + (fw->at < end ? end - fw->at : 0))
        return false;
    while (length) {
        uint32_t part = length < DMA_CHUNK ? length : DMA_CHUNK;
        for (uint32_t i = 0; i < part; i++)
            chunk[i] = item_byte(fw, fw->at + i);
        if (!bus_dma_write(fw->bus, spa, chunk, part))
            return false;
        fw->at += part;
        spa += part;
        length -= part;
    }
    return true;
}

static void select_item(struct fw_cfg *fw, uint16_t key)
{
    fw->key = key;
    fw->at = 0;
}

static void dma_run(struct fw_cfg *fw, uint64_t request_spa)
{
    uint8_t request[REQUEST_BYTES];
    if (!bus_dma_read(fw->bus, request_spa, request, sizeof(request)))
        return;
    uint32_t control = (uint32_t)get_be(request, 4), length = (uint32_t)get_be(request + 4, 4);
    uint64_t spa = get_be(request + 8, 8);
    bool good = true;
    if (control & DMA_SELECT)
        select_item(fw, (uint16_t)(control >> 16));
    if (control & DMA_READ)
        good = dma_read(fw, spa, length);
    else if (control & DMA_WRITE)
        good = false;
    else if (control & DMA_SKIP)
        fw->at += length;
    put_be(request, good ? 0 : DMA_ERROR, 4);
    (void)bus_dma_write(fw->bus, request_spa, request, 4);
}

/* The halves are big-endian in the register. */
static void write_dma(struct fw_cfg *fw, uint16_t port, unsigned size, uint32_t value)
{
    uint8_t bytes[4];
    if (size != 4)
        return;
    for (unsigned i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
    uint32_t half = (uint32_t)get_be(bytes, 4);
    if (port == DMA_PORT) {
        fw->dma_high = half;
    } else if (port == DMA_PORT + 4) {
        uint64_t spa = (uint64_t)fw->dma_high << 32 | half;
        fw->dma_high = 0;
        dma_run(fw, spa);
    }
}

/* --- ports -------------------------------------------------------------------------------------- */

static uint32_t fw_cfg_read(void *self, uint16_t port, unsigned size)
{
    struct fw_cfg *fw = self;
    if (port >= DMA_PORT) {
        uint32_t value = 0;
        for (unsigned i = 0; i < size; i++)
            value |= (uint32_t)(DMA_SIGNATURE >> (56 - 8 * (port - DMA_PORT + i)) & 0xff) << 8 * i;
        return value;
    }
    if (size != 1) /* the selector cannot be read: both ports give data */
        return 0;
    return item_byte(fw, fw->at++);
}

static void fw_cfg_write(void *self, uint16_t port, unsigned size, uint32_t value)
{
    struct fw_cfg *fw = self;
    if (port >= DMA_PORT)
        write_dma(fw, port, size, value);
    else if (port == SELECTOR_PORT && size == 2)
        select_item(fw, (uint16_t)value);
}

static void fw_cfg_reset(void *self)
{
    struct fw_cfg *fw = self;
    select_item(fw, 0);
    fw->dma_high = 0;
}

static void fw_cfg_fini(void *self)
{
    struct fw_cfg *fw = self;
    for (unsigned i = 0; i < fw->count; i++)
        free(fw->file[i].bytes);
}

/* What the items hold is no state: nothing changes it. */
static void fw_cfg_state(void *self, struct snap *snap)
{
    struct fw_cfg *fw = self;
    SNAP(snap, fw, key);
    SNAP(snap, fw, at);
    SNAP(snap, fw, dma_high);
}

static const struct dev_class dev_fw_cfg = {
    .name = "fw_cfg",
    .ports = { { SELECTOR_PORT, 2 }, { DMA_PORT, 8 } },
    .port_size = 4,
    .state_size = sizeof(struct fw_cfg),
    .reset = fw_cfg_reset,
    .fini = fw_cfg_fini,
    .port_read = fw_cfg_read,
    .port_write = fw_cfg_write,
    .state = fw_cfg_state,
    .state_version = 1,
};

void fw_cfg_set_boot_menu(struct fw_cfg *fw, bool on)
{
    fw->boot_menu = on;
}

struct fw_cfg *fw_cfg_add(struct bus *bus, uint64_t ram_bytes, uint16_t cpus)
{
    struct fw_cfg *fw = bus_add(bus, &dev_fw_cfg);
    if (!fw)
        return NULL;
    fw->ram_bytes = ram_bytes;
    fw->cpus = cpus;
    fw->bus = bus;
    return fw;
}

/* An entry of the directory: size, key, reserved, name. */
static void directory_add(struct fw_cfg *fw, const struct fw_file *file)
{
    uint8_t *entry = fw->directory + 4 + 64 * (size_t)fw->count;
    put_be(entry, file->len, 4);
    put_be(entry + 4, KEY_FIRST_FILE + fw->count, 2);
    memcpy(entry + 8, file->name, FW_CFG_NAME_BYTES);
    put_be(fw->directory, fw->count + 1, 4);
}

enum pacifica_status fw_cfg_add_file(struct fw_cfg *fw, const char *name, const void *bytes,
                                     size_t len, struct pacifica_diag *diag)
{
    size_t name_len = strlen(name);
    if (name_len == 0 || name_len >= FW_CFG_NAME_BYTES)
        return diag_set(diag, PACIFICA_EUSAGE, "-fw_cfg",
                        "names have 1 to 55 characters, like opt/org.example/item",
                        "the name of a fw_cfg item is empty or too long (%zu characters)",
                        name_len);
    for (unsigned i = 0; i < fw->count; i++)
        if (strcmp(fw->file[i].name, name) == 0)
            return diag_set(diag, PACIFICA_EUSAGE, "-fw_cfg", NULL,
                            "fw_cfg item '%s' is there twice", name);
    if (fw->count == FW_CFG_FILES)
        return diag_set(diag, PACIFICA_EUSAGE, "-fw_cfg", NULL, "more than %d fw_cfg items",
                        FW_CFG_FILES);
    if (len > UINT32_MAX)
        return diag_set(diag, PACIFICA_ERANGE, "-fw_cfg", NULL,
                        "fw_cfg item '%s' has 4 GiB or more", name);
    struct fw_file *file = &fw->file[fw->count];
    uint8_t *copy = malloc(len ? len : 1);
    if (!copy)
        return diag_set(diag, PACIFICA_ENOMEM, "-fw_cfg", NULL, "no memory for fw_cfg item '%s'",
                        name);
    if (len)
        memcpy(copy, bytes, len);
    memset(file->name, 0, sizeof(file->name));
    memcpy(file->name, name, name_len);
    file->bytes = copy;
    file->len = len;
    directory_add(fw, file);
    fw->count++;
    return PACIFICA_OK;
}
