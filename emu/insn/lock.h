/* Locked instructions of guests whose bus locks are counted. */
#ifndef EMU_INSN_LOCK_H
#define EMU_INSN_LOCK_H

#include "emu/insn/insn.h"

/* Does a decoded instruction lock its memory operand: by a LOCK prefix, or as XCHG does without one? */
bool lock_is_implied_or_said(const struct insn *in);

/* Execute one while cpu->ready lacks READY_LOCK. */
EMU_MUST_USE enum step insn_locked(struct vcpu *cpu, const struct insn *in);

/* Where the unit of a bit test lies: of `bit`, a register's value or an immediate. */
uint64_t bit_unit(const struct vcpu *cpu, const struct insn *in, uint64_t bit);

#endif
