/* Shared by forms.c, generate.c and what draws operands. */
#ifndef TESTS_DIFFERENTIAL_FORMS_PRIV_H
#define TESTS_DIFFERENTIAL_FORMS_PRIV_H

#include "decoder/insn.h"
#include "tests/differential/differential.h"

enum map { MAP_1, MAP_0F, MAP_0F38, MAP_0F3A, MAP_VEX0F, MAP_VEX38, MAP_VEX3A, MAP_COUNT };

#define ANY_RM 8u

/* One encoding: ModRM.reg and whether its operand is memory are part of it, for they often choose the instruction. */
struct form {
    uint8_t map, opcode, prefix, reg;
    uint8_t rm; /* of ModRM: ANY_RM, or what it must be */
    bool memory, wide, large;
    bool vvvv; /* VEX.vvvv names a register */
    uint16_t kind;
};

/* What is counted as one form: a mnemonic with the kinds and sizes of its operands. */
struct form_kind {
    uint64_t key;
    uint16_t mnemonic;
    bool vex;
    uint8_t count, kinds[4], sizes[4];
    bool modes[DIFF_MODES]; /* where it exists */
    const char *left_out;   /* why it never runs, or NULL */
    uint64_t ran[DIFF_MODES];
};

/* The encodings of one mode, in order of their kinds; and where each kind that runs begins. */
struct form_list {
    struct form *forms;
    unsigned count, room;
    unsigned *first;
    unsigned kind_count;
};

#define KINDS_MAX 8192u

struct diff_forms {
    struct form_list modes[DIFF_MODES];
    struct form_kind kinds[KINDS_MAX]; /* 0: no instruction, or none of a known kind */
    uint16_t by_key[2 * KINDS_MAX];
    unsigned kind_count;
    const char *only;
    unsigned
        missing; /* encodings of instruction sets that are offered, without a row in the table */
};

/* May it run natively, and is it one of ours? Otherwise another one is drawn. */
bool may_run(const struct insn *in);
uint16_t form_kind_of(const struct diff_forms *forms, const struct insn *in);

/* Bytes of REX, and of VEX besides what the form says. */
struct form_extra {
    unsigned rex;  /* R, X, B of both; bit 6 makes a REX necessary */
    unsigned vvvv; /* as it stands in VEX */
    bool two_bytes;
};
/* The bytes up to the opcode: mandatory prefix, REX or VEX, escapes. Returns how many. */
unsigned put_opcode(uint8_t *at, const struct form *form, unsigned mode,
                    const struct form_extra *extra);

/* --- draw_fp.c: what x87 and vector registers hold --- */
bool is_floating(const struct insn *in); /* x87, MMX, vectors or their state */
bool is_x87(const struct insn *in);
bool is_transcendental(uint16_t mnemonic);
bool is_gather(const struct insn *in);
#define NATIVE_ONLY UINT64_C(0xe0)    /* XCR0: the workstation's AVX-512 */
bool is_state(const struct insn *in); /* FXSAVE, XSAVE, their kin and their way back */
void draw_fp(const struct insn *in, struct diff_random *random, struct diff_state *state);
/* Linear address of a memory operand whose contents suit `in`. */
uint64_t aim_fp(const struct insn *in, struct diff_random *random);

/* --- compare_fp.c: is the operand at la, offset `off`, accessed in parts? --- */
void find_parts(const struct insn *in, uint64_t la, uint64_t off, struct diff_case *made);

#endif
