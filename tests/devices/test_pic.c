/* The pair of 8259A. */
#include "tests/devices/kit.h"

#include "devices/pic.h"

struct pair {
    struct kit kit;
    struct pic *pic;
    bool out;
    unsigned changes;
};

static void out_changed(void *self, bool level)
{
    struct pair *p = self;
    ck_assert(p->changes == 0 || p->out != level); /* only changes are told */
    p->out = level;
    p->changes++;
}

static void init_chip(struct pair *p, uint16_t port, uint8_t base, uint8_t icw3, uint8_t icw4)
{
    kit_out(&p->kit, port, 0x11);
    kit_out(&p->kit, port + 1, base);
    kit_out(&p->kit, port + 1, icw3);
    kit_out(&p->kit, port + 1, icw4);
}

/* Vectors 20h and 28h, everything unmasked. */
static void pair_open_with(struct pair *p, uint8_t master_icw4, uint8_t slave_icw4)
{
    memset(p, 0, sizeof(*p));
    kit_open(&p->kit);
    p->pic = pic_add(p->kit.bus, out_changed, p);
    ck_assert_ptr_nonnull(p->pic);
    init_chip(p, 0x20, 0x20, 0x04, master_icw4);
    init_chip(p, 0xa0, 0x28, 0x02, slave_icw4);
}

static void pair_open(struct pair *p)
{
    pair_open_with(p, 0x01, 0x01);
}

static uint8_t irr(struct pair *p, uint16_t port)
{
    kit_out(&p->kit, port, 0x0a);
    return kit_in(&p->kit, port);
}

static uint8_t isr(struct pair *p, uint16_t port)
{
    kit_out(&p->kit, port, 0x0b);
    return kit_in(&p->kit, port);
}

START_TEST(pic_reset_masks_everything)
{
    struct pair p;
    pair_open(&p);
    bus_reset(p.kit.bus);
    ck_assert_uint_eq(kit_in(&p.kit, 0x21), 0xff);
    ck_assert_uint_eq(kit_in(&p.kit, 0xa1), 0xff);
    pic_set_irq(p.pic, 0, true);
    ck_assert(!p.out);
    ck_assert_int_eq(pic_pending(p.pic), -1);
    kit_close(&p.kit);
}
END_TEST

START_TEST(pic_firmware_init_gives_pc_vectors_masked)
{
    struct pair p;
    pair_open(&p);
    pic_firmware_init(p.pic);
    ck_assert_uint_eq(kit_in(&p.kit, 0x21), 0xfb);
    ck_assert_uint_eq(kit_in(&p.kit, 0xa1), 0xff);
    pic_set_irq(p.pic, 0, true);
    ck_assert_int_eq(pic_pending(p.pic), -1);
    kit_out(&p.kit, 0x21, 0xfa);
    ck_assert_int_eq(pic_pending(p.pic), 0x08);
    pic_set_irq(p.pic, 8, true);
    kit_out(&p.kit, 0x21, 0xfb);
    kit_out(&p.kit, 0xa1, 0xfe);
    ck_assert_int_eq(pic_pending(p.pic), 0x70);
    kit_close(&p.kit);
}
END_TEST

START_TEST(pic_nothing_is_accepted_during_initialisation)
{
    struct pair p;
    pair_open(&p);
    kit_out(&p.kit, 0x4d0, 0x08); /* level: the request survives ICW1 */
    kit_out(&p.kit, 0x20, 0x11);
    pic_set_irq(p.pic, 3, true);
    ck_assert(!p.out);
    kit_out(&p.kit, 0x21, 0x40);
    kit_out(&p.kit, 0x21, 0x04);
    ck_assert(!p.out);
    kit_out(&p.kit, 0x21, 0x01);
    ck_assert(p.out);
    ck_assert_int_eq(pic_pending(p.pic), 0x43);
    kit_close(&p.kit);
}
END_TEST

START_TEST(pic_icw1_without_icw4_ends_after_icw3_and_clears_aeoi)
{
    struct pair p;
    pair_open_with(&p, 0x03, 0x01); /* automatic EOI */
    kit_out(&p.kit, 0x20, 0x10);
    kit_out(&p.kit, 0x21, 0x20);
    kit_out(&p.kit, 0x21, 0x04);
    kit_out(&p.kit, 0x21, 0x03); /* a mask, no ICW4 */
    ck_assert_uint_eq(kit_in(&p.kit, 0x21), 0x03);
    pic_set_irq(p.pic, 3, true);
    ck_assert_int_eq(pic_acknowledge(p.pic), 0x23);
    ck_assert_uint_eq(isr(&p, 0x20), 0x08);
    kit_close(&p.kit);
}
END_TEST

