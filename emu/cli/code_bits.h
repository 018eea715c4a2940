/* How wide the code is that a processor executes, by its registers as pacifica_registers() has them. */
#ifndef EMU_CLI_CODE_BITS_H
#define EMU_CLI_CODE_BITS_H

#include <stdint.h>

/* 64, 32 or 16. APM vol 2, 3.1.7 "Extended Feature Enable Register", and attributes of CS as in a VMCB, appendix B. */
static inline unsigned code_bits(uint64_t efer, uint64_t cs_attrib)
{
    const uint64_t lma = UINT64_C(1) << 10, l = 1u << 9, d = 1u << 10;
    if ((efer & lma) && (cs_attrib & l))
        return 64;
    return cs_attrib & d ? 32 : 16;
}

#endif
