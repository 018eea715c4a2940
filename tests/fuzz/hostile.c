/* Hosts that execute VMRUN again and again: VMCBs in MMIO, ROM and tables, tables that lead to themselves, permission maps at
 * the end of everything, pages that are VMCB, host save page and page table at once. */
#include "tests/fuzz/hostile.h"

#include <string.h>

#include "svm/svm.h"
#include "svm/vmcb.h"

/* The script: SCRIPT_COUNT entries of four qwords: the VMCB of this VMRUN; where its fields are read; where a qword goes
 * before it, and which. */
#define SCRIPT_SPA 0x38400u /* in the page of DATA_SPA */
#define SCRIPT_BYTES 0x200u
#define ENTRY_BYTES 32u
#define ALWAYS 0xff
#define NEXT_SPA 0x38610u /* where the next entry is: a guest changes every register */
#define SCRIPT_COUNT (SCRIPT_BYTES / ENTRY_BYTES)
#define CHANGES_MAX 16u
#define HOST_PML4_SPA 0x52000u /* the host has page tables of its own: a page of 1 GiB */
#define HOST_PDPT_SPA 0x53000u
#define SHADOW_SPA 0x3e000u /* two pages of shadow stacks */

/* --- numbers ------------------------------------------------------------------------------------------- */

/* Pages that somebody may name as something else. */
static const uint64_t places[] = {
    VMCB_SPA,
    VMCB2_SPA,
    HSAVE_SPA,
    NPML4_SPA,
    NPDPT_SPA,
    NPD_SPA,
    NPT_SPA,
    IOPM_SPA,
    MSRPM_SPA,
    MSRPM_SPA + 0x1000,
    PML4_SPA,
    PT_SPA,
    INNER_CODE_SPA,
    CODE_SPA,
    DATA_SPA,
    0,
    ROM_SPA,
    0xa0000, /* video memory: nobody answers */
    0xfec00000,
    0xfee00000,
    0xfffff000,
    GUEST_RAM - 0x1000, /* the last page of RAM, what is behind it, and maps that begin here */
    GUEST_RAM,
    GUEST_RAM - 0x2000,
    UINT64_C(1) << 32,
    (UINT64_C(1) << 48) - 0x1000,
    (UINT64_C(1) << 48) - 0x2000,
    (UINT64_C(1) << 48) - 0x3000,
    UINT64_C(1) << 48,
    (UINT64_C(1) << 52) - 0x1000,
    UINT64_C(1) << 52,
    UINT64_MAX - 0xfff,
};
#define PLACES (sizeof(places) / sizeof(places[0]))

static uint64_t address(struct reader *in)
{
    uint8_t choice = read8(in);
    uint64_t at = places[choice % PLACES];
    switch (choice / PLACES) {
    case 6: return at | read8(in);                /* bits that a page address has not */
    case 7: return at + (read_bytes(in, 2) << 3); /* inside, or in the next pages */
    default: return at;
    }
}

static uint64_t number(struct reader *in)
{
    uint8_t choice = read8(in);
    if (choice < 0x60)
        return address(in);
    if (choice < 0xa0)
        return UINT64_C(1) << (choice & 63);
    if (choice < 0xc0)
        return UINT64_MAX << (choice & 31);
    return choice < 0xe0 ? read8(in) : read_bytes(in, 8);
}

static void store(struct pacifica_machine *machine, uint64_t spa, unsigned bytes, uint64_t value)
{
    phys_write(machine->memory, spa, bytes, value);
}

static void flip(struct pacifica_machine *machine, uint64_t spa, unsigned bytes, uint64_t mask)
{
    store(machine, spa, bytes, phys_read(machine->memory, spa, bytes) ^ mask);
}

/* --- changes -------------------------------------------------------------------------------------------- */

