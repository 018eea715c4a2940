/* What can be told of a processor: the table's parser, and each item. */
#include "emu/debug/info.h"
#include "tests/check_main.h"
#include "tests/cpu/kit.h"

static char text[65536];

static void collect(void *self, const void *bytes, size_t size)
{
    (void)self;
    ck_assert_uint_lt(strlen(text) + size, sizeof(text));
    strncat(text, bytes, size);
}

static const struct pacifica_output output = { .write = collect };

static void tell(struct kit *k, const char *request)
{
    text[0] = '\0';
    ck_assert_int_eq(info_write(k->cpu, request, &output, NULL), PACIFICA_OK);
}

static void expect(const char *part)
{
    ck_assert_msg(strstr(text, part) != NULL, "no '%s' in:\n%s", part, text);
}

WITH_KIT(requests_that_make_no_sense)
{
    static const struct {
        const char *request, *what;
    } rows[] = { { "", "nothing that can be told" },
                 { "tl", "nothing that can be told" },
                 { "tlbs", "nothing that can be told" },
                 { "tlb 1", "'tlb' takes no argument" },
                 { "walk", "'walk' needs an argument: ADDR" },
                 { "walk ", "'walk' needs an argument: ADDR" },
                 { "walk here", "no linear address" },
                 { "walk -1", "no linear address" },
                 { "walk 0x1000x", "no linear address" },
                 { "walk 0x10000000000000000", "no linear address" } };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pacifica_diag diag;
        text[0] = '\0';
        ck_assert_int_eq(info_write(k->cpu, rows[i].request, &output, &diag), PACIFICA_EUSAGE);
        ck_assert_str_eq(diag.what, rows[i].what);
        ck_assert_str_eq(text, "");
    }
}

START_TEST(list_names_every_item)
{
    text[0] = '\0';
    info_list(&output);
    for (unsigned i = 0; i < info_item_count; i++)
        expect(info_items[i].help);
    expect("walk ADDR    how");
}
END_TEST

WITH_KIT(registers)
{
    k->cpu->r[REG_R13] = 0x123456789abcdef0;
    k->cpu->flags_kind = FLAGS_RESULT; /* lazy flags are told too: a result of 0 */
    k->cpu->res = 0;
    k->cpu->regs.pkru = 0x55555554;
    tell(k, "registers");
    expect("R13 123456789abcdef0");
    expect("RIP 0000000000010000");
    expect(" ZF ");
    expect("CS   0008  base 0000000000000000  limit ffffffff  attributes a9b");
    expect("GDTR       base 0000000000005000  limit 01ff");
    expect("PKRU 55555554");
    expect("64-bit mode, CPL 0\nhost, GIF 1\n");
}

WITH_KIT(registers_of_shadow_stacks)
{
    tell(k, "registers");
    ck_assert_ptr_null(strstr(text, "SSP"));
    k->cpu->regs.cr4 |= CR4_CET;
    k->cpu->shadow =
        (struct shadow_stacks){ .ssp = 0x7ff8, .u_cet = 1, .s_cet = 3, .isst = 0x9000 };
    k->cpu->shadow.pl_ssp[3] = 0x1234;
    tell(k, "registers");
    expect("\nSSP 0000000000007ff8  U_CET 1  S_CET 3  ISST 0000000000009000\n");
    expect("  PL3_SSP 0000000000001234\n64-bit mode");
}

WITH_KIT(registers_of_a_guest)
{
    kit_mode(k, MODE_COMPAT32, 3);
    kit_guest(k);
    tell(k, "registers");
    expect(
        "32-bit compatibility mode, CPL 3\nguest of the VMCB at 0000000000050000, ASID 1, GIF 1\n");
}

