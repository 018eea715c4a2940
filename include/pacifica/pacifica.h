/* Pacifica: an instruction-level AMD-V emulator. The public interface of libpacifica.
 *
 * A machine is made from options, given an image, and run until it stops. Nothing here is global:
 * several machines may live in one process, each used by one thread at a time. */
#ifndef PACIFICA_PACIFICA_H
#define PACIFICA_PACIFICA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define PACIFICA_API __attribute__((visibility("default")))
#else
#define PACIFICA_API
#endif

#define PACIFICA_VERSION "0.1.0"

/* What a call of the library came to. */
enum pacifica_status {
    PACIFICA_OK = 0,
    PACIFICA_EUSAGE,      /* an option or argument makes no sense */
    PACIFICA_EIO,         /* a file cannot be read or written */
    PACIFICA_EFORMAT,     /* an image is malformed, truncated or of an unknown kind */
    PACIFICA_ERANGE,      /* something does not fit into guest memory */
    PACIFICA_ENOMEM,      /* the workstation has no memory left */
    PACIFICA_EUNSUPPORTED /* known, but not there yet */
};

/* Why: filled by calls that fail. All strings end with NUL. */
struct pacifica_diag {
    char what[256];
    char where[256]; /* file, field or option; may be empty */
    char hint[256];  /* what the user can do; may be empty */
};

/* Why a machine stopped running. */
enum pacifica_stop {
    PACIFICA_STOP_NONE = 0,
    PACIFICA_STOP_EXIT,        /* the guest wrote to isa-debug-exit: value in exit_value */
    PACIFICA_STOP_RESET,       /* the guest asked for a reset */
    PACIFICA_STOP_LIMIT_INSNS, /* limits.max_steps was reached */
    PACIFICA_STOP_LIMIT_TIME,  /* limits.max_ns was reached */
    PACIFICA_STOP_UNIMPLEMENTED,
    PACIFICA_STOP_SHUTDOWN,  /* triple fault or shutdown of the host */
    PACIFICA_STOP_HALTED,    /* halted, and nothing can wake it */
    PACIFICA_STOP_REQUEST,   /* pacifica_machine_stop() */
    PACIFICA_STOP_WATCH,     /* an event named in options.stop_on happened */
    PACIFICA_STOP_POWER_OFF, /* the guest switched the machine off */
    PACIFICA_STOP_BREAK,     /* what pacifica_break_add() named: result.break_id */
    PACIFICA_STOP_STEP,      /* pacifica_machine_step() is done */
    PACIFICA_STOP_BEGINNING, /* going back: there is nothing before */
    PACIFICA_STOP_REPLAYED   /* the recording has ended */
};

/* What pacifica_machine_run() tells. */
struct pacifica_result {
    enum pacifica_stop stop;
    uint32_t exit_value;       /* STOP_EXIT: the value written */
    uint64_t steps;            /* instructions, iterations, deliveries, #VMEXITs, ... so far */
    uint64_t instructions;     /* instructions and string iterations so far */
    uint64_t now_ns;           /* virtual time since the machine was made */
    unsigned break_id;         /* STOP_BREAK: which */
    unsigned cpu;              /* whose turn it was when the machine stopped */
    struct pacifica_diag diag; /* explains every stop that is not EXIT, RESET or REQUEST */
};

/* Where bytes go that a machine or a trace produces. Called on the thread that runs the machine, with
 * at least one byte; `bytes` is valid during the call. It may not call back into the machine, except
 * pacifica_machine_stop(). NULL write: the bytes are thrown away. */
struct pacifica_output {
    void (*write)(void *self, const void *bytes, size_t size);
    void *self;
};

/* Bytes that belong to the caller. data may be NULL if size is 0. */
struct pacifica_bytes {
    const void *data;
    size_t size;
};

enum pacifica_device_kind {
    PACIFICA_DEVICE_DEBUG_EXIT, /* isa-debug-exit: a write of v ends the run with STOP_EXIT */
    PACIFICA_DEVICE_DEBUGCON,   /* isa-debugcon: bytes written go to `output` */
    PACIFICA_DEVICE_PC_TESTDEV, /* pc-testdev: lines of interrupt controllers and memory to play with */
    PACIFICA_DEVICE_PCI_TESTDEV, /* pci-testdev: registers behind PCI base address registers */
    PACIFICA_DEVICE_VIRTIO_RNG   /* virtio-rng: random numbers that `seed` determines */
};

