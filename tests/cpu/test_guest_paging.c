/* Address translation as guests and their hypervisors meet it: who gets which fault, stale translations, task switches,
 * CR2, paged real mode. APM vol 2, 5.5.3, 8.2.15, 15.16, 15.19, 15.25.6. */
#include "tests/check_main.h"
#include "tests/cpu/kit.h"

#define LA (PAGED_LA + 0x3000)
#define N_PML4 0x80000ull
#define N_PDPT 0x81000ull
#define N_PD 0x82000ull
#define PAT_RESET 0x0007040600070406ull

static uint64_t load(struct kit *k, uint64_t la)
{
    uint64_t value = 0;
    ck_assert_int_eq(mem_load_la(k->cpu, la, 8, &value), STEP_NEXT);
    return value;
}

static void leave(struct kit *k)
{
    ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_HLT, 0, 0), STEP_VMEXIT);
}

static void enter(struct kit *k)
{
    ck_assert_int_eq(svm_vmrun(k->cpu, VMCB_SPA, CODE_SPA + 0x100), STEP_JUMP);
}

/* The guest that kit_guest() makes, with identical nested tables of 2 MiB pages for the first 8 MiB. */
static void nest(struct kit *k)
{
    kit_put(k, N_PML4, 8, N_PDPT | 7);
    kit_put(k, N_PDPT, 8, N_PD | 7);
    for (uint64_t i = 0; i < 4; i++)
        kit_put(k, N_PD + 8 * i, 8, i << 21 | 0x87);
    kit_guest(k);
    leave(k);
    VMCB_SET(k->vmcb, NESTED_CONTROL, NESTED_NP_ENABLE);
    VMCB_SET(k->vmcb, N_CR3, N_PML4);
    VMCB_SET(k->vmcb, G_PAT, PAT_RESET);
    enter(k);
}

static int run(struct kit *k, unsigned steps)
{
    const struct run_limits limits = { .max_steps = vcpu_steps(k->cpu) + steps };
    return run_vcpu(k->cpu, &limits);
}

static void code(struct kit *k, uint64_t at, const char *bytes, unsigned len)
{
    for (unsigned i = 0; i < 16; i++)
        kit_put(k, at + i, 1, i < len ? (uint8_t)bytes[i] : 0xf4);
}
#define CODE(k, bytes) code((k), CODE_SPA, (bytes), sizeof(bytes) - 1)

/* --- faults --------------------------------------------------------------------------------- */

/* rows: svmop 15.2.7 */
WITH_KIT(guest_fault_stays_in_the_guest)
{
    kit_page(k, 3, 0);
    CODE(k, "\x48\x8b\x03"); /* MOV RAX, [RBX] */
    nest(k);
    k->cpu->r[REG_RBX] = LA + 5;
    ck_assert_int_eq(run(k, 1), PACIFICA_STOP_LIMIT_INSNS);
    ck_assert(svm_guest(k->cpu));
    ck_assert_uint_eq(k->deliveries, 1);
    ck_assert_uint_eq(k->delivered.a & 0xff, EXC_PF);
    ck_assert_uint_eq(k->cpu->regs.cr2, LA + 5);
    ck_assert_uint_eq(cpu_rip(k->cpu), HANDLER + 16 * EXC_PF);
}

/* rows: svmop 15.2.8 */
WITH_KIT(nested_fault_leaves_the_guest_and_cr2)
{
    kit_page(k, 3, 0x801000 | 7); /* the nested tables end at 800000h */
    CODE(k, "\x48\x89\x03");      /* MOV [RBX], RAX */
    code(k, CODE_SPA + 0x100, "", 0);
    nest(k);
    k->cpu->regs.cr2 = 0x1234;
    k->cpu->r[REG_RBX] = LA + 8;
    ck_assert_int_eq(run(k, 1), PACIFICA_STOP_LIMIT_INSNS);
    ck_assert(!svm_guest(k->cpu));
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), VMEXIT_NPF);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINFO1), NPF_FINAL | PF_RW | PF_US);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINFO2), 0x801008);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, CR2), 0x1234);
    ck_assert_uint_eq(k->cpu->regs.cr2, 0x1234);
    ck_assert_uint_eq(k->deliveries, 0);
}

