/* The disks of a machine: what the options may say, where drives are found, what reset and the state hash make of them. */
#include "emu/machine/machine.h"

#include "tests/devices/disk_kit.h"

#define S 512u

static struct pacifica_disk disk_of(struct disk *image)
{
    return (struct pacifica_disk){ .interface = PACIFICA_DISK_IDE,
                                   .size_bytes = image->size,
                                   .read = disk_read,
                                   .write = disk_write,
                                   .flush = disk_flush,
                                   .self = image };
}

static enum pacifica_status make(const struct pacifica_disk *disks, size_t count,
                                 struct pacifica_machine **machine, struct pacifica_diag *diag)
{
    struct pacifica_options options = PACIFICA_OPTIONS_INIT;
    options.ram_bytes = 2 << 20;
    options.disks = disks;
    options.disk_count = count;
    return pacifica_machine_new(&options, machine, diag);
}

static uint8_t in(struct pacifica_machine *machine, uint16_t port)
{
    return (uint8_t)bus_port_ops.read(machine->bus, port, 1);
}

static void out(struct pacifica_machine *machine, uint16_t port, uint8_t value)
{
    bus_port_ops.write(machine->bus, port, 1, value);
}

static uint32_t config(struct pacifica_machine *machine, unsigned slot, unsigned function,
                       unsigned offset)
{
    return pci_config_read(machine->pci, pci_devfn(slot, function), offset, 4);
}

START_TEST(disks_are_where_their_index_says)
{
    struct disk image;
    struct pacifica_machine *machine;
    disk_open(&image, 100 * S);
    for (unsigned index = 0; index < 4; index++) {
        struct pacifica_disk disk = disk_of(&image);
        disk.index = index;
        disk.cdrom = index == 2;
        ck_assert_int_eq(make(&disk, 1, &machine, NULL), PACIFICA_OK);
        for (unsigned at = 0; at < 4; at++) {
            uint16_t base = at < 2 ? 0x1f0 : 0x170;
            out(machine, (uint16_t)(base + 6), at & 1 ? 0xb0 : 0xa0);
            out(machine, (uint16_t)(base + 7), 0xec);
            uint8_t status = in(machine, (uint16_t)(base + 7));
            ck_assert_uint_eq(status, at != index ? 0 : index == 2 ? 0x51 : 0x58);
        }
        pacifica_machine_free(machine);
    }
    disk_close(&image);
}
END_TEST

START_TEST(disks_raise_irq_14_and_15)
{
    struct disk image;
    struct pacifica_machine *machine;
    disk_open(&image, 100 * S);
    for (unsigned i = 0; i < 2; i++) {
        struct pacifica_disk disk = disk_of(&image);
        disk.index = 2 * i;
        ck_assert_int_eq(make(&disk, 1, &machine, NULL), PACIFICA_OK);
        out(machine, 0xa0, 0x0a); /* the second PIC's requests */
        ck_assert_uint_eq(in(machine, 0xa0) & 0xc0, 0);
        out(machine, i ? 0x177 : 0x1f7, 0xe7);
        ck_assert_uint_eq(in(machine, 0xa0) & 0xc0, i ? 0x80 : 0x40);
        pacifica_machine_free(machine);
    }
    disk_close(&image);
}
END_TEST

START_TEST(disks_behind_pci)
{
    struct disk image;
    struct pacifica_machine *machine;
    disk_open(&image, 100 * S);
    struct pacifica_disk disk[2] = { disk_of(&image), disk_of(&image) };
    disk[0].interface = disk[1].interface = PACIFICA_DISK_VIRTIO;
    ck_assert_int_eq(make(disk, 2, &machine, NULL), PACIFICA_OK);
    ck_assert_uint_eq(config(machine, 1, 1, 0), 0x70108086); /* IDE is there without drives */
    ck_assert_uint_eq(config(machine, 1, 1, 0x40), 0x80008000);
    ck_assert_uint_eq(in(machine, 0x1f7), 0);
    ck_assert_uint_eq(config(machine, 3, 0, 0), 0x10011af4);
    ck_assert_uint_eq(config(machine, 4, 0, 0), 0x10011af4);
    ck_assert_uint_eq(config(machine, 5, 0, 0), 0xffffffff);
    pacifica_machine_free(machine);
    disk_close(&image);
}
END_TEST