/* A device that a PC does not have by itself. */
struct pacifica_device {
    enum pacifica_device_kind kind;
    uint16_t port;                 /* first I/O port; PC_TESTDEV has its own whatever stands here */
    uint16_t port_count;           /* DEBUG_EXIT only: ports, 1-4 */
    struct pacifica_output output; /* DEBUGCON only */
};

/* A file that the guest finds by name in the fw_cfg device. */
struct pacifica_fw_cfg {
    const char *name; /* at most 55 characters, not empty */
    struct pacifica_bytes content;
};

enum pacifica_disk_interface {
    PACIFICA_DISK_IDE,    /* a drive at one of the two channels */
    PACIFICA_DISK_VIRTIO, /* virtio-blk, in the next free PCI slot; no CD-ROM */
    PACIFICA_DISK_PFLASH /* flash memory with firmware (index 0; it starts) or its variables (1), a multiple of 4 KiB */
};

/* A disk or a disc, and the bytes that it holds. The functions are called on the thread that runs the machine, with `size` more
 * than 0 and all of it inside the image; they move all of it or return false, which becomes the device's error. They
 * may not call back into the machine. */
struct pacifica_disk {
    enum pacifica_disk_interface interface;
    bool cdrom;     /* a CD-ROM drive; size_bytes 0: without a disc */
    unsigned index; /* IDE: 0 and 1 on the first channel, 2 and 3 on the second; PFLASH: 0 or 1 */
    bool read_only; /* what the guest writes is refused, as on a CD */
    bool
        write_through; /* it goes to `write`; else it stays in memory, and the image is never written */
    const char *serial; /* serial number, at most 20 characters; NULL: one of our own */
    uint64_t
        size_bytes; /* more than 0; with write_through a multiple of 512, else filled up to that with zeros */
    bool (*read)(void *self, uint64_t offset, void *to, size_t size);
    bool (*write)(void *self, uint64_t offset, const void *from, size_t size); /* write_through */
    bool (*flush)(void *self); /* what was written is safe from now on; may be NULL */
    uint64_t memory_most;     /* bytes of the workstation's memory that writes may take; 0: 4 GiB */
    void (*full)(void *self); /* they were not enough: the guest's write has failed; may be NULL */
    void *self;
};

#define PACIFICA_NICS_MOST 4

/* A network card (virtio-net, in the next free PCI slot) and the network behind it. Frames are Ethernet's, from the destination's
 * address on and without the checksum at the end: 14 to 1518 bytes. */
struct pacifica_nic {
    uint8_t mac[6]; /* all zero: 52:54:00:12:34:56, and for those behind the first as much more */
    /* The guest sends a frame. Called on the thread that runs the machine; it may call pacifica_machine_net_input() and
     * pacifica_machine_time_ns(). NULL: all frames are lost. */
    void (*send)(void *self, const void *frame, size_t size);
    void *self;
};

enum pacifica_vga {
    PACIFICA_VGA_NONE,
    PACIFICA_VGA_STD /* a VGA with the DISPI interface of Bochs and QEMU */
};

/* Events after which pacifica_machine_run() returns STOP_WATCH, for options.stop_on. A triple fault of
 * the host and a feature that is not emulated stop the machine in any case. */
#define PACIFICA_STOP_ON_VMEXIT_INVALID 0x1u /* a VMRUN failed its consistency checks */
#define PACIFICA_STOP_ON_GUEST_SHUTDOWN 0x2u /* #VMEXIT(SHUTDOWN): an SVM guest's triple fault */
#define PACIFICA_STOP_ON_GUEST_ERROR 0x4u    /* what the guest_errors trace shows */

#define PACIFICA_CPUS_MOST 64
#define PACIFICA_SEED_DEFAULT UINT64_C(0x7061636966696361)

/* What a machine is made of. Start from PACIFICA_OPTIONS_INIT. Everything that pointers here lead to must
 * live as long as the machine, except the arrays `devices`, `fw_cfg`, `disks` and `nics` and the texts. */
