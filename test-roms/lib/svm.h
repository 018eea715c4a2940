/* svm.h: running a guest. */
#ifndef TEST_ROMS_LIB_SVM_H
#define TEST_ROMS_LIB_SVM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "test-roms/lib/vmcb.h"

/* A guest: its VMCB and the registers that VMRUN does not switch. RAX and RSP are in the VMCB. The
 * order of the members is known to svm_run.S (layout.h). */
struct svm_guest {
    uint8_t *vmcb;
    uint64_t rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15;
    bool host_if;  /* RFLAGS.IF of the host while the guest runs */
    bool keep_gif; /* do not execute STGI after #VMEXIT */
};

/* Set EFER.SVME and VM_HSAVE_PA. False if the processor has no SVM or it is disabled. */
bool svm_enable(void);

/* CPUID Fn8000_000A EDX, and whether a feature bit is in it. */
uint32_t svm_features(void);
static inline bool svm_has(uint32_t feature)
{
    return (svm_features() & feature) != 0;
}

/* Make a guest: a fresh VMCB that describes 64-bit mode at CPL 0 in the address space, GDT and IDT
 * of the host, with the VMRUN and VMMCALL intercepts set and everything else off.
 * rip, rsp  where it starts    asid  not 0 */
void svm_guest_init(struct svm_guest *g, uint64_t rip, uint64_t rsp, uint32_t asid);

/* CLGI; VMRUN; (#VMEXIT;) STGI, with the guest's registers loaded before and saved after. RFLAGS of
 * the caller is kept. Returns EXITCODE; VMEXIT_INVALID also if only its low half is all ones. */
uint64_t svm_run(struct svm_guest *g);

/* VMLOAD and VMSAVE with the page at this address. */
static inline void svm_vmload(const void *vmcb)
{
    __asm__ volatile("vmload %%rax" : : "a"(vmcb) : "memory");
}

static inline void svm_vmsave(void *vmcb)
{
    __asm__ volatile("vmsave %%rax" : : "a"(vmcb) : "memory");
}

static inline void svm_stgi(void)
{
    __asm__ volatile("stgi" : : : "memory");
}

static inline void svm_clgi(void)
{
    __asm__ volatile("clgi" : : : "memory");
}

static inline void svm_invlpga(uint64_t gva, uint32_t asid)
{
    __asm__ volatile("invlpga %%rax, %%ecx" : : "a"(gva), "c"(asid) : "memory");
}

/* Fields of the VMCB by offset. */
static inline uint64_t svm_get(const struct svm_guest *g, unsigned offset)
{
    return *(const volatile uint64_t *)(g->vmcb + offset);
}

static inline void svm_set(struct svm_guest *g, unsigned offset, uint64_t value)
{
    *(volatile uint64_t *)(g->vmcb + offset) = value;
}

static inline uint32_t svm_get32(const struct svm_guest *g, unsigned offset)
{
    return *(const volatile uint32_t *)(g->vmcb + offset);
}

static inline void svm_set32(struct svm_guest *g, unsigned offset, uint32_t value)
{
    *(volatile uint32_t *)(g->vmcb + offset) = value;
}

static inline uint8_t svm_get8(const struct svm_guest *g, unsigned offset)
{
    return *(const volatile uint8_t *)(g->vmcb + offset);
}

static inline void svm_set8(struct svm_guest *g, unsigned offset, uint8_t value)
{
    *(volatile uint8_t *)(g->vmcb + offset) = value;
}

/* Set bits in one of the intercept vectors. */
static inline void svm_intercept(struct svm_guest *g, unsigned vector_offset, uint32_t bits)
{
    svm_set32(g, vector_offset, svm_get32(g, vector_offset) | bits);
}

static inline void svm_set_segment(struct svm_guest *g, unsigned offset, uint16_t selector,
                                   uint16_t attributes, uint32_t limit, uint64_t base)
{
    svm_set(g, offset, (uint64_t)limit << 32 | (uint32_t)attributes << 16 | selector);
    svm_set(g, offset + SEGMENT_BASE, base);
}

/* Attributes of the usual segments (APM vol 2, 15.5.1, "Segment State in the VMCB"). */
#define SEGMENT_CODE64 0x29b /* G clear, L, P, DPL 0, code, readable, accessed */
#define SEGMENT_CODE32 0xc9b
#define SEGMENT_DATA 0xc93
#define SEGMENT_CODE64_USER 0x2fb
#define SEGMENT_DATA_USER 0xcf3

/* Nested page tables: switch nested paging on with this root. */
void svm_set_nested(struct svm_guest *g, const void *root);

/* Continue behind the instruction that exited.
 * length  its bytes; used if the processor does not store nRIP */
void svm_skip(struct svm_guest *g, unsigned length);

#endif
