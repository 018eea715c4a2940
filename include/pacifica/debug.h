/* libpacifica for debuggers: registers, memory of every level, and stops. Included by pacifica/pacifica.h.
 *
 * None of these may be called while the machine runs. Processors are numbered from 0. */
#ifndef PACIFICA_DEBUG_H
#define PACIFICA_DEBUG_H

#include <pacifica/pacifica.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- registers ---------------------------------------------------------------------------- */

enum pacifica_register_group {
    PACIFICA_REGISTER_GENERAL, /* rax ... r15, rip, eflags */
    PACIFICA_REGISTER_SEGMENT, /* selectors cs ... gs, ldtr, tr, and bases, limits, attributes */
    PACIFICA_REGISTER_CONTROL, /* cr0 ... cr8, dr0 ... dr7, efer, xcr0, gdtr, idtr */
    PACIFICA_REGISTER_X87,     /* st0 ... st7, fctrl ... fop */
    PACIFICA_REGISTER_VECTOR,  /* ymm0 ... ymm15 (xmm0 is their low half), mxcsr */
    PACIFICA_REGISTER_SVM /* gif, guest_mode, asid, vmcb_pa, n_cr3, exitcode, exitinfo1, exitinfo2 */
};

struct pacifica_register {
    const char *name;
    enum pacifica_register_group group;
    uint16_t bits; /* a multiple of 8, at most 256; values are little-endian bytes */
    bool writable;
};

#define PACIFICA_REGISTER_BYTES 32u /* room for any */

/* All registers of a processor, in an order that does not change within a version of the library.
 * count  receives how many; never NULL */
PACIFICA_API const struct pacifica_register *pacifica_registers(size_t *count);

/* Read a register by its index in pacifica_registers().
 * bytes  receives bits / 8 bytes
 * Returns PACIFICA_OK; PACIFICA_EUSAGE (no such processor or register). */
PACIFICA_API enum pacifica_status pacifica_machine_register_get(struct pacifica_machine *machine,
                                                                unsigned cpu, size_t index,
                                                                void *bytes);

/* Write a register, as a debugger may: no privilege is asked and no intercept taken, but reserved bits and combinations that no
 * processor can be in (APM vol 2, 15.5.1, lists them for VMRUN) are refused. What depends on it follows (modes,
 * translations).
 * Returns PACIFICA_OK; PACIFICA_EUSAGE (no such processor or register, not writable, or a value that cannot be: `diag`,
 * which may be NULL, says which; nothing was changed). */
PACIFICA_API enum pacifica_status pacifica_machine_register_set(struct pacifica_machine *machine,
                                                                unsigned cpu, size_t index,
                                                                const void *bytes,
                                                                struct pacifica_diag *diag);

/* --- memory --------------------------------------------------------------------------------- */

/* What an address means. */
enum pacifica_space {
    PACIFICA_SPACE_LINEAR, /* linear, as the processor translates now; in a guest with nested paging by both tables */
    PACIFICA_SPACE_PHYSICAL,       /* system physical: RAM and ROM */
    PACIFICA_SPACE_HOST_LINEAR,    /* while a guest runs: linear in its host; else as LINEAR */
    PACIFICA_SPACE_GUEST_LINEAR,   /* while the host runs: linear in the guest that last ran */
    PACIFICA_SPACE_GUEST_PHYSICAL, /* physical of the guest that runs or last ran */
    PACIFICA_SPACES
};

/* Read memory without any effect: no TLB entry is filled, no accessed bit set, no device asked.
 * Returns how many of the `size` bytes were read: fewer if the next page is not mapped, or is no RAM or ROM. */
PACIFICA_API size_t pacifica_machine_memory_read(struct pacifica_machine *machine, unsigned cpu,
                                                 enum pacifica_space space, uint64_t address,
                                                 void *to, size_t size);

/* Write memory, rights aside; decoded code follows. ROM is not written.
 * Returns how many bytes were. */
PACIFICA_API size_t pacifica_machine_memory_write(struct pacifica_machine *machine, unsigned cpu,
                                                  enum pacifica_space space, uint64_t address,
                                                  const void *from, size_t size);

/* The system physical address of an address.
 * Returns PACIFICA_OK; PACIFICA_EUSAGE (no such processor or space, or there is no such level now); PACIFICA_ERANGE (it is
 * not mapped: `diag`, which may be NULL, says where the walk ended). */
PACIFICA_API enum pacifica_status pacifica_machine_translate(struct pacifica_machine *machine,
                                                             unsigned cpu,
                                                             enum pacifica_space space,
                                                             uint64_t address, uint64_t *physical,
                                                             struct pacifica_diag *diag);

/* A stretch of the system physical address space. */
enum pacifica_memory_kind { PACIFICA_MEMORY_RAM, PACIFICA_MEMORY_ROM };
struct pacifica_memory_region {
    enum pacifica_memory_kind kind;
    uint64_t base, bytes;
};

/* What RAM and ROM there is, by rising address, as reads find it now.
 * Returns how many regions there are; at most `room` were written. */
PACIFICA_API size_t pacifica_machine_memory_map(const struct pacifica_machine *machine,
                                                struct pacifica_memory_region *regions,
                                                size_t room);

/* Every field of the current VMCB (of the guest that runs or last ran) by its name as pacifica_vmcb_dump() writes it.
 * value  receives it, zero-extended
 * offset receives where in the VMCB it stands, bytes its size; both may be NULL
 * Returns PACIFICA_OK; PACIFICA_EUSAGE (no such processor or field); PACIFICA_ERANGE (no VMRUN yet, or the VMCB is
 * not in RAM). */
