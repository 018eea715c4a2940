/* Building the SMBIOS tables. */
#include "emu/boot/smbios.h"

#include "emu/boot/boot_priv.h"

#include <assert.h>
#include <string.h>

#define MAKER "Pacifica"
#define PRODUCT "Standard PC (i440FX + PIIX, 1996)"
#define UNKNOWN 2u
#define GIB4_KIB 0x400000u

/* Handles. */
enum {
    BIOS = 0x000,
    SYSTEM = 0x100,
    CHASSIS = 0x300,
    CPU = 0x400,
    ARRAY = 0x1000,
    MODULE = 0x1100
};
enum { MAPPED = 0x1300, BOOT = 0x2000, END = 0x7f00 };

/* A structure under construction: its formatted part, and the strings behind it. */
struct structure {
    struct smbios_set *set;
    uint8_t *bytes;
    unsigned strings;
};

static uint8_t *reserve(struct smbios_set *set, size_t len)
{
    assert(set->len + len <= sizeof(set->tables));
    set->len += len;
    return set->tables + set->len - len;
}

static struct structure begin(struct smbios_set *set, uint8_t type, uint8_t len, uint16_t handle)
{
    uint8_t *bytes = reserve(set, len);
    bytes[0] = type;
    bytes[1] = len;
    boot_put(bytes + 2, handle, 2);
    return (struct structure){ .set = set, .bytes = bytes };
}

/* Add a string and store its number at `at`. */
static void put_string(struct structure *s, unsigned at, const char *text)
{
    memcpy(reserve(s->set, strlen(text) + 1), text, strlen(text) + 1);
    s->bytes[at] = (uint8_t)++s->strings;
}

/* The strings end with an empty one; where there are none, with two NULs. */
static void end(struct structure *s)
{
    struct smbios_set *set = s->set;
    memset(reserve(set, s->strings ? 1 : 2), 0, s->strings ? 1 : 2);
    size_t len = (size_t)(set->tables + set->len - s->bytes);
    if (len > set->longest)
        set->longest = len;
    set->count++;
}

/* --- the structures: 7.1 to 7.5 ------------------------------------------------------------------ */

static void build_bios(struct smbios_set *set)
{
    struct structure s = begin(set, 0, 24, BIOS);
    put_string(&s, 4, MAKER);
    put_string(&s, 5, PACIFICA_VERSION);
    boot_put(s.bytes + 6, 0xf000, 2);
    put_string(&s, 8, "01/01/2000");
    boot_put(s.bytes + 10, 8, 8); /* no characteristics are told */
    s.bytes[19] = 0x10;           /* a virtual machine */
    s.bytes[20] = s.bytes[21] = 0;
    s.bytes[22] = s.bytes[23] = 0xff; /* no embedded controller */
    end(&s);
}

static void build_system(struct smbios_set *set)
{
    struct structure s = begin(set, 1, 27, SYSTEM);
    put_string(&s, 4, MAKER);
    put_string(&s, 5, PRODUCT);
    put_string(&s, 6, PACIFICA_VERSION);
    s.bytes[24] = 6; /* wake-up: the power switch */
    end(&s);
}

static void build_chassis(struct smbios_set *set)
{
    struct structure s = begin(set, 3, 22, CHASSIS);
    put_string(&s, 4, MAKER);
    s.bytes[5] = 1;                             /* of another kind */
    s.bytes[9] = s.bytes[10] = s.bytes[11] = 3; /* safe */
    s.bytes[12] = UNKNOWN;
    end(&s);
}

static void build_processor(struct smbios_set *set, unsigned cpus)
{
    struct structure s = begin(set, 4, 48, CPU);
    put_string(&s, 4, "CPU 0");
    s.bytes[5] = 3; /* a central processor */
    s.bytes[6] = 1; /* of another family */
    put_string(&s, 7, "AMD");
    s.bytes[24] = 0x41;                /* populated, enabled */
    s.bytes[25] = 1;                   /* another upgrade */
    boot_put(s.bytes + 26, 0xffff, 2); /* caches are not told */
    boot_put(s.bytes + 28, 0xffff, 2);
    boot_put(s.bytes + 30, 0xffff, 2);
    s.bytes[35] = s.bytes[36] = s.bytes[37] = (uint8_t)cpus;
    boot_put(s.bytes + 38, 4, 2); /* 64-bit */
    s.bytes[40] = 1;
    boot_put(s.bytes + 42, cpus, 2);
    boot_put(s.bytes + 44, cpus, 2);
    boot_put(s.bytes + 46, cpus, 2);
    end(&s);
}

/* --- memory: 7.17, 7.18, 7.20 -------------------------------------------------------------------- */

