/* Near CALL and RET with shadow stacks, and the instructions that manage them. APM vol 2, 18 "Shadow Stacks", 18.11 "Shadow
 * Stack Management Instructions"; APM vol 3 describes each. */
#include "emu/cpu/shadow_stack.h"

#include "emu/insn/insn.h"

#include <Zydis/Mnemonic.h>

/* The token of RSTORSSP and SAVEPREVSSP. APM vol 2, figures 18-4 and 18-5. */
#define TOKEN_MODE 1u /* of 64-bit mode */
#define TOKEN_BUSY 2u
#define TOKEN_HALF 4u /* its address is a multiple of 4 and not of 8 */

static unsigned token_mode(const struct vcpu *cpu)
{
    return cpu_long64(cpu) ? TOKEN_MODE : 0;
}

/* Outside 64-bit mode addresses have 32 bits, and so have those in tokens. */
static bool is_narrow(const struct vcpu *cpu, uint64_t token)
{
    return cpu_long64(cpu) || token >> 32 == 0;
}

static bool is_on(const struct vcpu *cpu)
{
    return shadow_stack_on(cpu, cpu->regs.cpl);
}

/* SSP, as far as it counts. */
static uint64_t current(const struct vcpu *cpu)
{
    return shadow_stack_offset(cpu, cpu->shadow.ssp, 0);
}

/* --- near CALL and RET --- */

/* A CALL to the next instruction wants to know its own address: nothing is pushed. APM vol 2, 18.3. */
static bool call_pushes(const struct insn *in)
{
    return in->op[0].kind != OPERAND_IMM || in->imm != 0;
}

/* CHOICE: the program stack faults first, then the target, then the shadow stack; what is pushed is as wide as the shadow
 * stack, and of the operand size, so that a RET of the same size finds it equal. */
static enum step call_near(struct vcpu *cpu, const struct insn *in)
{
    const unsigned cpl = cpu->regs.cpl, width = shadow_stack_width(cpu);
    uint64_t target, next = cpu_rip(cpu) + in->len;
    uint64_t ssp = shadow_stack_offset(cpu, cpu->shadow.ssp, -(int64_t)width);
    bool pushes = call_pushes(in);
    if (branch_is_far(in))
        return insn_call_far(cpu, in);
    enum step step = branch_target(cpu, in, &target);
    if (step == STEP_NEXT)
        step = stack_probe_push(cpu, in->op_size);
    if (step == STEP_NEXT)
        step = branch_check(cpu, in, &target);
    if (step == STEP_NEXT && pushes)
        step = shadow_stack_check(cpu, cpl, ssp, width);
    if (step == STEP_NEXT)
        step = stack_push(cpu, in->op_size, next);
    if (step == STEP_NEXT && pushes)
        step = shadow_stack_store(cpu, cpl, ssp, width, next & size_mask(in->op_size));
    if (step != STEP_NEXT)
        return step;
    if (pushes)
        cpu->shadow.ssp = ssp;
    cpu->r[REG_RIP] = target;
    return STEP_JUMP;
}

static enum step ret_near(struct vcpu *cpu, const struct insn *in)
{
    const unsigned width = shadow_stack_width(cpu);
    uint64_t rsp = cpu->r[REG_RSP], ssp = current(cpu), target, expected;
    if (branch_is_far(in))
        return insn_ret_far(cpu, in);
    enum step step = stack_load(cpu, rsp, in->op_size, &target);
    if (step == STEP_NEXT)
        step = branch_check(cpu, in, &target);
    if (step == STEP_NEXT)
        step = shadow_stack_load(cpu, cpu->regs.cpl, ssp, width, &expected);
    if (step != STEP_NEXT)
        return step;
    if (target != expected)
        return shadow_stack_violation(cpu, CP_NEAR_RET);
    cpu->shadow.ssp = shadow_stack_offset(cpu, ssp, width);
    stack_set_pointer(cpu, rsp + in->op_size + (uint16_t)in->imm);
    cpu->r[REG_RIP] = target;
    return STEP_JUMP;
}

insn_body *shadow_stack_body(insn_body *body)
{
    return body == insn_call ? call_near : body == insn_ret ? ret_near : body;
}

/* --- the pointer --- */

enum step insn_rdssp(struct vcpu *cpu, const struct insn *in)
{
    if (is_on(cpu))
        reg_write(cpu, in->op[0].reg, in->mnemonic == ZYDIS_MNEMONIC_RDSSPQ ? 8 : 4, current(cpu));
    return STEP_NEXT;
}

