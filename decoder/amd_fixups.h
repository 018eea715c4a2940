/* Where Zydis decodes as Intel does, or as no one does, and AMD differs. */
#ifndef DECODER_AMD_FIXUPS_H
#define DECODER_AMD_FIXUPS_H

#include "decoder/insn.h"

/* Correct a decoded instruction. false: it is none on AMD (#UD). */
bool amd_fixup(struct insn *insn, enum cpu_mode mode);

#endif
