/* Decode assists: which exits bring instruction bytes, how many and which, and that nothing else has happened. APM
 * vol 2, 15.8.4 "Nested and Intercepted #PF". */
#include "tests/check_main.h"
#include "tests/cpu/modes.h"

#define HOST_RIP (CODE_SPA + 0x100)
#define HOLE (PAGED_LA + 0x8000) /* page 8 of the paged area: not present */
#define N_PML4 0x80000ull
#define N_PDPT 0x81000ull
#define N_PD 0x82000ull
#define N_PT \
    0x83000ull /* of the guest physical addresses behind the paged area's, which is mapped to itself */

enum stage { GUEST_TABLES, NESTED_TABLES }; /* who has not got the page */

/* One page of one of the two tables. */
static void set_page(struct kit *k, enum stage stage, unsigned n, uint64_t rights)
{
    uint64_t table = stage == GUEST_TABLES ? (uint64_t)PT_SPA : N_PT;
    kit_put(k, table + 8 * n, 8, rights ? (PAGED_LA + (n << 12)) | rights : 0);
    paging_flush_all(k->cpu->paging);
}

static void nested_tables(struct kit *k)
{
    kit_put(k, N_PML4, 8, N_PDPT | 7);
    kit_put(k, N_PDPT, 8, N_PD | 7);
    for (uint64_t i = 0; i < 8; i++)
        kit_put(k, N_PD + 8 * i, 8, i << 21 | 0x87);
    kit_put(k, N_PD + 8 * (PAGED_LA >> 21), 8, N_PT | 7);
    for (uint64_t i = 0; i < 512; i++)
        kit_put(k, N_PT + 8 * i, 8, (PAGED_LA + (i << 12)) | 7);
}

/* The guest's registers are the kit's; with #PF intercepted. The host halts. */
static void enter(struct kit *k, enum stage stage)
{
    struct vcpu *cpu = k->cpu;
    const struct segment tr = cpu->regs.seg[SEG_TR];
    uint64_t r[REG_COUNT];
    for (unsigned v = 0; v < 256; v++)
        kit_put(k, HANDLER + 16 * v, 1, 0xf4);
    kit_put(k, HOST_RIP, 2, 0xf4f4);
    cpu->regs.halted = false;
    memcpy(r, cpu->r, sizeof(r));
    kit_guest(k);
    if (stage == NESTED_TABLES) {
        nested_tables(k);
        ck_assert_int_eq(svm_vmexit(cpu, VMEXIT_HLT, 0, 0), STEP_VMEXIT);
        VMCB_SET(k->vmcb, NESTED_CONTROL, NESTED_NP_ENABLE);
        VMCB_SET(k->vmcb, N_CR3, N_PML4);
        VMCB_SET(k->vmcb, G_PAT, 0x0007040600070406);
        ck_assert_int_eq(svm_vmrun(cpu, VMCB_SPA, HOST_RIP), STEP_JUMP);
    }
    memcpy(cpu->r, r, sizeof(r));
    cpu->regs.seg[SEG_TR] = tr;
    memset(k->vmcb + VMCB_AT_INSN_COUNT, 0xee, 16);
    kit_intercept(k, INTERCEPT_EXCP0 + EXC_PF);
}

static void run(struct kit *k, unsigned row)
{
    const struct run_limits limits = { .max_steps = vcpu_steps(k->cpu) + 100 };
    ck_assert_int_eq(run_vcpu(k->cpu, &limits), PACIFICA_STOP_HALTED);
    ck_assert_msg(!svm_guest(k->cpu), "row %u: vector %u at %llx", row,
                  (unsigned)k->delivered.a & 0xff, (unsigned long long)k->cpu->r[REG_RIP]);
}