/* The first and the last word that are popped are read, or one if none is: whoever goes over the end of his stack meets what
 * stands there. */
enum step insn_incssp(struct vcpu *cpu, const struct insn *in)
{
    const unsigned cpl = cpu->regs.cpl, size = in->mnemonic == ZYDIS_MNEMONIC_INCSSPQ ? 8 : 4;
    uint64_t unused, ssp = current(cpu);
    if (!is_on(cpu))
        return cpu_raise(cpu, EXC_UD);
    unsigned words = reg_read(cpu, in->op[0].reg, 1) & 0xff;
    uint64_t last = shadow_stack_offset(cpu, ssp, (int64_t)(words ? words - 1 : 0) * size);
    enum step step = shadow_stack_load(cpu, cpl, ssp, size, &unused);
    if (step == STEP_NEXT)
        step = shadow_stack_load(cpu, cpl, last, size, &unused);
    if (step == STEP_NEXT)
        cpu->shadow.ssp = shadow_stack_offset(cpu, ssp, (int64_t)words * size);
    return step;
}

/* --- changing stacks --- */

/* The linear address of a memory operand of `size` bytes: #GP(0) unless it is aligned to them. */
EMU_MUST_USE static enum step operand_address(struct vcpu *cpu, const struct insn *in,
                                              unsigned size, uint64_t *la)
{
    enum step step =
        mem_linear(cpu, (enum seg)in->seg, mem_offset(cpu, in), size, ACCESS_WRITE, la);
    if (step == STEP_NEXT && (*la & (size - 1)))
        return cpu_raise_code(cpu, EXC_GP, 0);
    return step;
}

/* CF alone of the status flags. */
static void set_carry(struct vcpu *cpu, bool carry)
{
    cpu_set_rflags(cpu, (cpu_rflags(cpu) & ~(uint64_t)FLAGS_STATUS) | (carry ? FLAG_CF : 0));
}

/* A token that lets its stack be entered holds the address behind itself, or 4 bytes further where its stack was not
 * aligned, with BUSY clear. It becomes the one that leads back. */
enum step insn_rstorssp(struct vcpu *cpu, const struct insn *in)
{
    const unsigned cpl = cpu->regs.cpl;
    uint64_t la, token;
    if (!is_on(cpu))
        return cpu_raise(cpu, EXC_UD);
    enum step step = operand_address(cpu, in, 8, &la);
    if (step == STEP_NEXT)
        step = shadow_stack_lock(cpu, cpl, la, &token);
    if (step != STEP_NEXT)
        return step;
    uint64_t place = ((token & ~(uint64_t)TOKEN_MODE) - 8) & ~UINT64_C(7);
    if ((token & (TOKEN_MODE | TOKEN_BUSY)) != token_mode(cpu) || !is_narrow(cpu, token) ||
        place != la)
        return shadow_stack_violation(cpu, CP_RSTORSSP);
    step = shadow_stack_store(cpu, cpl, la, 8, current(cpu) | token_mode(cpu) | TOKEN_BUSY);
    if (step != STEP_NEXT)
        return step;
    cpu->shadow.ssp = la;
    set_carry(cpu, token & TOKEN_HALF);
    return STEP_NEXT;
}

/* The token on top of the stack, with CF the hole of 4 bytes below it too, which must hold 0: `popped` bytes. */
EMU_MUST_USE static enum step load_previous(struct vcpu *cpu, uint64_t *token, unsigned *popped)
{
    const unsigned cpl = cpu->regs.cpl;
    uint64_t hole = 0, ssp = current(cpu);
    bool has_hole = flags_cf(cpu);
    if (ssp & 7)
        return cpu_raise_code(cpu, EXC_GP, 0);
    enum step step = shadow_stack_load(cpu, cpl, ssp, 8, token);
    if (step == STEP_NEXT && has_hole && cpu_long64(cpu))
        return cpu_raise_code(cpu, EXC_GP, 0);
    if (step == STEP_NEXT && has_hole)
        step = shadow_stack_load(cpu, cpl, shadow_stack_offset(cpu, ssp, 8), 4, &hole);
    if (step != STEP_NEXT)
        return step;
    *popped = has_hole ? 12 : 8;
    if (hole != 0 || !(*token & TOKEN_BUSY) || !is_narrow(cpu, *token))
        return cpu_raise_code(cpu, EXC_GP, 0);
    return STEP_NEXT;
}