struct pacifica_options {
    uint64_t ram_bytes;                 /* a multiple of 4 KiB, 1 MiB to 1 TiB */
    const char *cpu;                    /* model[,+feature][,-feature]... as `-cpu` takes it */
    struct pacifica_output serial;      /* what the guest sends on COM1 */
    const struct pacifica_output *com2; /* and on COM2; NULL: there is none. Copied */
    const struct pacifica_device *devices;
    size_t device_count;
    const struct pacifica_fw_cfg *fw_cfg;
    size_t fw_cfg_count;
    const struct pacifica_disk *disks; /* at most 16 */
    size_t disk_count;
    const struct pacifica_nic *nics; /* at most PACIFICA_NICS_MOST */
    size_t nic_count;
    const char *
        boot_order; /* what firmware tries: at most three of a (floppy), c (disk), d (CD), n (network); NULL: "cda" */
    bool boot_menu; /* firmware offers a menu of them */
    enum pacifica_vga vga;
    struct pacifica_bytes vga_bios; /* its ROM, at most 64 KiB; empty: it has none. Copied */
    uint32_t stop_on;               /* PACIFICA_STOP_ON_... joined by | */
    uint32_t cpus;                  /* processors, 1 to PACIFICA_CPUS_MOST */
    uint64_t seed;                  /* of the random numbers that RDRAND and RDSEED give */
};
#define PACIFICA_OPTIONS_INIT                                     \
    ((struct pacifica_options){ .ram_bytes = UINT64_C(512) << 20, \
                                .cpu = "max",                     \
                                .cpus = 1,                        \
                                .seed = PACIFICA_SEED_DEFAULT })

/* A module that a boot loader places beside the kernel. */
struct pacifica_module {
    struct pacifica_bytes image;
    const char *text; /* its command line, by custom beginning with its name; NULL: empty */
};

/* A kernel with what belongs to it. Start from a zeroed struct. All of it is borrowed until the machine is
 * freed or another kernel is loaded. */
struct pacifica_kernel {
    struct pacifica_bytes image; /* Multiboot 1 or 2, PVH ELF, Linux: found by content */
    const char *name;    /* file name for messages and the guest's command line; may be NULL */
    const char *cmdline; /* NULL: empty */
    const struct pacifica_module *modules;
    size_t module_count;
};

/* A ROM image. Start from PACIFICA_FIRMWARE_INIT. Borrowed for the call only. */
struct pacifica_firmware {
    struct pacifica_bytes image; /* a multiple of 4 KiB, at most 16 MiB */
    const char *name;            /* file name for messages; may be NULL */
    uint64_t load_at;            /* where it lies, a multiple of 4 KiB, or PACIFICA_FIRMWARE_TOP */
};
#define PACIFICA_FIRMWARE_TOP UINT64_MAX /* it ends at 4 GiB, and its last 128 KiB also at 1 MiB */
#define PACIFICA_FIRMWARE_INIT ((struct pacifica_firmware){ .load_at = PACIFICA_FIRMWARE_TOP })

/* Signals that reach a processor from outside. */
enum pacifica_signal {
    PACIFICA_SIGNAL_NMI,
    PACIFICA_SIGNAL_SMI,
    PACIFICA_SIGNAL_INIT,
    PACIFICA_SIGNAL_MACHINE_CHECK
};

/* How long and how to run. Start from PACIFICA_LIMITS_INIT. The second and third are for tests: neither may change
 * anything a guest or pacifica_machine_state_hash() can see. */
struct pacifica_limits {
    uint64_t max_steps; /* stop when result.steps reaches it; counts from the machine's start */
    bool exact_blocks;  /* decode one instruction at a time */
    uint64_t
        drop_fast_every; /* forget all derived tables each time so many steps are done; 0: never */
    /* Stop when result.now_ns reaches it, 0: never; for runs that are to keep pace with a clock. Unlike the others it may show: in the
     * order of what several processors do, and in the count of steps of processors that wait. */
    uint64_t max_ns;
};
#define PACIFICA_LIMITS_INIT ((struct pacifica_limits){ .max_steps = UINT64_MAX })

struct pacifica_machine;

