/* Shared by forms.c and generate.c. */
#ifndef TESTS_DIFFERENTIAL_FORMS_PRIV_H
#define TESTS_DIFFERENTIAL_FORMS_PRIV_H

#include "decoder/insn.h"
#include "tests/differential/differential.h"

enum map { MAP_1, MAP_0F, MAP_0F38, MAP_0F3A, MAP_VEX38, MAP_VEX3A, MAP_COUNT };

/* One encoding: ModRM.reg and whether its operand is memory are part of it, for they often choose the instruction. */
struct form {
    uint8_t map, opcode, prefix, reg;
    bool memory;
    uint16_t mnemonic;
};

#define MNEMONICS 2048u

struct form_list {
    struct form *forms; /* in order of mnemonics */
    unsigned count;
    unsigned first[MNEMONICS + 1];
    uint16_t mnemonics[MNEMONICS];
    unsigned mnemonic_count;
};

struct diff_forms {
    struct form_list modes[DIFF_MODES];
};

/* May it run natively, and is it one of ours? Otherwise another one is drawn. */
bool may_run(const struct insn *in);

/* The bytes up to the opcode: mandatory prefix, REX or VEX, escapes. `rex`: REX, or for VEX its W, R, X, B bits. Returns how many. */
unsigned put_opcode(uint8_t *at, const struct form *form, unsigned mode, unsigned vvvv,
                    unsigned rex);

#endif
