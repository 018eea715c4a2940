/* The APM ports. */
#include "tests/devices/kit.h"

#include "devices/apm.h"

static void control(void *self, uint8_t value)
{
    (void)value;
    ++*(unsigned *)self;
}

START_TEST(control_raises_smi_at_each_write)
{
    struct kit kit;
    unsigned smis = 0;
    kit_open(&kit);
    ck_assert_ptr_nonnull(apm_add(kit.bus, control, &smis));
    kit_out(&kit, 0xb2, 0x5a);
    kit_out(&kit, 0xb2, 0x5a);
    ck_assert_uint_eq(smis, 2);
    ck_assert_uint_eq(kit_in(&kit, 0xb2), 0x5a);
    ck_assert_uint_eq(kit_in(&kit, 0xb3), 0);
    ck_assert_uint_eq(smis, 2); /* reading does not */
    kit_close(&kit);
}
END_TEST

START_TEST(status_is_kept_and_raises_nothing)
{
    struct kit kit;
    unsigned smis = 0;
    kit_open(&kit);
    apm_add(kit.bus, control, &smis);
    kit_out(&kit, 0xb3, 0xc3);
    ck_assert_uint_eq(kit_in(&kit, 0xb3), 0xc3);
    ck_assert_uint_eq(kit_in(&kit, 0xb2), 0);
    kit_out(&kit, 0xb1, 1);
    kit_out(&kit, 0xb4, 1);
    ck_assert_uint_eq(smis, 0);
    bus_reset(kit.bus);
    ck_assert_uint_eq(kit_in(&kit, 0xb3), 0);
    kit_close(&kit);
}
END_TEST

/* A word to B2h is a byte to each port. */
START_TEST(a_word_fills_both)
{
    struct kit kit;
    unsigned smis = 0;
    kit_open(&kit);
    apm_add(kit.bus, control, &smis);
    bus_port_ops.write(kit.bus, 0xb2, 2, 0x1234);
    ck_assert_uint_eq(smis, 1);
    ck_assert_uint_eq(kit_in(&kit, 0xb2), 0x34);
    ck_assert_uint_eq(kit_in(&kit, 0xb3), 0x12);
    kit_close(&kit);
}
END_TEST

CHECK_MAIN("apm", control_raises_smi_at_each_write, status_is_kept_and_raises_nothing,
           a_word_fills_both)