/* The version of the library that is linked: "major.minor.patch". Never fails. */
PACIFICA_API const char *pacifica_version(void);

/* Make a machine in its reset state, without a kernel or firmware.
 * options  what it is made of; not kept
 * machine  receives the new machine, to be freed with pacifica_machine_free(); NULL on failure
 * diag     says why on failure; may be NULL
 * Returns PACIFICA_OK; PACIFICA_EUSAGE (a size, CPU feature, port or name makes no sense);
 * PACIFICA_EUNSUPPORTED (a CPU model or feature that is not there); PACIFICA_ENOMEM. On failure nothing is
 * left behind. */
PACIFICA_API enum pacifica_status pacifica_machine_new(const struct pacifica_options *options,
                                                       struct pacifica_machine **machine,
                                                       struct pacifica_diag *diag);

/* Free a machine. NULL is allowed. It must not be running, and traces and statistics attached to it must have been
 * freed before. */
PACIFICA_API void pacifica_machine_free(struct pacifica_machine *machine);

/* Place a kernel in guest memory and set the CPU to its entry point, as its boot protocol says.
 * kernel  the image with command line and modules; borrowed, see struct pacifica_kernel
 * diag    says why on failure; may be NULL
 * Returns PACIFICA_OK; PACIFICA_EFORMAT (of no known kind, malformed or truncated); PACIFICA_ERANGE (does
 * not fit into RAM, or parts overlap); PACIFICA_EUNSUPPORTED (a kind that is not there yet);
 * PACIFICA_EUSAGE (more than 64 modules); PACIFICA_ENOMEM. On failure no kernel is loaded, guest memory is unchanged
 * and the machine is in its reset state. */
PACIFICA_API enum pacifica_status pacifica_machine_load_kernel(struct pacifica_machine *machine,
                                                               const struct pacifica_kernel *kernel,
                                                               struct pacifica_diag *diag);

/* Map a ROM and reset the machine: the CPU is at the reset vector, F000:FFF0 with base FFFF0000h, and devices are as
 * reset leaves them. Further ROMs may follow. A machine starts a kernel or firmware, not both.
 * firmware  the image; copied, so that it is needed for the call only
 * diag      says why on failure; may be NULL
 * Returns PACIFICA_OK; PACIFICA_EFORMAT (empty, or no whole pages); PACIFICA_ERANGE (too large, or covers RAM or
 * another ROM); PACIFICA_EUSAGE (load_at no page's beginning, or a kernel is loaded); PACIFICA_ENOMEM (more than 8 ROMs
 * or 32 MiB of them; an image at the top counts twice). On failure but ENOMEM the machine is unchanged. */
PACIFICA_API enum pacifica_status pacifica_machine_load_firmware(
    struct pacifica_machine *machine, const struct pacifica_firmware *firmware,
    struct pacifica_diag *diag);

/* Reset CPUs and devices, as after STOP_RESET, and load the kernel again, if it is one that was loaded. RAM keeps what the
 * loader does not overwrite; time and step counts go on.
 * Returns PACIFICA_OK; PACIFICA_EUSAGE (neither kernel nor firmware is loaded); and what
 * pacifica_machine_load_kernel() returns, with its effects. */
PACIFICA_API enum pacifica_status pacifica_machine_reset(struct pacifica_machine *machine,
                                                         struct pacifica_diag *diag);

/* Run until something stops the machine. After STOP_LIMIT_INSNS, STOP_LIMIT_TIME, STOP_REQUEST, STOP_WATCH and STOP_EXIT a
 * further call goes on; after STOP_HALTED it does so if input arrived; after STOP_SHUTDOWN and
 * STOP_UNIMPLEMENTED only pacifica_machine_reset() does. How a run is cut into calls changes nothing.
 * limits  how far; NULL: PACIFICA_LIMITS_INIT
 * result  receives why it stopped; never NULL
 * Always returns; a guest that never stops needs max_steps or pacifica_machine_stop(). */
PACIFICA_API void pacifica_machine_run(struct pacifica_machine *machine,
                                       const struct pacifica_limits *limits,
                                       struct pacifica_result *result);

/* Make the current run end soon with STOP_REQUEST, or the next one at once. May be called from any thread, from
 * callbacks and from signal handlers. */