/* What a guest writes is its own: the host's CR4 goes on to say how nested tables are walked. */
/* rows: svmop 15.2.1 */
WITH_KIT(guest_registers_leave_the_nested_walk_alone)
{
    nest(k);
    control_set_efer(k->cpu, k->cpu->regs.efer & ~(uint64_t)EFER_NXE);
    ck_assert(k->cpu->svm->host_regime.nxe);
    kit_put(k, N_PD + 8, 8, 0x200087 | 1ull << 63); /* NX is no reserved bit in nested tables */
    (void)load(k, 0x200000);
    kit_put(k, 0x3000 + 8 * 3, 8, 0x600087 | 1ull << 63); /* but in the guest's */
    uint64_t value;
    kit_raised(k, mem_load_la(k->cpu, 0x600000, 8, &value), EXC_PF, PF_P | PF_RSV);
    control_set_cr4(k->cpu, k->cpu->regs.cr4 | CR4_SMEP);
    ck_assert(!k->cpu->svm->host_regime.smep);
}

/* Guest physical addresses are numbers, not canonical or otherwise. */
/* rows: svmop 15.2.14 */
WITH_KIT(guest_physical_addresses_have_no_canonical_form)
{
    kit_page(k, 3, 0x0000800000000000 | 7);
    kit_put(k, 0x700018, 8, 0x1122334455667788);
    nest(k);
    kit_put(k, N_PML4 + 8 * 256, 8, 0x84007);
    kit_put(k, 0x84000, 8, 0x85007);
    kit_put(k, 0x85000, 8, 0x86007);
    kit_put(k, 0x86000, 8, 0x700007);
    ck_assert_uint_eq(load(k, LA + 0x18), 0x1122334455667788);
}

/* All 64 bits; 32 of them, zero-extended, outside long mode; and #GP leaves CR2. */
/* rows: pitfalls 4.12 */
WITH_KIT(cr2_holds_the_linear_address)
{
    static const struct {
        uint64_t la, cr2;
        unsigned vector;
    } rows[] = { { 0xffff8000deadbeef, 0xffff8000deadbeef, EXC_PF },
                 { 0x00007fffffff0000, 0x00007fffffff0000, EXC_PF },
                 { NONCANON, 0x5555, EXC_GP } };
    for (unsigned i = 0; i < 3; i++) {
        k->cpu->regs.cr2 = 0x5555;
        kit_mode(k, MODE_LONG64, 0);
        CODE(k, "\x48\x8b\x03"); /* MOV RAX, [RBX] */
        k->cpu->r[REG_RBX] = rows[i].la;
        ck_assert_int_eq(run(k, 1), PACIFICA_STOP_LIMIT_INSNS);
        ck_assert_uint_eq(k->delivered.a & 0xff, rows[i].vector);
        ck_assert_uint_eq(k->cpu->regs.cr2, rows[i].cr2);
    }
    kit_mode(k, MODE_COMPAT32, 0);
    CODE(k, "\x8b\x03"); /* MOV EAX, [EBX] */
    k->cpu->r[REG_RBX] = 0xffffffffc0001000;
    ck_assert_int_eq(run(k, 1), PACIFICA_STOP_LIMIT_INSNS);
    ck_assert_uint_eq(k->cpu->regs.cr2, 0xc0001000);
    kit_mode(k, MODE_LONG64, 0);
}

/* --- stale translations --------------------------------------------------------------------- */

