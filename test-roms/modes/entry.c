/* entry.c: every mode can be entered, runs code with its own widths, and is left by an exception.
 * APM vol 2, 1.3 "Operating Modes", 14.4 "Enabling Protected Mode" and 14.6 "Enabling and Activating
 * Long Mode". */
#include "test-roms/lib/modes.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

/* The same bytes in 16-bit, 32-bit and 64-bit code: the default operand size shows. */
#define WIDTH "movl %esp, %ebx\n .byte 0x6a, 0x01\n movl %esp, %ecx\n .byte 0x58\n"
MODE_CODE16(width16, WIDTH);
MODE_CODE32(width32, WIDTH);
MODE_CODE64(width64, WIDTH);

static const struct {
    enum mode mode;
    const char *name;
    const char *code, *end;
    unsigned width;
    unsigned cpl;
} rows[] = {
    { MODE_REAL, "real mode", width16, width16_end, 2, 0 },
    { MODE_UNREAL, "real mode with big segments", width16, width16_end, 2, 0 },
    { MODE_PROT16, "16-bit protected mode", width16, width16_end, 2, 0 },
    { MODE_PROT32, "32-bit protected mode", width32, width32_end, 4, 0 },
    { MODE_PROT16_USER, "16-bit protected mode, CPL 3", width16, width16_end, 2, 3 },
    { MODE_PROT32_USER, "32-bit protected mode, CPL 3", width32, width32_end, 4, 3 },
    { MODE_V86, "virtual-8086 mode", width16, width16_end, 2, 3 },
    { MODE_COMPAT16, "16-bit compatibility mode", width16, width16_end, 2, 0 },
    { MODE_COMPAT32, "32-bit compatibility mode", width32, width32_end, 4, 0 },
    { MODE_COMPAT16_USER, "16-bit compatibility mode, CPL 3", width16, width16_end, 2, 3 },
    { MODE_COMPAT32_USER, "32-bit compatibility mode, CPL 3", width32, width32_end, 4, 3 },
    { MODE_LONG, "64-bit mode", width64, width64_end, 8, 0 },
    { MODE_LONG_USER, "64-bit mode, CPL 3", width64, width64_end, 8, 3 },
};

static void check(unsigned i, const char *with)
{
    struct mode_event e = modes_run();
    uint64_t pushed = modes_reg(M_BX) - modes_reg(M_CX);

    modes_expect(&e, EXC_UD, 0, rows[i].end, with != NULL ? with : rows[i].name);
    tap_eq(pushed, rows[i].width, "%s: a push of its default size", rows[i].name);
}

int rom_main(void)
{
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        modes_begin(rows[i].mode, rows[i].code);
        check(i, NULL);
        if (rows[i].mode >= MODE_PROT16 && rows[i].mode <= MODE_V86) {
            modes_begin(rows[i].mode, rows[i].code);
            modes_paging_pse();
            check(i, "with 4 MiB pages");
            modes_begin(rows[i].mode, rows[i].code);
            modes_paging_pae();
            check(i, "with PAE paging");
        }
    }
    tap_done();
}
