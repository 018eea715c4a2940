/* A machine: the floor that joins memory, clock, probe points, bus, devices and vCPU, loads a kernel and runs.
 *
 * docs/architecture.md: the emulator's floors below know each other only through what they are given; somebody must give
 * it. That was to be the program, but the tests, the fuzzers and every embedder need the same joined machine without
 * popt, files and a terminal. So there is this floor between emu/boot, emu/debug and emu/cli. It implements
 * include/pacifica/pacifica.h and does no input or output of its own: bytes come and go through callbacks. */
#ifndef EMU_MACHINE_MACHINE_H
#define EMU_MACHINE_MACHINE_H

#include <pacifica/pacifica.h>

#include "devices/bus.h"
#include "devices/ide.h"
#include "devices/lapic.h"
#include "devices/pci.h"
#include "devices/pic.h"
#include "devices/pit.h"
#include "devices/uart16550.h"
#include "emu/base/random.h"
#include "emu/base/snap.h"
#include "emu/cpu/cpuid.h"
#include "emu/cpu/run.h"
#include "emu/machine/mute.h"

#define MACHINE_DEVICES 8 /* devices of pacifica_options */
#define MACHINE_DISKS 16  /* and disks */
#define MACHINE_GSIS 24   /* global system interrupts: the inputs of the I/O APIC */

/* Owner of everything below. The order of the members is the order of making; freeing goes back. */
struct pacifica_machine {
    struct probes probes;
    struct vclock clock;
    struct cpu_model model;
    struct memory *memory;
    struct bus *bus;
    struct pci_bus *pci;
    struct i440fx *i440fx;
    struct piix3 *piix3;
    struct piix4_pm *pm;
    struct pic *pic;
    struct apics *apics;
    struct ioapic *ioapic;
    struct uart *uart, *com2; /* com2 may be NULL: there is none */
    struct i8042 *kbc;
    struct vga *vga; /* NULL: there is none */
    struct ferr *ferr;
    struct fw_cfg *fw_cfg;
    struct ide *ide;
    struct virtio_net *nic[PACIFICA_NICS_MOST];
    unsigned nic_count;
    struct machine_card {
        struct pacifica_machine *machine;
        void (*send)(void *self, const void *frame, size_t size);
        void *self;
    } card[PACIFICA_NICS_MOST];         /* where the cards' frames go */
    struct block *block[MACHINE_DISKS]; /* behind the disks; the bus borrows them */
    struct vcpu *cpu[VCPUS_MAX]; /* the first is the bootstrap processor; NULL behind cpu_count */
    unsigned cpu_count;          /* as the options say; the vCPUs are made after the devices */

    struct pacifica_output serial, serial2, debugcon[MACHINE_DEVICES];
    struct pacifica_kernel kernel; /* image.data is NULL: none is loaded */
    bool bios_area;                /* there is one: a kernel was loaded */
    bool firmware;                 /* starts at the reset vector; never with a kernel */
    struct random_source random;

    struct breaks *breaks;             /* NULL: there never was one */
    struct history *history;           /* what info tells of the past; NULL: nobody has asked */
    struct pacifica_exit_stats *exits; /* likewise */
    struct probe_client watch;         /* options.stop_on */
    uint32_t stop_on;
    char watch_text[256];

    uint64_t gsi_level[MACHINE_GSIS]; /* one bit for each wire to it that is asserted */
    unsigned gsi_wires;

    struct journal *journal;    /* what enters from outside; NULL: nobody wants to know */
    struct travel *travel;      /* NULL: one cannot go back */
    struct mute mute;           /* while something is executed again */
    struct deadline time_limit; /* limits.max_ns of the run */
    char *made;                 /* describe.c */
    bool has_run;

    enum pacifica_stop ended; /* a stop behind which only a reset goes on, or STOP_NONE */
    uint32_t exit_value;
    volatile bool stop_request; /* the only member other threads and signal handlers write */
};

/* The vCPU whose turn it is, or was when the machine stopped. NULL before there are any. */
static inline struct vcpu *machine_current(const struct pacifica_machine *machine)
{
    return machine->cpu[0] ? vcpu_current(machine->cpu[0]) : NULL;
}

/* devices.c: make the bus and everything on it. */
enum pacifica_status machine_add_devices(struct pacifica_machine *machine,
                                         const struct pacifica_options *options,
                                         struct pacifica_diag *diag);

/* disks.c: add what the options say of disks, and the controllers behind which they are. */
enum pacifica_status machine_add_disks(struct pacifica_machine *machine,
                                       const struct pacifica_options *options,
                                       const struct irq_line irq[IDE_CHANNELS],
                                       struct pacifica_diag *diag);
enum pacifica_status machine_add_rng(struct pacifica_machine *machine, uint64_t seed,
                                     struct pacifica_diag *diag);
enum pacifica_status machine_free_place(const struct pacifica_machine *machine, uint8_t *devfn,
                                        struct pacifica_diag *diag); /* the next free PCI slot */
