/* 8259A pair. Intel 8259A data sheet (order number 231468): ICW and OCW formats, "Interrupt sequence",
 * "Special fully nested mode", "Poll command"; ELCR as in Intel's 82371AB (PIIX4) data sheet.
 *
 * CHOICE: as the data sheet says, an edge request whose line falls before the acknowledge is lost. The
 * alternative, common in emulators, keeps it latched.
 * CHOICE: ICW1.LTIM and ICW4.uPM are ignored as in PIIX4: the ELCR decides, and the mode is 8086. */
#include "devices/pic.h"

#define ICW1_INIT 0x10
#define ICW1_SINGLE 0x02
#define ICW1_IC4 0x01
#define ICW4_SFNM 0x10
#define ICW4_AEOI 0x02
#define OCW3 0x08
#define CASCADE 2

enum init_state { INIT_DONE, INIT_ICW2, INIT_ICW3, INIT_ICW4 };

struct chip {
    uint8_t irr, isr, imr, lines, elcr, elcr_writable;
    uint8_t vector_base;
    uint8_t highest; /* the input with the highest priority; rotation moves it */
    enum init_state init;
    bool single, need_icw4;
    bool read_isr, poll, special_mask, auto_eoi, rotate_auto_eoi, sfnm;
    bool master;
};

struct pic {
    struct chip chip[2];
    void (*changed)(void *self, bool level);
    void *self;
    bool out;
};

/* Priority (0 is highest) of the best input in `set`, or 8. */
static unsigned chip_priority(const struct chip *chip, uint8_t set)
{
    for (unsigned i = 0; i < 8; i++)
        if ((set >> ((chip->highest + i) & 7)) & 1)
            return i;
    return 8;
}

static unsigned chip_input(const struct chip *chip, unsigned priority)
{
    return (chip->highest + priority) & 7;
}

/* The input that drives INT, or -1. Nothing is accepted between ICW1 and the last of the ICWs. */
static int chip_request(const struct chip *chip)
{
    if (chip->init != INIT_DONE)
        return -1;
    unsigned want = chip_priority(chip, chip->irr & (uint8_t)~chip->imr);
    if (want == 8)
        return -1;
    uint8_t in_service = chip->isr;
    if (chip->special_mask)
        in_service &= (uint8_t)~chip->imr;
    unsigned input = chip_input(chip, want), serving = chip_priority(chip, in_service);
    bool again = chip->sfnm && chip->master && input == CASCADE; /* the slave that is served */
    return want < serving || (again && want == serving) ? (int)input : -1;
}

static void chip_line(struct chip *chip, unsigned input, bool level)
{
    uint8_t bit = (uint8_t)(1u << input);
    bool rises = level && !(chip->lines & bit);
    chip->lines = level ? chip->lines | bit : chip->lines & (uint8_t)~bit;
    if (rises)
        chip->irr |= bit;
    if (!level)
        chip->irr &= (uint8_t)~bit;
}

static void chip_acknowledge(struct chip *chip, unsigned input)
{
    uint8_t bit = (uint8_t)(1u << input);
    if (!(chip->elcr & bit))
        chip->irr &= (uint8_t)~bit;
    if (!chip->auto_eoi)
        chip->isr |= bit;
    else if (chip->rotate_auto_eoi)
        chip->highest = (input + 1) & 7;
}

static void pic_update(struct pic *pic)
{
    chip_line(&pic->chip[0], CASCADE, chip_request(&pic->chip[1]) >= 0);
    bool out = chip_request(&pic->chip[0]) >= 0;
    if (out == pic->out)
        return;
    pic->out = out;
    if (pic->changed)
        pic->changed(pic->self, out);
}

void pic_set_irq(void *self, unsigned line, bool level)
{
    struct pic *pic = self;
    if (line == CASCADE || line > 15)
        return;
    chip_line(&pic->chip[line >> 3], line & 7, level);
    pic_update(pic);
}

int pic_pending(const struct pic *pic)
{
    int input = chip_request(&pic->chip[0]);
    if (input < 0)
        return -1;
    if (input != CASCADE)
        return pic->chip[0].vector_base + input;
    int slave = chip_request(&pic->chip[1]);
    return pic->chip[1].vector_base + (slave < 0 ? 7 : slave);
}

