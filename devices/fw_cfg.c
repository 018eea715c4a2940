/* fw_cfg. Source: QEMU's specification "QEMU Firmware Configuration (fw_cfg) Device", traditional interface: a 16-bit
 * selector at 510h, data bytes at 511h. Numbers are little-endian, except in the file directory. The DMA interface is
 * not there, and the ID says so. What lies behind the end of an item, and items that do not exist, read as zeros. */
#include "devices/fw_cfg.h"

#include <stdlib.h>
#include <string.h>

enum fw_cfg_key {
    KEY_SIGNATURE = 0x00,
    KEY_ID = 0x01,
    KEY_RAM_SIZE = 0x03,
    KEY_CPUS = 0x05,
    KEY_MAX_CPUS = 0x0f,
    KEY_DIRECTORY = 0x19,
    KEY_FIRST_FILE = 0x20
};
#define ID_TRADITIONAL 1u

struct fw_file {
    char name[FW_CFG_NAME_BYTES];
    uint8_t *bytes;
    size_t len;
};

#define DIRECTORY_BYTES (4 + FW_CFG_FILES * 64)

struct fw_cfg {
    uint16_t key;
    size_t at; /* the next byte of the selected item */
    uint64_t ram_bytes;
    uint16_t cpus;
    unsigned count;
    struct fw_file file[FW_CFG_FILES];
    uint8_t directory[DIRECTORY_BYTES];
};

static uint8_t number_byte(uint64_t value, size_t size, size_t at)
{
    return at < size ? (uint8_t)(value >> (8 * at)) : 0;
}

static uint8_t item_byte(const struct fw_cfg *fw, size_t at)
{
    switch (fw->key) {
    case KEY_SIGNATURE: return at < 4 ? (uint8_t) "QEMU"[at] : 0;
    case KEY_ID: return number_byte(ID_TRADITIONAL, 4, at);
    case KEY_RAM_SIZE: return number_byte(fw->ram_bytes, 8, at);
    case KEY_CPUS:
    case KEY_MAX_CPUS: return number_byte(fw->cpus, 2, at);
    case KEY_DIRECTORY: return at < sizeof(fw->directory) ? fw->directory[at] : 0;
    default: break;
    }
    if (fw->key < KEY_FIRST_FILE || fw->key >= KEY_FIRST_FILE + fw->count)
        return 0;
    const struct fw_file *file = &fw->file[fw->key - KEY_FIRST_FILE];
    return at < file->len ? file->bytes[at] : 0;
}

static uint32_t fw_cfg_read(void *self, uint16_t port, unsigned size)
{
    struct fw_cfg *fw = self;
    (void)port; /* the selector cannot be read: both ports give data */
    if (size != 1)
        return 0;
    uint8_t byte = item_byte(fw, fw->at);
    fw->at++;
    return byte;
}

static void fw_cfg_write(void *self, uint16_t port, unsigned size, uint32_t value)
{
    struct fw_cfg *fw = self;
    if (port != 0x510 || size != 2)
        return; /* writing data is obsolete and does nothing */
    fw->key = (uint16_t)value;
    fw->at = 0;
}

static void fw_cfg_reset(void *self)
{
    struct fw_cfg *fw = self;
    fw->key = 0;
    fw->at = 0;
}

static void fw_cfg_fini(void *self)
{
    struct fw_cfg *fw = self;
    for (unsigned i = 0; i < fw->count; i++)
        free(fw->file[i].bytes);
}

static const struct dev_class dev_fw_cfg = {
    .name = "fw_cfg",
    .ports = { { 0x510, 2 } },
    .port_size = 2,
    .state_size = sizeof(struct fw_cfg),
    .reset = fw_cfg_reset,
    .fini = fw_cfg_fini,
    .port_read = fw_cfg_read,
    .port_write = fw_cfg_write,
};

struct fw_cfg *fw_cfg_add(struct bus *bus, uint64_t ram_bytes, uint16_t cpus)
{
    struct fw_cfg *fw = bus_add(bus, &dev_fw_cfg);
    if (!fw)
        return NULL;
    fw->ram_bytes = ram_bytes;
    fw->cpus = cpus;
    return fw;
}

static void put_be(uint8_t *to, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        to[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
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
