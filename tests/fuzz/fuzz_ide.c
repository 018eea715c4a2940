/* Programs that drive IDE as they like: registers, packets, descriptor tables of the bus master. Nothing breaks, the image is
 * not written, no byte outside the target regions is touched by DMA of a sane table (the kit's memory has its own bounds), and
 * the controller comes to rest. */
#include "devices/ide.h"
#include "tests/fuzz/disks.h"

#define MASTER 0xc000u
#define DEVFN 9
#define OPERATIONS 200
/* 65536 sectors by descriptors of two bytes take a piece of work for each buffer; and a table ends after 64 KiB. */
#define WORK_MOST 4096

static void out(struct bench *bench, uint32_t port, unsigned size, uint32_t value)
{
    bus_port_ops.write(bench->bus, (uint16_t)port, size, value);
}

/* A command with small parameters, so that many make sense. */
static void command(struct bench *bench, struct script *script, uint16_t base)
{
    static const uint8_t known[] = { 0x20, 0x24, 0x25, 0x29, 0x30, 0x34, 0x35, 0x39,
                                     0x40, 0x42, 0x90, 0x91, 0xa0, 0xa1, 0xc4, 0xc5,
                                     0xc6, 0xc8, 0xca, 0xe7, 0xec, 0xef };
    uint8_t which = take(script);
    out(bench, base + 6u, 1, 0xe0u | (take(script) & 0x10));
    out(bench, base + 1u, 1, take(script) & 3);
    uint8_t wild = take(script);
    for (unsigned i = 2; i < 6; i++) { /* count, and an address that the disk mostly has */
        out(bench, base + i, 1, i == 2 || wild > 250 ? take(script) & 1 : 0);
        out(bench, base + i, 1, i < 4 || wild > 240 ? take(script) : 0);
    }
    out(bench, base + 7u, 1, which < 250 ? known[which % sizeof(known)] : take(script));
}

static void packet(struct bench *bench, struct script *script)
{
    static const uint8_t known[] = { 0x00, 0x03, 0x12, 0x1b, 0x1e, 0x25, 0x28, 0x2b, 0x43, 0x46,
                                     0x4a, 0x51, 0x52, 0x55, 0x5a, 0xa8, 0xb9, 0xbb, 0xbd, 0xbe };
    uint8_t bytes[12], which = take(script);
    for (unsigned i = 0; i < 12; i++)
        bytes[i] = take(script);
    if (which < 250)
        bytes[0] = known[which % sizeof(known)];
    if (which & 1) /* an address and a count that the disc mostly has */
        bytes[2] = bytes[3] = bytes[4] = bytes[6] = bytes[7] = 0;
    out(bench, 0x176, 1, 0xa0);
    out(bench, 0x171, 1, take(script) & 1);
    out(bench, 0x174, 1, take(script));
    out(bench, 0x175, 1, take(script));
    out(bench, 0x177, 1, 0xa0);
    for (unsigned i = 0; i < 12; i += 2)
        out(bench, 0x170, 2, bytes[i] | (uint32_t)bytes[i + 1] << 8);
}

/* A table anywhere, mostly in RAM, with regions anywhere. */
static void table(struct bench *bench, struct script *script)
{
    uint32_t at = take_many(script, 3) << (take(script) & 3) & 0xfffffc;
    unsigned count = take(script) & 15;
    for (unsigned i = 0; i < count; i++) {
        uint32_t base = take_many(script, 3) << (take(script) & 15);
        uint32_t bytes = take_many(script, 2) | (uint32_t)(take(script) & 1) << 31;
        uint8_t prd[8];
        memcpy(prd, &base, 4);
        memcpy(prd + 4, &bytes, 4);
        (void)phys_write_block(bench->memory, at + 8 * i, prd, sizeof(prd));
    }
    out(bench, MASTER + 4, 4, at);
    out(bench, MASTER + 12, 4, at);
}

static void operation(struct bench *bench, struct script *script)
{
    uint8_t what = take(script), value = take(script);
    uint16_t base = value & 0x80 ? 0x1f0 : 0x170;
    unsigned size = 1u << (value >> 5 & 3) % 3;
    switch (what % 12) {
    case 0:
    case 1: command(bench, script, base); break;
    case 2:
    case 3: packet(bench, script); break;
    case 4: table(bench, script); break;
    case 5: out(bench, MASTER + (value & 8), 1, value & 9); break;
    case 6: out(bench, MASTER + (value & 15), size, take_many(script, 4)); break;
    case 7: out(bench, base + 0x206u, 1, value); break;
    case 8: out(bench, base + (value & 7u), size, take_many(script, 4)); break;
    case 9:
        for (unsigned i = 0; i < 4u * value; i++)
            (void)bus_port_ops.read(bench->bus, (uint16_t)(base + (what & 0x40 ? i & 7 : 0)), size);
        break;
    case 10:
        for (unsigned i = 0; i < 4u * value; i++)
            out(bench, base, size, i * 0x01010101u);
        break;
    default:
        (void)bus_port_ops.read(bench->bus, (uint16_t)(MASTER + (value & 15)), size);
        bench_settle(bench, WORK_MOST);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct script script = { .bytes = data, .left = size };
    struct bench bench;
    if (bench_open(&bench)) {
        const struct ide_config config = { .pci = bench.pci,
                                           .devfn = DEVFN,
                                           .drive = { { { IDE_DISK, bench.block } },
                                                      { { IDE_CDROM, bench.block } } } };
        require(ide_add(bench.bus, &config) != NULL);
        bus_reset(bench.bus);
        pci_config_write(bench.pci, DEVFN, PCI_BAR0 + 16, 4, MASTER);
        pci_config_write(bench.pci, DEVFN, PCI_COMMAND, 2, 5);
        for (unsigned i = 0; i < OPERATIONS && script.left; i++)
            operation(&bench, &script);
        bench_settle(&bench, WORK_MOST);
        bench_check(&bench);
    }
    bench_close(&bench);
    return 0;
}
