/* pc-testdev: what bare-metal test programs on QEMU play with. */
#ifndef DEVICES_PC_TESTDEV_H
#define DEVICES_PC_TESTDEV_H

#include "devices/bus.h"

#define PC_TESTDEV_SPA 0xff000000u
#define PC_TESTDEV_BYTES 0x10000u
#define PC_TESTDEV_LATCH_PORT 0xe0u
#define PC_TESTDEV_IRQ_PORT 0x2000u
#define PC_TESTDEV_IRQS 24u

struct pc_testdev;

/* Add it: ports E0h-E3h and E8h-EBh, two views of a latch of four bytes; E4h-E7h, flush a page; 2000h-2017h, the lines
 * of the interrupt controllers (`irq`, called with line = GSI); 64 KiB of memory at FF00_0000h that is MMIO to the CPU.
 * Of E9h-EBh it takes what is free. NULL: no room or another port is taken. */
struct pc_testdev *pc_testdev_add(struct bus *bus, struct irq_line irq);

#endif