int pic_vector(const struct pic *pic)
{
    int vector = pic_pending(pic);
    return vector >= 0 ? vector : pic->chip[0].vector_base + 7;
}

int pic_acknowledge(struct pic *pic)
{
    int input = chip_request(&pic->chip[0]);
    int vector = pic_vector(pic);
    if (input < 0) /* spurious: no bit in service */
        return vector;
    chip_acknowledge(&pic->chip[0], (unsigned)input);
    if (input == CASCADE) {
        int slave = chip_request(&pic->chip[1]);
        if (slave >= 0)
            chip_acknowledge(&pic->chip[1], (unsigned)slave);
        /* The slave's INT falls during the cycle, so that a further request is a new edge. */
        chip_line(&pic->chip[0], CASCADE, false);
    }
    pic_update(pic);
    return vector;
}

/* Poll: the read is the acknowledge. */
static uint8_t chip_poll(struct chip *chip)
{
    chip->poll = false;
    int input = chip_request(chip);
    if (input < 0)
        return 0;
    chip_acknowledge(chip, (unsigned)input);
    return (uint8_t)(0x80 | input);
}

static void write_icw1(struct chip *chip, uint8_t value)
{
    chip->irr = chip->lines & chip->elcr; /* the edge detectors are cleared */
    chip->imr = chip->isr = chip->highest = 0;
    chip->special_mask = chip->read_isr = chip->poll = false;
    chip->auto_eoi = chip->rotate_auto_eoi = chip->sfnm = false;
    chip->single = value & ICW1_SINGLE;
    chip->need_icw4 = value & ICW1_IC4;
    chip->init = INIT_ICW2;
}

static void chip_eoi(struct chip *chip, unsigned input, bool rotate)
{
    chip->isr &= (uint8_t) ~(1u << input);
    if (rotate)
        chip->highest = (input + 1) & 7;
}

static void write_ocw2(struct chip *chip, uint8_t value)
{
    unsigned input = value & 7;
    unsigned highest;
    switch (value >> 5) {
    case 0: /* rotate in automatic EOI mode: clear */
    case 4: /* and set */ chip->rotate_auto_eoi = value & 0x80; break;
    case 1: /* non-specific EOI */
    case 5: /* and rotate. In special mask mode masked bits are not eligible */
        highest =
            chip_priority(chip, chip->special_mask ? chip->isr & (uint8_t)~chip->imr : chip->isr);
        if (highest < 8)
            chip_eoi(chip, chip_input(chip, highest), value & 0x80);
        break;
    case 3: /* specific EOI */
    case 7: /* and rotate */ chip_eoi(chip, input, value & 0x80); break;
    case 6: /* set priority */ chip->highest = (input + 1) & 7; break;
    default: /* 2: no operation */ break;
    }
}

static void write_command(struct chip *chip, uint8_t value)
{
    if (value & ICW1_INIT) {
        write_icw1(chip, value);
    } else if (value & OCW3) {
        chip->poll = value & 4;
        if (value & 2)
            chip->read_isr = value & 1;
        if (value & 0x40)
            chip->special_mask = value & 0x20;
    } else {
        write_ocw2(chip, value);
    }
}

static void write_data(struct chip *chip, uint8_t value)
{
    switch (chip->init) {
    case INIT_DONE: chip->imr = value; break;
    case INIT_ICW2:
        chip->vector_base = value & 0xf8;
        chip->init = !chip->single ? INIT_ICW3 : chip->need_icw4 ? INIT_ICW4 : INIT_DONE;
        break;
    case INIT_ICW3: /* the cascade is wired, whatever the guest says */
        chip->init = chip->need_icw4 ? INIT_ICW4 : INIT_DONE;
        break;
    case INIT_ICW4:
        chip->sfnm = value & ICW4_SFNM;
        chip->auto_eoi = value & ICW4_AEOI;
        chip->init = INIT_DONE;
        break;
    }
}

static struct chip *pic_chip(struct pic *pic, uint16_t port)
{
    return port < 0x400 ? &pic->chip[port >= 0xa0] : &pic->chip[port & 1];
}

