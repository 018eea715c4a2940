/* What VMRUN and #VMEXIT share: the pages they work on and the state they both move. */
#include "svm/world.h"

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

/* --- the rows of svm/vmcb_fields.def; MOVE_<use> says what becomes of one --- */

#define MOVE_WORLD(name, home, how) STORE_##how(name, home, how)
#define STORE_U16 SVM_STORE_ROW
#define STORE_U32 SVM_STORE_ROW
#define STORE_U64 SVM_STORE_ROW
#define STORE_ATTR SVM_STORE_ROW
#define STORE_BASE32 SVM_STORE_ROW
#define STORE_CANONICAL SVM_STORE_ROW
#define STORE_CR0 SVM_STORE_ROW
#define STORE_RFLAGS(name, home, how) VMCB_SET(page, name, rflags);
#define STORE_RIP(name, home, how) VMCB_SET(page, name, rip);

void svm_store_world(const struct vcpu *restrict cpu, uint8_t *restrict page, uint64_t rflags,
                     uint64_t rip)
{
#include "svm/vmcb_rows.h"
}

#define MOVE_WORLD SVM_LOAD_ROW

void svm_load_world(struct vcpu *cpu, const uint8_t *page)
{
    struct cpu_regs *regs = &cpu->regs;
#include "svm/vmcb_rows.h"
    cpu->flags_kind = FLAGS_MATERIAL;
    regs->efer &= ~(uint64_t)EFER_LMA;
    if ((regs->efer & EFER_LME) && (regs->cr0 & CR0_PG))
        regs->efer |= EFER_LMA;
}

#define MOVE_GUEST SVM_STORE_ROW

void svm_store_guest(const struct vcpu *cpu, uint8_t *page)
{
#include "svm/vmcb_rows.h"
}

#define MOVE_GUEST SVM_LOAD_ROW

void svm_load_guest(struct vcpu *cpu, const uint8_t *page)
{
#include "svm/vmcb_rows.h"
}
