/* same.c: the same bytes at the same address, run in all modes in a mixed order, and changed on the way: each mode reads
 * them its own way. APM vol 2, 1.3 "Operating Modes", 7.6.1 "Cache Organization and Operation" (self-modifying code). */
#include "test-roms/lib/modes.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

#define ROUNDS 400u

/* 16-bit: XOR AX; ADD AX, n; DEC AX three times; INC AX: n - 2
 * 32-bit: XOR EAX; ADD EAX, 4848000n; DEC EAX; INC EAX: 4848000n
 * 64-bit: XOR EAX; ADD EAX, 4848000n; INC RAX: 4848000n + 1 */
MODE_CODE16(same, ".byte 0x31, 0xc0, 0x05\n same_n: .word 1\n .byte 0x48, 0x48, 0x48, 0xff, 0xc0");
extern uint8_t same_n[];

static const char *const names[MODES] = {
    [MODE_REAL] = "real mode",
    [MODE_UNREAL] = "real mode with big segments",
    [MODE_PROT16] = "16-bit protected mode",
    [MODE_PROT32] = "32-bit protected mode",
    [MODE_PROT16_USER] = "16-bit protected mode, CPL 3",
    [MODE_PROT32_USER] = "32-bit protected mode, CPL 3",
    [MODE_V86] = "virtual-8086 mode",
    [MODE_COMPAT16] = "16-bit compatibility mode",
    [MODE_COMPAT32] = "32-bit compatibility mode",
    [MODE_COMPAT16_USER] = "16-bit compatibility mode, CPL 3",
    [MODE_COMPAT32_USER] = "32-bit compatibility mode, CPL 3",
    [MODE_LONG] = "64-bit mode",
    [MODE_LONG_USER] = "64-bit mode, CPL 3",
};

static unsigned bits(enum mode mode)
{
    switch (mode) {
    case MODE_PROT32:
    case MODE_PROT32_USER:
    case MODE_COMPAT32:
    case MODE_COMPAT32_USER: return 32;
    case MODE_LONG:
    case MODE_LONG_USER: return 64;
    default: return 16;
    }
}

static uint64_t wanted(enum mode mode, uint16_t n)
{
    switch (bits(mode)) {
    case 16: return (uint16_t)(n - 2);
    case 32: return UINT32_C(0x48480000) + n;
    default: return UINT32_C(0x48480001) + n;
    }
}

int rom_main(void)
{
    unsigned runs[MODES] = { 0 }, wrong[MODES] = { 0 };
    uint32_t random = 12345;
    uint16_t n = 1;

    /* rows: pitfalls 8.1 */
    for (unsigned i = 0; i < ROUNDS; i++) {
        enum mode mode;
        struct mode_event e;

        random = random * 1103515245u + 12345u;
        mode = (random >> 16) % MODES;
        if ((random >> 8 & 3) == 0) {
            n = (uint16_t)(random >> 12 & 0x7fff);
            memcpy(same_n, &n, 2);
        }
        modes_begin(mode, same);
        if (mode >= MODE_PROT16 && mode <= MODE_V86 && (random >> 24 & 7) == 0)
            modes_paging_pse();
        e = modes_run();
        runs[mode]++;
        wrong[mode] += !modes_done(&e, same_end) || modes_reg(M_AX) != wanted(mode, n);
    }
    for (unsigned mode = 0; mode < MODES; mode++)
        tap_ok(runs[mode] != 0 && wrong[mode] == 0, "%s: %u runs", names[mode], runs[mode]);
    tap_done();
}