PACIFICA_API void pacifica_machine_stop(struct pacifica_machine *machine);

/* Queue bytes that arrive at COM1; the guest receives them at the speed of the line.
 * Returns how many of the `size` bytes found room: 0 to size. The caller keeps the rest for later.
 * Not while the machine runs. */
PACIFICA_API size_t pacifica_machine_serial_input(struct pacifica_machine *machine,
                                                  const void *bytes, size_t size);

/* The same for COM2; without one no byte finds room. */
PACIFICA_API size_t pacifica_machine_com2_input(struct pacifica_machine *machine, const void *bytes,
                                                size_t size);

/* A frame arrives at a network card, by its number in options.nics.
 * Returns whether it found room: if not, because no driver is at work or too many wait already, it is lost, as on a wire.
 * Not while the machine runs, but for a card's `send`. */
PACIFICA_API bool pacifica_machine_net_input(struct pacifica_machine *machine, unsigned nic,
                                             const void *frame, size_t size);

/* After STOP_HALTED: could a frame at this card wake the guest? */
PACIFICA_API bool pacifica_machine_wants_frames(const struct pacifica_machine *machine,
                                                unsigned nic);

/* The machine's virtual time in nanoseconds: 0 at its start, and one more with each instruction; a wait for an interrupt
 * skips ahead. Not while the machine runs, but for callbacks. */
PACIFICA_API uint64_t pacifica_machine_time_ns(const struct pacifica_machine *machine);

/* Press a key of the PS/2 keyboard, press it again while it is down (it repeats), or release it.
 * usage  of USB's "Keyboard/Keypad" page (HID Usage Tables, chapter 10), as SDL's scan codes are: 4 is A, 40 Enter;
 *        keys that a keyboard with 104 keys lacks are ignored
 * What the guest does not read is kept for a few keys and then lost, as by a keyboard. Not while the machine runs. */
PACIFICA_API void pacifica_machine_key(struct pacifica_machine *machine, unsigned usage, bool down);

/* Move the PS/2 mouse by counts to the right, up, and its wheel towards the user; then its buttons are as `buttons` says:
 * bit 0 left, 1 right, 2 middle, 3 and 4 further ones. What has no room in a report follows in the next ones.
 * Not while the machine runs. */
PACIFICA_API void pacifica_machine_mouse(struct pacifica_machine *machine, int dx, int dy, int dz,
                                         unsigned buttons);

/* What a screen shows: pixels, and in text modes characters too (else columns and rows are 0). */
struct pacifica_screen {
    unsigned width, height; /* at most 4096 each */
    unsigned columns, rows;
};

/* Tell the size of the picture as it is now.
 * Returns PACIFICA_OK; PACIFICA_EUNSUPPORTED: the machine has no VGA. Not while the machine runs, as the next two. */
PACIFICA_API enum pacifica_status pacifica_machine_screen(const struct pacifica_machine *machine,
                                                          struct pacifica_screen *screen);

/* Draw it into rows of screen->width pixels 00RRGGBBh. *screen is what pacifica_machine_screen() said, and the machine has
 * not run since. */
PACIFICA_API void pacifica_machine_draw(const struct pacifica_machine *machine,
                                        const struct pacifica_screen *screen, uint32_t *pixels);

/* The cells of a text screen, row by row: bits 7:0 the character, bits 15:8 its attribute. Conditions as above. */
PACIFICA_API void pacifica_machine_text(const struct pacifica_machine *machine,
                                        const struct pacifica_screen *screen, uint16_t *cells);

/* Raise a signal of a processor. It is recognised when the architecture lets it: NMI, SMI and INIT stay pending until then.
 * cpu  index of the processor, from 0
 * Returns PACIFICA_OK; PACIFICA_EUSAGE (no such processor or signal). Not while the machine runs. */
PACIFICA_API enum pacifica_status pacifica_machine_signal(struct pacifica_machine *machine,
                                                          unsigned cpu,
                                                          enum pacifica_signal signal);

/* After STOP_HALTED: could a byte on COM1 or COM2 wake the guest, because its interrupt is enabled there? */
PACIFICA_API bool pacifica_machine_wants_input(const struct pacifica_machine *machine);

