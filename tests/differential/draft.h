/* The bytes of a case (draft.c), and where what it touches lies (aim.c). */
#ifndef TESTS_DIFFERENTIAL_DRAFT_H
#define TESTS_DIFFERENTIAL_DRAFT_H

#include "tests/differential/forms_priv.h"

#define RW_BYTES 0x3000u /* of the data, from its start: may be written */

struct draft {
    uint8_t bytes[DIFF_CODE_BYTES + 40];
    unsigned len;
    unsigned opcode_end; /* index behind the opcode */
    bool addr16;
};

void draft_form(struct draft *d, struct diff_random *random, const struct form *form,
                unsigned mode);
void draft_garbage(struct draft *d, struct diff_random *random);
/* Bytes that do not decode here, and may do something on another processor. */
bool looks_excluded(const uint8_t *bytes);
bool may_be_avx512(const struct draft *d);
/* FNSTENV to the end of what can be written. Returns its length. */
unsigned put_fnstenv(uint8_t *at, unsigned mode);

/* --- aim.c --- */
/* A linear address to aim at: mostly in the data, often at the edge of a page, sometimes where nothing is. */
uint64_t aim(struct diff_random *random, unsigned mode);
uint64_t segment_base(const struct diff_case *made, unsigned seg);
bool small_stack(const struct diff_case *made); /* is the stack pointer SP? */
bool has_memory(const struct insn *in);
bool is_string(const struct insn *in);
bool is_masked_store(const struct insn *in); /* MASKMOVQ and its kin store where rDI says */
/* The memory operand: its offset in the segment, and its linear address. */
uint64_t effective(const struct insn *in, const struct diff_state *state);
uint64_t to_linear(const struct diff_case *made, unsigned seg, uint64_t off);
/* Change a register, or the displacement in the bytes, so that the operand lies at `off`. */
void aim_operand(const struct insn *in, struct draft *d, struct diff_state *state, uint64_t off);
/* A bit offset in a register reaches far: not farther than the data. */
void tame_bit_offset(const struct insn *in, struct diff_random *random, struct diff_state *state);
/* After the last change: is what it will touch harmless? */
bool is_safe(const struct insn *in, const struct diff_case *made);

#endif
