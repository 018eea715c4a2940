/* Comparison of whole vectors into RFLAGS. APM vol 4, "PTEST", "VTESTPD", "VTESTPS". */
#include "emu/insn/vector_int.h"

#include "emu/cpu/flags.h"

/* ZF: a and b have no bit of `mask` in common. CF: b has none that a lacks. The other four are cleared. */
EMU_MUST_USE static enum step test_bits(struct vcpu *cpu, const struct insn *in, uint64_t mask)
{
    union vector room_b;
    const union vector *b;
    const union vector *a = &cpu->simd.v[in->op[0].reg];
    unsigned size = in->op[0].size;
    enum step step = vector_source(cpu, in, 1, size, &room_b, &b);
    if (step != STEP_NEXT)
        return step;
    uint64_t common = 0, lacking = 0;
    for (unsigned i = 0; i < size / 8; i++) {
        common |= a->u64[i] & b->u64[i] & mask;
        lacking |= ~a->u64[i] & b->u64[i] & mask;
    }
    flags_set_material(cpu, (common ? 0 : FLAG_ZF) | (lacking ? 0 : FLAG_CF));
    return STEP_NEXT;
}

enum step insn_ptest(struct vcpu *cpu, const struct insn *in)
{
    return test_bits(cpu, in, UINT64_MAX);
}

enum step insn_vtestps(struct vcpu *cpu, const struct insn *in)
{
    return test_bits(cpu, in, UINT64_C(0x8000000080000000));
}

enum step insn_vtestpd(struct vcpu *cpu, const struct insn *in)
{
    return test_bits(cpu, in, UINT64_C(0x8000000000000000));
}