static const struct vmcb_field_info *control_field(struct reader *in)
{
    static const uint8_t often[] = {
        VMCB_NESTED_CONTROL,
        VMCB_VINTR_CONTROL,
        VMCB_VIRT_ENABLE,
        VMCB_CLEAN_BITS,
        VMCB_EVENTINJ,
        VMCB_N_CR3,
        VMCB_IOPM_BASE_PA,
        VMCB_MSRPM_BASE_PA,
        VMCB_AVIC_APIC_BAR,
        VMCB_AVIC_BACKING_PAGE,
        VMCB_AVIC_LOGICAL_TABLE,
        VMCB_AVIC_PHYSICAL_TABLE,
        VMCB_CR0,
        VMCB_CR3,
        VMCB_CR4,
        VMCB_EFER,
        VMCB_RFLAGS,
        VMCB_RIP,
        VMCB_RSP,
        VMCB_IDTR_BASE,
        VMCB_GDTR_BASE,
        VMCB_CS_ATTR,
        VMCB_CPL,
        VMCB_INTERRUPT_SHADOW,
        VMCB_INTERCEPT_3,
        VMCB_INTERCEPT_4,
        VMCB_INTERCEPT_5,
        VMCB_INTERCEPT_EXCP,
        VMCB_INTERCEPT_CR,
        VMCB_TLB_CONTROL,
        VMCB_GUEST_ASID,
        VMCB_TSC_OFFSET,
        VMCB_DR7,
        VMCB_DBGCTL,
        VMCB_PAUSE_FILTER_COUNT,
        VMCB_PAUSE_FILTER_THRESHOLD,
        VMCB_SPEC_CTRL,
        VMCB_BUS_LOCK_COUNTER,
        VMCB_G_PAT,
    };
    static const uint8_t shadow[] = { VMCB_S_CET, VMCB_SSP, VMCB_ISST_ADDR };
    uint8_t choice = read8(in);
    if (choice >= 0xba && choice < 0xc0)
        return &vmcb_fields[shadow[choice % sizeof(shadow)]];
    return &vmcb_fields[choice < 0xc0 ? often[choice % sizeof(often)]
                                      : read8(in) % VMCB_FIELD_COUNT];
}

static void change_field(struct reader *in, struct pacifica_machine *machine, uint64_t vmcb,
                         bool flips)
{
    const struct vmcb_field_info *field = control_field(in);
    unsigned bytes = field->bytes < 8 ? field->bytes : 8;
    if (flips)
        flip(machine, vmcb + field->offset, bytes, UINT64_C(1) << (read8(in) & 63));
    else
        store(machine, vmcb + field->offset, bytes, number(in));
}

/* An entry of a table on the way of every access, or of any. */
static uint64_t entry(struct reader *in)
{
    static const uint32_t table[] = { NPML4_SPA, NPDPT_SPA, NPD_SPA, NPT_SPA,
                                      PML4_SPA,  PDPT_SPA,  PD_SPA,  PT_SPA };
    uint8_t choice = read8(in), index = read8(in);
    static const uint16_t of_page[] = { INNER_CODE_SPA >> 12, INNER_STACK >> 12, DATA_SPA >> 12,
                                        CODE_SPA >> 12,       IDT_SPA >> 12,     GDT_SPA >> 12,
                                        PML4_SPA >> 12,       PT_SPA >> 12 };
    bool leaf = (choice & 3) == 3;
    uint64_t n = index & 0x80 ? index & 0x7f : leaf ? of_page[index & 7] : index & 3;
    return table[choice & 7] + 8 * n;
}

/* The whole set of what AVIC needs, so that single changes need not find it. */
static void make_avic(struct reader *in, struct pacifica_machine *machine, uint64_t vmcb)
{
    uint8_t how = read8(in);
    store(machine, vmcb + VMCB_AT_AVIC_BACKING_PAGE, 8, how & 1 ? address(in) : DATA_SPA + 0x1000);
    store(machine, vmcb + VMCB_AT_AVIC_LOGICAL_TABLE, 8, how & 2 ? address(in) : DATA_SPA + 0x2000);
    store(machine, vmcb + VMCB_AT_AVIC_PHYSICAL_TABLE, 8,
          (how & 4 ? address(in) : DATA_SPA + 0x3000) | (how >> 4));
    store(machine, vmcb + VMCB_AT_AVIC_APIC_BAR, 8, how & 8 ? address(in) : 0xfee00000);
    for (unsigned i = 0; i < 4; i++) {
        store(machine, DATA_SPA + 0x3000 + 8 * i, 8,
              (read8(in) & 0xfe ? DATA_SPA + 0x1000 : address(in)) | (uint64_t)read8(in) << 56 | i);
        store(machine, DATA_SPA + 0x2000 + 4 * i, 4, UINT64_C(0x80000000) | i);
        store(machine, DATA_SPA + 0x1200 + 0x10 * (read8(in) & 7), 4, number(in)); /* IRR */
    }
    store(machine, vmcb + VMCB_AT_NESTED_CONTROL, 8,
          phys_read(machine->memory, vmcb + VMCB_AT_NESTED_CONTROL, 8) | NESTED_NP_ENABLE);
    flip(machine, vmcb + VMCB_AT_VINTR_CONTROL, 8,
         UINT64_C(1) << 31 | (how & 0x80 ? UINT64_C(1) << 30 : 0));
}

