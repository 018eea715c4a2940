/* What firmware leaves in every processor: memory types. APM vol 2, 7.7 "Memory-Type Range Registers".
 * CHOICE: as SeaBIOS sets them on QEMU: write-back, but for the hole below 1 MiB and for what lies from C0000000h to 4 GiB. */
#include "emu/boot/boot.h"

#define FIXED_REGISTERS 11
#define FIRST_OF_A0000 \
    2 /* two registers of 64 KiB and 16 KiB blocks lie below, seven of 4 KiB blocks from C0000h on */
#define FIRST_OF_C0000 3
#define ALL_WB 0x0606060606060606u
#define ALL_WP 0x0505050505050505u
#define DEFAULT_WB_ENABLED 0xc06u /* E, FE, and type 6 */
#define DEVICES_SPA 0xc0000000u
#define DEVICES_BYTES 0x40000000u
#define MASK_VALID 0x800u
#define TYPE_UC 0u

void boot_processor(struct vcpu *cpu, unsigned address_bits)
{
    struct cpu_msrs *msr = &cpu->msr;
    uint64_t addresses = ((uint64_t)1 << address_bits) - 1;
    for (unsigned i = 0; i < FIXED_REGISTERS; i++)
        msr->mtrr_fix[i] = i < FIRST_OF_A0000 ? ALL_WB : i < FIRST_OF_C0000 ? TYPE_UC : ALL_WP;
    msr->mtrr_phys[0] = DEVICES_SPA | TYPE_UC;
    msr->mtrr_phys[1] = (addresses & ~(uint64_t)(DEVICES_BYTES - 1)) | MASK_VALID;
    msr->mtrr_def = DEFAULT_WB_ENABLED;
}