/* rows: svmop 14.1 */
WITH_KIT(world_switches_flush_nothing)
{
    kit_put(k, 0x700000, 8, 1);
    kit_put(k, 0x701000, 8, 2);
    kit_page(k, 3, 0x700000 | 7);
    ck_assert_uint_eq(load(k, LA), 1);
    kit_put(k, PT_SPA + 24, 8, 0x701000 | 7); /* without a flush */
    kit_guest(k);
    ck_assert_uint_eq(load(k, LA), 2); /* another ASID */
    leave(k);
    ck_assert_uint_eq(load(k, LA), 1); /* the host's is still there */
    control_set_cr3(k->cpu, PML4_SPA);
    ck_assert_uint_eq(load(k, LA), 2);
}

/* The hypervisor gives the guest another CR3, paging mode or write protection, and forgets the flush. */
/* rows: svmop 14.8 */
WITH_KIT(edited_vmcb_needs_a_flush)
{
    kit_put(k, 0x700000, 8, 1);
    kit_put(k, 0x701000, 8, 2);
    kit_page(k, 3, 0x700000 | 7);
    for (unsigned i = 0; i < 3; i++) /* a copy of the tables at 90000h that maps LA elsewhere */
        for (unsigned at = 0; at < 4096; at += 8)
            kit_put(k, 0x90000 + 0x1000 * i + at, 8, kit_get(k, 0x1000 * (i + 1) + at, 8));
    kit_put(k, 0x90000, 8, 0x91007);
    kit_put(k, 0x91000, 8, 0x92007);
    kit_put(k, 0x92000 + 8 * (PAGED_LA >> 21), 8, 0x93007);
    kit_put(k, 0x93000 + 24, 8, 0x701000 | 7);
    kit_guest(k);
    ck_assert_uint_eq(load(k, LA), 1);
    leave(k);
    VMCB_SET(k->vmcb, CR3, 0x90000);
    enter(k);
    ck_assert_uint_eq(load(k, LA), 1);
    leave(k);
    VMCB_SET(k->vmcb, TLB_CONTROL, 3);
    enter(k);
    ck_assert_uint_eq(load(k, LA), 2);
}

/* rows: svmop 14.18 */
WITH_KIT(task_switch_flushes_like_mov_cr3)
{
    kit_mode(k, MODE_PROT32, 0);
    k->cpu->regs.cr4 = CR4_PAE | CR4_PGE;
    k->cpu->regs.cr3 =
        0x2000; /* the tables of the kit have a PDPT: its entries have no rights here */
    kit_put(k, 0x2000, 8, 0x3001);
    k->cpu->regs.cr0 |= CR0_PG;
    cpu_update_mode(k->cpu);
    kit_put(k, 0x700000, 8, 1);
    kit_put(k, 0x701000, 8, 2);
    kit_page(k, 3, 0x700000 | 7);
    kit_page(k, 4, 0x700000 | 0x107);
    ck_assert_uint_eq(load(k, LA) + load(k, LA + 0x1000), 2);
    kit_put(k, PT_SPA + 24, 8, 0x701000 | 7);
    kit_put(k, PT_SPA + 32, 8, 0x701000 | 0x107);
    ck_assert_uint_eq(load(k, LA), 1);
    control_load_cr3_task(k->cpu, 0x2018); /* the same tables; PCD and PWT */
    ck_assert_uint_eq(k->cpu->regs.cr3, 0x2018);
    ck_assert_uint_eq(load(k, LA), 2);
    ck_assert_uint_eq(load(k, LA + 0x1000), 1); /* global */
}

/* Reserved bits in a PDPTE are found when it is used: neither MOV CR3 nor CR0 nor CR4 looks at them, in host and guest. */
/* rows: pitfalls 4.4, events 12.5 */
WITH_KIT(pdptes_are_looked_at_by_walks)
{
    uint64_t value;
    kit_mode(k, MODE_PROT32, 0);
    kit_put(k, 0x8000, 8, 0x3001);
    kit_put(k, 0x8008, 8, 0x3001 | 1u << 1); /* bit 1 is reserved */
    control_set_cr4(k->cpu, CR4_PAE);
    ck_assert(control_cr3_ok(k->cpu, 0x8000));
    control_set_cr3(k->cpu, 0x8000);
    ck_assert(control_cr0_ok(k->cpu, k->cpu->regs.cr0 | CR0_PG));
    control_set_cr0(k->cpu, k->cpu->regs.cr0 | CR0_PG);
    ck_assert(control_cr4_ok(k->cpu, CR4_PAE | CR4_PGE));
    control_set_cr4(k->cpu, CR4_PAE | CR4_PGE);
    (void)load(k, 0x200000);
    kit_raised(k, mem_load_la(k->cpu, 0x40200000, 8, &value), EXC_PF, PF_P | PF_RSV);
    kit_put(k, 0x8008, 8, 0x3001);
    (void)load(k, 0x40200000); /* and read again each time */
}

