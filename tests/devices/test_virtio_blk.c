/* virtio-blk: VIRTIO 1.1, 5.2 "Block Device". */
#include "tests/devices/virtio_kit.h"

#define S 512u
#define HEADER 0x8000u
#define STATUS 0x9000u

enum { IN = 0, OUT = 1, FLUSH = 4, GET_ID = 8 };
enum { OK = 0, IOERR = 1, UNSUPPORTED = 2 };

static uint8_t data[512 * S];

/* A chain of header, data and status as drivers make it. */
static void offer(struct virtio_kit *k, uint32_t type, uint64_t sector, uint32_t bytes)
{
    phys_write(k->memory, HEADER, 4, type);
    phys_write(k->memory, HEADER + 4, 4, 0);
    phys_write(k->memory, HEADER + 8, 8, sector);
    phys_write(k->memory, STATUS, 1, 0xff);
    v_descriptor(k, 0, HEADER, 16, V_NEXT, bytes ? 1 : 2);
    v_descriptor(k, 1, V_DATA, bytes, V_NEXT | (type == OUT ? 0 : V_WRITE), 2);
    v_descriptor(k, 2, STATUS, 1, V_WRITE, 0);
    v_offer(k, 0);
}

static unsigned run(struct virtio_kit *k, uint32_t type, uint64_t sector, uint32_t bytes)
{
    unsigned before = v_used(k);
    offer(k, type, sector, bytes);
    v_kick(k);
    ck_assert_uint_eq(v_used(k), before + 1);
    return (unsigned)phys_read(k->memory, STATUS, 1);
}

static bool memory_same(struct virtio_kit *k, uint64_t gpa, uint64_t offset, size_t bytes)
{
    ck_assert(phys_read_block(k->memory, gpa, data, bytes));
    return disk_same(data, offset, bytes);
}

START_TEST(blk_configuration)
{
    for (unsigned read_only = 0; read_only < 2; read_only++) {
        struct virtio_kit k;
        v_open_blk_with(&k, 3000 * S + 1, read_only);
        ck_assert_uint_eq(v_read(&k, 4, 4), 7u << 27 | 0x244 | read_only << 5);
        ck_assert_uint_eq(v_read(&k, V_CONFIG, 8), 3001);
        ck_assert_uint_eq(v_read(&k, V_CONFIG + 12, 4), 254);
        ck_assert_uint_eq(v_read(&k, V_CONFIG + 20, 4), 512);
        ck_assert_uint_eq(v_read(&k, V_CONFIG + 0x100, 4), 0);
        ck_assert_uint_eq(bus_port_ops.read(k.bus, V_PORTS + 20, 4), 3001); /* for drivers of old */
        v_close(&k);
    }
}
END_TEST

START_TEST(blk_reads_and_writes)
{
    struct virtio_kit k;
    v_open_blk(&k);
    v_start(&k, 0);
    ck_assert_uint_eq(run(&k, IN, 100, 3 * S), OK);
    ck_assert_uint_eq(v_used_bytes(&k, 0), 3 * S + 1);
    ck_assert(memory_same(&k, V_DATA, 100 * S, 3 * S));
    for (unsigned i = 0; i < 2 * S; i++)
        phys_write(k.memory, V_DATA + i, 1, i * 5 & 0xff);
    ck_assert_uint_eq(run(&k, OUT, 4094, 2 * S), OK);
    ck_assert_uint_eq(v_used_bytes(&k, 1), 1);
    ck_assert_int_eq(block_read(k.block, 4094, 2, data), BLOCK_OK);
    for (unsigned i = 0; i < 2 * S; i++)
        ck_assert_uint_eq(data[i], i * 5 & 0xff);
    ck_assert_uint_eq(k.disk.writes, 0);
    ck_assert_uint_eq(run(&k, FLUSH, 0, 0), OK);
    v_close(&k);
}
END_TEST

/* VIRTIO 2.6.4: framing says nothing. */
START_TEST(blk_framing_is_free)
{
    struct virtio_kit k;
    v_open_blk(&k);
    v_start(&k, 0);
    phys_write(k.memory, HEADER, 8, IN);
    phys_write(k.memory, HEADER + 8, 8, 9);
    v_descriptor(&k, 0, HEADER, 7, V_NEXT, 1);
    v_descriptor(&k, 1, HEADER + 7, 9, V_NEXT, 2);
    v_descriptor(&k, 2, V_DATA, 100, V_NEXT | V_WRITE, 3);
    v_descriptor(&k, 3, V_DATA + 100, 413, V_WRITE, 0); /* with status at its end */
    v_offer(&k, 0);
    v_kick(&k);
    ck_assert_uint_eq(v_used_bytes(&k, 0), 513);
    ck_assert(memory_same(&k, V_DATA, 9 * S, S));
    ck_assert_uint_eq(phys_read(k.memory, V_DATA + S, 1), OK);
    v_close(&k);
}
END_TEST

