/* #VMEXIT codes by name. */
#include "emu/trace/exit_words.h"

#include "svm/exit_codes.h"

#include <stddef.h>
#include <strings.h>

static const struct exit_word {
    uint64_t code;
    const char *name;
} exit_words[] = {
#define VMEXIT_CODE(code, name, what) { code, #name },
#define VMEXIT_NEGATIVE(code, name, what) { code, #name },
#include "svm/exit_codes.def"
#undef VMEXIT_CODE
#undef VMEXIT_NEGATIVE
};

bool exit_word_find(const char *word, uint64_t *code)
{
    if (strcasecmp(word, "VMRUN") == 0) {
        *code = EXIT_WORD_VMRUN;
        return true;
    }
    if (strncasecmp(word, "VMEXIT_", 7) == 0)
        word += 7;
    for (size_t i = 0; i < sizeof(exit_words) / sizeof(exit_words[0]); i++) {
        if (strcasecmp(word, exit_words[i].name) == 0) {
            *code = exit_words[i].code;
            return true;
        }
    }
    return false;
}

const char *exit_word_name(uint64_t code)
{
    for (size_t i = 0; i < sizeof(exit_words) / sizeof(exit_words[0]); i++)
        if (exit_words[i].code == code)
            return exit_words[i].name;
    return NULL;
}