/* --- modes ---------------------------------------------------------------------------------- */

/* CHOICE of what is undefined: the upper halves of the registers stay. */
/* rows: pitfalls 5.8 */
WITH_KIT(upper_halves_stay_when_long_mode_is_left)
{
    kit_mode(k, MODE_COMPAT32, 0);
    k->cpu->r[REG_RBX] = 0x1122334455667788;
    k->cpu->r[REG_R15] = 0x99aabbccddeeff00;
    k->cpu->r[REG_RAX] = (uint32_t)k->cpu->regs.cr0 & ~CR0_PG;
    ck_assert_int_eq(EXEC(k, "\x0f\x22\xc0"), STEP_LEAVE); /* MOV CR0, EAX */
    ck_assert_int_eq(k->cpu->mode, MODE_PROT32);
    ck_assert_uint_eq(k->cpu->regs.efer & EFER_LMA, 0);
    ck_assert_uint_eq(k->cpu->r[REG_RBX], 0x1122334455667788);
    ck_assert_uint_eq(k->cpu->r[REG_R15], 0x99aabbccddeeff00);
}

/* CR0.PG without PE: real mode with 32-bit tables that move the first 4 MiB up by 4 MiB, but for one page. */
static void paged_real_mode(struct kit *k)
{
    kit_guest(k);
    leave(k);
    kit_put(k, 0x90000, 4, 0x91007);
    for (unsigned i = 0; i < 1024; i++)
        kit_put(k, 0x91000 + 4 * i, 4, (0x400000 + i * 0x1000) | 7);
    kit_put(k, 0x91000 + 4 * 0x30, 4, 0);
    VMCB_SET(k->vmcb, CR0, CR0_PG | CR0_ET);
    VMCB_SET(k->vmcb, CR4, 0);
    VMCB_SET(k->vmcb, CR3, 0x90000);
    VMCB_SET(k->vmcb, EFER, EFER_SVME);
    VMCB_SET(k->vmcb, CPL, 3); /* ignored */
    VMCB_SET(k->vmcb, RIP, 0x100);
    const struct segment real = {
        .selector = 0x1000, .attr = 0x93, .limit = 0xffff, .base = 0x10000
    };
    vmcb_store_segment(k->vmcb, VMCB_AT_CS_SEL, &real);
    vmcb_store_segment(k->vmcb, VMCB_AT_DS_SEL, &real);
    vmcb_store_segment(k->vmcb, VMCB_AT_SS_SEL, &real);
    VMCB_SET(k->vmcb, IDTR_BASE, 0);
    VMCB_SET(k->vmcb, INTERCEPT_EXCP, 1u << EXC_PF);
}

/* Real-mode addresses and delivery, each through the tables.
 * rows: svmop 16.1 */
WITH_KIT(paged_real_mode_translates)
{
    paged_real_mode(k);
    code(k, 0x410100, "\xa1\x34\x12\xcd\x21", 5); /* MOV AX, [1234h]; INT 21h */
    kit_put(k, 0x411234, 2, 0xbeef);
    kit_put(k, 0x400000 + 4 * 0x21, 4, 0x20000050);
    code(k, 0x420050, "\xf4", 1);
    enter(k);
    ck_assert_int_eq(k->cpu->mode, MODE_REAL);
    ck_assert_uint_eq(k->cpu->regs.cpl, 0);
    k->cpu->r[REG_RSP] = 0x2000;
    ck_assert_int_eq(run(k, 2), PACIFICA_STOP_LIMIT_INSNS);
    ck_assert_uint_eq(k->cpu->r[REG_RAX] & 0xffff, 0xbeef);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_CS].base, 0x20000);
    ck_assert_uint_eq(cpu_rip(k->cpu), 0x50);
    ck_assert_uint_eq(kit_get(k, 0x411ffa, 2), 0x105); /* IP, CS, FLAGS */
    ck_assert_uint_eq(kit_get(k, 0x411ffc, 2), 0x1000);
}

