/* SKINIT. */
#include "emu/cpu/skinit.h"

#include <nettle/sha1.h>
#include <nettle/sha2.h>
#include <string.h>

#include "emu/cpu/init.h"
#include "emu/cpu/msr.h"
#include "emu/cpu/run.h"
#include "emu/cpu/smm.h"
#include "emu/cpu/trap.h"
#include "svm/svm.h"

#define SECURE_VM_CR (VM_CR_DPD | VM_CR_R_INIT | VM_CR_DIS_A20M)
#define PAGE_BYTES 4096u
#define SECURE_CS 0x08
#define SECURE_SS 0x10

/* --- other processors -------------------------------------------------------------------------- */

/* Is it in the INIT state? An INIT that it takes before its next instruction counts: the manual lets software wait for
 * 1000 cycles only. */
static bool is_in_init(const struct vcpu *cpu)
{
    bool taken = cpu->pins.init && cpu->svm->gif && !cpu->regs.smm &&
                 !(cpu->msr.vm_cr & VM_CR_R_INIT) && !svm_intercepts(cpu, INTERCEPT_INIT);
    return cpu->regs.wait_sipi || taken;
}

/* Why the TPM would not accept what is sent to it, or NULL. CHOICE: the manual has SKINIT go on whatever happens, and the TPM
 * conclude from a failure that there is no valid loader; it names the conditions (15.27.8) and not their check. */
static const char *find_failure(struct vcpu *cpu)
{
    const struct vcpu *other;
    if (cpu->index != 0)
        return svm_launch_failure_text(SVM_LAUNCH_NOT_BOOT);
    for (unsigned n = 1; (other = group_vcpu(cpu, n)) != NULL; n++)
        if (!is_in_init(other))
            return svm_launch_failure_text(SVM_LAUNCH_NO_INIT);
    return NULL;
}

/* CHOICE: it counts until RESET; the manual does not say what else would end it. */
void skinit_startup(struct vcpu *cpu)
{
    const struct vcpu *boot = group_vcpu(cpu, 0);
    if (!boot || !boot->svm->launch.done)
        return;
    cpu->svm->gif = false;
    cpu->msr.vm_cr |= SECURE_VM_CR;
    smm_view_changed(cpu);
}

/* --- the image --------------------------------------------------------------------------------- */

/* CHOICE: what is neither RAM nor ROM reads as ones, without effects on devices. */
static void read_bytes(struct vcpu *cpu, uint64_t spa, uint8_t *to, unsigned count)
{
    if (!phys_read_block(cpu->memory, spa, to, count))
        memset(to, 0xff, count);
}

/* The header: entry point, length. 15.27.2 "Secure Loader Image". */
static void measure(struct vcpu *cpu, struct svm_launch *launch)
{
    uint8_t bytes[PAGE_BYTES];
    struct sha1_ctx sha1;
    struct sha256_ctx sha256;
    read_bytes(cpu, launch->slb, bytes, 4);
    launch->entry = (uint16_t)(bytes[0] | bytes[1] << 8);
    launch->length = (uint16_t)(bytes[2] | bytes[3] << 8);
    sha1_init(&sha1);
    sha256_init(&sha256);
    for (unsigned at = 0; at < launch->length; at += PAGE_BYTES) {
        unsigned rest = launch->length - at, part = rest < PAGE_BYTES ? rest : PAGE_BYTES;
        read_bytes(cpu, (uint64_t)launch->slb + at, bytes, part);
        sha1_update(&sha1, part, bytes);
        sha256_update(&sha256, part, bytes);
    }
    sha1_digest(&sha1, SHA1_BYTES, launch->sha1);
    sha256_digest(&sha256, SHA256_BYTES, launch->sha256);
}

/* --- the processor ------------------------------------------------------------------------------ */

/* 15.27.6 "SKINIT Operation". CHOICE: the local APIC stays as it is, apart from the TPR, which is CR8: interrupts that are
 * pending wait for GIF. NMI, SMI and INIT do that too. The MSRs stay, apart from EFER and VM_CR. In a guest that does not
 * intercept SKINIT, and in SMM, guest mode and SMM end: the manual does not think of either. */
static void initialize(struct vcpu *cpu)
{
    struct cpu_regs *regs = &cpu->regs;
    const struct cpu_pins pins = cpu->pins;
    bool smm = regs->smm;
    init_processor(cpu);
    cpu->pins = pins;
    if (cpu->intc)
        cpu->intc->write_tpr(cpu->intc_self, 0);
    regs->cr0 |= CR0_PE;
    regs->seg[SEG_CS] = (struct segment){ .selector = SECURE_CS,
                                          .attr = SEG_ATTR_G | SEG_ATTR_DB | 0x09b,
                                          .limit = UINT32_MAX };
    regs->seg[SEG_SS] = (struct segment){ .selector = SECURE_SS,
                                          .attr = SEG_ATTR_G | SEG_ATTR_DB | 0x093,
                                          .limit = UINT32_MAX };
    cpu->msr.vm_cr |= SECURE_VM_CR;
    if (smm) {
        cpu->msr.hwcr &= ~HWCR_SMM_PGCFG_LOCK;
        paging_flush_all(cpu->paging);
    }
    cpu->svm->gif = false;
    cpu_update_mode(cpu);
    smm_view_changed(cpu);
}

static void tell(struct vcpu *cpu, const struct svm_launch *launch)
{
    if (launch->entry >= launch->length)
        cpu_guest_error(cpu, "SKINIT: the entry point %xh lies behind the image of %u bytes",
                        launch->entry, launch->length);
    if (launch->failure)
        cpu_guest_error(cpu, "SKINIT: no secure launch: %s", launch->failure);
    if (probes_want(cpu->probes, PROBE_SKINIT))
        probes_fire(cpu->probes,
                    &(struct probe_event){ .kind = PROBE_SKINIT, .cpu = cpu, .a = launch->slb });
}

enum step skinit_take(struct vcpu *cpu)
{
    struct svm_launch *launch = &cpu->svm->launch;
    const uint32_t slb = (uint32_t)cpu->r[REG_RAX] & ~(MEMORY_SLB_BYTES - 1);
    initialize(cpu);
    memory_set_slb(cpu->memory, slb);
    *launch = (struct svm_launch){ .done = true, .slb = slb, .failure = find_failure(cpu) };
    measure(cpu, launch);
    cpu->r[REG_RAX] = slb;
    cpu->r[REG_RSP] = (uint32_t)(slb + MEMORY_SLB_BYTES);
    cpu->r[REG_RIP] = (uint32_t)(slb + launch->entry);
    cpu->trap_rule = TRAP_BY_RESULT; /* not stepped: TF is 0 now */
    tell(cpu, launch);
    return STEP_JUMP;
}