/* Linux, arch/x86/include/uapi/asm/svm.h: what its tracepoints call the exits. "rt" for the task register is its spelling. */
static const struct exit_word kvm_words[] = {
    { VMEXIT_CR0_READ, "read_cr0" },
    { VMEXIT_CR2_READ, "read_cr2" },
    { VMEXIT_CR3_READ, "read_cr3" },
    { VMEXIT_CR4_READ, "read_cr4" },
    { VMEXIT_CR8_READ, "read_cr8" },
    { VMEXIT_CR0_WRITE, "write_cr0" },
    { VMEXIT_CR2_WRITE, "write_cr2" },
    { VMEXIT_CR3_WRITE, "write_cr3" },
    { VMEXIT_CR4_WRITE, "write_cr4" },
    { VMEXIT_CR8_WRITE, "write_cr8" },
    { VMEXIT_DR0_READ, "read_dr0" },
    { VMEXIT_DR1_READ, "read_dr1" },
    { VMEXIT_DR2_READ, "read_dr2" },
    { VMEXIT_DR3_READ, "read_dr3" },
    { VMEXIT_DR4_READ, "read_dr4" },
    { VMEXIT_DR5_READ, "read_dr5" },
    { VMEXIT_DR6_READ, "read_dr6" },
    { VMEXIT_DR7_READ, "read_dr7" },
    { VMEXIT_DR0_WRITE, "write_dr0" },
    { VMEXIT_DR1_WRITE, "write_dr1" },
    { VMEXIT_DR2_WRITE, "write_dr2" },
    { VMEXIT_DR3_WRITE, "write_dr3" },
    { VMEXIT_DR4_WRITE, "write_dr4" },
    { VMEXIT_DR5_WRITE, "write_dr5" },
    { VMEXIT_DR6_WRITE, "write_dr6" },
    { VMEXIT_DR7_WRITE, "write_dr7" },
    { VMEXIT_EXCP0, "DE excp" },
    { VMEXIT_EXCP1, "DB excp" },
    { VMEXIT_EXCP3, "BP excp" },
    { VMEXIT_EXCP4, "OF excp" },
    { VMEXIT_EXCP5, "BR excp" },
    { VMEXIT_EXCP6, "UD excp" },
    { VMEXIT_EXCP7, "NM excp" },
    { VMEXIT_EXCP8, "DF excp" },
    { VMEXIT_EXCP10, "TS excp" },
    { VMEXIT_EXCP11, "NP excp" },
    { VMEXIT_EXCP12, "SS excp" },
    { VMEXIT_EXCP13, "GP excp" },
    { VMEXIT_EXCP14, "PF excp" },
    { VMEXIT_EXCP16, "MF excp" },
    { VMEXIT_EXCP17, "AC excp" },
    { VMEXIT_EXCP18, "MC excp" },
    { VMEXIT_EXCP19, "XF excp" },
    { VMEXIT_INTR, "interrupt" },
    { VMEXIT_NMI, "nmi" },
    { VMEXIT_SMI, "smi" },
    { VMEXIT_INIT, "init" },
    { VMEXIT_VINTR, "vintr" },
    { VMEXIT_CR0_SEL_WRITE, "cr0_sel_write" },
    { VMEXIT_IDTR_READ, "read_idtr" },
    { VMEXIT_GDTR_READ, "read_gdtr" },
    { VMEXIT_LDTR_READ, "read_ldtr" },
    { VMEXIT_TR_READ, "read_rt" },
    { VMEXIT_IDTR_WRITE, "write_idtr" },
    { VMEXIT_GDTR_WRITE, "write_gdtr" },
    { VMEXIT_LDTR_WRITE, "write_ldtr" },
    { VMEXIT_TR_WRITE, "write_rt" },
    { VMEXIT_RDTSC, "rdtsc" },
    { VMEXIT_RDPMC, "rdpmc" },
    { VMEXIT_PUSHF, "pushf" },
    { VMEXIT_POPF, "popf" },
    { VMEXIT_CPUID, "cpuid" },
    { VMEXIT_RSM, "rsm" },
    { VMEXIT_IRET, "iret" },
    { VMEXIT_SWINT, "swint" },
    { VMEXIT_INVD, "invd" },
    { VMEXIT_PAUSE, "pause" },
    { VMEXIT_HLT, "hlt" },
    { VMEXIT_INVLPG, "invlpg" },
    { VMEXIT_INVLPGA, "invlpga" },
    { VMEXIT_IOIO, "io" },
    { VMEXIT_MSR, "msr" },
    { VMEXIT_TASK_SWITCH, "task_switch" },
    { VMEXIT_FERR_FREEZE, "ferr_freeze" },
    { VMEXIT_SHUTDOWN, "shutdown" },
    { VMEXIT_VMRUN, "vmrun" },
    { VMEXIT_VMMCALL, "hypercall" },
    { VMEXIT_VMLOAD, "vmload" },
    { VMEXIT_VMSAVE, "vmsave" },
    { VMEXIT_STGI, "stgi" },
    { VMEXIT_CLGI, "clgi" },
    { VMEXIT_SKINIT, "skinit" },
    { VMEXIT_RDTSCP, "rdtscp" },
    { VMEXIT_ICEBP, "icebp" },
    { VMEXIT_WBINVD, "wbinvd" },
    { VMEXIT_MONITOR, "monitor" },
    { VMEXIT_MWAIT, "mwait" },
    { VMEXIT_XSETBV, "xsetbv" },
    { VMEXIT_EFER_WRITE_TRAP, "write_efer_trap" },
    { VMEXIT_CR0_WRITE_TRAP, "write_cr0_trap" },
    { VMEXIT_CR4_WRITE_TRAP, "write_cr4_trap" },
    { VMEXIT_CR8_WRITE_TRAP, "write_cr8_trap" },
    { VMEXIT_INVPCID, "invpcid" },
    { VMEXIT_IDLE_HLT, "idle-halt" },
    { VMEXIT_NPF, "npf" },
    { VMEXIT_AVIC_INCOMPLETE_IPI, "avic_incomplete_ipi" },
    { VMEXIT_AVIC_NOACCEL, "avic_unaccelerated_access" },
    { VMEXIT_VMGEXIT, "vmgexit" },
    { VMEXIT_INVALID, "invalid_guest_state" },
};

const char *exit_word_kvm(uint64_t code)
{
    for (size_t i = 0; i < sizeof(kvm_words) / sizeof(kvm_words[0]); i++)
        if (kvm_words[i].code == code)
            return kvm_words[i].name;
    return NULL;
}
