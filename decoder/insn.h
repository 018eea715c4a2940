/* A decoded instruction as plain bodies see it. */
#ifndef DECODER_INSN_H
#define DECODER_INSN_H

#include "emu/cpu/state.h"

struct insn;

/* A plain body: the whole semantics of one instruction. See enum step for what it may return. cpu->r[REG_RIP] is
 * the instruction's own address; a body that returns STEP_NEXT or STEP_LEAVE does not touch it. */
typedef enum step insn_body(struct vcpu *cpu, const struct insn *in);

enum operand_kind {
    OPERAND_NONE,
    OPERAND_REG, /* general register: reg is the byte offset into cpu->r (AH = 1, RCX = 8, ...) */
    OPERAND_MEM,
    OPERAND_IMM, /* value in insn.imm (already sign-extended to 64 bits where the manual does); second
                    immediate (ENTER) in imm2. Branch displacements: IMM, relative to the next RIP */
    OPERAND_SEG, /* reg is enum seg */
    OPERAND_CR,  /* reg is the number */
    OPERAND_DR,
    OPERAND_ST,    /* ST(reg) */
    OPERAND_MMX,   /* reg is the number; size 8 */
    OPERAND_VECTOR /* XMM, YMM, ZMM: reg is the number, size 16, 32 or 64 */
};

struct operand {
    uint8_t kind; /* enum operand_kind */
    uint8_t size; /* bytes */
    uint8_t reg;
};

enum insn_prefix {
    PREFIX_LOCK = 1,
    PREFIX_REP = 2,   /* F3 */
    PREFIX_REPNE = 4, /* F2 */
    PREFIX_66 = 8,
    PREFIX_67 = 16,
    PREFIX_REXW = 32
};

/* Invariant: at most one OPERAND_MEM, described by seg, base, index, scale and disp (for MASKMOVQ and MASKMOVDQU, whose
 * rDI operand is implied, seg alone); for string instructions no
 * explicit operands are listed (they use rSI/rDI, addr_size, op_size and seg). Operands stand in Intel's order and
 * include implied ones that the assembler writes (SHL r/m, CL lists CL; SHL r/m, 1 lists IMM 1; IN AL, DX
 * lists both). A far pointer is one IMM: offset in imm, selector in imm2. */
struct insn {
    insn_body *body;
    uint16_t mnemonic; /* ZydisMnemonic */
    uint8_t len;       /* bytes */
    uint8_t op_size;   /* 1, 2, 4 or 8: effective operand size */
    uint8_t addr_size; /* 2, 4 or 8 */
    uint8_t prefixes;  /* enum insn_prefix */
    uint8_t opcode;    /* last opcode byte */
    uint8_t modrm;
    uint8_t cc;    /* Jcc, SETcc, CMOVcc: condition */
    uint8_t count; /* explicit operands */
    struct operand op[4];
    uint8_t seg; /* enum seg of the memory operand or string source, after override */
    uint8_t base,
        index; /* register slots (enum reg); REG_ZERO for none; REG_RIP as base: disp counts from
                            the instruction's own address (its length was added) */
    uint8_t scale; /* shift 0-3 */
    bool seg_override;
    int64_t disp;
    uint64_t imm, imm2;
    uint8_t bytes[15];
    uint8_t flags;           /* enum insn_flag */
    uint8_t need;            /* enum fp_ready: what must be ready for the body to run */
    uint8_t isa_set;         /* ZydisISASet */
    uint8_t exception_class; /* ZydisExceptionClass: the alignment rule of vector operands */
    bool vex;                /* VEX: three operands, and a result clears the register's rest */
    bool shadow_stack; /* decoded for code with shadow stacks: bind() then chooses other bodies */
    uint8_t vindex; /* gathers: the vector register that holds the indices; `index` is REG_ZERO */
};

enum insn_flag {
    INSN_ENDS_BLOCK = 1, /* may branch, change mode, mask or time: last of its block */
    INSN_LOCKABLE = 2,   /* LOCK allowed when the first operand is memory */
    INSN_NO_WAIT = 4,    /* x87: does not look for a pending exception */
    INSN_NO_FLAGS = 8,   /* neither reads nor writes status flags */
    INSN_WRITES_ALL = 16 /* writes all six status flags, reads none */
};

/* What the instruction table says of a mnemonic; NULL body in a row: #UD. */
struct insn_info {
    uint16_t mnemonic;
    insn_body *body;
    uint8_t flags;
    uint8_t feature; /* enum cpu_feature that must be advertised, 0: none */
};

#endif