/* The previous stack gets a token that lets it be entered again, below zeros up to a multiple of 8. */
enum step insn_saveprevssp(struct vcpu *cpu, const struct insn *in)
{
    (void)in;
    const unsigned cpl = cpu->regs.cpl;
    uint64_t token = 0;
    unsigned popped = 0;
    if (!is_on(cpu))
        return cpu_raise(cpu, EXC_UD);
    enum step step = load_previous(cpu, &token, &popped);
    if (step != STEP_NEXT)
        return step;
    uint64_t old = token & ~UINT64_C(3);
    uint64_t zeros = shadow_stack_offset(cpu, old, -4);
    uint64_t place = shadow_stack_offset(cpu, old & ~UINT64_C(7), -8);
    step = shadow_stack_check(cpu, cpl, zeros, 4);
    if (step == STEP_NEXT)
        step = shadow_stack_check(cpu, cpl, place, 8);
    if (step == STEP_NEXT)
        step = shadow_stack_store(cpu, cpl, zeros, 4, 0);
    if (step == STEP_NEXT)
        step = shadow_stack_store(cpu, cpl, place, 8, old | token_mode(cpu));
    if (step == STEP_NEXT)
        cpu->shadow.ssp = shadow_stack_offset(cpu, current(cpu), popped);
    return step;
}

/* --- busy tokens --- */

EMU_MUST_USE static enum step check_supervisor(struct vcpu *cpu)
{
    if (!shadow_stack_on(cpu, 0))
        return cpu_raise(cpu, EXC_UD);
    return cpu->regs.cpl != 0 ? cpu_raise_code(cpu, EXC_GP, 0) : STEP_NEXT;
}

enum step insn_setssbsy(struct vcpu *cpu, const struct insn *in)
{
    (void)in;
    uint64_t ssp = cpu->shadow.pl_ssp[0];
    bool valid = false;
    enum step step = check_supervisor(cpu);
    if (step == STEP_NEXT && (ssp & 7))
        step = cpu_raise_code(cpu, EXC_GP, 0);
    if (step == STEP_NEXT)
        step = shadow_stack_token_check(cpu, 0, ssp, false, &valid);
    if (step != STEP_NEXT)
        return step;
    if (!valid || !is_narrow(cpu, ssp))
        return shadow_stack_violation(cpu, CP_SETSSBSY);
    step = shadow_stack_token_store(cpu, 0, ssp, true);
    if (step == STEP_NEXT)
        cpu->shadow.ssp = ssp;
    return step;
}

/* CF says that the token was not valid, and stays as it is. */
enum step insn_clrssbsy(struct vcpu *cpu, const struct insn *in)
{
    uint64_t la = 0;
    bool valid = false;
    enum step step = check_supervisor(cpu);
    if (step == STEP_NEXT)
        step = operand_address(cpu, in, 8, &la);
    if (step == STEP_NEXT)
        step = shadow_stack_token_check(cpu, 0, la, true, &valid);
    if (step == STEP_NEXT && valid)
        step = shadow_stack_token_store(cpu, 0, la, false);
    if (step != STEP_NEXT)
        return step;
    set_carry(cpu, !valid);
    cpu->shadow.ssp = 0;
    return STEP_NEXT;
}

/* --- stores --- */

EMU_MUST_USE static enum step store(struct vcpu *cpu, const struct insn *in, unsigned cpl,
                                    unsigned size)
{
    uint64_t la;
    enum step step = operand_address(cpu, in, size, &la);
    if (step != STEP_NEXT)
        return step;
    return shadow_stack_store(cpu, cpl, la, size, reg_read(cpu, in->op[1].reg, size));
}

enum step insn_wrss(struct vcpu *cpu, const struct insn *in)
{
    const uint64_t needed = SHADOW_CET_ENABLE | SHADOW_CET_WRITE;
    if (!shadow_stack_usable(cpu) || (shadow_stack_controls(cpu, cpu->regs.cpl) & needed) != needed)
        return cpu_raise(cpu, EXC_UD);
    return store(cpu, in, cpu->regs.cpl, in->mnemonic == ZYDIS_MNEMONIC_WRSSQ ? 8 : 4);
}

enum step insn_wruss(struct vcpu *cpu, const struct insn *in)
{
    if (!shadow_stack_usable(cpu))
        return cpu_raise(cpu, EXC_UD);
    if (cpu->regs.cpl != 0)
        return cpu_raise_code(cpu, EXC_GP, 0);
    return store(cpu, in, 3, in->mnemonic == ZYDIS_MNEMONIC_WRUSSQ ? 8 : 4);
}