/* Shadow stacks in a guest: pages of either level in its tables, and in the nested ones as the supervisor shadow stack check wants
 * them or not. */
static void make_shadow(struct reader *in, struct pacifica_machine *machine, uint64_t vmcb)
{
    uint8_t how = read8(in);
    uint8_t *page = memory_ptr(machine->memory, vmcb, 4096);
    for (uint64_t at = SHADOW_SPA; at < SHADOW_SPA + 0x2000; at += 0x1000) {
        store(machine, PT_SPA + at / 0x1000 * 8, 8, at | (how & 1 ? 0x45 : 0x41));
        store(machine, NPT_SPA + at / 0x1000 * 8, 8, at | (how & 2 ? UINT64_C(1) << 63 | 1 : 7));
    }
    for (uint64_t at = SHADOW_SPA; at < SHADOW_SPA + 0x1000; at += 8) /* tokens, an ISST */
        store(machine, at, 8, at | (how & 4 ? 1 : 0));
    VMCB_SET(page, CR0, VMCB_GET(page, CR0) | CR0_WP);
    VMCB_SET(page, CR4, VMCB_GET(page, CR4) | CR4_CET);
    VMCB_SET(page, S_CET, how & 8 ? SHADOW_CET_VALID : SHADOW_CET_ENABLE);
    VMCB_SET(page, SSP, how & 0x10 ? number(in) : SHADOW_SPA + 0x1800);
    VMCB_SET(page, ISST_ADDR, how & 0x20 ? number(in) : SHADOW_SPA);
    if (how & 0x40)
        VMCB_SET(page, NESTED_CONTROL,
                 VMCB_GET(page, NESTED_CONTROL) | NESTED_NP_ENABLE | NESTED_SSS_ENABLE);
    machine->cpu[0]->shadow.u_cet = how & 0x80 ? SHADOW_CET_VALID : 0;
    for (unsigned n = 0; n < 4; n++)
        machine->cpu[0]->shadow.pl_ssp[n] = SHADOW_SPA + 0x100 * n;
}

static void change(struct reader *in, struct pacifica_machine *machine)
{
    uint8_t what = read8(in);
    uint64_t vmcb = what & 0x80 ? VMCB2_SPA : VMCB_SPA, at;
    if ((what & 0x78) == 0x78) {
        make_shadow(in, machine, vmcb);
        return;
    }
    switch (what % 12) {
    case 0:
    case 1:
    case 2: change_field(in, machine, vmcb, false); break;
    case 3:
    case 4: change_field(in, machine, vmcb, true); break;
    case 5: store(machine, entry(in), 8, address(in) | read8(in)); break;
    case 6: flip(machine, entry(in), 8, UINT64_C(1) << (read8(in) & 63)); break;
    case 7: /* an entry of the maps */
        at = IOPM_SPA + (read_bytes(in, 2) & 0x7fff);
        store(machine, at, 1, read8(in));
        break;
    case 8: machine->cpu[0]->msr.vm_hsave_pa = address(in) & 0xfffffffff000; break;
    case 9: make_avic(in, machine, vmcb); break;
    case 10: /* one page is two */
        memcpy(memory_ptr(machine->memory, places[read8(in) % 15], 4096),
               memory_ptr(machine->memory, vmcb, 4096), 4096);
        break;
    default: store(machine, address(in), 8, number(in)); break;
    }
}

/* --- the host ------------------------------------------------------------------------------------------- */

