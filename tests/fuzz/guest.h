/* A guest made from bytes: the same bytes make the same guest. Every choice is one byte or a few of
 * the input, so that a fuzzer which changes a byte changes one choice; behind its end all are 0. */
#ifndef TESTS_FUZZ_GUEST_H
#define TESTS_FUZZ_GUEST_H

#include "emu/machine/machine.h"

#define GUEST_RAM 0x110000u /* 64 KiB behind the hole of a PC */

/* Where things are in RAM. 0-2 MiB are mapped to themselves by 4 KiB pages, LAPIC_LA to the local
 * APIC. The same RAM is seen at 2 MiB (one large page), 4 MiB (the same page table), 6 MiB
 * (RIGHTS_LA), 1 GiB (one page of 1 GiB) and, through entries 256 and 511 of the top table and 510
 * and 511 of the next, in the upper half. */
enum guest_place {
    PML4_SPA = 0x1000,
    PDPT_SPA = 0x2000,
    PD_SPA = 0x3000,
    PT_SPA = 0x4000,
    RIGHTS_SPA =
        0x5000, /* page table of RIGHTS_LA: page n is page n / 8 with the rights of n % 8 */
    GDT_SPA = 0x6000,
    IDT_SPA = 0x7000,
    TSS_SPA = 0x8000,
    HANDLER_SPA = 0xc000, /* 32 bytes each */
    CODE_SPA = 0x10000,
    INNER_CODE_SPA = 0x12000, /* where the VMCBs begin */
    CODE_END = 0x14000,
    VMCB_SPA = 0x20000,
    HSAVE_SPA = 0x21000,
    IOPM_SPA = 0x22000,
    MSRPM_SPA = 0x25000,
    VMCB2_SPA = 0x27000,
    NPML4_SPA = 0x28000,
    NPDPT_SPA = 0x29000,
    NPD_SPA = 0x2a000,
    NPT_SPA = 0x2b000,
    INNER_STACK = 0x31f00,
    STACK = 0x32f00,
    RSP0 = 0x34000,
    IST1 = 0x35000,
    DATA_SPA = 0x38000,
    FAR_SPA = 0x38100, /* far pointers, one for each 16 bytes */
    ROM_SPA = 0xc0000,
    LAPIC_LA = 0x1f0000,
    RIGHTS_LA = 0x600000
};

#define FAR_COUNT 8u

struct reader {
    const uint8_t *at;
    size_t left;
};

static inline uint8_t read8(struct reader *in)
{
    if (in->left == 0)
        return 0;
    in->left--;
    return *in->at++;
}

static inline uint64_t read_bytes(struct reader *in, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)read8(in) << 8 * i;
    return value;
}

/* A number worth trying: an address of the map, one at an edge, or any. */
uint32_t guest_number32(struct reader *in);
uint64_t guest_number64(struct reader *in);

/* Write at most `count` pieces of code of one or a few instructions into `room` bytes that will
 * stand at `la`, and a jump to `back`. padded: each begins at a multiple of 16. */
void guest_write_code(struct reader *in, unsigned count, bool padded, uint8_t *code, unsigned room,
                      uint64_t la, uint64_t back);

/* Fill the memory of a new machine and set its CPU to the guest's first instruction. */
void guest_make(struct reader *in, struct pacifica_machine *machine);

/* The same for guests that begin in any mode (modes.c). */
void modes_make(struct reader *in, struct pacifica_machine *machine);
/* And with x87 and vector instructions over random state. */
void modes_make_vectors(struct reader *in, struct pacifica_machine *machine);

#endif