void machine_free_disks(struct pacifica_machine *machine);           /* after the bus */

/* net.c: add the network cards that the options have. */
enum pacifica_status machine_add_nics(struct pacifica_machine *machine,
                                      const struct pacifica_options *options,
                                      struct pacifica_diag *diag);

/* flash.c: put flash memory where the options have some; the machine starts from it then. Behind fw_cfg. */
enum pacifica_status machine_add_flash(struct pacifica_machine *machine,
                                       const struct pacifica_options *options,
                                       struct pacifica_diag *diag);

/* devices.c: FERR# of a vCPU rises. */
void machine_ferr(void *self, unsigned cpu);

/* devices.c: reset the devices, and leave them as a PC's firmware does: the kernels we load expect that. */
void machine_reset_devices(struct pacifica_machine *machine);

/* machine.c, input.c, registers.c, access.c: the public functions of these names without the journal. */
enum pacifica_status machine_reset(struct pacifica_machine *machine, struct pacifica_diag *diag);
enum pacifica_status machine_signal(struct pacifica_machine *machine, unsigned cpu,
                                    enum pacifica_signal signal);
enum pacifica_status machine_register_set(struct pacifica_machine *machine, unsigned cpu_index,
                                          size_t index, const void *bytes,
                                          struct pacifica_diag *diag);
size_t machine_memory_write(struct pacifica_machine *machine, unsigned cpu_index,
                            enum pacifica_space space, uint64_t address, const void *from,
                            size_t size);

/* run.c: what pacifica_machine_run() does, with what enters by itself, and a limit of time or 0. */
enum pacifica_stop machine_run(struct pacifica_machine *machine, const struct run_limits *limits,
                               uint64_t max_ns);

/* run.c: run until something stops the machine, which may be in the middle of such a run. */
enum pacifica_stop machine_run_to(struct pacifica_machine *machine,
                                  const struct run_limits *limits);

/* run.c: fill the result of a run with this stop; but break_id. */
void machine_tell(struct pacifica_machine *machine, enum pacifica_stop stop,
                  struct pacifica_result *result);

void machine_arm_time_limit(struct pacifica_machine *machine, uint64_t max_ns);
void machine_cancel_time_limit(struct pacifica_machine *machine);

/* travel.c: a debugger is about to change something: the machine is at a moment at which inputs may enter, and what was to
 * come behind it is forgotten. */
void machine_change(struct pacifica_machine *machine);

/* travel.c: the steps at which the next checkpoint is to be made, or UINT64_MAX; and making it there. */
uint64_t travel_next_stop(struct pacifica_machine *machine);
void travel_stopped(struct pacifica_machine *machine);
void travel_forget(struct pacifica_machine *machine); /* free all checkpoints */

/* describe.c: what a machine is made of, one thing a line: made with it, and with what it starts from. The caller frees the
 * text; NULL without memory. */
enum pacifica_status machine_made_of(struct pacifica_machine *machine,
                                     const struct pacifica_options *options);
char *machine_describe(struct pacifica_machine *machine);

/* load.c: what starts after a reset. Place machine->kernel in memory and set the CPU to its entry, or leave it at the reset
 * vector for firmware. Statuses: pacifica_machine_load_kernel(). */
enum pacifica_status machine_boot(struct pacifica_machine *machine, struct pacifica_diag *diag);

/* tables.c: the tables of kernels that start without firmware; made once. */
enum pacifica_status machine_add_bios_area(struct pacifica_machine *machine,
                                           struct pacifica_diag *diag);

/* tables.c: files in fw_cfg from which firmware makes such tables; to be called once. */
enum pacifica_status machine_add_firmware_tables(struct pacifica_machine *machine,
                                                 struct pacifica_diag *diag);

/* info_platform.c: tell what pacifica_machine_info() takes and is not of one processor alone. false: there is no such item. */
bool machine_info(struct pacifica_machine *machine, unsigned index, const char *request,
                  const struct pacifica_output *output);
void machine_info_list(const struct pacifica_output *output);
/* Forget what was remembered for it. */
void machine_forget_history(struct pacifica_machine *machine);

/* machine.c: is a processor halted that an interrupt would wake? */
bool machine_interruptible(const struct pacifica_machine *machine);

/* state.c: name all of the machine but RAM and what ROMs hold, between two instructions: emu/base/snap.h. Loading forgets all
 * that is derived from anything, RAM included; where it fails the machine is in no state at all, but may be loaded, reset and
 * freed. Whoever has armed deadlines that no part of the machine owns arms them again afterwards. */
void machine_state(struct pacifica_machine *machine, struct snap *snap);

/* snapshot_load.c: the state and memory are others now: tell probe clients. */
void machine_tell_loaded(struct pacifica_machine *machine);

/* watch.c: attach the client behind options.stop_on. */
void machine_watch(struct pacifica_machine *machine);

#endif
