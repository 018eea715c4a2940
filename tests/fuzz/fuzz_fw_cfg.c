/* A program that plays with fw_cfg: selectors, data ports of any width, and DMA whose control structures, addresses and
 * lengths are what it likes. Nothing breaks, each DMA ends, memory that it was not told to write stays, and afterwards the
 * device still tells its signature. */
#include "devices/fw_cfg.h"
#include "tests/fuzz/disks.h"

#define SELECT_PORT 0x510
#define DATA_PORT 0x511
#define DMA_PORT 0x514
#define CONTROL 0x1000u  /* where most control structures are */
#define LOW_END 0x90000u /* no transfer that begins below goes on behind */
#define WATCHED 0x90100u /* nobody writes from here */
#define WATCHED_END 0x9f000u
#define RAM_END 0xa0000u

#define DMA_READ 2u
#define DMA_SELECT 8u

struct world {
    struct bench bench;
    struct script script;
};

static void put_be(struct world *w, uint64_t spa, unsigned size, uint64_t value)
{
    for (unsigned i = 0; i < size; i++)
        phys_write(w->bench.memory, spa + i, 1, value >> (8 * (size - 1 - i)) & 0xff);
}

static uint64_t swap32(uint64_t value)
{
    return (value >> 24 & 0xff) | (value >> 8 & 0xff00) | (value & 0xff00) << 8 |
           (value & 0xff) << 24;
}

static void start_dma(struct world *w, uint64_t spa)
{
    bus_port_ops.write(w->bench.bus, DMA_PORT, 4, (uint32_t)swap32(spa >> 32));
    bus_port_ops.write(w->bench.bus, DMA_PORT + 4, 4, (uint32_t)swap32(spa & 0xffffffff));
}

/* Addresses: in RAM below what is watched, about its end, or far away. */
static uint64_t address(struct world *w)
{
    uint8_t how = take(&w->script);
    uint32_t value = take_many(&w->script, 4);
    if (how < 160)
        return value % LOW_END;
    if (how < 200)
        return RAM_END - 64 + value % 128;
    return how < 230 ? value | 0x80000000u : (uint64_t)(value | 1) << 32 | value;
}

static void dma(struct world *w)
{
    uint32_t control = take_many(&w->script, 4) & (take(&w->script) & 1 ? UINT32_MAX : 0x003f001fu);
    uint32_t length = take_many(&w->script, 4) >> (take(&w->script) & 31);
    uint64_t to = address(w);
    if (to < LOW_END && length > LOW_END - to)
        length = (uint32_t)(LOW_END - to);
    put_be(w, CONTROL, 4, control);
    put_be(w, CONTROL + 4, 4, length);
    put_be(w, CONTROL + 8, 8, to);
    start_dma(w, take(&w->script) & 1 ? CONTROL : address(w));
}

static void operation(struct world *w)
{
    static const uint8_t sizes[] = { 1, 2, 4, 1 };
    uint8_t what = take(&w->script);
    unsigned size = sizes[what >> 6];
    uint16_t port = (uint16_t)(SELECT_PORT + (what >> 2 & 15));
    switch (what & 3) {
    case 0: dma(w); break;
    case 1: bus_port_ops.write(w->bench.bus, SELECT_PORT, 2, take_many(&w->script, 2)); break;
    case 2: bus_port_ops.write(w->bench.bus, port, size, take_many(&w->script, 4)); break;
    default: (void)bus_port_ops.read(w->bench.bus, port, size); break;
    }
}

static void check_alive(struct world *w)
{
    static const char signature[4] = { 'Q', 'E', 'M', 'U' };
    put_be(w, CONTROL, 4, DMA_SELECT | DMA_READ);
    put_be(w, CONTROL + 4, 4, 4);
    put_be(w, CONTROL + 8, 8, 0x2000);
    start_dma(w, CONTROL);
    require(phys_read(w->bench.memory, CONTROL, 4) == 0);
    bus_port_ops.write(w->bench.bus, SELECT_PORT, 2, 0);
    for (unsigned i = 0; i < 4; i++) {
        require(phys_read(w->bench.memory, 0x2000 + i, 1) == (uint8_t)signature[i]);
        require(bus_port_ops.read(w->bench.bus, DATA_PORT, 1) == (uint8_t)signature[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t content[777] = { 1, 2, 3 };
    struct world w = { .script = { .bytes = data, .left = size } };
    if (bench_open(&w.bench)) {
        struct fw_cfg *fw = fw_cfg_add(w.bench.bus, RAM_BYTES, 1);
        require(fw && fw_cfg_add_file(fw, "opt/a", content, sizeof(content), NULL) == PACIFICA_OK &&
                fw_cfg_add_file(fw, "opt/empty", NULL, 0, NULL) == PACIFICA_OK);
        bus_reset(w.bench.bus);
        for (uint64_t at = WATCHED; at < WATCHED_END; at += 8)
            phys_write(w.bench.memory, at, 8, ~at);
        while (w.script.left)
            operation(&w);
        for (uint64_t at = WATCHED; at < WATCHED_END; at += 8)
            require(phys_read(w.bench.memory, at, 8) == ~at);
        bench_check(&w.bench);
        check_alive(&w);
    }
    bench_close(&w.bench);
    return 0;
}