START_TEST(pic_icw1_clears_mask_and_edge_requests)
{
    struct pair p;
    pair_open(&p);
    kit_out(&p.kit, 0x21, 0xff);
    pic_set_irq(p.pic, 1, true);
    init_chip(&p, 0x20, 0x20, 0x04, 0x01);
    ck_assert_uint_eq(kit_in(&p.kit, 0x21), 0);
    ck_assert_uint_eq(irr(&p, 0x20), 0); /* a new edge is needed */
    ck_assert(!p.out);
    pic_set_irq(p.pic, 1, false);
    pic_set_irq(p.pic, 1, true);
    ck_assert(p.out);
    kit_close(&p.kit);
}
END_TEST

START_TEST(pic_every_input_has_its_vector)
{
    struct pair p;
    pair_open(&p);
    for (unsigned line = 0; line < 16; line++) {
        if (line == 2)
            continue;
        pic_set_irq(p.pic, line, true);
        ck_assert(p.out);
        ck_assert_int_eq(pic_acknowledge(p.pic), 0x20 + (int)line);
        ck_assert(!p.out);
        if (line >= 8)
            kit_out(&p.kit, 0xa0, 0x20);
        kit_out(&p.kit, 0x20, 0x20);
        ck_assert_uint_eq(isr(&p, 0x20) | isr(&p, 0xa0), 0);
        pic_set_irq(p.pic, line, false);
    }
    pic_set_irq(p.pic, 2, true); /* the cascade cannot be driven */
    pic_set_irq(p.pic, 16, true);
    ck_assert(!p.out);
    kit_close(&p.kit);
}
END_TEST

START_TEST(pic_lower_number_goes_first)
{
    struct pair p;
    pair_open(&p);
    pic_set_irq(p.pic, 5, true);
    pic_set_irq(p.pic, 1, true);
    pic_set_irq(p.pic, 8, true); /* the slave counts as input 2 */
    ck_assert_int_eq(pic_acknowledge(p.pic), 0x21);
    ck_assert(!p.out); /* 2 and 5 wait for the EOI of 1 */
    kit_out(&p.kit, 0x20, 0x20);
    ck_assert_int_eq(pic_acknowledge(p.pic), 0x28);
    kit_out(&p.kit, 0xa0, 0x20);
    kit_out(&p.kit, 0x20, 0x20);
    ck_assert_int_eq(pic_acknowledge(p.pic), 0x25);
    kit_close(&p.kit);
}
END_TEST

START_TEST(pic_higher_input_interrupts_service)
{
    struct pair p;
    pair_open(&p);
    pic_set_irq(p.pic, 4, true);
    ck_assert_int_eq(pic_acknowledge(p.pic), 0x24);
    pic_set_irq(p.pic, 5, true);
    ck_assert(!p.out);
    pic_set_irq(p.pic, 3, true);
    ck_assert(p.out);
    ck_assert_int_eq(pic_acknowledge(p.pic), 0x23);
    ck_assert_uint_eq(isr(&p, 0x20), 0x18);
    kit_close(&p.kit);
}
END_TEST

START_TEST(pic_mask_hides_but_latches)
{
    struct pair p;
    pair_open(&p);
    kit_out(&p.kit, 0x21, 0x02);
    pic_set_irq(p.pic, 1, true);
    ck_assert(!p.out);
    ck_assert_uint_eq(irr(&p, 0x20), 0x02);
    kit_out(&p.kit, 0x21, 0x00);
    ck_assert(p.out);
    kit_close(&p.kit);
}
END_TEST

START_TEST(pic_edge_request_is_lost_when_the_line_falls)
{
    struct pair p;
    pair_open(&p);
    pic_set_irq(p.pic, 6, true);
    pic_set_irq(p.pic, 6, false);
    ck_assert(!p.out);
    ck_assert_int_eq(pic_acknowledge(p.pic), 0x27); /* spurious */
    ck_assert_uint_eq(isr(&p, 0x20), 0);
    kit_close(&p.kit);
}
END_TEST

