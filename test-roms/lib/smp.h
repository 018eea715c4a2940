/* smp.h: the further processors: starting them, giving them work, waiting for each other.
 *
 * A processor is called by its initial APIC ID; the one that boots is number 0. Started processors run
 * with the IDT and page tables of number 0, a GDT, TSS and stacks of their own, interrupts off, and wait
 * in PAUSE for work. trap_try() is for one processor at a time. */
#ifndef TEST_ROMS_LIB_SMP_H
#define TEST_ROMS_LIB_SMP_H

#include <stdbool.h>
#include <stdint.h>

#define SMP_MAX 8u

typedef void (*smp_task)(void *arg);

/* Start all others by INIT, SIPI, SIPI. Returns how many there are with this one; those that do not
 * come within a second count as absent. */
unsigned smp_start(void);
unsigned smp_count(void);

/* The number of the processor that asks. */
unsigned smp_self(void);

/* Has it arrived since smp_start() or the last smp_lost()? */
bool smp_alive(unsigned cpu);
/* It was sent INIT: what it was doing is over. */
void smp_lost(unsigned cpu);

/* The start-up vector of the start code; a ROM with start code of its own goes on at smp_start16. */
uint8_t smp_start_vector(void);

/* Give a processor other than this one work; smp_wait() until it has done it. */
void smp_run(unsigned cpu, smp_task task, void *arg);
void smp_wait(unsigned cpu);

/* Everybody does it, this one too; comes back when all have. */
void smp_run_all(smp_task task, void *arg);

/* Wait until as many as `count` processors are here. All zero at first; may be used again at once. */
struct smp_barrier {
    volatile uint32_t arrived, turn;
};
void smp_barrier(struct smp_barrier *barrier, uint32_t count);

/* Wait until *what is `value`, with PAUSE, for at most a second. Was it? */
bool smp_until(const volatile uint32_t *what, uint32_t value);

/* Let so many ticks of the TSC pass, with PAUSE. */
void smp_delay(uint64_t ticks);
#define SMP_A_WHILE UINT64_C(100000)

#endif
