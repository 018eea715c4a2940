/* The pair of 8259A interrupt controllers and the ELCR. */
#ifndef DEVICES_PIC_H
#define DEVICES_PIC_H

#include "devices/bus.h"

struct pic;

/* Add the pair at 20-21, a0-a1, 4d0-4d1. `changed` hears of every change of the INTR output; may be NULL. */
struct pic *pic_add(struct bus *bus, void (*changed)(void *self, bool level), void *self);

/* Give the INTR output to somebody else, who learns its level by a call when it is high. */
void pic_connect(struct pic *pic, void (*changed)(void *self, bool level), void *self);

/* Drive input 0-15; fits struct irq_line. Line 2 is the cascade and cannot be driven. */
void pic_set_irq(void *self, unsigned line, bool level);

/* The vector an acknowledge would give now, or -1 when INTR is low. */
int pic_pending(const struct pic *pic);

/* The vector an acknowledge would give now, be it a spurious one. */
int pic_vector(const struct pic *pic);

/* The processor's interrupt acknowledge cycle: the vector; a spurious one (7) if the request went away. */
int pic_acknowledge(struct pic *pic);

/* What a PC's firmware leaves: vectors 08h and 70h, everything masked but the cascade, IRQ 10 and 11 level-triggered for
 * PCI.
 * CHOICE: the timer's input is masked too, so that an image which only sets IF is not hit by vector 8. */
void pic_firmware_init(struct pic *pic);

#endif