START_TEST(blk_large_requests_take_their_time)
{
    struct virtio_kit k;
    v_open_blk_with(&k, 2048 * S, false);
    v_start(&k, 0);
    v_settle(&k);
    offer(&k, IN, 0, 2048 * S); /* 1 MiB: four times a quarter */
    v_write(&k, V_NOTIFY, 2, 0);
    kit_pass(&k.kit, 1000);
    ck_assert_uint_eq(v_used(&k), 0);
    uint64_t before = v_hash(&k);
    kit_pass(&k.kit, 3 * 65537 - 1);
    ck_assert_uint_ne(v_hash(&k), before);
    ck_assert_uint_eq(v_used(&k), 0);
    kit_pass(&k.kit, 1);
    ck_assert_uint_eq(v_used(&k), 1);
    ck_assert_uint_eq(phys_read(k.memory, STATUS, 1), OK);
    ck_assert(memory_same(&k, V_DATA + 1536 * S, 1536 * S, 512 * S));
    v_close(&k);
}
END_TEST

START_TEST(blk_tells_its_serial_number)
{
    struct virtio_kit k;
    v_open_blk(&k);
    v_start(&k, 0);
    ck_assert_uint_eq(run(&k, GET_ID, 0, 20), OK);
    ck_assert(phys_read_block(k.memory, V_DATA, data, 20));
    ck_assert_mem_eq(data, "serial-number\0\0\0\0\0\0\0", 20);
    ck_assert_uint_eq(run(&k, GET_ID, 0, 6), OK);
    ck_assert_uint_eq(run(&k, GET_ID, 0, 0), OK);
    v_close(&k);
}
END_TEST

START_TEST(blk_errors)
{
    static const struct {
        uint32_t type;
        uint64_t sector;
        uint32_t bytes;
        uint8_t status;
    } row[] = {
        { IN, 4096, S, IOERR },
        { IN, 4095, 2 * S, IOERR },
        { IN, 4095, S, OK },
        { IN, UINT64_MAX, S, IOERR },
        { OUT, 4096, S, IOERR },
        { IN, 0, S - 1, IOERR },
        { OUT, 0, S + 1, IOERR },
        { IN, 0, 0, OK },
        { 2, 0, 0, UNSUPPORTED },
        { 11, 0, 16, UNSUPPORTED },
        { 0xffffffff, 0, 0, UNSUPPORTED },
        { IN, UINT64_MAX / S, S, IOERR },
    };
    struct virtio_kit k;
    v_open_blk(&k);
    v_start(&k, 0);
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
        ck_assert_uint_eq(run(&k, row[i].type, row[i].sector, row[i].bytes), row[i].status);
    k.disk.bad_from = 8 * S;
    k.disk.bad_to = 9 * S;
    ck_assert_uint_eq(run(&k, IN, 7, 2 * S), IOERR);
    ck_assert_uint_eq(run(&k, IN, 7, S), OK);
    ck_assert_uint_eq(v_status(&k) & V_NEEDS_RESET, 0);
    v_close(&k);
}
END_TEST

START_TEST(blk_read_only)
{
    struct virtio_kit k;
    v_open_blk_with(&k, 100 * S, true);
    v_start(&k, 0);
    ck_assert_uint_eq(run(&k, OUT, 0, S), IOERR);
    ck_assert_uint_eq(run(&k, IN, 0, S), OK);
    ck_assert_uint_eq(run(&k, FLUSH, 0, 0), OK);
    v_close(&k);
}
END_TEST

START_TEST(blk_hostile_requests)
{
    for (unsigned how = 0; how < 6; how++) {
        struct virtio_kit k;
        v_open_blk(&k);
        v_start(&k, 0);
        offer(&k, IN, 0, S);
        switch (how) {
        case 0: v_descriptor(&k, 0, HEADER, 15, V_NEXT, 1); break; /* half a header */
        case 1: v_descriptor(&k, 0, HEADER, 16, 0, 0); break;      /* no status */
        case 2: v_descriptor(&k, 1, V_RAM, S, V_NEXT | V_WRITE, 2); break;
        case 3: v_descriptor(&k, 2, V_RAM, 1, V_WRITE, 0); break;
        case 4: v_descriptor(&k, 0, V_RAM - 8, 16, V_NEXT, 1); break;
        case 5: /* data that are no RAM but for their beginning */
            v_descriptor(&k, 1, V_RAM - 1024, 2048, V_NEXT | V_WRITE, 2);
            break;
        default: break;
        }
        v_kick(&k);
        ck_assert_uint_eq(v_used(&k), 0);
        v_broken(&k);
        v_start(&k, 0);
        ck_assert_uint_eq(run(&k, IN, 5, S), OK);
        v_close(&k);
    }
}
END_TEST

/* Many requests on one notification, and a reset in the middle of one. */
START_TEST(blk_many_requests)
{
    struct virtio_kit k;
    v_open_blk(&k);
    k.queue_size = 128;
    v_start(&k, 0);
    for (unsigned i = 0; i < 128; i++)
        offer(&k, IN, 3, S);
    v_kick(&k);
    ck_assert_uint_eq(v_used(&k), 128);
    offer(&k, IN, 0, 2048 * S);
    v_write(&k, V_NOTIFY, 2, 0);
    kit_pass(&k.kit, 2000);
    v_write(&k, 20, 1, 0);
    v_settle(&k);
    ck_assert_uint_eq(v_used(&k), 128);
    ck_assert_uint_eq(phys_read(k.memory, STATUS, 1), 0xff);
    v_close(&k);
}
END_TEST

CHECK_MAIN("virtio_blk", blk_configuration, blk_reads_and_writes, blk_framing_is_free,
           blk_large_requests_take_their_time, blk_tells_its_serial_number, blk_errors,
           blk_read_only, blk_hostile_requests, blk_many_requests)