static void build_array(struct smbios_set *set, uint64_t kib)
{
    struct structure s = begin(set, 16, 23, ARRAY);
    s.bytes[4] = 1; /* another location */
    s.bytes[5] = 3; /* system memory */
    s.bytes[6] = 6; /* multi-bit error correction, as QEMU says */
    boot_put(s.bytes + 7, kib < 0x80000000u ? kib : 0x80000000u, 4);
    boot_put(s.bytes + 11, 0xfffe, 2);
    boot_put(s.bytes + 13, 1, 2);
    if (kib >= 0x80000000u)
        boot_put(s.bytes + 15, kib * 1024, 8);
    end(&s);
}

static void build_module(struct smbios_set *set, uint64_t kib)
{
    struct structure s = begin(set, 17, 40, MODULE);
    uint64_t mib = kib / 1024;
    boot_put(s.bytes + 4, ARRAY, 2);
    boot_put(s.bytes + 6, 0xfffe, 2);
    boot_put(s.bytes + 8, 0xffff, 2);
    boot_put(s.bytes + 10, 0xffff, 2);
    boot_put(s.bytes + 12, mib < 0x7fff ? mib : 0x7fff, 2);
    s.bytes[14] = 9; /* a DIMM */
    put_string(&s, 16, "DIMM 0");
    s.bytes[18] = 7; /* RAM */
    boot_put(s.bytes + 19, 2, 2);
    put_string(&s, 23, MAKER);
    if (mib >= 0x7fff)
        boot_put(s.bytes + 28, mib, 4);
    end(&s);
}

static void build_mapped(struct smbios_set *set, uint16_t handle, uint64_t first_kib, uint64_t kib)
{
    struct structure s = begin(set, 19, 31, handle);
    uint64_t last_kib = first_kib + kib - 1;
    bool wide = last_kib >= UINT32_MAX;
    boot_put(s.bytes + 4, wide ? UINT32_MAX : first_kib, 4);
    boot_put(s.bytes + 8, wide ? UINT32_MAX : last_kib, 4);
    boot_put(s.bytes + 12, ARRAY, 2);
    s.bytes[14] = 1;
    if (wide) {
        boot_put(s.bytes + 15, first_kib * 1024, 8);
        boot_put(s.bytes + 23, last_kib * 1024 + 1023, 8);
    }
    end(&s);
}

void smbios_build(const struct smbios_config *config, struct smbios_set *set)
{
    uint64_t low_kib = config->low_ram_end / 1024, high_kib = config->high_ram_bytes / 1024;
    memset(set, 0, sizeof(*set));
    build_bios(set);
    build_system(set);
    build_chassis(set);
    build_processor(set, config->cpus);
    build_array(set, low_kib + high_kib);
    build_module(set, low_kib + high_kib);
    build_mapped(set, MAPPED, 0, low_kib);
    if (high_kib)
        build_mapped(set, MAPPED + 1, GIB4_KIB, high_kib);
    struct structure boot = begin(set, 32, 11, BOOT); /* no errors. 7.33 */
    end(&boot);
    struct structure last = begin(set, 127, 4, END);
    end(&last);
}

/* --- entry points: 5.2.1, 5.2.2 ------------------------------------------------------------------- */

static uint8_t negative_sum(const uint8_t *bytes, size_t len)
{
    uint8_t sum = 0;
    for (size_t i = 0; i < len; i++)
        sum = (uint8_t)(sum + bytes[i]);
    return (uint8_t)-sum;
}

void smbios_anchor(const struct smbios_set *set, uint32_t tables_spa,
                   uint8_t anchor[SMBIOS_ANCHOR_BYTES])
{
    memset(anchor, 0, SMBIOS_ANCHOR_BYTES);
    memcpy(anchor, "_SM_", 4);
    anchor[5] = SMBIOS_ANCHOR_BYTES;
    anchor[6] = 2;
    anchor[7] = 8;
    boot_put(anchor + 8, set->longest, 2);
    memcpy(anchor + 16, "_DMI_", 5);
    boot_put(anchor + 22, set->len, 2);
    boot_put(anchor + 24, tables_spa, 4);
    boot_put(anchor + 28, set->count, 2);
    anchor[30] = 0x28;
    anchor[21] = negative_sum(anchor + 16, 15);
    anchor[4] = negative_sum(anchor, SMBIOS_ANCHOR_BYTES);
}

void smbios_anchor3(const struct smbios_set *set, uint64_t tables_spa,
                    uint8_t anchor[SMBIOS_ANCHOR3_BYTES])
{
    memset(anchor, 0, SMBIOS_ANCHOR3_BYTES);
    memcpy(anchor, "_SM3_", 5);
    anchor[6] = SMBIOS_ANCHOR3_BYTES;
    anchor[7] = 3;
    anchor[10] = 1;
    boot_put(anchor + 12, set->len, 4);
    boot_put(anchor + 16, tables_spa, 8);
    anchor[5] = negative_sum(anchor, SMBIOS_ANCHOR3_BYTES);
}
