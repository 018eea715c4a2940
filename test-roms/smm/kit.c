/* kit.c: see kit.h. */
#include "test-roms/smm/kit.h"

#include "test-roms/lib/cpu.h"
#include "test-roms/lib/rom.h"

extern const uint8_t smm_code16[], smm_code16_end[];

struct smm_seen smm_seen;
uint8_t smm_area[SMM_AREA_BYTES];
static uint32_t base = SMBASE_RESET;

SMM_CODE(nothing, "");

uint64_t smm_field(unsigned at, unsigned bytes)
{
    uint64_t value = 0;

    memcpy(&value, smm_area + at, bytes);
    return value;
}

void smm_use(const uint8_t *from, const uint8_t *to)
{
    memcpy((uint8_t *)(uintptr_t)base + SMM_HOOK_AT, from, (size_t)(to - from));
}

void smm_install(uint32_t smbase)
{
    base = smbase;
    memcpy((uint8_t *)(uintptr_t)base + SMM_CODE_AT, smm_code16,
           (size_t)(smm_code16_end - smm_code16));
    smm_reset();
}

void smm_reset(void)
{
    memset(&smm_seen, 0, sizeof smm_seen);
    SMM_USE(nothing);
}

void smm_patch(uint32_t offset, uint32_t value)
{
    smm_seen.patch[smm_seen.patches][0] = offset;
    smm_seen.patch[smm_seen.patches][1] = value;
    smm_seen.patches++;
}

void smm_require(void)
{
    smm_install(SMBASE_RESET);
    outb(APM_PORT, 0);
    if (smm_seen.entries == 1)
        return;
    rom_printf("# SMM is not ours at SMBASE 30000: everything is skipped\n1..0\n");
    rom_exit(0);
}