static uint32_t pic_read(void *self, uint16_t port, unsigned size)
{
    struct pic *pic = self;
    struct chip *chip = pic_chip(pic, port);
    (void)size;
    if (port >= 0x400)
        return chip->elcr;
    if (chip->poll) {
        uint8_t value = chip_poll(chip);
        pic_update(pic);
        return value;
    }
    if (port & 1)
        return chip->imr;
    return chip->read_isr ? chip->isr : chip->irr;
}

static void pic_write(void *self, uint16_t port, unsigned size, uint32_t value)
{
    struct pic *pic = self;
    struct chip *chip = pic_chip(pic, port);
    (void)size;
    if (port >= 0x400) {
        chip->elcr = (uint8_t)value & chip->elcr_writable;
        chip->irr |= chip->lines & chip->elcr;
    } else if (port & 1) {
        write_data(chip, (uint8_t)value);
    } else {
        write_command(chip, (uint8_t)value);
    }
    pic_update(pic);
}

/* CHOICE: power-on leaves everything masked; the data sheet leaves it undefined. Lines keep their levels. */
static void pic_reset(void *self)
{
    struct pic *pic = self;
    for (unsigned i = 0; i < 2; i++)
        pic->chip[i] = (struct chip){ .master = i == 0,
                                      .lines = pic->chip[i].lines,
                                      .imr = 0xff,
                                      .elcr_writable = i == 0 ? 0xf8 : 0xde };
    pic_update(pic);
}

void pic_firmware_init(struct pic *pic)
{
    pic->chip[1].elcr = 0x0c;
    static const uint8_t base[2] = { 0x08, 0x70 };
    for (unsigned i = 0; i < 2; i++) {
        write_command(&pic->chip[i], ICW1_INIT | ICW1_IC4);
        write_data(&pic->chip[i], base[i]);
        write_data(&pic->chip[i], i == 0 ? 1 << CASCADE : CASCADE);
        write_data(&pic->chip[i], 0x01);
        write_data(&pic->chip[i], i == 0 ? (uint8_t) ~(1u << CASCADE) : 0xff);
    }
    pic_update(pic);
}

static void chip_state(struct chip *chip, struct snap *snap)
{
    SNAP(snap, chip, irr);
    SNAP(snap, chip, isr);
    SNAP(snap, chip, imr);
    SNAP(snap, chip, lines);
    SNAP(snap, chip, elcr);
    SNAP(snap, chip, vector_base);
    SNAP_BELOW(snap, chip, highest, 8);
    SNAP_BELOW(snap, chip, init, INIT_ICW4 + 1);
    SNAP(snap, chip, single);
    SNAP(snap, chip, need_icw4);
    SNAP(snap, chip, read_isr);
    SNAP(snap, chip, poll);
    SNAP(snap, chip, special_mask);
    SNAP(snap, chip, auto_eoi);
    SNAP(snap, chip, rotate_auto_eoi);
    SNAP(snap, chip, sfnm);
    if (chip->elcr & ~chip->elcr_writable)
        snap_refuse(snap, "elcr");
}

static void pic_state(void *self, struct snap *snap)
{
    struct pic *pic = self;
    chip_state(&pic->chip[0], snap);
    chip_state(&pic->chip[1], snap);
    if (snap_loading(snap))
        pic->out = chip_request(&pic->chip[0]) >= 0;
}

static const struct dev_class dev_pic = {
    .name = "pic8259",
    .ports = { { 0x20, 2 }, { 0xa0, 2 }, { 0x4d0, 2 } },
    .port_size = 1,
    .state_size = sizeof(struct pic),
    .reset = pic_reset,
    .port_read = pic_read,
    .port_write = pic_write,
    .state = pic_state,
    .state_version = 1,
};

void pic_connect(struct pic *pic, void (*changed)(void *self, bool level), void *self)
{
    pic->changed = changed;
    pic->self = self;
    if (changed && pic->out)
        changed(self, true);
}

struct pic *pic_add(struct bus *bus, void (*changed)(void *self, bool level), void *self)
{
    struct pic *pic = bus_add(bus, &dev_pic);
    if (!pic)
        return NULL;
    pic_reset(pic);
    pic->changed = changed;
    pic->self = self;
    return pic;
}