/* Where a VMCB is seen by the host: 1 GiB maps everything below, and what is nowhere is not looked at. */
static uint64_t seen_at(uint64_t spa)
{
    return spa < GUEST_RAM - 0x1000 ? spa & ~UINT64_C(0xfff) : VMCB_SPA;
}

static void make_script(struct reader *in, struct pacifica_machine *machine)
{
    for (unsigned i = 0; i < SCRIPT_COUNT; i++) {
        uint64_t at = SCRIPT_SPA + ENTRY_BYTES * i;
        uint8_t which = read8(in);
        uint64_t vmcb = which < 0x90 ? VMCB_SPA : which < 0xc0 ? VMCB2_SPA : address(in);
        uint64_t target = SCRIPT_SPA + SCRIPT_BYTES, value = 0; /* nowhere of interest */
        if (which & 1) {
            const struct vmcb_field_info *field = control_field(in);
            target = which & 2 ? entry(in) : seen_at(vmcb) + field->offset;
            value = number(in);
        }
        store(machine, at, 8, vmcb);
        store(machine, at + 8, 8, seen_at(vmcb));
        store(machine, at + 16, 8, target);
        store(machine, at + 24, 8, value);
    }
}

/* RBX: the entry of the script; RDI: the VMCB in the host's space. A guest goes on behind what it exited for, and
 * events that were interrupted are injected anew, if the input says so. */
static void make_loop(unsigned choice, struct pacifica_machine *machine)
{
    static const struct {
        uint8_t when, len; /* when: a bit of the choice, or ALWAYS */
        const char *code;
    } pieces[] = {
#define PIECE(when, bytes) { when, sizeof(bytes) - 1, bytes }
        PIECE(ALWAYS, "\x48\x8b\x1c\x25\x10\x86\x03\x00"), /* rbx := [NEXT_SPA] */
        PIECE(ALWAYS, "\x48\x8b\x53\x10\x48\x8b\x43\x18"), /* rdx, rax := [rbx + 16], [rbx + 24] */
        PIECE(0, "\xff\x32\x52"),                          /* push [rdx]; push rdx */
        PIECE(ALWAYS, "\x48\x89\x02"),                     /* [rdx] := rax */
        PIECE(1, "\x0f\x01\xdd"),                          /* clgi */
        PIECE(2, "\xfb"),                                  /* sti */
        PIECE(3, "\x48\x8b\x03\x0f\x01\xda"),              /* vmload */
        PIECE(ALWAYS, "\x48\x8b\x03\x0f\x01\xd8"),         /* vmrun */
        PIECE(0, "\x5a\x8f\x02"),                          /* pop rdx; pop [rdx] */
        PIECE(ALWAYS, "\x48\x8b\x1c\x25\x10\x86\x03\x00\x48\x8b\x7b\x08"), /* rbx, rdi again */
        PIECE(4, "\x48\x8b\x03\x0f\x01\xdb"),                              /* vmsave */
        PIECE(5, "\x0f\x01\xdc"),                                          /* stgi */
        PIECE(6, "\x0f\x01\xdc\xfb\x90\xfa"),                              /* stgi; sti; nop; cli */
        /* [rdi + EVENTINJ] := [rdi + EXITINTINFO] */
        PIECE(7, "\x48\x8b\x87\x88\x00\x00\x00\x48\x89\x87\xa8\x00\x00\x00"),
        PIECE(8, "\xc7\x87\xc0\x00\x00\x00\xff\xff\xff\xff"),  /* all is clean */
        PIECE(9, "\x0f\xba\xbf\x60\x00\x00\x00\x08"),          /* btc V_IRQ */
        PIECE(10, "\x81\x8f\x70\x05\x00\x00\x00\x01\x00\x00"), /* RFLAGS.TF: see leave_soon() */
        /* if nRIP: RIP := nRIP; else RIP += 2 */
        PIECE(ALWAYS,
              "\x48\x8b\x87\xc8\x00\x00\x00\x48\x85\xc0\x75\x0b\x48\x8b\x87\x78\x05\x00\x00\x48\x83"
              "\xc0\x02\x48\x89\x87\x78\x05\x00\x00"),
        PIECE(ALWAYS, "\x83\xc3\x20\x81\xe3\xff\x85\x03\x00"), /* the next; 0x38600 wraps */
        PIECE(ALWAYS, "\x48\x89\x1c\x25\x10\x86\x03\x00"),     /* [NEXT_SPA] := rbx */
#undef PIECE
    };
    uint8_t *code = memory_ptr(machine->memory, CODE_SPA, 4096);
    unsigned at = 0;
    memset(code, 0x90, 4096);
    for (unsigned i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        if (pieces[i].when != ALWAYS && !(choice >> pieces[i].when & 1))
            continue;
        memcpy(code + at, pieces[i].code, pieces[i].len);
        at += pieces[i].len;
    }
    code[at++] = 0xe9; /* back to the start */
    store(machine, CODE_SPA + at, 4, (uint32_t) - (int32_t)(at + 4));
}