/* A number made from everything the architecture defines: RAM, registers, SVM and TLB state, step count and
 * time. Equal for runs that only differ in how they were executed, traced or cut. Changes nothing.
 * Not while the machine runs. */
PACIFICA_API uint64_t pacifica_machine_state_hash(struct pacifica_machine *machine);

/* Guest RAM that the workstation really holds now, in KiB; 0 if it does not tell. */
PACIFICA_API uint64_t pacifica_machine_memory_resident_kib(const struct pacifica_machine *machine);

/* --- seeing it -------------------------------------------------------------------------- */

enum pacifica_trace_format {
    PACIFICA_TRACE_TEXT,     /* one line an event, for people */
    PACIFICA_TRACE_JSONL,    /* one JSON object a line; docs/trace-schema.md */
    PACIFICA_TRACE_PERFETTO, /* an array of JSON for ui.perfetto.dev and chrome://tracing */
    PACIFICA_TRACE_FTRACE    /* the text of Linux's ftrace: kvm_entry, kvm_exit and their kin */
};

struct pacifica_trace_options {
    /* EVENT[:FILTER][:KEY=FILTER]... and KEY=FILTER, joined by commas; docs/trace-schema.md */
    const char *events;
    enum pacifica_trace_format format;
    struct pacifica_output output; /* receives whole events */
    /* Not 0: keep the last so many (at most 1,000,000), and write them when VMRUN refuses a guest, a guest shuts down or
     * makes an error that the guest_errors trace shows, and in pacifica_trace_dump(). */
    uint32_t ring;
};

struct pacifica_trace;

/* Attach a trace: from now on each chosen event becomes a line. Tracing changes nothing that the guest or the
 * state hash can see, but `exec` and `mem` slow the machine down a lot.
 * trace  receives the trace, to be freed with pacifica_trace_free(); NULL on failure
 * Returns PACIFICA_OK; PACIFICA_EUSAGE (an unknown event or a malformed filter: `diag` names it);
 * PACIFICA_ENOMEM. On failure nothing is attached. */
PACIFICA_API enum pacifica_status pacifica_trace_attach(
    struct pacifica_machine *machine, const struct pacifica_trace_options *options,
    struct pacifica_trace **trace, struct pacifica_diag *diag);

/* Write the events that a trace with a ring keeps, oldest first, and behind them a line that says `why`; then forget them. Not
 * while the machine runs.
 * Returns how many there were; 0 also if there is no ring. */
PACIFICA_API uint64_t pacifica_trace_dump(struct pacifica_trace *trace, const char *why);

/* Detach and free a trace, before its machine is freed: it ends what it writes. NULL is allowed. Not while the machine
 * runs. */
PACIFICA_API void pacifica_trace_free(struct pacifica_trace *trace);

/* Write the names of all events with a word of explanation, one a line. */
PACIFICA_API void pacifica_trace_list(const struct pacifica_output *output);

struct pacifica_exit_stats;

/* Attach counters of #VMEXITs by exit code.
 * Returns the counters, to be freed with pacifica_exit_stats_free(), or NULL without memory. */
PACIFICA_API struct pacifica_exit_stats *pacifica_exit_stats_attach(
    struct pacifica_machine *machine);

/* Write the table: code, count, share in percent, mean number of guest instructions since the VMRUN. Rows
 * stand in order of falling count. */
PACIFICA_API void pacifica_exit_stats_write(const struct pacifica_exit_stats *stats,
                                            const struct pacifica_output *output);

/* Detach and free counters, before their machine is freed. NULL is allowed. */
PACIFICA_API void pacifica_exit_stats_free(struct pacifica_exit_stats *stats);

/* Write the TLB's counters so far, one row for each ASID that translated anything: misses, fills, evictions, flushes. */
PACIFICA_API void pacifica_tlb_stats_write(const struct pacifica_machine *machine,
                                           const struct pacifica_output *output);

/* Tell something of a processor, as text for people: `request` is one of the items that pacifica_info_list() names, with its
 * argument behind a space, e.g. "walk 0xffff800000001000". Changes nothing. Not while the machine runs. The items exits, changes
 * and why (of exceptions) tell what has happened since one of them was first asked for.
 * cpu_index  which processor; 0 is the bootstrap processor
 * Returns PACIFICA_OK; PACIFICA_EUSAGE (no such processor or item, or its argument makes no sense: nothing was
 * written, and `diag`, which may be NULL, says why). */
