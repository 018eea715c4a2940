/* `info fp`: x87 and vector registers, and what controls them. */
#include "emu/debug/info_priv.h"

#include <inttypes.h>

static void put_x87(const struct cpu_x87 *x87, const struct pacifica_output *output)
{
    unsigned top = x87->fsw >> FSW_TOP_SHIFT & 7;
    output_put(output, "FCW %04x  FSW %04x (TOP %u)  FOP %03x\n", x87->fcw, x87->fsw, top,
               x87->fop);
    output_put(output, "FIP %04x:%016" PRIx64 "  FDP %04x:%016" PRIx64 "\n", x87->fcs, x87->fip,
               x87->fds, x87->fdp);
    for (unsigned i = 0; i < 8; i++) {
        unsigned physical = (top + i) & 7;
        const struct f80 *st = &x87->reg[physical];
        output_put(output, "ST%u %04x %016" PRIx64 "  MM%u%s\n", i, st->se, st->mant, physical,
                   x87->used >> physical & 1 ? "" : "  empty");
    }
}

static void put_vectors(const struct cpu_simd *simd, const struct pacifica_output *output)
{
    for (unsigned i = 0; i < 16; i++) {
        const uint64_t *words = simd->v[i].u64;
        output_put(output,
                   "YMM%-2u %016" PRIx64 " %016" PRIx64 "  XMM%-2u %016" PRIx64 " %016" PRIx64 "\n",
                   i, words[3], words[2], i, words[1], words[0]);
    }
}

enum pacifica_status info_fp(struct vcpu *cpu, const char *argument,
                             const struct pacifica_output *output, struct pacifica_diag *diag)
{
    (void)argument;
    (void)diag;
    put_x87(&cpu->x87, output);
    output_put(output, "MXCSR %08x  XCR0 %016" PRIx64 "  XSS %016" PRIx64 "\n", cpu->simd.mxcsr,
               cpu->simd.xcr0, cpu->msr.xss);
    if (cpu->ferr.asserted)
        output_put(output, "FERR# asserted%s\n", cpu->ferr.frozen ? ", frozen" : "");
    put_vectors(&cpu->simd, output);
    return PACIFICA_OK;
}
