/* The registers as GDB has them: its numbers and names, made of the library's. */
#ifndef EMU_CLI_GDB_TARGET_H
#define EMU_CLI_GDB_TARGET_H

#include <pacifica/pacifica.h>

/* A register of GDB: bytes of one of the library. */
struct gdb_register {
    char name[16];
    size_t index; /* in pacifica_registers(); SIZE_MAX: there is none, its value is unknown */
    uint16_t offset, bytes; /* which of its bytes */
    uint16_t bits;          /* as GDB has it; what the library lacks is 0 */
    bool linear;            /* an offset in the code segment there, a linear address here */
};

/* Invariant: regs[0..count) in the order of GDB's numbers; xml is the description that names them. */
struct gdb_target {
    struct gdb_register *regs;
    unsigned count, pc, sp, fp;      /* numbers of rip, rsp, rbp */
    size_t cs_base, cs_attrib, efer; /* in pacifica_registers() */
    char *xml;
    size_t xml_size;
};

/* PACIFICA_OK or PACIFICA_ENOMEM. gdb_target_fini() is needed in any case. */
enum pacifica_status gdb_target_init(struct gdb_target *target, struct pacifica_diag *diag);
void gdb_target_fini(struct gdb_target *target);

/* Read register `number` into `bytes`, which has room for PACIFICA_REGISTER_BYTES. False: unknown. */
bool gdb_target_get(const struct gdb_target *target, struct pacifica_machine *machine, unsigned cpu,
                    unsigned number, void *bytes);

/* Write it. Statuses as pacifica_machine_register_set(). */
enum pacifica_status gdb_target_set(const struct gdb_target *target,
                                    struct pacifica_machine *machine, unsigned cpu, unsigned number,
                                    const void *bytes, struct pacifica_diag *diag);

/* The linear address of the next instruction. */
uint64_t gdb_target_pc(const struct gdb_target *target, struct pacifica_machine *machine,
                       unsigned cpu);

#endif