/* rows: svmop 16.1 */
WITH_KIT(paged_real_mode_faults_to_the_hypervisor)
{
    paged_real_mode(k);
    code(k, 0x410100, "\x8e\xd8\xa2\x08\x00", 5); /* MOV DS, AX; MOV [8], AL */
    enter(k);
    k->cpu->r[REG_RAX] = 0x3000;
    ck_assert_int_eq(run(k, 2), PACIFICA_STOP_LIMIT_INSNS);
    ck_assert(!svm_guest(k->cpu));
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), VMEXIT_EXCP14);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINFO1), PF_RW);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINFO2), 0x30008);
}

/* Only VMRUN makes the combination; with long mode enabled not even that.
 * rows: svmop 16.1 */
WITH_KIT(paged_real_mode_cannot_be_made_by_mov_cr0)
{
    paged_real_mode(k);
    VMCB_SET(k->vmcb, EFER, EFER_SVME | EFER_LME);
    VMCB_SET(k->vmcb, CR4, CR4_PAE);
    ck_assert_int_eq(svm_vmrun(k->cpu, VMCB_SPA, CODE_SPA), STEP_VMEXIT);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), VMEXIT_INVALID);
    VMCB_SET(k->vmcb, EFER, EFER_SVME);
    VMCB_SET(k->vmcb, CR4, 0);
    enter(k);
    k->cpu->r[REG_RAX] = CR0_PG | CR0_ET | CR0_TS;
    kit_raised(k, EXEC(k, "\x0f\x22\xc0"), EXC_GP, 0); /* MOV CR0, EAX */
    ck_assert_int_eq(EXEC(k, "\x0f\x06"), STEP_LEAVE); /* CLTS is no such write */
    k->cpu->r[REG_RAX] = CR0_ET;                       /* real mode without paging */
    ck_assert_int_eq(EXEC(k, "\x0f\x22\xc0"), STEP_LEAVE);
    ck_assert_uint_eq(k->cpu->regs.cr0, CR0_ET);
}

/* Everything else is as in real mode: exceptions bring no error code, far JMP and IRET load selectors as numbers, at CPL 0. The
 * manual leaves open what an unintercepted #PF does; here it is like any other exception.
 * rows: svmop 16.1 */
