/* RDRAND, RDSEED, RDPID. APM vol 3, chapter 3. Numbers come from the machine's seeded source, so that a run repeats. */
#include "emu/base/random.h"
#include "emu/insn/insn.h"

/* CF says whether there was a number, the other status flags are cleared. Without one the register becomes 0. */
EMU_MUST_USE static enum step random_number(struct vcpu *cpu, const struct insn *in)
{
    uint64_t value = cpu->random ? random_next(cpu->random) : 0;
    reg_write(cpu, in->op[0].reg, in->op[0].size, value);
    flags_set_material(cpu, cpu->random ? FLAG_CF : 0);
    return STEP_NEXT;
}

enum step insn_rdrand(struct vcpu *cpu, const struct insn *in)
{
    return random_number(cpu, in);
}

/* One source serves both: it never runs dry. */
enum step insn_rdseed(struct vcpu *cpu, const struct insn *in)
{
    return random_number(cpu, in);
}

/* TSC_AUX, zero-extended. CR4.TSD does not matter. */
enum step insn_rdpid(struct vcpu *cpu, const struct insn *in)
{
    reg_write(cpu, in->op[0].reg, in->op[0].size, (uint32_t)cpu->msr.tsc_aux);
    return STEP_NEXT;
}
