/* 8254 interval timer and port 61h. */
#ifndef DEVICES_PIT_H
#define DEVICES_PIT_H

#include "devices/bus.h"

#define PIT_HZ 1193182u

struct pit;

/* Add the timer at 40-43 and 61; channel 0's OUT drives `irq0`. */
struct pit *pit_add(struct bus *bus, struct irq_line irq0);

#endif
