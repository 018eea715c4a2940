/* pc.h: PCI configuration accesses, the functions of a 440FX machine, and a clock to measure others with. */
#ifndef TEST_ROMS_CHIPSET_PC_H
#define TEST_ROMS_CHIPSET_PC_H

#include <stdbool.h>
#include <stdint.h>

#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA 0xcfc

#define DEVFN(slot, function) ((slot) << 3 | (function))
#define HOST_BRIDGE DEVFN(0, 0)
#define ISA_BRIDGE DEVFN(1, 0)
#define POWER DEVFN(1, 3)

uint32_t inl(uint16_t port);
uint16_t inw(uint16_t port);

/* size  1, 2 or 4, inside one doubleword */
uint32_t config_read(unsigned devfn, unsigned offset, unsigned size);
void config_write(unsigned devfn, unsigned offset, unsigned size, uint32_t value);

/* Is this the machine that the program is for? If not, it ends with everything skipped. */
void require_440fx(void);

/* Where the ACPI registers are. */
uint16_t pm_base(void);

/* Ticks of the PM timer, 3579545 a second, since the call before; it may not be longer ago than four seconds. */
uint32_t pm_passed(void);

/* Let so many of them pass, and tell how many it were. */
uint32_t pm_wait(uint32_t ticks);

/* got is want, give or take a hundredth and `slack`. */
bool about(uint64_t got, uint64_t want, uint64_t slack);

#endif
