/* The keyboard controller of a PC, at ports 60h and 64h, with a keyboard and a mouse. */
#ifndef DEVICES_I8042_H
#define DEVICES_I8042_H

#include "devices/reset_ports.h"

struct i8042;

struct i8042_config {
    struct irq_line keyboard, mouse; /* IRQ 1, IRQ 12 */
    struct reset_ports *reset;       /* its output port resets the machine and moves A20 */
};

/* Add it; NULL without memory or if its ports are taken. */
struct i8042 *i8042_add(struct bus *bus, const struct i8042_config *config);

/* What a PC's firmware leaves: scan codes are translated, the mouse is off. */
void i8042_firmware_init(struct i8042 *kbc);

/* What is done to the keyboard and the mouse; see ps2_keyboard_key() and ps2_mouse_move(). */
void i8042_key(struct i8042 *kbc, unsigned usage, bool down);
void i8042_mouse(struct i8042 *kbc, int dx, int dy, int dz, uint8_t buttons);

#endif