/* What options.disks may not say, and a word of what is told of it. */
START_TEST(disks_that_make_no_sense)
{
    struct disk image;
    struct pacifica_machine *machine;
    struct pacifica_diag diag;
    disk_open(&image, 100 * S);
    struct pacifica_disk good = disk_of(&image), row[8];
    static const struct {
        enum pacifica_status status;
        const char *word;
    } wanted[8] = {
        { PACIFICA_EUSAGE, "no IDE drive 4" },    { PACIFICA_EFORMAT, "empty" },
        { PACIFICA_EFORMAT, "no whole sectors" }, { PACIFICA_EUSAGE, "no function" },
        { PACIFICA_EUSAGE, "no function" },       { PACIFICA_EUSAGE, "CD-ROM drive behind" },
        { PACIFICA_EFORMAT, "larger than" },      { PACIFICA_EFORMAT, "empty" },
    };
    for (unsigned i = 0; i < 8; i++)
        row[i] = good;
    row[0].index = 4;
    row[1].size_bytes = 0;
    row[2].write_through = true;
    row[2].size_bytes = 100 * S - 1;
    row[3].read = NULL;
    row[4].write_through = true;
    row[4].write = NULL;
    row[5].interface = PACIFICA_DISK_VIRTIO;
    row[5].cdrom = true;
    row[6].size_bytes = UINT64_MAX;
    row[7].interface = PACIFICA_DISK_VIRTIO;
    row[7].size_bytes = 0;
    for (unsigned i = 0; i < 8; i++) {
        ck_assert_int_eq(make(&row[i], 1, &machine, &diag), wanted[i].status);
        ck_assert_ptr_null(machine);
        ck_assert_ptr_nonnull(strstr(diag.what, wanted[i].word));
    }
    row[0] = row[1] = good;
    ck_assert_int_eq(make(row, 2, &machine, &diag), PACIFICA_EUSAGE); /* one place twice */
    ck_assert_int_eq(make(row, 17, &machine, &diag), PACIFICA_EUSAGE);
    row[0].read_only = row[0].write_through = true; /* nothing is written at all */
    row[0].size_bytes = 100 * S - 1;
    row[0].write = NULL;
    ck_assert_int_eq(make(row, 1, &machine, &diag), PACIFICA_OK);
    pacifica_machine_free(machine);
    disk_close(&image);
}
END_TEST

/* Reset is for controllers: what was written stays. */
START_TEST(disks_keep_what_was_written)
{
    struct disk image;
    struct pacifica_machine *machine;
    uint8_t sector[S];
    disk_open(&image, 100 * S);
    struct pacifica_disk disk = disk_of(&image);
    ck_assert_int_eq(make(&disk, 1, &machine, NULL), PACIFICA_OK);
    uint64_t before = pacifica_machine_state_hash(machine);
    memset(sector, 0x11, S);
    ck_assert_int_eq(block_write(machine->block[0], 5, 1, sector), BLOCK_OK);
    uint64_t after = pacifica_machine_state_hash(machine);
    ck_assert_uint_ne(after, before);
    machine_reset_devices(machine);
    ck_assert_int_eq(block_read(machine->block[0], 5, 1, sector), BLOCK_OK);
    ck_assert_uint_eq(sector[100], 0x11);
    ck_assert_uint_eq(image.writes, 0);
    pacifica_machine_free(machine);
    disk_close(&image);
}
END_TEST

START_TEST(disks_random_numbers_have_a_seed)
{
    uint64_t hash[3];
    static const uint64_t seed[] = { 1, 1, 2 };
    const struct pacifica_device device = { .kind = PACIFICA_DEVICE_VIRTIO_RNG };
    for (unsigned i = 0; i < 3; i++) {
        struct pacifica_options options = PACIFICA_OPTIONS_INIT;
        struct pacifica_machine *machine;
        options.ram_bytes = 2 << 20;
        options.devices = &device;
        options.device_count = 1;
        options.seed = seed[i];
        ck_assert_int_eq(pacifica_machine_new(&options, &machine, NULL), PACIFICA_OK);
        ck_assert_uint_eq(config(machine, 3, 0, 0), 0x10051af4);
        hash[i] = pacifica_machine_state_hash(machine);
        pacifica_machine_free(machine);
    }
    ck_assert_uint_eq(hash[0], hash[1]);
    ck_assert_uint_ne(hash[0], hash[2]);
}
END_TEST

CHECK_MAIN("disks", disks_are_where_their_index_says, disks_raise_irq_14_and_15, disks_behind_pci,
           disks_that_make_no_sense, disks_keep_what_was_written, disks_random_numbers_have_a_seed)
