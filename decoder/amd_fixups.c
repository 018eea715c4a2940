/* AMD's differences, one function a row; tests/decoder/test_amd_fixups.c has one test a row. */
#include "decoder/amd_fixups.h"

#include <Zydis/Mnemonic.h>

/* UD0 (0F FF) has no ModRM on AMD: two bytes, whatever follows. APM vol 3, "UD0, UD1, UD2". */
static bool fix_ud0(struct insn *insn)
{
    unsigned at = 0;
    while (at + 1 < insn->len && !(insn->bytes[at] == 0x0f && insn->bytes[at + 1] == 0xff))
        at++;
    insn->len = (uint8_t)(at + 2);
    insn->count = 0;
    return true;
}

/* PREFETCH and PREFETCHW (0F 0D) of a register do not exist; Zydis has Intel's NOP there. APM vol 3, "PREFETCH,
 * PREFETCHW"; measured on Zen 4. */
static bool fix_prefetch(const struct insn *insn)
{
    return insn->opcode != 0x0d;
}

/* LSS, LFS, LGS: AMD has no 64-bit offsets; REX.W gives 32 bits, zero-extended. Far JMP and CALL are the same
 * (insn_jmp_far()), but keep the width, with which CALL pushes. APM vol 3, "LDS, LES, LFS, LGS, LSS"; measured on Zen 4. */
static bool fix_far_width(struct insn *insn)
{
    if (insn->op_size == 8)
        insn->op_size = 4;
    return true;
}

/* VMGEXIT (F2 or F3 0F 01 D9) is VMMCALL outside SEV-ES guests: nothing to do but to name it. */
static bool fix_vmgexit(struct insn *insn)
{
    insn->mnemonic = ZYDIS_MNEMONIC_VMMCALL;
    return true;
}

/* SYSENTER and SYSEXIT do not exist in long mode. APM vol 3, "SYSENTER". */
static bool fix_sysenter(enum cpu_mode mode)
{
    return mode != MODE_LONG64 && mode != MODE_COMPAT32 && mode != MODE_COMPAT16;
}

/* Near branches obey 66h in 64-bit mode unless REX.W stands too: RIP is cut to 16 bits, CALL and RET move 2 bytes.
 * APM vol 3, "Near Branches in 64-Bit Mode"; measured on Zen 4 for every form. Zydis knows it of rel16 only. */
static bool fix_near_width(struct insn *insn, enum cpu_mode mode)
{
    if (mode == MODE_LONG64 && (insn->prefixes & (PREFIX_66 | PREFIX_REXW)) == PREFIX_66) {
        insn->op_size = 2;
        if (insn->op[0].kind != OPERAND_IMM)
            insn->op[0].size = 2;
    }
    return true;
}

/* F3 90 is PAUSE, but with REX.B it exchanges r8 and rAX like 90 alone. Zydis has PAUSE for both; measured on Zen 4. */
static bool fix_pause(struct insn *insn, enum cpu_mode mode)
{
    uint8_t rex =
        insn->len > 1 ? insn->bytes[insn->len - 2] : 0; /* stands directly before the opcode */
    if (mode != MODE_LONG64 || (rex & 0xf1) != 0x41)
        return true;
    insn->mnemonic = ZYDIS_MNEMONIC_XCHG;
    insn->op_size = insn->prefixes & PREFIX_REXW ? 8 : insn->prefixes & PREFIX_66 ? 2 : 4;
    insn->count = 2;
    insn->op[0] = (struct operand){ OPERAND_REG, insn->op_size, REG_R8 * 8 };
    insn->op[1] = (struct operand){ OPERAND_REG, insn->op_size, REG_RAX * 8 };
    return true;
}

/* VPINSRD and VPEXTRD with VEX.W are their 64-bit forms, which outside 64-bit mode are #UD: measured on Zen 4. Both are in
 * map 3, so that the VEX has three bytes; prefixes stand before it. */
static bool fix_vex_width(const struct insn *insn, enum cpu_mode mode)
{
    unsigned at = 0;
    while (at + 2 < insn->len && insn->bytes[at] != 0xc4)
        at++;
    return mode == MODE_LONG64 || !(insn->bytes[at + 2] & 0x80);
}

static bool is_far(const struct insn *insn)
{
    return insn->count > 0 && insn->op[0].kind == OPERAND_MEM && insn->opcode == 0xff &&
           (((insn->modrm >> 3) & 7) == 3 || ((insn->modrm >> 3) & 7) == 5);
}

bool amd_fixup(struct insn *insn, enum cpu_mode mode)
{
    switch (insn->mnemonic) {
    case ZYDIS_MNEMONIC_UD0: return fix_ud0(insn);
    case ZYDIS_MNEMONIC_NOP: return fix_prefetch(insn);
    case ZYDIS_MNEMONIC_PAUSE: return fix_pause(insn, mode);
    case ZYDIS_MNEMONIC_SYSENTER:
    case ZYDIS_MNEMONIC_SYSEXIT: return fix_sysenter(mode);
    case ZYDIS_MNEMONIC_CALL:
    case ZYDIS_MNEMONIC_JMP: return is_far(insn) ? true : fix_near_width(insn, mode);
    case ZYDIS_MNEMONIC_RET:
        return insn->opcode == 0xc2 || insn->opcode == 0xc3 ? fix_near_width(insn, mode) : true;
    case ZYDIS_MNEMONIC_JO:
    case ZYDIS_MNEMONIC_JNO:
    case ZYDIS_MNEMONIC_JB:
    case ZYDIS_MNEMONIC_JNB:
    case ZYDIS_MNEMONIC_JZ:
    case ZYDIS_MNEMONIC_JNZ:
    case ZYDIS_MNEMONIC_JBE:
    case ZYDIS_MNEMONIC_JNBE:
    case ZYDIS_MNEMONIC_JS:
    case ZYDIS_MNEMONIC_JNS:
    case ZYDIS_MNEMONIC_JP:
    case ZYDIS_MNEMONIC_JNP:
    case ZYDIS_MNEMONIC_JL:
    case ZYDIS_MNEMONIC_JNL:
    case ZYDIS_MNEMONIC_JLE:
    case ZYDIS_MNEMONIC_JNLE:
    case ZYDIS_MNEMONIC_LOOP:
    case ZYDIS_MNEMONIC_LOOPE:
    case ZYDIS_MNEMONIC_LOOPNE:
    case ZYDIS_MNEMONIC_JCXZ:
    case ZYDIS_MNEMONIC_JECXZ:
    case ZYDIS_MNEMONIC_JRCXZ: return fix_near_width(insn, mode);
    case ZYDIS_MNEMONIC_LSS:
    case ZYDIS_MNEMONIC_LFS:
    case ZYDIS_MNEMONIC_LGS: return fix_far_width(insn);
    case ZYDIS_MNEMONIC_VMCALL: return true;
    case ZYDIS_MNEMONIC_VPINSRD:
    case ZYDIS_MNEMONIC_VPEXTRD: return fix_vex_width(insn, mode);
    /* With VEX these are Knights Corner's: #UD on AMD. */
    case ZYDIS_MNEMONIC_POPCNT:
    case ZYDIS_MNEMONIC_LZCNT:
    case ZYDIS_MNEMONIC_TZCNT: return !insn->vex;
    default: break;
    }
    if (insn->mnemonic == ZYDIS_MNEMONIC_VMMCALL)
        return fix_vmgexit(insn);
    return true;
}