/* Guests that exit often: at each instruction by #DB, at HLT, at shutdown. */
static void leave_soon(unsigned choice, struct pacifica_machine *machine)
{
    for (unsigned i = 0; i < 2; i++) {
        uint8_t *vmcb = memory_ptr(machine->memory, i ? VMCB2_SPA : VMCB_SPA, 4096);
        if (choice & 1u << 10) {
            VMCB_SET(vmcb, RFLAGS, VMCB_GET(vmcb, RFLAGS) | FLAG_TF);
            VMCB_SET(vmcb, INTERCEPT_EXCP, VMCB_GET(vmcb, INTERCEPT_EXCP) | 1u << EXC_DB);
        }
        if (choice & 3u << 11)
            VMCB_SET(vmcb, INTERCEPT_3,
                     VMCB_GET(vmcb, INTERCEPT_3) | 1u << (INTERCEPT_HLT & 31) |
                         1u << (INTERCEPT_SHUTDOWN & 31));
    }
}

static void begin_host(struct vcpu *cpu)
{
    static const struct segment code = { .selector = 8, .attr = 0xa9b, .limit = ~0u };
    static const struct segment data = { .selector = 16, .attr = 0xc93, .limit = ~0u };
    cpu->regs.seg[SEG_CS] = code;
    cpu->regs.seg[SEG_SS] = cpu->regs.seg[SEG_DS] = cpu->regs.seg[SEG_ES] = data;
    cpu->regs.cpl = 0;
    cpu->regs.cr3 = HOST_PML4_SPA;
    cpu->rflags &= ~(uint64_t)FLAG_TF;
    cpu->r[REG_RSP] = STACK;
    cpu->r[REG_RIP] = CODE_SPA;
    cpu_update_mode(cpu);
}

/* A second processor runs the same script with a stack and a host save page of its own. */
static void begin_second(const struct vcpu *first, struct vcpu *cpu)
{
    memcpy(cpu->r, first->r, sizeof(cpu->r));
    cpu->regs = first->regs;
    cpu->rflags = first->rflags;
    cpu->flags_kind = first->flags_kind;
    cpu->msr.vm_hsave_pa = 0x50000;
    begin_host(cpu);
    cpu->r[REG_RSP] = STACK - 0x800;
}

void hostile_make(struct reader *in, struct pacifica_machine *machine)
{
    size_t mine = read8(in) * 4u;
    struct reader hostile = { in->at, mine < in->left ? mine : in->left };
    in->at += hostile.left;
    in->left -= hostile.left;
    guest_make(in, machine);
    unsigned choice = (unsigned)read_bytes(&hostile, 2);
    make_loop(choice, machine);
    leave_soon(choice, machine);
    unsigned changes = read8(&hostile);
    changes = changes & 0x80 ? changes % CHANGES_MAX : changes % 4;
    while (changes-- > 0 && hostile.left)
        change(&hostile, machine);
    make_script(&hostile, machine);
    store(machine, NEXT_SPA, 8, SCRIPT_SPA);
    store(machine, HOST_PML4_SPA, 8, HOST_PDPT_SPA | 7);
    store(machine, HOST_PDPT_SPA, 8, 0x87);
    begin_host(machine->cpu[0]);
    for (unsigned i = 1; i < machine->cpu_count; i++)
        begin_second(machine->cpu[0], machine->cpu[i]);
}
