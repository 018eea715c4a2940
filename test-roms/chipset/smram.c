/* smram.c: memory at A0000h that SMM alone sees. Intel 440FX PCIset data sheet, "SMRAM - System Management RAM Control
 * Register". */
#include "test-roms/chipset/pc.h"
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"
#include "test-roms/smm/kit.h"

#define SMRAM 0x72
#define OPEN 0x40u
#define LOCK 0x10u
#define ENABLE 0x08u
#define FIXED 0x02u
#define AT 0xb0100u /* in front of no video mode that was set */
#define MARK 0x600dcafe

/* What SMM sees at b0100, and then writes there. */
SMM_CODE(
    look,
    "movl $0xb0100, %edi\n movl (%edi), %eax\n movl %eax, 48(%ebx)\n movl $0x5eed5eed, (%edi)");

static void smram(unsigned bits)
{
    config_write(HOST_BRIDGE, SMRAM, 1, bits | FIXED);
}

static volatile uint32_t *word(void)
{
    return (volatile uint32_t *)(uintptr_t)AT;
}

static void look_from_smm(void)
{
    smm_reset();
    SMM_USE(look);
    outb(APM_PORT, 0);
}

static void test_open(void)
{
    uint32_t outside;

    smram(0);
    outside = *word();
    smram(OPEN | ENABLE);
    *word() = MARK;
    tap_eq(*word(), MARK, "open, it is memory");
    smram(ENABLE);
    tap_eq(*word(), outside, "closed, it is not seen");
    *word() = ~outside;
    smram(OPEN | ENABLE);
    tap_eq(*word(), MARK, "nor written");
}

static void test_smm(void)
{
    smram(ENABLE);
    look_from_smm();
    tap_eq(smm_seen.entries, 1, "SMI is taken");
    tap_eq(smm_seen.result[0], MARK, "SMM sees it while it is closed");
    smram(OPEN | ENABLE);
    tap_eq(*word(), 0x5eed5eed, "and writes it");
    *word() = MARK;
    smram(0);
    look_from_smm();
    tap_ok(smm_seen.result[0] != MARK, "not without G_SMRAME");
    smram(OPEN | ENABLE);
    tap_eq(*word(), MARK, "nor does SMM write it then");
}

static void test_lock(void)
{
    smram(OPEN | ENABLE | LOCK);
    tap_eq(config_read(HOST_BRIDGE, SMRAM, 1), ENABLE | LOCK | FIXED, "the lock closes it");
    smram(OPEN | ENABLE);
    tap_eq(config_read(HOST_BRIDGE, SMRAM, 1), ENABLE | LOCK | FIXED, "and cannot be opened");
    tap_ok(*word() != MARK, "it is not seen");
    look_from_smm();
    tap_eq(smm_seen.result[0], MARK, "but from SMM");
}

int rom_main(void)
{
    require_440fx();
    smm_require();
    test_open();
    test_smm();
    test_lock();
    tap_done();
}