/* The exit was that of a data access, at `rip` of the guest, whose code lies at `spa`; it has `count` bytes. */
static void expect_bytes(struct kit *k, enum stage stage, unsigned row, uint64_t rip, uint64_t spa,
                         unsigned count)
{
    uint64_t code = stage == GUEST_TABLES ? (uint64_t)VMEXIT_EXCP14 : VMEXIT_NPF;
    ck_assert_msg(VMCB_GET(k->vmcb, EXITCODE) == code, "row %u: exit %llx", row,
                  (unsigned long long)VMCB_GET(k->vmcb, EXITCODE));
    ck_assert_msg(VMCB_GET(k->vmcb, RIP) == rip, "row %u: rip %llx", row,
                  (unsigned long long)VMCB_GET(k->vmcb, RIP));
    ck_assert_msg(VMCB_GET(k->vmcb, NRIP) == 0, "row %u", row);
    ck_assert_msg(VMCB_GET(k->vmcb, INSN_COUNT) == count, "row %u: %llu bytes, not %u", row,
                  (unsigned long long)VMCB_GET(k->vmcb, INSN_COUNT), count);
    for (unsigned i = 0; i < 15; i++)
        ck_assert_uint_eq(k->vmcb[VMCB_AT_INSN_BYTES + i],
                          i < count ? kit_get(k, spa + i, 1) : 0xee);
}

/* --- which instructions --- */

struct row {
    const char *bytes;
    unsigned len, skip; /* bytes of what prepares the access */
};
#define ROW(skip, bytes)               \
    {                                  \
        bytes, sizeof(bytes) - 1, skip \
    }

static void put_code(struct kit *k, uint64_t spa, const char *bytes, unsigned len)
{
    for (unsigned i = 0; i < 32; i++)
        kit_put(k, spa + i, 1, i < len ? (uint8_t)bytes[i] : 0x90 + i);
}

/* Each of them reads or writes [HOLE], by RBX, RSI, RDI, RSP or a table register. */
static void set_registers(struct kit *k)
{
    struct vcpu *cpu = k->cpu;
    memset(cpu->r, 0, sizeof(uint64_t) * REG_RSP);
    cpu->r[REG_RBX] = cpu->r[REG_RSI] = cpu->r[REG_RDI] = HOLE + 0x40;
    cpu->r[REG_RCX] = 4;
    cpu->x87.fcw = 0x37f;
    cpu->simd.xcr0 = 7;
}