WITH_KIT(paged_real_mode_has_the_control_transfers_of_real_mode)
{
    static const struct {
        const char *bytes;
        unsigned len, vector; /* 0: none */
        uint16_t cs;
        uint32_t ip;
    } rows[] = {
        { "\xea\x50\x00\x00\x20", 5, 0, 0x2000, 0x50 },    /* JMP 2000:0050 */
        { "\x9a\x50\x00\x00\x20", 5, 0, 0x2000, 0x50 },    /* CALL 2000:0050 */
        { "\xcf", 1, 0, 0x2000, 0x50 },                    /* IRET */
        { "\xcb", 1, 0, 0x2000, 0x50 },                    /* RETF */
        { "\xa1\xff\xff", 3, EXC_GP, 0x2000, 4 * EXC_GP }, /* MOV AX, [FFFFh] */
        { "\xa2\x08\x00", 3, EXC_PF, 0x2000, 4 * EXC_PF }, /* with DS at the hole */
        { "\x0f\x0b", 2, EXC_UD, 0x2000, 4 * EXC_UD },     /* UD2 */
        { "\x0f\x00\xc0", 3, EXC_UD, 0x2000, 4 * EXC_UD }, /* SLDT AX: not in real mode */
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        kit_mode(k, MODE_LONG64, 0);
        paged_real_mode(k);
        VMCB_SET(k->vmcb, INTERCEPT_EXCP, 0);
        code(k, 0x410100, rows[i].bytes, rows[i].len);
        for (unsigned v = 0; v < 32; v++)
            kit_put(k, 0x400000 + 4 * v, 4, 0x20000000 | 4 * v);
        enter(k);
        k->cpu->r[REG_RSP] = 0x2000;
        kit_put(k, 0x412000, 4, 0x20000050);
        kit_put(k, 0x412004, 2, 2);
        if (rows[i].vector == EXC_PF)
            k->cpu->regs.seg[SEG_DS].base = 0x30000;
        ck_assert_int_eq(run(k, 1), PACIFICA_STOP_LIMIT_INSNS);
        ck_assert(svm_guest(k->cpu));
        ck_assert_int_eq(k->cpu->mode, MODE_REAL);
        ck_assert_uint_eq(k->cpu->regs.cpl, 0);
        ck_assert_msg(k->cpu->regs.seg[SEG_CS].selector == rows[i].cs &&
                          cpu_rip(k->cpu) == rows[i].ip,
                      "row %u: %x:%llx", i, k->cpu->regs.seg[SEG_CS].selector,
                      (unsigned long long)cpu_rip(k->cpu));
        ck_assert_uint_eq(k->cpu->regs.seg[SEG_CS].base, 0x20000);
        if (rows[i].vector) { /* FLAGS, CS, IP and no more */
            ck_assert_uint_eq(k->cpu->r[REG_RSP], 0x2000 - 6);
            ck_assert_uint_eq(kit_get(k, 0x412000 - 6, 2), 0x100);
        }
        leave(k);
        ck_assert_uint_eq(VMCB_GET(k->vmcb, CPL), 0);
        ck_assert_uint_eq(VMCB_GET(k->vmcb, CR0) & (CR0_PE | CR0_PG), CR0_PG);
    }
}

/* Without nested paging CR3 of the VMCB is system physical, and the guest's CR0, CR4 and EFER say how it is walked; with CR0.PG = 0
 * an address is system physical itself. No walk is nested, so that no exit is one by a nested page fault.
 * rows: svmop 15.6.1 */
WITH_KIT(without_nested_paging_the_guest_walks_its_cr3_itself)
{
    uint64_t value;
    kit_put(k, LA, 8, 0x11);
    kit_put(k, LA + 0x1000, 8, 0x99);
    kit_page(k, 3, (LA + 0x1000) | 1); /* read-only, supervisor */
    kit_guest(k);
    leave(k);
    VMCB_SET(k->vmcb, N_CR3, N_PML4); /* of no interest, nor is what G_PAT holds */
    VMCB_SET(k->vmcb, G_PAT, UINT64_MAX);
    for (unsigned wp = 0; wp < 2; wp++) {
        VMCB_SET(k->vmcb, CR0, CR0_PG | CR0_PE | CR0_ET | (wp ? CR0_WP : 0));
        VMCB_SET(k->vmcb, TLB_CONTROL, TLB_CONTROL_FLUSH_ASID);
        enter(k);
        ck_assert_uint_eq(load(k, LA), 0x99);
        enum step step = mem_store_la(k->cpu, LA, 8, 0x99);
        if (wp)
            kit_raised(k, step, EXC_PF, PF_P | PF_RW);
        else
            ck_assert_int_eq(step, STEP_NEXT);
        leave(k);
    }
    kit_put(k, PT_SPA + 8 * 3, 8,
            (LA + 0x1000) | 1 | 1ull << 63); /* NX, with and without EFER.NXE */
    for (unsigned nxe = 0; nxe < 2; nxe++) {
        VMCB_SET(k->vmcb, EFER, EFER_SVME | EFER_LME | EFER_LMA | (nxe ? EFER_NXE : 0));
        enter(k);
        enum step step = mem_load_la(k->cpu, LA, 8, &value);
        if (nxe)
            ck_assert_int_eq(step, STEP_NEXT);
        else
            kit_raised(k, step, EXC_PF, PF_P | PF_RSV);
        leave(k);
    }
    VMCB_SET(k->vmcb, EFER, EFER_SVME);
    VMCB_SET(k->vmcb, CR0, CR0_PE | CR0_ET);
    enter(k);
    ck_assert_uint_eq(load(k, LA), 0x11);
    kit_put(k, LA, 8, 0x12);
    ck_assert_uint_eq(load(k, LA), 0x12);
    ck_assert_int_eq(mem_load_la(k->cpu, 0xfff00000, 8, &value), STEP_NEXT); /* nothing is there */
}

