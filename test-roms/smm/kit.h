/* kit.h: a handler for SMI that tells what it found. */
#ifndef TEST_ROMS_SMM_KIT_H
#define TEST_ROMS_SMM_KIT_H

#include <stdbool.h>
#include <stdint.h>

#include "test-roms/smm/layout.h"

struct smm_seen {
    volatile uint32_t entries;
    volatile uint32_t cr0, cr3, cr4, efer, eflags, dr6, dr7;
    volatile uint16_t cs, ds, es, ss, fs, gs;
    volatile uint32_t id; /* initial APIC ID */
    volatile uint32_t result[4];
    volatile uint32_t patches;
    volatile uint32_t patch[SMM_PATCHES][2];
};
extern struct smm_seen smm_seen;

/* The save-state area as the last entry found it. */
extern uint8_t smm_area[SMM_AREA_BYTES];

/* Fields. APM vol 2, table 10-1 "AMD64 Architecture SMM State-Save Area". */
#define SAVE_ES 0x000
#define SAVE_CS 0x010
#define SAVE_SS 0x020
#define SAVE_DS 0x030
#define SAVE_FS 0x040
#define SAVE_GS 0x050
#define SAVE_GDTR 0x060
#define SAVE_LDTR 0x070
#define SAVE_IDTR 0x080
#define SAVE_TR 0x090
#define SAVE_IO_RIP 0x0a0
#define SAVE_IO_RCX 0x0a8
#define SAVE_IO_DWORD 0x0c0
#define SAVE_IO_RESTART 0x0c8
#define SAVE_HALT_RESTART 0x0c9
#define SAVE_NMI_MASK 0x0ca
#define SAVE_EFER 0x0d0
#define SAVE_REVISION 0x0fc
#define SAVE_SMBASE 0x100
#define SAVE_CR4 0x148
#define SAVE_CR3 0x150
#define SAVE_CR0 0x158
#define SAVE_DR7 0x160
#define SAVE_DR6 0x168
#define SAVE_RFLAGS 0x170
#define SAVE_RIP 0x178
#define SAVE_REG(n) (0x1f8 - 8 * (n)) /* rAX is 0 */
uint64_t smm_field(unsigned at, unsigned bytes);

/* Code for the handler to call; DS is flat, EBX points to smm_seen. */
#define SMM_CODE(name, text)                                                                  \
    extern const uint8_t name[], name##_end[];                                                \
    __asm__(".pushsection .text\n.code16\n.globl " #name ", " #name "_end\n" #name ":\n" text \
            "\nret\n" #name "_end:\n.code64\n.popsection")
#define SMM_USE(name) smm_use(name, name##_end)
void smm_use(const uint8_t *from, const uint8_t *to);

/* Put the handler at this SMBASE, with nothing to do. */
void smm_install(uint32_t smbase);
/* Is it reached? If not (firmware has SMM for itself), the program ends with everything skipped. */
void smm_require(void);
/* No entries, no patches, nothing to do. */
void smm_reset(void);
/* The next entry writes a doubleword of the save-state area before it leaves. */
void smm_patch(uint32_t offset, uint32_t value);

#define APM_PORT 0xb2

#endif