PACIFICA_API enum pacifica_status pacifica_machine_info(struct pacifica_machine *machine,
                                                        unsigned cpu_index, const char *request,
                                                        const struct pacifica_output *output,
                                                        struct pacifica_diag *diag);

/* Write the items that pacifica_machine_info() tells with a word of explanation, one a line. */
PACIFICA_API void pacifica_info_list(const struct pacifica_output *output);

/* Write the CPU models and features that options.cpu takes, one a line. */
PACIFICA_API void pacifica_cpu_list(const struct pacifica_output *output);

/* Write a table of CPUID features, one a line: name, place in CPUID, state, and which models have it or what it is.
 * cpu   as options.cpu takes it: what this model has, and what its real part has beyond it; NULL: every feature
 * Returns PACIFICA_OK, or what parsing `cpu` gives: PACIFICA_EUSAGE, PACIFICA_EUNSUPPORTED (nothing was written, and
 * `diag`, which may be NULL, says why). */
PACIFICA_API enum pacifica_status pacifica_cpu_features(const char *cpu,
                                                        const struct pacifica_output *output,
                                                        struct pacifica_diag *diag);

/* Write the model-specific registers of a model (NULL: of `max`) in the same way: numbers, name, reset value, the bits that
 * can be written, and the rule for the others. */
PACIFICA_API enum pacifica_status pacifica_cpu_msrs(const char *cpu,
                                                    const struct pacifica_output *output,
                                                    struct pacifica_diag *diag);

/* --- without a machine: VMCBs and exit codes ---------------------------------------------- */

#define PACIFICA_VMCB_BYTES 4096u

/* Write every field of a VMCB that was saved from anywhere, one a line: offset, name, value, meaning; then the reserved
 * bytes that are not zero.
 * vmcb  the page: PACIFICA_VMCB_BYTES
 * Returns PACIFICA_OK; PACIFICA_EFORMAT (another size: nothing was written, and `diag`, which may be NULL, says so). */
PACIFICA_API enum pacifica_status pacifica_vmcb_dump(const struct pacifica_bytes *vmcb,
                                                     const struct pacifica_output *output,
                                                     struct pacifica_diag *diag);

/* Write the fields in which two VMCBs differ, those of `from` marked -, those of `to` marked +.
 * differences  receives how many there are; never NULL
 * Returns as pacifica_vmcb_dump(). */
PACIFICA_API enum pacifica_status pacifica_vmcb_diff(const struct pacifica_bytes *from,
                                                     const struct pacifica_bytes *to,
                                                     const struct pacifica_output *output,
                                                     unsigned *differences,
                                                     struct pacifica_diag *diag);

/* Write each consistency check of VMRUN that fails for a VMCB, with field, value and manual section, and what could not be
 * looked at, because it is not in the page.
 * cpu     the model that makes the checks, as options.cpu takes it; NULL: `max`
 * broken  receives how many fail; never NULL
 * Returns as pacifica_vmcb_dump(), or what parsing `cpu` gives: PACIFICA_EUSAGE, PACIFICA_EUNSUPPORTED. */
PACIFICA_API enum pacifica_status pacifica_vmcb_check(const char *cpu,
                                                      const struct pacifica_bytes *vmcb,
                                                      const struct pacifica_output *output,
                                                      unsigned *broken, struct pacifica_diag *diag);

/* Write the reference of #VMEXIT codes.
 * code  a number (0x72, 72h, -1) or a name with or without VMEXIT_: all that is known of this code; NULL: a line for each
 * Returns PACIFICA_OK; PACIFICA_EUSAGE (no such code: nothing was written, and `diag`, which may be NULL, says so). */
PACIFICA_API enum pacifica_status pacifica_exit_codes(const char *code,
                                                      const struct pacifica_output *output,
                                                      struct pacifica_diag *diag);

#ifdef __cplusplus
}
#endif

#include <pacifica/debug.h>
#include <pacifica/snapshot.h>

#endif
