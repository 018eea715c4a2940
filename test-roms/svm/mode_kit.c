/* mode_kit.c: see mode_kit.h. */
#include "test-roms/svm/mode_kit.h"

#define KIND(m) ((m)->kind)
#define TSS_BUSY (UINT64_C(2) << 40)

extern struct modes_state modes_in;

static uint8_t *host_page;
static uint64_t *nested_root;

uint64_t *guest_nested(void)
{
    if (nested_root == NULL)
        nested_root = kit_nested_identity();
    return nested_root;
}

/* ---- segments ----------------------------------------------------------------------------------- */

static void set_protected(struct svm_guest *g, unsigned offset, uint16_t selector)
{
    const uint64_t *table = (selector & 4) != 0 ? modes_ldt : modes_gdt;
    uint64_t d = table[selector / 8];
    uint32_t limit = (uint32_t)((d & 0xffff) | (d >> 32 & 0xf0000));

    if ((selector & 0xfffc) == 0) {
        svm_set_segment(g, offset, selector, 0, 0, 0);
        return;
    }
    if ((d >> 55 & 1) != 0)
        limit = limit << 12 | 0xfff;
    svm_set_segment(g, offset, selector, (uint16_t)((d >> 40 & 0xff) | (d >> 44 & 0xf00)), limit,
                    (d >> 16 & 0xffffff) | (d >> 32 & 0xff000000));
}

static void set_paragraph(struct svm_guest *g, unsigned offset, uint16_t selector,
                          uint16_t attributes, uint32_t limit)
{
    svm_set_segment(g, offset, selector, attributes, limit, (uint64_t)selector << 4);
}

static void set_segments(struct svm_guest *g, const struct modes_state *m)
{
    const unsigned at[6] = { VMCB_ES, VMCB_CS, VMCB_SS, VMCB_DS, VMCB_FS, VMCB_GS };
    const uint16_t selectors[6] = { m->es, m->cs, m->ss, m->ds, m->fs, m->gs };
    bool v86 = (m->rflags & RFLAGS_VM) != 0;

    for (unsigned i = 0; i < 6; i++) {
        bool big = m->preload == SEL_DATA && at[i] != VMCB_CS && at[i] != VMCB_SS;

        if (v86)
            set_paragraph(g, at[i], selectors[i], 0xf3, 0xffff);
        else if (KIND(m) == KIND_REAL)
            set_paragraph(g, at[i], selectors[i],
                          at[i] == VMCB_CS ? 0x9b
                          : big            ? 0xc93
                                           : 0x93,
                          big ? 0xffffffffu : 0xffff);
        else
            set_protected(g, at[i], selectors[i]);
    }
    /* VMRUN takes the level from its field, but for the modes that leave no choice: rubbish there. */
    svm_set8(g, VMCB_CPL, v86 ? 0 : KIND(m) == KIND_REAL ? 3 : m->cs & 3);
}

void guest_make(struct svm_guest *g, bool nested)
{
    const struct modes_state *m = &modes_in;

    svm_guest_init(g, m->rip, m->regs[M_SP], 1);
    set_segments(g, m);
    svm_set_segment(g, VMCB_GDTR, 0, 0, m->gdtr.limit, m->gdtr.base);
    svm_set_segment(g, VMCB_IDTR, 0, 0, m->idtr.limit, m->idtr.base);
    set_protected(g, VMCB_LDTR, m->ldtr);
    modes_gdt[m->tr / 8] |= TSS_BUSY;
    set_protected(g, VMCB_TR, m->tr);
    svm_set(g, VMCB_EFER, m->efer | EFER_SVME);
    svm_set(g, VMCB_CR0, m->cr0);
    svm_set(g, VMCB_CR3, m->cr3);
    svm_set(g, VMCB_CR4, m->cr4);
    svm_set(g, VMCB_RFLAGS, m->rflags);
    svm_set(g, VMCB_RAX, m->regs[M_AX]);
    g->rcx = m->regs[M_CX];
    g->rdx = m->regs[M_DX];
    g->rbx = m->regs[M_BX];
    g->rbp = m->regs[M_BP];
    g->rsi = m->regs[M_SI];
    g->rdi = m->regs[M_DI];
    svm_intercept(g, VMCB_INTERCEPT_EXCEPTION, 1u << EXC_UD);
    svm_set8(g, VMCB_TLB_CONTROL, TLB_CONTROL_FLUSH_ALL);
    if (nested)
        svm_set_nested(g, guest_nested());
}

uint64_t guest_run(struct svm_guest *g)
{
    uint64_t code;

    if (host_page == NULL)
        host_page = rom_pages(1);
    svm_vmsave(host_page);
    svm_vmload(g->vmcb);
    code = svm_run(g);
    svm_vmsave(g->vmcb);
    svm_vmload(host_page);
    return code;
}

/* ---- points ------------------------------------------------------------------------------------- */

bool guest_done(const struct svm_guest *g, const char *end)
{
    return svm_get(g, VMCB_EXITCODE) == VMEXIT_UD && svm_get(g, VMCB_RIP) == (uintptr_t)end;
}

static bool report(const struct svm_guest *g, bool passed, const char *what)
{
    tap_ok(passed, "%s", what);
    if (!passed)
        rom_printf("#   exit %lx at %lx:%lx, info %lx %lx, delivering %lx, rAX %lx\n",
                   svm_get(g, VMCB_EXITCODE), svm_get(g, VMCB_CS) & 0xffff, svm_get(g, VMCB_RIP),
                   svm_get(g, VMCB_EXITINFO1), svm_get(g, VMCB_EXITINFO2),
                   svm_get(g, VMCB_EXITINTINFO), svm_get(g, VMCB_RAX));
    return passed;
}

bool guest_pass(struct svm_guest *g, const char *end, const char *what)
{
    guest_run(g);
    return report(g, guest_done(g, end), what);
}

bool guest_exits(struct svm_guest *g, uint64_t code, const char *rip, const char *what)
{
    uint64_t got = guest_run(g);

    return report(g, got == code && (rip == NULL || svm_get(g, VMCB_RIP) == (uintptr_t)rip), what);
}

void guest_field(const struct svm_guest *g, unsigned offset, uint64_t want, const char *what)
{
    tap_eq(svm_get(g, offset), want, "%s", what);
}
