/* What the files of fuzz_modes share: places, descriptors, modes. */
#ifndef TESTS_FUZZ_MODES_H
#define TESTS_FUZZ_MODES_H

#include "tests/fuzz/guest.h"

/* Besides the places of guest.h. */
enum modes_place {
    PD32_SPA = 0x9000,
    PT32_SPA = 0xa000,
    PAE_PDPT_SPA = 0xb000,
    LDT_SPA = 0xb800,
    HANDLER16_SPA = 0xc000, /* 16 bytes each */
    HANDLER32_SPA = 0xd000,
    HANDLER64_SPA = 0xe000,
    HANDLER_REAL_SPA = 0xf000, /* 8 bytes each */
    CODE16_SPA = 0x10000,
    CODE32_SPA = 0x11000,
    CODE64_SPA = 0x12000,
    CODE_BYTES = 0x1000,
    INNER_AT = 0x800, /* of each page: code of the guest that VMRUN runs */
    TSS_BYTES = 0x100,
    TSS_COUNT = 8,
    NPD32_SPA = 0x2c000, /* nested tables of hosts without long mode */
    NPT32_SPA = 0x2d000,
    NPAE_PDPT_SPA = 0x2e000,
    NPD3_SPA = 0x2f000,   /* the fourth GiB */
    TABLES_SPA = 0x38180, /* operands of LGDT, LIDT: the IDT, that of real mode, the GDT */
    SMBASE_SPA = 0x3c000,
    SMM_CODE_SPA = SMBASE_SPA + 0x8000,
    SMM_SAVE_SPA = SMBASE_SPA + 0xfe00,
    HSAVE_OTHERS_SPA = 0x50000,
    IOAPIC_LA = 0x1f1000
};

/* Entries of the GDT; the LDT holds the same. */
enum modes_entry {
    E_CODE64 = 1,
    E_DATA,
    E_CODE32,
    E_DATA3,
    E_CODE64_3,
    E_CODE32_3,
    E_TSS, /* and the next: its upper half in long mode */
    E_LDT = 9,
    E_CODE16 = 11,
    E_DATA16,
    E_CODE16_3,
    E_DATA16_3,
    E_OTHERS,
    E_GATES = 32,
    E_COUNT = 64
};

enum begin {
    BEGIN_REAL,
    BEGIN_UNREAL,
    BEGIN_PROT16,
    BEGIN_PROT32,
    BEGIN_V86,
    BEGIN_PSE,
    BEGIN_PAE,
    BEGIN_COMPAT16,
    BEGIN_COMPAT32,
    BEGIN_LONG64,
    BEGIN_COUNT
};

static inline unsigned begin_bits(enum begin begin)
{
    switch (begin) {
    case BEGIN_PROT32:
    case BEGIN_PSE:
    case BEGIN_PAE:
    case BEGIN_COMPAT32: return 32;
    case BEGIN_LONG64: return 64;
    default: return 16;
    }
}

static inline bool begin_is_long(enum begin begin)
{
    return begin >= BEGIN_COMPAT16;
}

static inline bool begin_is_pae(enum begin begin)
{
    return begin >= BEGIN_PAE;
}

static inline void modes_store(struct pacifica_machine *machine, uint64_t spa, unsigned bytes,
                               uint64_t value)
{
    phys_write(machine->memory, spa, bytes, value);
}

/* Page tables, descriptors, tasks and handlers (modes_tables.c). */
void modes_make_tables(struct reader *in, struct pacifica_machine *machine, enum begin begin);

/* A VMCB with the state of the first CPU, a guest that begins so, and nested page tables for a host that begins as `host` says
 * (modes_svm.c). */
void modes_make_guest(struct reader *in, struct pacifica_machine *machine, enum begin host);

/* Shadow stacks in memory, and a CPU that uses them (modes_shadow.c). */
void modes_make_shadow(struct pacifica_machine *machine);
void modes_set_shadow(struct vcpu *cpu);

/* Write at most `count` pieces of code of `bits` 16, 32 or 64 into `room` bytes, and a jump back to the start (modes_code.c). */
struct modes_code {
    unsigned bits, count, room;
    uint8_t *code;
    uint32_t la;  /* where it stands */
    bool paged;   /* where the APICs are */
    bool vmrun;   /* begins with VMRUN and goes on behind what the guest exited for */
    bool smm;     /* ends with RSM */
    bool vectors; /* most of it x87 and vector instructions */
};
void modes_write_code(struct reader *in, const struct modes_code *what);

/* One x87 or vector instruction, as `choice` and the input say; returns its length. A pattern of modes_code.c that changes their
 * state. The state itself: who may use it, and what it holds (modes_vector.c). */
#define MODES_INSN_MAX 24u
unsigned modes_vector_insn(struct reader *in, unsigned bits, unsigned choice, uint8_t *bytes);
const char *modes_vector_pattern(unsigned choice);
void modes_fp_control(struct reader *in, struct vcpu *cpu);
void modes_fp_state(struct reader *in, struct vcpu *cpu);

#endif