/* rows: vmcb 8.2 */
WITH_KIT(every_data_access_of_64_bit_code_brings_15_bytes)
{
    static const struct row rows[] = {
        ROW(0, "\x48\x8b\x03"),         /* MOV RAX, [RBX] */
        ROW(0, "\x89\x03"),             /* MOV [RBX], EAX */
        ROW(0, "\x67\x89\x03"),         /* the same with EBX */
        ROW(0, "\xf0\x01\x03"),         /* LOCK ADD [RBX], EAX */
        ROW(0, "\xf0\x48\x0f\xc7\x0b"), /* LOCK CMPXCHG16B [RBX] */
        ROW(0, "\x0f\x28\x03"),         /* MOVAPS XMM0, [RBX] */
        ROW(0, "\xc5\xfc\x29\x03"),     /* VMOVAPS [RBX], YMM0 */
        ROW(0, "\xc4\xe2\x7d\x18\x03"), /* VBROADCASTSS YMM0, [RBX] */
        ROW(4,
            "\xc5\xf1\x76\xc9\xc4\xe2\x71\x8c\x03"), /* VPCMPEQD XMM1, XMM1, XMM1; VPMASKMOVD XMM0, XMM1, [RBX] */
        ROW(0, "\xdd\x03"),                          /* FLD [RBX] */
        ROW(0, "\x0f\xae\x03"),                      /* FXSAVE [RBX] */
        ROW(0, "\xa4"),                              /* MOVSB */
        ROW(0, "\xf3\x48\xa5"),                      /* REP MOVSQ */
        ROW(0, "\xf3\xaa"),                          /* REP STOSB */
        ROW(0, "\xf2\xae"),                          /* REPNE SCASB */
        ROW(0, "\x6e"),                              /* OUTSB */
        ROW(0, "\xf3\x6c"),                          /* REP INSB */
        ROW(0, "\xff\x33"),                          /* PUSH [RBX] */
        ROW(0, "\x8f\x03"),                          /* POP [RBX] */
        ROW(0, "\xff\x13"),                          /* CALL [RBX] */
        ROW(0, "\xff\x23"),                          /* JMP [RBX] */
        ROW(0, "\xff\x2b"),                          /* JMP FAR [RBX] */
        ROW(0, "\x0f\x01\x13"),                      /* LGDT [RBX] */
        ROW(0, "\x0f\x01\x0b"),                      /* SIDT [RBX] */
        ROW(0, "\x0f\x00\x13"),                      /* LLDT [RBX] */
        ROW(0, "\x0f\x01\x33"),                      /* LMSW [RBX] */
        ROW(0, "\x66\x0f\x38\x82\x03"),             /* INVPCID RAX, [RBX] */
        ROW(5, "\x48\x89\xd8\x31\xc9\x0f\x01\xc8"), /* MOV RAX, RBX; XOR ECX, ECX; MONITOR */
        ROW(0, "\x0f\xae\x3b"),                     /* CLFLUSH [RBX] */
        ROW(3, "\x48\x89\xdc\x50"),                 /* MOV RSP, RBX; PUSH RAX */
        ROW(3, "\x48\x89\xdc\xc3"),                 /* MOV RSP, RBX; RET */
        ROW(3, "\x48\x89\xdc\x48\xcf"),             /* MOV RSP, RBX; IRETQ */
        ROW(3, "\x48\x89\xdc\xe8\x00\x00\x00\x00"), /* MOV RSP, RBX; CALL */
        ROW(3, "\x48\x89\xdc\xc8\x00\x00\x00"),     /* MOV RSP, RBX; ENTER */
        ROW(3, "\x48\x89\xdc\x9c"),                 /* MOV RSP, RBX; PUSHF */
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (unsigned stage = 0; stage < 2; stage++) {
            kit_mode(k, MODE_LONG64, 0);
            k->cpu->regs.cr4 |= CR4_OSFXSR | CR4_OSXSAVE;
            cpu_update_fp(k->cpu);
            put_code(k, CODE_SPA, rows[i].bytes, rows[i].len);
            set_registers(k);
            enter(k, (enum stage)stage);
            set_page(k, (enum stage)stage, 8, 0);
            k->answer = 0;
            run(k, i);
            set_page(k, (enum stage)stage, 8, 7);
            uint64_t at = CODE_SPA + rows[i].skip;
            expect_bytes(k, (enum stage)stage, i, at, at, 15);
        }
}

/* What the processor reads for itself, not what the instruction names.
 * rows: vmcb 8.2 */
WITH_KIT(implicit_accesses_bring_bytes_too)
{
    enum where { GDT_AT_HOLE, TR_AT_HOLE };
    static const struct {
        struct row row;
        enum where where;
        unsigned cpl;
    } rows[] = {
        { ROW(0, "\x8e\xd1"), GDT_AT_HOLE, 0 },         /* MOV SS, CX */
        { ROW(0, "\x8e\xe1"), GDT_AT_HOLE, 0 },         /* MOV FS, CX */
        { ROW(0, "\x0f\xb2\x22"), GDT_AT_HOLE, 0 },     /* LSS ESP, [RDX] */
        { ROW(0, "\xff\x2a"), GDT_AT_HOLE, 0 },         /* JMP FAR [RDX] */
        { ROW(0, "\xff\x1a"), GDT_AT_HOLE, 0 },         /* CALL FAR [RDX] */
        { ROW(3, "\x48\x89\xd4\xcb"), GDT_AT_HOLE, 0 }, /* MOV RSP, RDX; RETF */
        { ROW(0, "\x0f\x00\xd9"), GDT_AT_HOLE, 0 },     /* LTR CX */
        { ROW(0, "\x0f\x00\xd1"), GDT_AT_HOLE, 0 },     /* LLDT CX */
        { ROW(0, "\x0f\x02\xc1"), GDT_AT_HOLE, 3 },     /* LAR EAX, CX */
        { ROW(0, "\x0f\x00\xe1"), GDT_AT_HOLE, 3 },     /* VERR CX */
        { ROW(0, "\xec"), TR_AT_HOLE, 3 },              /* IN AL, DX */
        { ROW(0, "\x6e"), TR_AT_HOLE, 3 },              /* OUTSB */
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (unsigned stage = 0; stage < 2; stage++) {
            kit_mode(k, MODE_LONG64, rows[i].cpl);
            put_code(k, CODE_SPA, rows[i].row.bytes, rows[i].row.len);
            set_registers(k);
            k->cpu->r[REG_RCX] = CODE64;
            k->cpu->r[REG_RDX] = DATA_SPA;
            kit_put(k, DATA_SPA, 8, 0x0000000800000008ull); /* a far pointer, in two formats */
            kit_put(k, DATA_SPA + 8, 8, CODE64);
            if (rows[i].where == GDT_AT_HOLE)
                k->cpu->regs.gdtr.base = HOLE;
            else
                k->cpu->regs.seg[SEG_TR].base = HOLE;
            enter(k, (enum stage)stage);
            set_page(k, (enum stage)stage, 8, 0);
            run(k, i);
            set_page(k, (enum stage)stage, 8, 7);
            uint64_t at = CODE_SPA + rows[i].row.skip;
            expect_bytes(k, (enum stage)stage, i, at, at, 15);
        }
}

/* --- where the bytes end --- */

#define CODE_PAGE (PAGED_LA + 0x2000)

/* What keeps a fetch from the next page, in either table.
 * rows: vmcb 8.2 */
WITH_KIT(bytes_end_with_the_page_if_the_next_cannot_be_fetched)
{
    static const struct {
        unsigned cpl;
        uint64_t rights; /* of the next page */
        bool smep, ends;
    } rows[] = {
        { 0, 0, false, true }, /* not present */
        { 0, 7 | 1ull << 63, false, true },
        { 0, 7 | 1ull << 51, false, true }, /* beyond the physical width */
        { 0, 7, true, true },               /* SMEP: code of level 0 in a page of level 3 */
        { 3, 3, false, true },
        { 3, 7, true, false },
        { 3, 5, false, false },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (unsigned stage = 0; stage < 2; stage++)
            for (unsigned last = 2; last <= 17; last++) {
                uint64_t at = CODE_PAGE + 0x1000 - last;
                bool guests_own = rows[i].smep || rows[i].cpl == 3;
                if (stage == NESTED_TABLES && guests_own)
                    continue; /* all nested accesses are alike */
                kit_mode(k, MODE_LONG64, rows[i].cpl);
                k->cpu->regs.cr4 |= rows[i].smep ? CR4_SMEP : 0;
                cpu_update_mode(k->cpu);
                put_code(k, at, "\x89\x03", 2); /* MOV [RBX], EAX */
                set_registers(k);
                k->cpu->r[REG_RIP] = at;
                if (rows[i].smep && rows[i].cpl == 0)
                    set_page(k, GUEST_TABLES, 2, 3);
                enter(k, (enum stage)stage);
                set_page(k, (enum stage)stage, 8, 0);
                set_page(k, (enum stage)stage, 3, rows[i].rights);
                run(k, i);
                for (unsigned n = 2; n <= 8; n++)
                    set_page(k, (enum stage)stage, n, 7);
                set_page(k, GUEST_TABLES, 2, 7);
                expect_bytes(k, (enum stage)stage, i, at, at,
                             rows[i].ends && last < 15 ? last : 15);
            }
}

/* The bytes are those of CS.base + rIP, also where that wraps around 4 GiB.
 * rows: vmcb 8.2 */
WITH_KIT(bytes_of_legacy_code_are_those_behind_cs_base)
{
    for (unsigned wraps = 0; wraps < 2; wraps++) {
        mode_prot32(k, 0);
        k->cpu->regs.seg[SEG_CS].base = wraps ? 0xffff0000 : CODE_SPA;
        k->cpu->r[REG_RIP] = wraps ? 0xfff8 + 0x8 + CODE_SPA : 0x20;
        put_code(k, CODE_SPA + (wraps ? 0 : 0x20), "\x89\x03", 2);
        set_registers(k);
        enter(k, NESTED_TABLES);
        set_page(k, NESTED_TABLES, 8, 0);
        run(k, wraps);
        set_page(k, NESTED_TABLES, 8, 7);
        expect_bytes(k, NESTED_TABLES, wraps, wraps ? 0x10000 + CODE_SPA : 0x20,
                     CODE_SPA + (wraps ? 0 : 0x20), 15);
    }
}

/* Code that lies on both sides of 4 GiB: eight bytes in the last page, the others at 0.
 * rows: vmcb 8.2 */
WITH_KIT(bytes_wrap_around_4_gib)
{
    mode_prot32(k, 0);
    k->cpu->regs.seg[SEG_CS].base = 0xfffff000;
    k->cpu->r[REG_RIP] = 0xff8;
    set_registers(k);
    enter(k, NESTED_TABLES);
    kit_put(k, N_PDPT + 8 * 3, 8, 0x84000 | 7); /* the last page: that of CODE_PAGE */
    kit_put(k, 0x84000 + 8 * 511, 8, 0x85000 | 7);
    kit_put(k, 0x85000 + 8 * 511, 8, CODE_PAGE | 7);
    put_code(k, CODE_PAGE + 0xff8, "\x89\x03", 2);
    for (unsigned i = 0; i < 16; i++)
        kit_put(k, i, 1, 0xc0 + i);
    set_page(k, NESTED_TABLES, 8, 0);
    run(k, 0);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), VMEXIT_NPF);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, RIP), 0xff8);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, INSN_COUNT), 15);
    ck_assert_mem_eq(k->vmcb + VMCB_AT_INSN_BYTES, "\x89\x03\x92\x93\x94\x95\x96\x97", 8);
    ck_assert_mem_eq(k->vmcb + VMCB_AT_INSN_BYTES + 8, "\xc0\xc1\xc2\xc3\xc4\xc5\xc6", 7);
}

