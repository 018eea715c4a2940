/* trap.h: the IDT, handlers in C, and running code that may fault. */
#ifndef TEST_ROMS_LIB_TRAP_H
#define TEST_ROMS_LIB_TRAP_H

#include <stdbool.h>
#include <stdint.h>

/* What trap_stubs.S pushes, lowest address first. `error` is 0 for vectors without error code. */
struct trap_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss; /* pushed by the processor */
};

/* Outcome of trap_try(). `vector` is EXC_NONE if the code returned. */
struct trap_result {
    uint32_t vector;
    uint64_t error, rip, cs, rflags, rsp, cr2;
};

typedef void (*trap_handler)(struct trap_frame *frame);

/* Load IDT, TSS and GDT contents. Done before rom_main(). IST1 belongs to #DF, IST2 to NMI. */
void trap_init(void);

/* Make `handler` serve the vector (NULL: back to the default). What the handler changes in the
 * frame is in force after it returns. */
void trap_set_handler(unsigned vector, trap_handler handler);

/* Set gate fields: IST index 0-7, and DPL 0-3. */
void trap_set_ist(unsigned vector, unsigned ist);
void trap_set_dpl(unsigned vector, unsigned dpl);

/* The 16-byte gate, for tests that break it. Restore it afterwards. */
uint64_t *trap_gate(unsigned vector);

/* The TSS (104 bytes): RSP0 at +4, IST1 at +0x24. */
uint8_t *trap_tss(void);

/* Call body(arg). An exception without handler ends it and is reported in the result; callee-saved
 * registers, stack and RFLAGS are then as before the call. May be nested; one body at a time. */
struct trap_result trap_try(void (*body)(void *arg), void *arg);

/* The same for a ring change: run code at CPL 3 with this stack, CS selector and RFLAGS. It ends
 * with an exception, with INT 0x80 (reported as vector 0x80), or never.
 * rdi, rsi  its first arguments */
struct trap_result trap_try_user(uint64_t rip, uint64_t cs, uint64_t rsp, uint64_t rflags,
                                 uint64_t rdi, uint64_t rsi);

#endif
