/* What VMRUN and #VMEXIT share: the pages they work on and the state they both move. */
#include "svm/world.h"

#define CR0_DEFINED                                                                             \
    (uint64_t)(CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | \
               CR0_CD | CR0_PG)

/* --- pages outside RAM: reads give what the bus gives, writes go where it sends them --- */

void svm_page_copy(struct vcpu *cpu, struct svm_page *page, uint8_t *storage)
{
    for (unsigned at = 0; at < VMCB_PAGE_BYTES; at += 8)
        vmcb_store(storage, at, 8, phys_read(cpu->memory, page->spa + at, 8));
    page->ptr = storage;
    page->ram = false;
}

void svm_page_write_back(struct vcpu *cpu, const struct svm_page *page, unsigned from, unsigned to)
{
    for (unsigned at = from; at < to; at += 8)
        phys_write(cpu->memory, page->spa + at, 8, vmcb_load(page->ptr, at, 8));
}

/* --- state --- */

void svm_read_pdptes(struct memory *memory, uint64_t cr3, uint64_t pdpte[4])
{
    for (unsigned i = 0; i < 4; i++)
        pdpte[i] = phys_read(memory, (uint32_t)(cr3 & ~UINT64_C(0x1f)) + UINT64_C(8) * i, 8);
}

void svm_store_world(const struct vcpu *cpu, uint8_t *page, uint64_t rflags, uint64_t rip)
{
    const struct cpu_regs *regs = &cpu->regs;
    vmcb_store_segment(page, VMCB_AT_ES_SEL, &regs->seg[SEG_ES]);
    vmcb_store_segment(page, VMCB_AT_CS_SEL, &regs->seg[SEG_CS]);
    vmcb_store_segment(page, VMCB_AT_SS_SEL, &regs->seg[SEG_SS]);
    vmcb_store_segment(page, VMCB_AT_DS_SEL, &regs->seg[SEG_DS]);
    VMCB_SET(page, GDTR_LIMIT, regs->gdtr.limit);
    VMCB_SET(page, GDTR_BASE, regs->gdtr.base);
    VMCB_SET(page, IDTR_LIMIT, regs->idtr.limit);
    VMCB_SET(page, IDTR_BASE, regs->idtr.base);
    VMCB_SET(page, EFER, regs->efer);
    VMCB_SET(page, CR4, regs->cr4);
    VMCB_SET(page, CR3, regs->cr3);
    VMCB_SET(page, CR0, regs->cr0);
    VMCB_SET(page, RFLAGS, rflags);
    VMCB_SET(page, RIP, rip);
    VMCB_SET(page, RSP, cpu->r[REG_RSP]);
    VMCB_SET(page, RAX, cpu->r[REG_RAX]);
}

/* ES, CS, SS and DS have 32 bits of base. */
static struct segment load_segment(const uint8_t *page, unsigned offset)
{
    struct segment seg = vmcb_load_segment(page, offset);
    seg.base = (uint32_t)seg.base;
    return seg;
}

void svm_load_world(struct vcpu *cpu, const uint8_t *page)
{
    struct cpu_regs *regs = &cpu->regs;
    unsigned linear_bits = cpu->svm->model.linear_bits;
    uint64_t efer = VMCB_GET(page, EFER) & ~(uint64_t)EFER_LMA;
    regs->seg[SEG_ES] = load_segment(page, VMCB_AT_ES_SEL);
    regs->seg[SEG_CS] = load_segment(page, VMCB_AT_CS_SEL);
    regs->seg[SEG_SS] = load_segment(page, VMCB_AT_SS_SEL);
    regs->seg[SEG_DS] = load_segment(page, VMCB_AT_DS_SEL);
    regs->gdtr.limit = (uint16_t)VMCB_GET(page, GDTR_LIMIT);
    regs->gdtr.base = vmcb_canonical(VMCB_GET(page, GDTR_BASE), linear_bits);
    regs->idtr.limit = (uint16_t)VMCB_GET(page, IDTR_LIMIT);
    regs->idtr.base = vmcb_canonical(VMCB_GET(page, IDTR_BASE), linear_bits);
    regs->cr0 = (VMCB_GET(page, CR0) & CR0_DEFINED) | CR0_ET;
    regs->cr3 = VMCB_GET(page, CR3);
    regs->cr4 = VMCB_GET(page, CR4);
    regs->efer = (efer & EFER_LME) && (regs->cr0 & CR0_PG) ? efer | EFER_LMA : efer;
    cpu_set_rflags(cpu, VMCB_GET(page, RFLAGS));
    cpu->r[REG_RIP] = VMCB_GET(page, RIP);
    cpu->r[REG_RSP] = VMCB_GET(page, RSP);
    cpu->r[REG_RAX] = VMCB_GET(page, RAX);
}