/* Real mode and virtual-8086 mode: up to the limit of CS, which is the last byte of 64 KiB.
 * rows: vmcb 8.2 */
WITH_KIT(bytes_of_16_bit_code_end_at_64_kib)
{
    for (unsigned v86 = 0; v86 < 2; v86++)
        for (unsigned last = 2; last <= 16; last++) {
            if (v86)
                mode_v86(k, 3, false);
            else
                mode_real(k);
            k->cpu->r[REG_RIP] = 0x10000 - last;
            put_code(k, CODE_SPA + 0x10000 - last, "\x88\x07", 2); /* MOV [BX], AL */
            set_registers(k);
            k->cpu->r[REG_RBX] = 0;
            enter(k, NESTED_TABLES);
            k->cpu->regs.seg[SEG_DS].base = v86 ? DATA_SPA : HOLE;
            if (v86) /* DS lies within 1 MiB: its page alone is away */
                kit_put(k, N_PD, 8, 0x86000 | 7);
            for (uint64_t n = 0; v86 && n < 512; n++)
                kit_put(k, 0x86000 + 8 * n, 8, n == DATA_SPA >> 12 ? 0 : n << 12 | 7);
            set_page(k, NESTED_TABLES, 8, 0);
            run(k, last);
            kit_put(k, N_PD, 8, 0x87);
            set_page(k, NESTED_TABLES, 8, 7);
            expect_bytes(k, NESTED_TABLES, last, 0x10000 - last, CODE_SPA + 0x10000 - last,
                         last < 15 ? last : 15);
        }
}