START_TEST(pic_edge_input_asks_once_level_input_until_it_falls)
{
    struct pair p;
    pair_open(&p);
    kit_out(&p.kit, 0x4d0, 0x20);
    pic_set_irq(p.pic, 5, true);
    ck_assert_int_eq(pic_acknowledge(p.pic), 0x25);
    kit_out(&p.kit, 0x20, 0x20);
    ck_assert_int_eq(pic_acknowledge(p.pic), 0x25); /* still asking */
    pic_set_irq(p.pic, 5, false);
    kit_out(&p.kit, 0x20, 0x20);
    ck_assert(!p.out);
    pic_set_irq(p.pic, 6, true);
    ck_assert_int_eq(pic_acknowledge(p.pic), 0x26);
    kit_out(&p.kit, 0x20, 0x20);
    ck_assert(!p.out); /* edge: once */
    kit_close(&p.kit);
}
END_TEST

START_TEST(pic_elcr_bits_of_fixed_edge_inputs_stay_zero)
{
    struct pair p;
    pair_open(&p);
    kit_out(&p.kit, 0x4d0, 0xff);
    kit_out(&p.kit, 0x4d1, 0xff);
    ck_assert_uint_eq(kit_in(&p.kit, 0x4d0), 0xf8); /* not 0, 1, 2 */
    ck_assert_uint_eq(kit_in(&p.kit, 0x4d1), 0xde); /* not 8, 13 */
    kit_close(&p.kit);
}
END_TEST

START_TEST(pic_specific_eoi)
{
    struct pair p;
    pair_open(&p);
    pic_set_irq(p.pic, 4, true);
    (void)pic_acknowledge(p.pic);
    pic_set_irq(p.pic, 1, true);
    (void)pic_acknowledge(p.pic);
    kit_out(&p.kit, 0x20, 0x64);
    ck_assert_uint_eq(isr(&p, 0x20), 0x02);
    kit_close(&p.kit);
}
END_TEST

START_TEST(pic_automatic_eoi_and_its_rotation)
{
    struct pair p;
    pair_open_with(&p, 0x03, 0x01);
    pic_set_irq(p.pic, 1, true);
    ck_assert_int_eq(pic_acknowledge(p.pic), 0x21);
    ck_assert_uint_eq(isr(&p, 0x20), 0);
    kit_out(&p.kit, 0x20, 0x80); /* rotate in automatic EOI mode */
    pic_set_irq(p.pic, 4, true);
    (void)pic_acknowledge(p.pic); /* 4 is lowest now, 5 highest */
    pic_set_irq(p.pic, 1, false);
    pic_set_irq(p.pic, 1, true);
    pic_set_irq(p.pic, 7, true);
    ck_assert_int_eq(pic_acknowledge(p.pic), 0x27);
    kit_out(&p.kit, 0x20, 0x00);
    kit_close(&p.kit);
}
END_TEST

START_TEST(pic_rotation_by_eoi_and_by_command)
{
    struct pair p;
    pair_open(&p);
    pic_set_irq(p.pic, 3, true);
    (void)pic_acknowledge(p.pic);
    kit_out(&p.kit, 0x20, 0xa0); /* rotate on non-specific EOI: 3 becomes lowest */
    pic_set_irq(p.pic, 1, true);
    pic_set_irq(p.pic, 4, true);
    ck_assert_int_eq(pic_pending(p.pic), 0x24);
    kit_out(&p.kit, 0x20, 0xc7); /* set priority: 7 lowest, 0 highest */
    ck_assert_int_eq(pic_pending(p.pic), 0x21);
    (void)pic_acknowledge(p.pic);
    kit_out(&p.kit, 0x20, 0xe1); /* rotate on specific EOI */
    ck_assert_uint_eq(isr(&p, 0x20), 0);
    pic_set_irq(p.pic, 0, true);
    ck_assert_int_eq(pic_pending(p.pic), 0x24);
    kit_close(&p.kit);
}
END_TEST

START_TEST(pic_special_mask_mode_lets_lower_inputs_through)
{
    struct pair p;
    pair_open(&p);
    pic_set_irq(p.pic, 1, true);
    (void)pic_acknowledge(p.pic);
    pic_set_irq(p.pic, 4, true);
    ck_assert(!p.out);
    kit_out(&p.kit, 0x21, 0x02);
    ck_assert(!p.out);
    kit_out(&p.kit, 0x20, 0x68);
    ck_assert(p.out);
    ck_assert_int_eq(pic_acknowledge(p.pic), 0x24);
    kit_out(&p.kit, 0x20, 0x20); /* does not end the masked 1 */
    ck_assert_uint_eq(isr(&p, 0x20), 0x02);
    kit_out(&p.kit, 0x20, 0x48);
    kit_close(&p.kit);
}
END_TEST