WITH_KIT(floating_point_and_vectors)
{
    struct cpu_x87 *x87 = &k->cpu->x87;
    *x87 = (struct cpu_x87){ .fcw = 0x37f, .fsw = 0xb880, .used = 0x80, .fop = 0x5d8 };
    x87->reg[7] = (struct f80){ .mant = 0xc90fdaa22168c235, .se = 0x4000 };
    x87->fcs = 8;
    x87->fip = 0x10000;
    k->cpu->simd.mxcsr = 0x1fa0;
    k->cpu->simd.xcr0 = 7;
    k->cpu->simd.v[15].u64[0] = 0x123456789abcdef0;
    k->cpu->simd.v[15].u64[3] = 0xfedcba9876543210;
    k->cpu->ferr.asserted = k->cpu->ferr.frozen = true;
    tell(k, "fp");
    expect("FCW 037f  FSW b880 (TOP 7)  FOP 5d8\n");
    expect("FIP 0008:0000000000010000  FDP 0000:0000000000000000\n");
    expect("ST0 4000 c90fdaa22168c235  MM7\n");
    expect("ST1 0000 0000000000000000  MM0  empty\n");
    expect("MXCSR 00001fa0  XCR0 0000000000000007  XSS 0000000000000000\n");
    expect("FERR# asserted, frozen\n");
    expect("YMM15 fedcba9876543210 0000000000000000  XMM15 0000000000000000 123456789abcdef0\n");
}

WITH_KIT(tlb_entries_and_counters)
{
    uint64_t value;
    kit_page(k, 3, 0x777000 | 3 | 1ull << 63);
    ck_assert_int_eq(mem_load_la(k->cpu, PAGED_LA + 0x3000, 8, &value), STEP_NEXT);
    ck_assert_int_eq(mem_store_la(k->cpu, 0x200008, 8, value), STEP_NEXT);
    tell(k, "tlb");
    expect("    0    0 data   0000000000403000 000000777000 000000777000 4 KiB w----  0\n");
    expect("    0    0 data   0000000000200000 000000200000 000000200000 2 MiB wxu-d  0\n");
    expect("ASID 0 ");
}

WITH_KIT(mtrrs_and_ranges)
{
    k->cpu->msr.mtrr_def = 0xc06; /* WB */
    for (unsigned i = 0; i < 11; i++)
        k->cpu->msr.mtrr_fix[i] = i == 0 ? 0x0606060606060606 : 0x0404040404040404;
    k->cpu->msr.mtrr_phys[2] = 0xc0000000;
    k->cpu->msr.mtrr_phys[3] = 0x0000ffffc0000800;
    tell(k, "mtrr");
    expect("MTRRs on, fixed ranges on, default WB\n");
    expect("MTRR 1  base 0000c0000000  mask ffffc0000000  UC\n");
    expect("PAT  PA0 WB, PA1 WT, PA2 UC-, PA3 UC, PA4 WB, PA5 WT, PA6 UC-, PA7 UC\n");
    expect("\n000000000000-00000007ffff WB\n000000080000-0000000fffff WT\n"
           "000000100000-0000bfffffff WB\n0000c0000000-0000ffffffff UC\n"
           "000100000000-ffffffffffff WB\n");
}

WITH_KIT(mtrrs_that_are_off)
{
    tell(k, "mtrr");
    expect("MTRRs off (all UC)");
    expect("000000000000-ffffffffffff UC\n");
    k->cpu->msr.mtrr_def = 0x806;
    k->cpu->msr.mtrr_phys[0] = 0;
    k->cpu->msr.mtrr_phys[1] = 0x0000fffff0f00800; /* holes */
    tell(k, "mtrr");
    expect("UC, mask with holes: left out below\n");
}

WITH_KIT(walk_of_one_dimension)
{
    kit_page(k, 3, 0x777000 | 0x18b | 1ull << 63);
    k->cpu->regs.cr4 |= CR4_PGE;
    cpu_update_mode(k->cpu);
    k->cpu->msr.mtrr_def = 0x806;
    tell(k, "walk 0x403abc");
    ck_assert_str_eq(
        text, "linear 0000000000403abc, 4-level paging, CR3 1000, ASID 0\n"
              "PML4E 000000001000 (WB) = 0000000000002007: P W U -> 2000\n"
              "PDPE  000000002000 (WB) = 0000000000003007: P W U -> 3000\n"
              "PDE   000000003010 (WB) = 0000000000004007: P W U -> 4000\n"
              "PTE   000000004018 (WB) = 800000000077718b: P W PWT PAT G NX 4 KiB page\n"
              "system physical 000000777abc, 4 KiB page, supervisor, writable, no execute, global\n"
              "memory type WT (PAT PA5 WT, MTRR WB)\n");
    ck_assert_uint_eq(kit_get(k, 0x1000, 8), 0x2007); /* no accessed bit */
    ck_assert_ptr_null(paging_counters(k->cpu->paging, 0));
}