PACIFICA_API enum pacifica_status pacifica_machine_vmcb_field(struct pacifica_machine *machine,
                                                              unsigned cpu, const char *name,
                                                              uint64_t *value, uint64_t *offset,
                                                              unsigned *bytes,
                                                              struct pacifica_diag *diag);

/* --- stops ----------------------------------------------------------------------------------- */

enum pacifica_break_kind {
    PACIFICA_BREAK_EXECUTE, /* before the instruction at linear `address` executes, in any context */
    PACIFICA_BREAK_WRITE, /* behind the instruction after which [address, address + size) in `space` holds other bytes,
                             whoever has written them: processors, devices, table walks */
    PACIFICA_BREAK_READ,   /* behind an instruction of a processor that has read any of that */
    PACIFICA_BREAK_ACCESS, /* or written it, even the same bytes; and WRITE */
    PACIFICA_BREAK_VMRUN,  /* a VMRUN has loaded its guest, which has not executed anything */
    PACIFICA_BREAK_VMEXIT, /* a #VMEXIT with EXITCODE `number`: its host goes on next. Of code 7Ch (MSR) or 7Bh (port) `detail`
                              may name the MSR or the port */
    PACIFICA_BREAK_EXCEPTION, /* exception or interrupt vector `number` has been delivered */
    PACIFICA_BREAK_MSR,       /* RDMSR or WRMSR of MSR `number` was executed without an exit */
    PACIFICA_BREAK_PORT,      /* port `number` was accessed */
    PACIFICA_BREAK_MODE, /* the processor's mode has changed (real, virtual-8086, protected, compatibility, 64-bit; guest or host; SMM) */
    PACIFICA_BREAK_MAGIC, /* XCHG BX, BX (66h 87h DBh, in 16-bit code 87h DBh) was executed */
    PACIFICA_BREAK_KINDS
};

#define PACIFICA_ANY UINT64_MAX
#define PACIFICA_CPU_ANY UINT32_MAX
#define PACIFICA_EXIT_INVALID \
    UINT32_MAX /* VMEXIT: the code -1 (VMEXIT_INVALID), which PACIFICA_ANY cannot say */

/* Start from PACIFICA_BREAK_INIT. */
struct pacifica_break {
    enum pacifica_break_kind kind;
    uint32_t cpu;              /* only this processor; PACIFICA_CPU_ANY */
    enum pacifica_space space; /* WRITE, READ, ACCESS: LINEAR (in any context) or PHYSICAL */
    uint64_t address;
    uint32_t size;   /* bytes watched: 1 to 4096 */
    uint64_t number; /* or PACIFICA_ANY */
    uint64_t detail; /* or PACIFICA_ANY */
};
#define PACIFICA_BREAK_INIT   \
    ((struct pacifica_break){ \
        .cpu = PACIFICA_CPU_ANY, .size = 1, .number = PACIFICA_ANY, .detail = PACIFICA_ANY })

#define PACIFICA_BREAKS_MOST 1024u

/* Let pacifica_machine_run() return STOP_BREAK when this happens. A machine that was stopped by breaks is in the same state at
 * the same step as one that was not. Breaks are no part of snapshots, and outlive resets. With none there is no cost.
 *
 * EXECUTE comes before all faults of the instruction and behind the events that come first; a string instruction between its
 * iterations has been arrived at. A run that begins where the last one returned STOP_BREAK or STOP_STEP, or where the
 * processor stood when the break was added, executes that instruction first. One that faults or exits and is begun again
 * is arrived at again. Code outside of the pages that hold a break runs at full speed.
 *
 * WRITE compares the bytes at the boundary behind each write; what the bytes were before is remembered. What a debugger or a
 * loader writes becomes the old bytes. Linear addresses are followed: a range is where a walk through the tables finds it
 * in the context (CR3 and its like, nested tables) of the processor that runs, and stays watched there while other
 * contexts run, for the last four of them. Another context, or other entries in the tables, are no change of bytes.
 * READ and ACCESS mean the same memory, by whatever address, and loads, stores and what goes with instructions and
 * events (stacks, descriptors), not fetches, table walks and what VMRUN and VMLOAD read.
 * With `cpu`, what changes in the turns of others does not count.
 *
 * id  receives its number, from 1 on, for pacifica_break_remove() and result.break_id; of several that are met at
 *     once that is the lowest
 * Returns PACIFICA_OK; PACIFICA_EUSAGE (it makes no sense, or there is no memory at a physical address);
 * PACIFICA_ERANGE (there are PACIFICA_BREAKS_MOST); PACIFICA_ENOMEM. */
PACIFICA_API enum pacifica_status pacifica_break_add(struct pacifica_machine *machine,
                                                     const struct pacifica_break *wanted,
                                                     unsigned *id, struct pacifica_diag *diag);

/* Returns PACIFICA_OK, or PACIFICA_EUSAGE: there is none with this number. */
PACIFICA_API enum pacifica_status pacifica_break_remove(struct pacifica_machine *machine,
                                                        unsigned id);

/* What an enabled break is, or NULL; and how often it has stopped a run. hits may be NULL. */
PACIFICA_API const struct pacifica_break *pacifica_break_get(const struct pacifica_machine *machine,
                                                             unsigned id, uint64_t *hits);

/* Run until processor `cpu` (0 if there is no such one) has taken one step (an instruction, an iteration of a string instruction, the
 * delivery of an event, a #VMEXIT), the others with it as their turns come. result->stop is STOP_STEP then, or whatever
 * came first: a break, or STOP_LIMIT_INSNS at result.steps = max_steps because the processor waits. */
PACIFICA_API void pacifica_machine_step(struct pacifica_machine *machine, unsigned cpu,
                                        uint64_t max_steps, struct pacifica_result *result);

#ifdef __cplusplus
}
#endif

#endif
