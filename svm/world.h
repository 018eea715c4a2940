/* What VMRUN and #VMEXIT share. Private to svm/. */
#ifndef SVM_WORLD_H
#define SVM_WORLD_H

#include "emu/cpu/count.h"
#include "svm/svm.h"
#include "svm/vmcb.h"

/* A page of guest memory that the processor reads and writes by itself: RAM in place, or else a copy of what
 * phys_read() gives, because MMIO and ROM can be no VMCB but may be named as one. */
struct svm_page {
    uint8_t *ptr;
    uint64_t spa;
    bool ram;
};

/* In place, or ptr = NULL when the page is not RAM: then svm_page_copy(). */
static inline struct svm_page svm_page_open(const struct vcpu *cpu, uint64_t spa)
{
    return (struct svm_page){ memory_ptr(cpu->memory, spa, VMCB_PAGE_BYTES), spa, true };
}

/* Give a page that is not RAM a copy in `storage` (VMCB_PAGE_BYTES). */
void svm_page_copy(struct vcpu *cpu, struct svm_page *page, uint8_t *storage);

void svm_page_write_back(struct vcpu *cpu, const struct svm_page *page, unsigned from, unsigned to);

/* Bytes from..to were stored through page->ptr; both are multiples of 8. */
static inline void svm_page_written(struct vcpu *cpu, const struct svm_page *page, unsigned from,
                                    unsigned to)
{
    if (EMU_LIKELY(page->ram))
        phys_written(cpu->memory, page->spa + from, to - from);
    else
        svm_page_write_back(cpu, page, from, to);
}

#define INTERCEPT_5_BUSLOCK (1u << (INTERCEPT_BUSLOCK & 31))

/* The four PDPTEs of legacy PAE that CR3 points to, for the rule that checks them. */
void svm_read_pdptes(struct memory *memory, uint64_t cr3, uint64_t pdpte[4]);

/* The rows of svm/vmcb_fields.def with use WORLD: what every world switch moves in both directions. Loading makes
 * canonical, forces fixed bits and computes EFER.LMA. */
void svm_store_world(const struct vcpu *cpu, uint8_t *page, uint64_t rflags, uint64_t rip);
void svm_load_world(struct vcpu *cpu, const uint8_t *page);

/* The rows with use GUEST: what moves for the guest only. Loading leaves CPL as the field has it. */
void svm_store_guest(const struct vcpu *cpu, uint8_t *page);
void svm_load_guest(struct vcpu *cpu, const uint8_t *page);

/* Column `how` of svm/vmcb_fields.def: what loading makes of a value; storing changes none. RFLAGS and RIP: storing
 * takes what the caller says. */
#define SVM_LOAD_U8(cpu, value) ((uint8_t)(value))
#define SVM_LOAD_U16(cpu, value) ((uint16_t)(value))
#define SVM_LOAD_U32(cpu, value) ((uint32_t)(value))
#define SVM_LOAD_U64(cpu, value) (value)
#define SVM_LOAD_ATTR(cpu, value) ((uint16_t)((value)&0xfff))
#define SVM_LOAD_BASE32(cpu, value) ((uint32_t)(value)) /* ES, CS, SS, DS */
#define SVM_LOAD_CANONICAL(cpu, value) vmcb_canonical((value), (cpu)->svm->model.linear_bits)
#define SVM_LOAD_CR0(cpu, value) (((value)&SVM_CR0_DEFINED) | CR0_ET)
#define SVM_LOAD_RFLAGS(cpu, value) (((value)&FLAGS_WRITABLE) | 2)
#define SVM_LOAD_RIP(cpu, value) (value)
#define SVM_LOAD_DR6(cpu, value) (((value)&DR6_WRITABLE) | DR6_FIXED)
#define SVM_LOAD_DR7(cpu, value) (((value)&DR7_WRITABLE) | DR7_FIXED)
#define SVM_LOAD_DBGCTL(cpu, value) ((value) & (DEBUGCTL_LBR | DEBUGCTL_BTF))
#define SVM_LOAD_PERF_CTL(cpu, value) ((value)&PERF_CTL_VALID)
#define SVM_LOAD_PERF_CTR(cpu, value) ((value)&PERF_CTR_VALID)
#define SVM_LOAD_PERF_STATUS(cpu, value) \
    ((cpu)->svm->model.perfmon_v2 ? (value)&PERF_STATUS_VALID : 0)
#define SVM_LOAD_PERF_GLOBAL(cpu, value) \
    ((cpu)->svm->model.perfmon_v2 ? (value)&PERF_GLOBAL_CTL_VALID : PERF_GLOBAL_CTL_RESET)
#define SVM_LOAD_IRPERF(cpu, value) ((value)-count_clock_base((cpu), PERF_IRPERF))

#define SVM_CR0_DEFINED                                                                         \
    (uint64_t)(CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | \
               CR0_CD | CR0_PG)

/* Rows that an expansion does not move; see svm/vmcb_rows.h. */
#define SVM_NOT_MOVED(name, home, how)
#define SVM_LOAD_ROW(name, home, how) cpu->home = SVM_LOAD_##how(cpu, VMCB_GET(page, name));
#define SVM_STORE_ROW(name, home, how) VMCB_SET(page, name, cpu->home);

/* Leave guest mode: what #VMEXIT clears inside the processor, GIF included. */
void svm_leave_guest(struct svm_state *svm);

/* Load the host from the host save page. STEP_VMEXIT, or STEP_STOP: shutdown. */
EMU_MUST_USE enum step svm_load_host(struct vcpu *cpu, const struct svm_page *hsave);

/* Write EXITCODE, EXITINFO1 and 2, EXITINTINFO, and keep them for probe clients. */
static inline void svm_write_exit(struct svm_state *svm, uint8_t *vmcb, uint64_t code,
                                  uint64_t info1, uint64_t info2, uint64_t intinfo)
{
    VMCB_SET(vmcb, EXITCODE, code);
    VMCB_SET(vmcb, EXITINFO1, info1);
    VMCB_SET(vmcb, EXITINFO2, info2);
    VMCB_SET(vmcb, EXITINTINFO, intinfo);
    svm->last_exit_code = code;
    svm->last_info1 = info1;
    svm->last_info2 = info2;
    svm->last_exitintinfo = intinfo;
}

static inline void svm_probe_exit(struct vcpu *cpu)
{
    const struct svm_state *svm = cpu->svm;
    if (probes_want(cpu->probes, PROBE_EXIT))
        probes_fire(cpu->probes, &(struct probe_event){ .kind = PROBE_EXIT,
                                                        .cpu = cpu,
                                                        .a = svm->last_exit_code,
                                                        .b = svm->last_info1,
                                                        .c = svm->last_info2 });
}

#endif