/* What the hypervisor keeps shadow tables by: each of these exits before it acts; the #PF of a stale table, too.
 * rows: svmop 15.6.1 */
WITH_KIT(shadow_paging_has_its_intercepts)
{
    static const struct {
        const char *bytes;
        unsigned len, intercept;
        uint64_t code;
    } rows[] = {
        { "\x0f\x22\xd8", 3, INTERCEPT_CR0_WRITE + 3, VMEXIT_CR0_WRITE + 3 },
        { "\x0f\x20\xd8", 3, INTERCEPT_CR0_READ + 3, VMEXIT_CR0_READ + 3 },
        { "\x0f\x22\xc0", 3, INTERCEPT_CR0_WRITE, VMEXIT_CR0_WRITE },
        { "\x0f\x22\xe0", 3, INTERCEPT_CR0_WRITE + 4, VMEXIT_CR0_WRITE + 4 },
        { "\x0f\x01\x3b", 3, INTERCEPT_INVLPG, VMEXIT_INVLPG },
        { "\x8b\x03", 2, INTERCEPT_EXCP0 + EXC_PF, VMEXIT_EXCP0 + EXC_PF },
    };
    kit_page(k, 3, 0);
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        kit_mode(k, MODE_LONG64, 0);
        code(k, CODE_SPA, rows[i].bytes, rows[i].len);
        kit_guest(k);
        kit_intercept(k, rows[i].intercept);
        const struct cpu_regs regs = k->cpu->regs;
        k->cpu->r[REG_RBX] = LA;
        k->cpu->r[REG_RAX] = i == 2 ? regs.cr0 ^ CR0_WP : i == 3 ? regs.cr4 ^ CR4_PGE : 0x5000;
        ck_assert_int_eq(run(k, 1), PACIFICA_STOP_LIMIT_INSNS);
        ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), rows[i].code);
        ck_assert_uint_eq(VMCB_GET(k->vmcb, RIP), CODE_SPA);
        ck_assert_uint_eq(VMCB_GET(k->vmcb, CR0), regs.cr0);
        ck_assert_uint_eq(VMCB_GET(k->vmcb, CR3), regs.cr3);
        ck_assert_uint_eq(VMCB_GET(k->vmcb, CR4), regs.cr4);
        ck_assert_uint_eq(VMCB_GET(k->vmcb, CR2), regs.cr2);
    }
}

CHECK_MAIN("cpu/guest_paging", guest_fault_stays_in_the_guest,
           nested_fault_leaves_the_guest_and_cr2, guest_registers_leave_the_nested_walk_alone,
           guest_physical_addresses_have_no_canonical_form, cr2_holds_the_linear_address,
           world_switches_flush_nothing, edited_vmcb_needs_a_flush,
           task_switch_flushes_like_mov_cr3, pdptes_are_looked_at_by_walks,
           upper_halves_stay_when_long_mode_is_left, paged_real_mode_translates,
           paged_real_mode_faults_to_the_hypervisor, paged_real_mode_cannot_be_made_by_mov_cr0,
           paged_real_mode_has_the_control_transfers_of_real_mode,
           without_nested_paging_the_guest_walks_its_cr3_itself, shadow_paging_has_its_intercepts)