/* A fetch that faults, at the first byte or at a later one of the instruction, whatever the instruction would access: no bytes, and
 * the address of the byte that is not there.
 * rows: vmcb 8.2 */
WITH_KIT(fetch_faults_bring_no_bytes)
{
    for (unsigned back = 0; back < 3; back++)
        for (unsigned stage = 0; stage < 2; stage++)
            for (unsigned nxe = 0; nxe < 2; nxe++) {
                uint64_t next = CODE_PAGE + 0x1000, at = next - back;
                kit_mode(k, MODE_LONG64, 0);
                k->cpu->regs.efer &= ~(uint64_t)(nxe ? 0 : EFER_NXE);
                put_code(k, at, "\x48\x89\x03", 3); /* MOV [RBX], RAX */
                set_registers(k);
                k->cpu->r[REG_RIP] = at;
                enter(k, (enum stage)stage);
                k->cpu->svm->host_regime.nxe = nxe;
                set_page(k, (enum stage)stage, 8, 0);
                set_page(k, (enum stage)stage, 3, 0);
                run(k, back);
                for (unsigned n = 3; n <= 8; n++)
                    set_page(k, (enum stage)stage, n, 7);
                uint64_t code = stage ? (uint64_t)VMEXIT_NPF : VMEXIT_EXCP14;
                uint64_t info = stage ? NPF_FINAL | PF_US : 0;
                ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), code);
                ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINFO1), info | (nxe ? PF_ID : 0));
                ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINFO2), next);
                ck_assert_uint_eq(VMCB_GET(k->vmcb, RIP), at);
                ck_assert_uint_eq(VMCB_GET(k->vmcb, INSN_COUNT), 0);
                ck_assert_uint_eq(k->vmcb[VMCB_AT_INSN_BYTES], 0xee);
            }
}

