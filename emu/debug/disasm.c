/* Disassembly for people, by Capstone. */
#include "emu/debug/disasm.h"

#include <capstone/capstone.h>
#include <stdio.h>
#include <stdlib.h>

struct disasm {
    csh handle[3]; /* 16, 32, 64 bits; opened when first needed, 0 before */
    cs_insn *insn; /* of the first handle; the text does not depend on it */
};

struct disasm *disasm_new(void)
{
    return calloc(1, sizeof(struct disasm));
}

void disasm_free(struct disasm *disasm)
{
    if (!disasm)
        return;
    if (disasm->insn)
        cs_free(disasm->insn, 1);
    for (unsigned i = 0; i < 3; i++)
        if (disasm->handle[i])
            cs_close(&disasm->handle[i]);
    free(disasm);
}

/* The Capstone handle for a width, or 0 when it cannot be had. */
static csh disasm_handle(struct disasm *disasm, unsigned bits)
{
    static const cs_mode mode[3] = { CS_MODE_16, CS_MODE_32, CS_MODE_64 };
    unsigned i = bits == 16 ? 0 : bits == 32 ? 1 : 2;
    if (!disasm->handle[i] && cs_open(CS_ARCH_X86, mode[i], &disasm->handle[i]) != CS_ERR_OK)
        disasm->handle[i] = 0;
    if (disasm->handle[i] && !disasm->insn)
        disasm->insn = cs_malloc(disasm->handle[i]);
    return disasm->insn ? disasm->handle[i] : 0;
}

size_t disasm_insn(struct disasm *disasm, unsigned bits, uint64_t rip, const uint8_t *bytes,
                   size_t size, char *text, size_t text_bytes)
{
    if (size == 0) {
        (void)snprintf(text, text_bytes, "(no bytes)");
        return 0;
    }
    csh handle = disasm_handle(disasm, bits);
    const uint8_t *at = bytes;
    size_t left = size;
    uint64_t address = rip;
    if (!handle || !cs_disasm_iter(handle, &at, &left, &address, disasm->insn)) {
        (void)snprintf(text, text_bytes, "(bad)");
        return 1;
    }
    const cs_insn *insn = disasm->insn;
    (void)snprintf(text, text_bytes, insn->op_str[0] ? "%s %s" : "%s%s", insn->mnemonic,
                   insn->op_str);
    return insn->size;
}