START_TEST(pic_slave_interrupts_again_only_in_special_fully_nested_mode)
{
    for (unsigned nested = 0; nested < 2; nested++) {
        struct pair p;
        pair_open_with(&p, nested ? 0x11 : 0x01, 0x01);
        pic_set_irq(p.pic, 12, true);
        ck_assert_int_eq(pic_acknowledge(p.pic), 0x2c);
        pic_set_irq(p.pic, 9, true);
        ck_assert_int_eq(p.out, nested);
        kit_close(&p.kit);
    }
}
END_TEST

/* "Special fully nested mode": only the slave that is served is let through, not what has less priority. */
START_TEST(pic_special_fully_nested_mode_opens_nothing_for_lower_inputs)
{
    struct pair p;
    pair_open_with(&p, 0x11, 0x01);
    pic_set_irq(p.pic, 12, true);
    ck_assert_int_eq(pic_acknowledge(p.pic), 0x2c);
    pic_set_irq(p.pic, 3, true);
    ck_assert(!p.out);
    pic_set_irq(p.pic, 1, true);
    ck_assert(p.out);
    ck_assert_int_eq(pic_acknowledge(p.pic), 0x21);
    pic_set_irq(p.pic, 9, true); /* the slave has less priority than what is served now */
    ck_assert(!p.out);
    kit_close(&p.kit);
}
END_TEST

START_TEST(pic_poll_is_an_acknowledge)
{
    struct pair p;
    pair_open(&p);
    kit_out(&p.kit, 0x20, 0x0c);
    ck_assert_uint_eq(kit_in(&p.kit, 0x20), 0); /* nobody asks */
    pic_set_irq(p.pic, 9, true);
    kit_out(&p.kit, 0x20, 0x0c);
    ck_assert_uint_eq(kit_in(&p.kit, 0x20), 0x82);
    kit_out(&p.kit, 0xa0, 0x0c);
    ck_assert_uint_eq(kit_in(&p.kit, 0xa0), 0x81);
    ck_assert_uint_eq(isr(&p, 0x20), 0x04);
    ck_assert_uint_eq(isr(&p, 0xa0), 0x02);
    ck_assert(!p.out);
    kit_close(&p.kit);
}
END_TEST

START_TEST(pic_read_selection_stays)
{
    struct pair p;
    pair_open(&p);
    pic_set_irq(p.pic, 1, true);
    (void)pic_acknowledge(p.pic);
    kit_out(&p.kit, 0x20, 0x0b);
    kit_out(&p.kit, 0x20, 0x08); /* RR = 0: no change */
    ck_assert_uint_eq(kit_in(&p.kit, 0x20), 0x02);
    kit_out(&p.kit, 0x20, 0x0a);
    ck_assert_uint_eq(kit_in(&p.kit, 0x20), 0x00);
    kit_close(&p.kit);
}
END_TEST

START_TEST(pic_connect_tells_a_high_output)
{
    struct pair p;
    pair_open(&p);
    pic_connect(p.pic, NULL, NULL);
    pic_set_irq(p.pic, 1, true);
    ck_assert_uint_eq(p.changes, 0);
    pic_connect(p.pic, out_changed, &p);
    ck_assert(p.out);
    kit_close(&p.kit);
}
END_TEST

CHECK_MAIN("pic", pic_reset_masks_everything, pic_firmware_init_gives_pc_vectors_masked,
           pic_nothing_is_accepted_during_initialisation,
           pic_icw1_without_icw4_ends_after_icw3_and_clears_aeoi,
           pic_icw1_clears_mask_and_edge_requests, pic_every_input_has_its_vector,
           pic_lower_number_goes_first, pic_higher_input_interrupts_service,
           pic_mask_hides_but_latches, pic_edge_request_is_lost_when_the_line_falls,
           pic_edge_input_asks_once_level_input_until_it_falls,
           pic_elcr_bits_of_fixed_edge_inputs_stay_zero, pic_specific_eoi,
           pic_automatic_eoi_and_its_rotation, pic_rotation_by_eoi_and_by_command,
           pic_special_mask_mode_lets_lower_inputs_through,
           pic_slave_interrupts_again_only_in_special_fully_nested_mode,
           pic_special_fully_nested_mode_opens_nothing_for_lower_inputs, pic_poll_is_an_acknowledge,
           pic_read_selection_stays, pic_connect_tells_a_high_output)