/* In the delivery of an event they are those at the saved rIP, which the event has interrupted; an exit that is no page fault has
 * none, also behind a #PF that the guest has handled itself.
 * rows: vmcb 8.2, exit 4.10 */
WITH_KIT(bytes_of_deliveries_and_of_other_exits)
{
    for (unsigned stage = 0; stage < 2; stage++) {
        kit_mode(k, MODE_LONG64, 0);
        put_code(k, CODE_SPA, "\xcd\x21", 2); /* INT 21h */
        set_registers(k);
        k->cpu->r[REG_RSP] = HOLE + 0x800;
        enter(k, (enum stage)stage);
        set_page(k, (enum stage)stage, 8, 0);
        run(k, stage);
        set_page(k, (enum stage)stage, 8, 7);
        expect_bytes(k, (enum stage)stage, stage, CODE_SPA, CODE_SPA, 15);
        ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINTINFO), 1ull << 31 | 4u << 8 | 0x21);
    }
    kit_mode(k, MODE_LONG64, 0);
    put_code(k, CODE_SPA, "\x89\x03", 2);
    set_registers(k);
    k->cpu->r[REG_RSP] = STACK_TOP;
    enter(k, GUEST_TABLES);
    k->cpu->svm->intercept[INTERCEPT_EXCP0 >> 5] = 0;
    kit_intercept(k, INTERCEPT_HLT);
    set_page(k, GUEST_TABLES, 8, 0);
    run(k, 2);
    set_page(k, GUEST_TABLES, 8, 7);
    ck_assert_uint_eq(k->delivered.a & 0xff, EXC_PF);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), VMEXIT_HLT);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, INSN_COUNT), 0);
}

/* An access that begins in one page and ends in HOLE: no byte of the first is written, no register moves.
 * rows: exit 6.5 */
