/* Decoding with Zydis, and translation into our form. */
#include "decoder/decode.h"

#include "decoder/amd_fixups.h"

#include <Zydis/Zydis.h>
#include <string.h>

static bool decoder_for(ZydisMachineMode machine, ZydisDecoder *decoder)
{
    bool small = machine == ZYDIS_MACHINE_MODE_LEGACY_16 ||
                 machine == ZYDIS_MACHINE_MODE_LONG_COMPAT_16 ||
                 machine == ZYDIS_MACHINE_MODE_REAL_16;
    ZydisStackWidth stack = machine == ZYDIS_MACHINE_MODE_LONG_64 ? ZYDIS_STACK_WIDTH_64
                            : small                               ? ZYDIS_STACK_WIDTH_16
                                                                  : ZYDIS_STACK_WIDTH_32;
    if (ZYAN_FAILED(ZydisDecoderInit(decoder, machine, stack)))
        return false;
    (void)ZydisDecoderEnableMode(decoder, ZYDIS_DECODER_MODE_AMD_BRANCHES, ZYAN_TRUE);
    /* No AMD part has MPX or CLDEMOTE: their encodings are NOPs. */
    (void)ZydisDecoderEnableMode(decoder, ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
    (void)ZydisDecoderEnableMode(decoder, ZYDIS_DECODER_MODE_CET, ZYAN_TRUE);
    (void)ZydisDecoderEnableMode(decoder, ZYDIS_DECODER_MODE_CLDEMOTE, ZYAN_FALSE);
    (void)ZydisDecoderEnableMode(decoder, ZYDIS_DECODER_MODE_WBNOINVD, ZYAN_TRUE);
    return true;
}

/* Virtual-8086 mode has the instructions of real mode. */
static ZydisMachineMode machine_mode(enum cpu_mode mode)
{
    switch (mode) {
    case MODE_REAL:
    case MODE_V86: return ZYDIS_MACHINE_MODE_REAL_16;
    case MODE_PROT16: return ZYDIS_MACHINE_MODE_LEGACY_16;
    case MODE_REAL32:
    case MODE_PROT32: return ZYDIS_MACHINE_MODE_LEGACY_32;
    case MODE_COMPAT16: return ZYDIS_MACHINE_MODE_LONG_COMPAT_16;
    case MODE_COMPAT32: return ZYDIS_MACHINE_MODE_LONG_COMPAT_32;
    case MODE_LONG64: break;
    }
    return ZYDIS_MACHINE_MODE_LONG_64;
}

/* Zydis has no SYSENTER, SYSEXIT and SYSRET in real mode: AMD decodes them, and #GP is their own. APM vol 3, "SYSENTER",
 * "SYSRET". */
static bool is_fast_call(const uint8_t *bytes, unsigned len)
{
    unsigned i = 0;
    while (i < len && bytes[i] &&
           memchr("\x26\x2e\x36\x3e\x64\x65\x66\x67\xf0\xf2\xf3", bytes[i], 11))
        i++;
    return len - i >= 2 && bytes[i] == 0x0f &&
           (bytes[i + 1] == 0x34 || bytes[i + 1] == 0x35 || bytes[i + 1] == 0x07);
}

static unsigned count_prefixes(const uint8_t *bytes, unsigned len, enum cpu_mode mode)
{
    unsigned i = 0;
    while (i < len && bytes[i] &&
           ((mode == MODE_LONG64 && (bytes[i] & 0xf0) == 0x40) ||
            memchr("\x26\x2e\x36\x3e\x64\x65\x66\x67\xf0\xf2\xf3", bytes[i], 11)))
        i++;
    return i;
}

/* Is it 0F FF or 0F B9 behind nothing but prefixes? UD0 and UD1 are complete then, whether a ModRM can be fetched or not:
 * measured on Zen 4 for UD1, which has one in the manual. */
static bool is_short_ud(const uint8_t *bytes, unsigned len, enum cpu_mode mode)
{
    unsigned i = count_prefixes(bytes, len, mode);
    return len - i >= 2 && bytes[i] == 0x0f && (bytes[i + 1] == 0xff || bytes[i + 1] == 0xb9);
}

/* The byte offset of a general register in cpu->r, or -1 if it is none. */
static int register_offset(ZydisRegister reg)
{
    if (reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH)
        return (int)(reg - ZYDIS_REGISTER_AH) * 8 + 1;
    if (reg >= ZYDIS_REGISTER_AL && reg <= ZYDIS_REGISTER_BL)
        return (int)(reg - ZYDIS_REGISTER_AL) * 8;
    if (reg >= ZYDIS_REGISTER_SPL && reg <= ZYDIS_REGISTER_R15B)
        return (int)(reg - ZYDIS_REGISTER_SPL + 4) * 8;
    switch (ZydisRegisterGetClass(reg)) {
    case ZYDIS_REGCLASS_GPR16:
    case ZYDIS_REGCLASS_GPR32:
    case ZYDIS_REGCLASS_GPR64: return ZydisRegisterGetId(reg) * 8;
    default: return -1;
    }
}

/* The slot of a base or index register. */
static uint8_t address_slot(ZydisRegister reg)
{
    if (reg == ZYDIS_REGISTER_RIP || reg == ZYDIS_REGISTER_EIP)
        return REG_RIP;
    int offset = register_offset(reg);
    return offset < 0 ? REG_ZERO : (uint8_t)(offset / 8);
}

static enum seg segment_of(ZydisRegister reg)
{
    int id = ZydisRegisterGetId(reg);
    return id >= 0 && id <= SEG_GS ? (enum seg)id : SEG_DS;
}

/* In 64-bit mode CS, DS, ES and SS overrides are consumed and ignored: an FS or GS override before them stays (measured on
 * Zen 4). APM vol 3, 1.2.4 "Segment-Override Prefixes". */
static bool override_legacy(struct insn *out, enum seg seg, bool long64)
{
    if (!long64)
        out->seg = seg;
    return !long64;
}

/* Prefixes as they stand; of F2 and F3 the last counts. A legacy prefix after REX cancels the REX, which
 * Zydis has seen to. */
static void decode_prefixes(const ZydisDecodedInstruction *from, struct insn *out)
{
    bool override = false, long64 = from->machine_mode == ZYDIS_MACHINE_MODE_LONG_64;
    for (unsigned i = 0; i < from->raw.prefix_count; i++) {
        switch (from->raw.prefixes[i].value) {
        case 0xf0: out->prefixes |= PREFIX_LOCK; break;
        case 0xf2: out->prefixes = (uint8_t)((out->prefixes & ~PREFIX_REP) | PREFIX_REPNE); break;
        case 0xf3: out->prefixes = (uint8_t)((out->prefixes & ~PREFIX_REPNE) | PREFIX_REP); break;
        case 0x66: out->prefixes |= PREFIX_66; break;
        case 0x67: out->prefixes |= PREFIX_67; break;
        case 0x26: override = override_legacy(out, SEG_ES, long64) || override; break;
        case 0x2e: override = override_legacy(out, SEG_CS, long64) || override; break;
        case 0x36: override = override_legacy(out, SEG_SS, long64) || override; break;
        case 0x3e: override = override_legacy(out, SEG_DS, long64) || override; break;
        case 0x64: out->seg = SEG_FS, override = true; break;
        case 0x65: out->seg = SEG_GS, override = true; break;
        default: break;
        }
    }
    /* The prefixes share their place in Zydis's raw form. */
    if (from->encoding == ZYDIS_INSTRUCTION_ENCODING_VEX ? from->raw.vex.W : from->raw.rex.W)
        out->prefixes |= PREFIX_REXW;
    out->seg_override = override;
    if (!override)
        out->seg = SEG_DS;
}

static void decode_memory(const ZydisDecodedInstruction *from, const ZydisDecodedOperandMem *mem,
                          struct insn *out)
{
    out->base = address_slot(mem->base);
    out->index = address_slot(mem->index);
    if (mem->type == ZYDIS_MEMOP_TYPE_VSIB)
        out->vindex = (uint8_t)ZydisRegisterGetId(mem->index);
    out->scale = mem->scale == 8 ? 3 : mem->scale / 2; /* 0, 1, 2, 4, 8 */
    out->disp = mem->disp.value;                       /* 0 when absent; moffs too */
    /* No base, but a displacement of 32 bits, whatever REX.B says: Zydis takes r13d with a 32-bit address. */
    if ((from->attributes & ZYDIS_ATTRIB_HAS_SIB) && from->raw.modrm.mod == 0 &&
        from->raw.sib.base == 5) {
        out->base = REG_ZERO;
        out->disp = from->raw.disp.value;
    }
    if (out->base == REG_RIP)
        out->disp += from->length;
    if (!out->seg_override)
        out->seg = out->base == REG_RSP || out->base == REG_RBP ? SEG_SS : segment_of(mem->segment);
    if (from->machine_mode == ZYDIS_MACHINE_MODE_LONG_64 && !out->seg_override &&
        out->seg != SEG_SS)
        out->seg = SEG_DS;
}

static void decode_operand(const ZydisDecodedInstruction *from, const ZydisDecodedOperand *op,
                           struct insn *out)
{
    struct operand *to = &out->op[out->count++];
    to->size = (uint8_t)(op->size / 8 > 255 ? 255 : op->size / 8);
    switch (op->type) {
    case ZYDIS_OPERAND_TYPE_REGISTER: {
        int offset = register_offset(op->reg.value);
        if (offset >= 0) {
            to->kind = OPERAND_REG;
            to->reg = (uint8_t)offset;
            break;
        }
        switch (ZydisRegisterGetClass(op->reg.value)) {
        case ZYDIS_REGCLASS_SEGMENT: to->kind = OPERAND_SEG; break;
        case ZYDIS_REGCLASS_CONTROL: to->kind = OPERAND_CR; break;
        case ZYDIS_REGCLASS_DEBUG: to->kind = OPERAND_DR; break;
        case ZYDIS_REGCLASS_X87: to->kind = OPERAND_ST; break;
        case ZYDIS_REGCLASS_MMX: to->kind = OPERAND_MMX; break;
        case ZYDIS_REGCLASS_XMM:
        case ZYDIS_REGCLASS_YMM:
        case ZYDIS_REGCLASS_ZMM: to->kind = OPERAND_VECTOR; break;
        default: return;
        }
        to->reg = (uint8_t)ZydisRegisterGetId(op->reg.value);
        break;
    }
    case ZYDIS_OPERAND_TYPE_MEMORY:
        to->kind = OPERAND_MEM;
        decode_memory(from, &op->mem, out);
        break;
    case ZYDIS_OPERAND_TYPE_IMMEDIATE: {
        bool second = out->count > 1 && out->op[out->count - 2].kind == OPERAND_IMM;
        to->kind = OPERAND_IMM;
        *(second ? &out->imm2 : &out->imm) = op->imm.value.u;
        break;
    }
    case ZYDIS_OPERAND_TYPE_POINTER:
        to->kind = OPERAND_IMM;
        out->imm = op->ptr.offset;
        out->imm2 = op->ptr.segment;
        break;
    default: break;
    }
}

static bool is_string(ZydisMnemonic mnemonic)
{
    switch (mnemonic) {
    case ZYDIS_MNEMONIC_MOVSB:
    case ZYDIS_MNEMONIC_MOVSW:
    case ZYDIS_MNEMONIC_MOVSQ:
    case ZYDIS_MNEMONIC_STOSB:
    case ZYDIS_MNEMONIC_STOSW:
    case ZYDIS_MNEMONIC_STOSD:
    case ZYDIS_MNEMONIC_STOSQ:
    case ZYDIS_MNEMONIC_LODSB:
    case ZYDIS_MNEMONIC_LODSW:
    case ZYDIS_MNEMONIC_LODSD:
    case ZYDIS_MNEMONIC_LODSQ:
    case ZYDIS_MNEMONIC_SCASB:
    case ZYDIS_MNEMONIC_SCASW:
    case ZYDIS_MNEMONIC_SCASD:
    case ZYDIS_MNEMONIC_SCASQ:
    case ZYDIS_MNEMONIC_CMPSB:
    case ZYDIS_MNEMONIC_CMPSW:
    case ZYDIS_MNEMONIC_CMPSQ:
    case ZYDIS_MNEMONIC_INSB:
    case ZYDIS_MNEMONIC_INSW:
    case ZYDIS_MNEMONIC_INSD:
    case ZYDIS_MNEMONIC_OUTSB:
    case ZYDIS_MNEMONIC_OUTSW:
    case ZYDIS_MNEMONIC_OUTSD: return true;
    default: return false;
    }
}

/* LOCK MOV CR0 is MOV CR8 on AMD. APM vol 3, "MOV CRn". */
static bool is_alternative_cr8(const ZydisDecodedInstruction *from)
{
    return from->opcode_map == ZYDIS_OPCODE_MAP_0F &&
           (from->opcode == 0x20 || from->opcode == 0x22) && from->raw.modrm.reg == 0 &&
           !from->raw.rex.R;
}

/* Zydis refuses a LOCK before it has seen the whole instruction, but bytes that are missing, or too many, count more than
 * the #UD. Without the LOCK (another prefix in its place) the length comes out; success still means refusal, except for
 * MOV CR0. */
static ZyanStatus without_lock(const ZydisDecoder *decoder, const uint8_t *bytes, unsigned len,
                               enum cpu_mode mode, ZydisDecoderContext *context,
                               ZydisDecodedInstruction *from)
{
    uint8_t copy[INSN_MAX_BYTES];
    memcpy(copy, bytes, len);
    for (unsigned i = count_prefixes(bytes, len, mode); i > 0; i--)
        if (copy[i - 1] == 0xf0)
            copy[i - 1] = 0x26;
    ZyanStatus status = ZydisDecoderDecodeInstruction(decoder, context, copy, len, from);
    return ZYAN_SUCCESS(status) && !is_alternative_cr8(from) ? ZYDIS_STATUS_ILLEGAL_LOCK : status;
}

/* VEX, EVEX, XOP: not in real mode, of which Zydis knows only the 16-bit kind. */
static bool is_extended(const ZydisDecodedInstruction *from)
{
    return from->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY &&
           from->encoding != ZYDIS_INSTRUCTION_ENCODING_3DNOW;
}

/* Encodings that no model of ours has. Their instructions share names with others: BEXTR is one of TBM's, VADDPS one of
 * AVX-512's, too. */
static bool is_never_offered(const ZydisDecodedInstruction *from)
{
    return from->encoding == ZYDIS_INSTRUCTION_ENCODING_XOP ||
           from->encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX ||
           from->encoding == ZYDIS_INSTRUCTION_ENCODING_MVEX;
}

enum decode_status decode_insn(const uint8_t *bytes, unsigned len, enum cpu_mode mode,
                               struct insn *out)
{
    ZydisDecoder decoder;
    ZydisDecoderContext context;
    ZydisDecodedInstruction from;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];

    *out = (struct insn){ .base = REG_ZERO, .index = REG_ZERO, .seg = SEG_DS };
    unsigned have = len < INSN_MAX_BYTES ? len : INSN_MAX_BYTES;
    memcpy(out->bytes, bytes, have);
    out->len = (uint8_t)have;
    ZydisMachineMode machine = machine_mode(mode);
    if (machine == ZYDIS_MACHINE_MODE_REAL_16 && is_fast_call(bytes, have))
        machine = ZYDIS_MACHINE_MODE_LEGACY_16;
    if (!decoder_for(machine, &decoder))
        return DECODE_INVALID;
    ZyanStatus status = ZydisDecoderDecodeInstruction(&decoder, &context, bytes, len, &from);
    bool locked = status == ZYDIS_STATUS_ILLEGAL_LOCK;
    if (locked)
        status = without_lock(&decoder, bytes, have, mode, &context, &from);
    if ((status == ZYDIS_STATUS_NO_MORE_DATA || status == ZYDIS_STATUS_INSTRUCTION_TOO_LONG) &&
        is_short_ud(bytes, have, mode))
        return DECODE_INVALID;
    /* Zydis may know that it will be too long before it runs out of bytes; the processor needs fifteen of them. */
    if (status == ZYDIS_STATUS_NO_MORE_DATA || status == ZYDIS_STATUS_INSTRUCTION_TOO_LONG)
        return len >= INSN_MAX_BYTES ? DECODE_TOO_LONG : DECODE_SHORT;
    if (mode == MODE_REAL32 && ZYAN_SUCCESS(status) && is_extended(&from))
        return DECODE_INVALID;
    if (ZYAN_SUCCESS(status) && is_never_offered(&from))
        return DECODE_INVALID;
    if (ZYAN_FAILED(status) || ZYAN_FAILED(ZydisDecoderDecodeOperands(
                                   &decoder, &context, &from, operands, from.operand_count)))
        return DECODE_INVALID;

    out->mnemonic = (uint16_t)from.mnemonic;
    out->len = from.length;
    memset(out->bytes + out->len, 0, sizeof(out->bytes) - out->len);
    out->op_size = from.operand_width / 8;
    out->addr_size = from.address_width / 8;
    out->opcode = from.opcode;
    out->cc = from.opcode & 15;
    if (from.attributes & ZYDIS_ATTRIB_HAS_MODRM)
        out->modrm =
            (uint8_t)(from.raw.modrm.mod << 6 | from.raw.modrm.reg << 3 | from.raw.modrm.rm);
    out->isa_set = (uint8_t)from.meta.isa_set;
    out->exception_class = (uint8_t)from.meta.exception_class;
    out->vex = from.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX;
    decode_prefixes(&from, out);
    if (!is_string(from.mnemonic))
        for (unsigned i = 0; i < from.operand_count_visible && out->count < 4; i++)
            decode_operand(&from, &operands[i], out);
    if (locked) {
        out->prefixes |= PREFIX_LOCK;
        out->op[out->op[0].kind == OPERAND_CR ? 0 : 1].reg = 8;
    }
    /* MOVSD and CMPSD are string instructions or SSE2 moves: only the latter have vector operands. */
    if ((from.mnemonic == ZYDIS_MNEMONIC_MOVSD || from.mnemonic == ZYDIS_MNEMONIC_CMPSD) &&
        from.meta.isa_set != ZYDIS_ISA_SET_SSE2) {
        out->count = 0;
        memset(out->op, 0, sizeof(out->op));
        out->base = out->index = REG_ZERO;
        if (!out->seg_override)
            out->seg = SEG_DS;
    }
    return amd_fixup(out, mode) ? DECODE_OK : DECODE_INVALID;
}