WITH_KIT(walk_that_fails)
{
    kit_page(k, 3, 0);
    tell(k, "walk:0x403000");
    expect("PTE   000000004018 (UC) = 0000000000000000: not present\n"
           "#PF for a supervisor read, error code 0: not present\n");
    kit_page(k, 3, 1ull << 50 | 1);
    tell(k, "walk 4206592");
    expect("error code 9: a reserved bit is set\n");
    tell(k, "walk 0x800000000000");
    expect("not canonical\n");
    kit_mode(k, MODE_PROT32, 0);
    tell(k, "walk 0x12345678");
    expect("no paging");
    expect("system physical 000012345678");
    expect("memory type UC (MTRR UC)\n");
}

/* Guest tables through identical nested tables at 0x80000; CR3 and N_CR3 choose how their first tables are read. */
WITH_KIT(walk_of_two_dimensions)
{
    enum { N_PML4 = 0x80000, N_PDPT = 0x81000, N_PD = 0x82000 };
    kit_put(k, N_PML4, 8, N_PDPT | 7);
    kit_put(k, N_PDPT, 8, N_PD | 0x17);
    for (uint64_t i = 0; i < 2; i++)
        kit_put(k, N_PD + 8 * i, 8, i << 21 | 0x87);
    k->cpu->msr.mtrr_def = 0x806;
    kit_guest(k);
    ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_HLT, 0, 0), STEP_VMEXIT);
    VMCB_SET(k->vmcb, NESTED_CONTROL, NESTED_NP_ENABLE);
    VMCB_SET(k->vmcb, N_CR3, N_PML4 | 8);
    VMCB_SET(k->vmcb, CR3, PML4_SPA | 0x10);
    VMCB_SET(k->vmcb, G_PAT, 0x0606060606010606); /* PA2 WC */
    ck_assert_int_eq(svm_vmrun(k->cpu, VMCB_SPA, CODE_SPA), STEP_JUMP);
    tell(k, "walk 0x200010");
    expect("linear 0000000000200010, 4-level paging, CR3 1010, ASID 1, nested paging\n"
           "    nested PML4E 000000080000 (WT) = 0000000000081007: P W U -> 81000\n"
           "    nested PDPE  000000081000 (WB) = 0000000000082017: P W U PCD -> 82000\n"
           "    nested PDE   000000082000 (CD) = 0000000000000087: P W U PS 2 MiB page\n"
           "PML4E at gpa 000000001000, 000000001000 (WC+) = 0000000000002007: P W U -> 2000\n");
    expect("PDPE  at gpa 000000002000, 000000002000 (WB) = ");
    expect("guest physical 000000200010\nsystem physical 000000200010, 2 MiB page, user, writable, "
           "executable\nmemory type WB (gPAT PA0 WB, hPAT PA0 WB, MTRR WB)\n");
    tell(k, "walk 0x600000");
    expect("nested page fault for a supervisor read: ");
}

WITH_KIT(mapped_ranges)
{
    for (unsigned i = 0; i < 512; i++)
        kit_page(k, i, 0);
    kit_page(k, 1, 0x5000 | 5);
    kit_page(k, 2, 0x9000 | 5);
    kit_page(k, 3, 0x7000 | 1 | 1ull << 63);
    kit_put(k, PML4_SPA + 8 * 511, 8, 0x2007);
    kit_put(k, 0x2000 + 8, 8, 0);
    for (unsigned i = 4; i < 512; i++)
        kit_put(k, 0x3000 + 8 * i, 8, 0);
    tell(k, "mem");
    ck_assert_str_eq(text, "0000000000000000-00000000003fffff       400000 rwx user\n"
                           "0000000000401000-0000000000402fff         2000 r-x user\n"
                           "0000000000403000-0000000000403fff         1000 r-- supervisor\n"
                           "0000000000600000-00000000007fffff       200000 rwx user\n"
                           "ffffff8000000000-ffffff80003fffff       400000 rwx user\n"
                           "ffffff8000401000-ffffff8000402fff         2000 r-x user\n"
                           "ffffff8000403000-ffffff8000403fff         1000 r-- supervisor\n"
                           "ffffff8000600000-ffffff80007fffff       200000 rwx user\n");
    kit_put(k, PML4_SPA, 8, 0);
    kit_put(k, PML4_SPA + 8 * 511, 8, 0);
    tell(k, "mem");
    ck_assert_str_eq(text, "nothing is mapped\n");
    kit_mode(k, MODE_PROT32, 0);
    tell(k, "mem");
    ck_assert_str_eq(text, "no paging: linear addresses are physical\n");
}