WITH_KIT(access_that_reaches_into_the_hole_writes_nothing)
{
    static const struct row rows[] = {
        ROW(0, "\x48\x89\x03"),                         /* MOV [RBX], RAX */
        ROW(0, "\xf0\x48\x01\x03"),                     /* LOCK ADD [RBX], RAX */
        ROW(0, "\x48\x87\x03"),                         /* XCHG [RBX], RAX */
        ROW(0, "\x0f\x11\x03"),                         /* MOVUPS [RBX], XMM0 */
        ROW(0, "\xc5\xfc\x11\x03"),                     /* VMOVUPS [RBX], YMM0 */
        ROW(0, "\xdb\x3b"),                             /* FSTP m80 [RBX] */
        ROW(0, "\x0f\x01\x03"),                         /* SGDT [RBX] */
        ROW(0, "\x0f\x01\x0b"),                         /* SIDT [RBX] */
        ROW(0, "\x48\xa5"),                             /* MOVSQ */
        ROW(0, "\x48\xab"),                             /* STOSQ */
        ROW(0, "\x6d"),                                 /* INSD */
        ROW(0, "\x8f\x03"),                             /* POP [RBX] */
        ROW(0, "\x0f\xc7\x0b"),                         /* CMPXCHG8B [RBX] */
        ROW(0, "\xd9\x33"),                             /* FNSTENV [RBX] */
        ROW(0, "\x48\x0f\xc3\x03"),                     /* MOVNTI [RBX], RAX */
        ROW(4, "\x48\x8d\x63\x08\x50"),                 /* LEA RSP, [RBX + 8]; PUSH RAX */
        ROW(4, "\x48\x8d\x63\x08\x9c"),                 /* the same; PUSHF */
        ROW(4, "\x48\x8d\x63\x08\xe8\x00\x00\x00\x00"), /* the same; CALL */
        ROW(4, "\x48\x8d\x63\x08\xff\x16"),             /* the same; CALL [RSI] */
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (unsigned stage = 0; stage < 2; stage++) {
            const uint64_t at = HOLE - 2;
            kit_mode(k, MODE_LONG64, 0);
            k->cpu->regs.cr4 |= CR4_OSFXSR | CR4_OSXSAVE;
            cpu_update_fp(k->cpu);
            put_code(k, CODE_SPA, rows[i].bytes, rows[i].len);
            set_registers(k);
            k->cpu->x87 = (struct cpu_x87){ .fcw = 0x37f, .used = 1 };
            cpu_update_fp(k->cpu);
            k->cpu->r[REG_RBX] = k->cpu->r[REG_RDI] = at;
            k->cpu->r[REG_RSI] = DATA_SPA;
            kit_put(k, at, 2, 0xcccc);
            k->answer = 0x12345678;
            k->reads = 0;
            enter(k, (enum stage)stage);
            set_page(k, (enum stage)stage, 8, 0);
            run(k, i);
            set_page(k, (enum stage)stage, 8, 7);
            uint64_t rip = CODE_SPA + rows[i].skip;
            expect_bytes(k, (enum stage)stage, i, rip, rip, 15);
            ck_assert_msg(kit_get(k, at, 2) == 0xcccc, "row %u", i);
            ck_assert_uint_eq(k->cpu->r[REG_RBX], at);
            ck_assert_uint_eq(k->cpu->r[REG_RDI], at);
            ck_assert_uint_eq(k->cpu->r[REG_RSI], DATA_SPA);
            ck_assert_uint_eq(VMCB_GET(k->vmcb, RSP), rows[i].skip ? at + 8 : STACK_TOP);
            ck_assert_uint_eq(k->reads, 0);
            ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINFO2), HOLE);
        }
}

CHECK_MAIN("assists", every_data_access_of_64_bit_code_brings_15_bytes,
           implicit_accesses_bring_bytes_too, bytes_end_with_the_page_if_the_next_cannot_be_fetched,
           bytes_of_legacy_code_are_those_behind_cs_base, bytes_wrap_around_4_gib,
           bytes_of_16_bit_code_end_at_64_kib, fetch_faults_bring_no_bytes,
           bytes_of_deliveries_and_of_other_exits, access_that_reaches_into_the_hole_writes_nothing)
