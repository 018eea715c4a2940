/* kit.h: guests for the SVM tests. A test guest is a few instructions in the address space of the
 * ROM itself, so that what it does to memory is visible to C, with a stack and an IDT of its own.
 * Everything that the guest's IDT receives is reported to the host by VMMCALL. */
#ifndef TEST_ROMS_SVM_KIT_H
#define TEST_ROMS_SVM_KIT_H

#include <stdbool.h>
#include <stdint.h>

#include "test-roms/lib/cpu.h"
#include "test-roms/lib/paging.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/svm.h"
#include "test-roms/lib/tap.h"
#include "test-roms/lib/trap.h"

/* Code of a guest: label `name`, the text, then VMMCALL at label `name_end`. A label `name_insn` in
 * the text can mark the instruction that a test is about. */
#define GUEST_CODE(name, text)                                                      \
    extern const char name[], name##_end[];                                         \
    __asm__(".text\n\t.globl " #name "\n" #name ":\n\t" text "\n" #name "_end:\n\t" \
            "vmmcall\n\tud2\n")

/* What a guest IDT gate found on its stack, lowest address first. */
struct guest_event {
    uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

/* Start of a test ROM: enables SVM or ends the program with a skipped point. */
void kit_init(void);

/* A fresh guest at this code: 64-bit, CPL 0, ASID 1, guest IDT, guest stack, interrupts off; the
 * TLB of its ASID is flushed by the first VMRUN. */
void kit_guest(struct svm_guest *g, const char *code);

/* Let it run at CPL 3 instead (the identity map is opened for users in its address space). */
void kit_guest_user(struct svm_guest *g);

/* Run and describe the end: */
struct kit_end {
    uint64_t exitcode;
    uint64_t rip;                    /* saved RIP */
    const struct guest_event *event; /* not NULL: VMMCALL from the guest's IDT */
};
struct kit_end kit_run(struct svm_guest *g);

/* Continue a guest that reported an event: skips the VMMCALL, so that the gate returns by IRETQ. */
void kit_resume(struct svm_guest *g);

/* Nested tables: 4 GiB mapped to themselves, P, W, U. A new set each time. */
uint64_t *kit_nested_identity(void);

/* Two consecutive maps of zeros: IOPM (3 pages) and MSRPM (2 pages), set in the VMCB. */
uint8_t *kit_iopm(struct svm_guest *g);
uint8_t *kit_msrpm(struct svm_guest *g);

/* Guest stack top, and its IDT. */
uint64_t kit_stack_top(void);
uint64_t *kit_guest_gate(unsigned vector);

#endif