/* One table that is its own parent at every level maps 2^36 pages. */
WITH_KIT(mapped_ranges_of_hostile_tables_are_bounded)
{
    for (unsigned i = 0; i < 512; i++)
        kit_put(k, PML4_SPA + 8 * i, 8, PML4_SPA | 3 | (i & 1 ? 1ull << 63 : 0));
    text[0] = '\0';
    const struct pacifica_output nowhere = { .write = NULL };
    ck_assert_int_eq(info_write(k->cpu, "mem", &nowhere, NULL), PACIFICA_OK);
    for (unsigned i = 0; i < 512; i++)
        kit_put(k, PML4_SPA + 8 * i, 8, PML4_SPA | 3);
    tell(k, "mem");
    expect("more from ");
}

/* Nothing in guest memory or registers may make an item do worse than write words. */
WITH_KIT(items_survive_any_state)
{
    static const struct pacifica_output nowhere = { .write = NULL };
    uint64_t seed = 1;
    for (unsigned round = 0; round < 200; round++) {
        for (unsigned i = 0; i < 1024; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            kit_put(k, PML4_SPA + 16 * i, 8,
                    (seed >> 20 & 0xffff000) >> (seed & 7) | (seed >> 56) | 1);
        }
        struct cpu_regs *regs = &k->cpu->regs;
        regs->cr0 = (seed >> 8 & 1 ? CR0_PG : 0) | (seed >> 9 & 7 ? CR0_PE : 0);
        regs->cr4 = (seed >> 12 & 1 ? CR4_PAE : 0) | (seed >> 13 & 1 ? CR4_PSE : 0) |
                    (seed >> 14 & 1 ? CR4_LA57 : 0) | (seed >> 15 & 1 ? CR4_PKE : 0);
        regs->efer = regs->cr4 & CR4_PAE && regs->cr0 & CR0_PG && seed >> 16 & 1
                         ? EFER_LME | EFER_LMA | EFER_NXE
                         : 0;
        regs->cr3 = seed & 1 ? PML4_SPA : seed;
        cpu_update_mode(k->cpu);
        k->cpu->msr.mtrr_def = 0xc00 | (seed & 1 ? 6 : 1);
        for (unsigned i = 0; i < 16; i++)
            k->cpu->msr.mtrr_phys[i] = i & 1 ? (seed << i & 0x0000fffffffff000) | 0x800
                                             : (seed >> i & 0x0000fffffffff000) | 4;
        for (unsigned i = 0; i < info_item_count; i++) {
            char request[32];
            (void)snprintf(request, sizeof(request), "%s%s", info_items[i].name,
                           info_items[i].argument ? " 0x403000" : "");
            if (strcmp(info_items[i].name, "mem") != 0 || round < 20)
                ck_assert_int_eq(info_write(k->cpu, request, &nowhere, NULL), PACIFICA_OK);
        }
    }
}

CHECK_MAIN("debug/info", requests_that_make_no_sense, list_names_every_item, registers,
           registers_of_shadow_stacks, registers_of_a_guest, floating_point_and_vectors,
           tlb_entries_and_counters, mtrrs_and_ranges, mtrrs_that_are_off, walk_of_one_dimension,
           walk_that_fails, walk_of_two_dimensions, mapped_ranges,
           mapped_ranges_of_hostile_tables_are_bounded, items_survive_any_state)
