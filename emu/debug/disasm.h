/* Disassembly for people, by Capstone: never used to execute anything. */
#ifndef EMU_DEBUG_DISASM_H
#define EMU_DEBUG_DISASM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct disasm;

/* Make a disassembler, Intel syntax. NULL: no memory. */
struct disasm *disasm_new(void);
void disasm_free(struct disasm *disasm); /* NULL is allowed */

/* Write the instruction at the beginning of `bytes`, which stands at `rip`, to text ("(bad)" if it is none).
 * bits is 16, 32 or 64. Returns its length in bytes, at least 1, at most size; 0 if size is 0. */
size_t disasm_insn(struct disasm *disasm, unsigned bits, uint64_t rip, const uint8_t *bytes,
                   size_t size, char *text, size_t text_bytes);

#endif
