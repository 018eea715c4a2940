/* `info registers`. */
#include "emu/debug/info_priv.h"

#include <inttypes.h>

static void put_general(const struct vcpu *cpu, const struct pacifica_output *output)
{
    static const char *const names[] = { "RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
                                         "R8",  "R9",  "R10", "R11", "R12", "R13", "R14", "R15" };
    for (unsigned i = 0; i < 16; i++)
        output_put(output, "%-3s %016" PRIx64 "%s", names[i], cpu->r[i], i % 4 == 3 ? "\n" : "  ");
}

static void put_flags(struct vcpu *cpu, const struct pacifica_output *output)
{
    static const struct {
        uint32_t bit;
        const char *name;
    } flags[] = { { FLAG_CF, "CF" }, { FLAG_PF, "PF" },   { FLAG_AF, "AF" },   { FLAG_ZF, "ZF" },
                  { FLAG_SF, "SF" }, { FLAG_TF, "TF" },   { FLAG_IF, "IF" },   { FLAG_DF, "DF" },
                  { FLAG_OF, "OF" }, { FLAG_NT, "NT" },   { FLAG_RF, "RF" },   { FLAG_VM, "VM" },
                  { FLAG_AC, "AC" }, { FLAG_VIF, "VIF" }, { FLAG_VIP, "VIP" }, { FLAG_ID, "ID" } };
    uint64_t rflags = cpu_rflags(cpu);
    output_put(output, "RIP %016" PRIx64 "  RFLAGS %08" PRIx64 " (", cpu_rip(cpu), rflags);
    for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
        if (rflags & flags[i].bit)
            output_put(output, "%s ", flags[i].name);
    output_put(output, "IOPL %u)\n", (unsigned)(rflags & FLAG_IOPL) >> 12);
}

static void put_segments(const struct vcpu *cpu, const struct pacifica_output *output)
{
    static const char *const names[] = { "ES", "CS", "SS", "DS", "FS", "GS", "LDTR", "TR" };
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        const struct segment *seg = &cpu->regs.seg[i];
        output_put(output, "%-4s %04x  base %016" PRIx64 "  limit %08x  attributes %03x\n",
                   names[i], seg->selector, seg->base, seg->limit, seg->attr);
    }
    output_put(output, "GDTR       base %016" PRIx64 "  limit %04x\n", cpu->regs.gdtr.base,
               cpu->regs.gdtr.limit);
    output_put(output, "IDTR       base %016" PRIx64 "  limit %04x\n", cpu->regs.idtr.base,
               cpu->regs.idtr.limit);
}

static void put_control(const struct vcpu *cpu, const struct pacifica_output *output)
{
    const struct cpu_regs *regs = &cpu->regs;
    output_put(output,
               "CR0 %08" PRIx64 "  CR2 %016" PRIx64 "  CR3 %016" PRIx64 "  CR4 %08" PRIx64 "\n",
               regs->cr0, regs->cr2, regs->cr3, regs->cr4);
    output_put(output, "EFER %04" PRIx64 "  PKRU %08x\n", regs->efer, regs->pkru);
    output_put(output,
               "DR0 %016" PRIx64 "  DR1 %016" PRIx64 "  DR2 %016" PRIx64 "  DR3 %016" PRIx64 "\n",
               regs->dr[0], regs->dr[1], regs->dr[2], regs->dr[3]);
    output_put(output, "DR6 %08" PRIx64 "  DR7 %08" PRIx64 "\n", regs->dr[6], regs->dr[7]);
}

/* Told where they can matter. */
static void put_shadow_stacks(const struct vcpu *cpu, const struct pacifica_output *output)
{
    const struct shadow_stacks *shadow = &cpu->shadow;
    if (!(cpu->regs.cr4 & CR4_CET))
        return;
    output_put(output,
               "SSP %016" PRIx64 "  U_CET %" PRIx64 "  S_CET %" PRIx64 "  ISST %016" PRIx64 "\n",
               shadow->ssp, shadow->u_cet, shadow->s_cet, shadow->isst);
    for (unsigned i = 0; i < 4; i++)
        output_put(output, "PL%u_SSP %016" PRIx64 "%s", i, shadow->pl_ssp[i], i == 3 ? "\n" : "  ");
}

static void put_state(const struct vcpu *cpu, const struct pacifica_output *output)
{
    const struct svm_state *svm = cpu->svm;
    output_put(output, "%s, CPL %u%s%s%s%s%s\n", info_mode_name(cpu), cpu->regs.cpl,
               cpu->regs.halted ? ", halted" : "", cpu->regs.shadow ? ", interrupt shadow" : "",
               cpu->regs.nmi_masked ? ", NMI masked" : "", cpu->regs.smm ? ", SMM" : "",
               cpu->regs.wait_sipi ? ", waiting for SIPI" : "");
    if (!svm->guest) {
        output_put(output, "host, GIF %u\n", svm->gif);
        return;
    }
    output_put(output, "guest of the VMCB at %016" PRIx64 ", ASID %u, GIF %u\n", svm->vmcb_spa,
               svm->asid, svm->gif);
    if (svm->nested_paging)
        output_put(output, "nested paging: N_CR3 %016" PRIx64 ", %s tables\n", svm->n_cr3,
                   info_paging_name(svm->host_regime.mode));
}

enum pacifica_status info_registers(struct vcpu *cpu, const char *argument,
                                    const struct pacifica_output *output,
                                    struct pacifica_diag *diag)
{
    (void)argument;
    (void)diag;
    put_general(cpu, output);
    put_flags(cpu, output);
    put_segments(cpu, output);
    put_control(cpu, output);
    put_shadow_stacks(cpu, output);
    put_state(cpu, output);
    return PACIFICA_OK;
}
