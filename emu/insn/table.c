/* The instruction table, laid out by Zydis mnemonic. */
#include "emu/cpu/cpuid.h"
#include "emu/insn/insn.h"

#include <Zydis/Mnemonic.h>

/* The flags as the rows spell them. */
enum {
    ENDS_BLOCK = INSN_ENDS_BLOCK,
    LOCKABLE = INSN_LOCKABLE,
    BASELINE = INSN_BASELINE,
    NO_FLAGS = INSN_NO_FLAGS,
    WRITES_ALL = INSN_WRITES_ALL
};

static const struct insn_info table[ZYDIS_MNEMONIC_MAX_VALUE + 1] = {
#define INSN(name, insn, row_flags, needs) \
    [ZYDIS_MNEMONIC_##name] = { ZYDIS_MNEMONIC_##name, insn, row_flags, CPU_FEATURE_##needs },
#include "emu/insn/insns.def"
#undef INSN
};

const struct insn_info *insn_lookup(uint16_t mnemonic)
{
    if (mnemonic > ZYDIS_MNEMONIC_MAX_VALUE || !table[mnemonic].body)
        return NULL;
    return &table[mnemonic];
}
