/* smram.c: where the handler lies and who can see it. APM vol 2, 10.2.1 "SMRAM", 10.2.2 "SMBASE Register", 10.2.5 "SMRAM
 * Protected Areas". */
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"
#include "test-roms/smm/kit.h"

#define MSR_SMBASE 0xc0010111u
#define MSR_SMM_ADDR 0xc0010112u
#define MSR_SMM_MASK 0xc0010113u
#define OTHER 0x50000u
#define ASEG 0xa0000u
#define TSEG 0x800000u /* 8 MiB: behind the image */
#define TSEG_BYTES 0x200000u
#define MASK_AE 1u
#define MASK_TE 2u

static void smi(void)
{
    outb(APM_PORT, 0);
}

static volatile uint32_t *at(uint32_t address)
{
    return (volatile uint32_t *)(uintptr_t)address;
}

/* ---- SMBASE --------------------------------------------------------------------------------------------------- */

static void test_relocation(void)
{
    smm_reset();
    smm_patch(SAVE_SMBASE, OTHER);
    smi();
    tap_eq(rdmsr(MSR_SMBASE), OTHER, "RSM takes SMBASE from the area");
    smm_install(OTHER);
    memset((void *)(uintptr_t)(SMBASE_RESET + SMM_CODE_AT), 0x0f, 2);
    smi();
    tap_eq(smm_seen.entries, 1, "the next SMI starts there");
    tap_eq(smm_seen.cs, OTHER >> 4, "with its CS");
    tap_eq(smm_field(SAVE_SMBASE, 4), OTHER, "and saves there");
    wrmsr(MSR_SMBASE, SMBASE_RESET);
    smm_install(SMBASE_RESET);
    smi();
    tap_eq(smm_seen.entries, 1, "SMBASE can be written as an MSR, too");
    tap_eq(smm_seen.cs, SMBASE_RESET >> 4, "and SMI is back");
}

/* An SMBASE above 1 MiB: CS.base is 32 bits, the selector only their lower part. */
static void test_high(void)
{
    uint32_t high = 0x900000;

    wrmsr(MSR_SMBASE, high);
    smm_install(high);
    smi();
    tap_eq(smm_seen.entries, 1, "SMBASE above 1 MiB");
    tap_eq(smm_seen.cs, (uint16_t)(high >> 4), "CS has its bits 19:4");
    tap_eq(smm_field(SAVE_SMBASE, 4), high, "the area is there");
    wrmsr(MSR_SMBASE, SMBASE_RESET);
    smm_install(SMBASE_RESET);
}

/* ---- ASeg and TSeg ---------------------------------------------------------------------------------------------- */

SMM_CODE(
    write_aseg,
    "movl $0xa0100, %edi\n movl (%edi), %eax\n movl %eax, 48(%ebx)\n movl $0x600dcafe, (%edi)\n"
    "movl (%edi), %eax\n movl %eax, 52(%ebx)");
SMM_CODE(read_aseg, "movl $0xa0100, %edi\n movl (%edi), %eax\n movl %eax, 48(%ebx)");
SMM_CODE(
    write_tseg,
    "movl $0x800100, %edi\n movl (%edi), %eax\n movl %eax, 48(%ebx)\n movl $0x600dcafe, (%edi)\n"
    "movl (%edi), %eax\n movl %eax, 52(%ebx)");
SMM_CODE(
    read_tseg,
    "movl $0x800100, %edi\n movl (%edi), %eax\n movl %eax, 48(%ebx)\n movl 0x200000(%edi), %eax\n"
    "movl %eax, 52(%ebx)");

static void test_aseg(void)
{
    uint32_t outside = *at(ASEG + 0x100);

    wrmsr(MSR_SMM_MASK, MASK_AE);
    smm_reset();
    SMM_USE(write_aseg);
    smi();
    tap_eq(smm_seen.result[1], 0x600dcafe, "ASeg is memory in SMM");
    tap_eq(*at(ASEG + 0x100), outside, "outside it is not seen");
    *at(ASEG + 0x100) = 0xbad;
    smm_reset();
    SMM_USE(read_aseg);
    smi();
    tap_eq(smm_seen.result[0], 0x600dcafe, "nor written from outside");
    wrmsr(MSR_SMM_MASK, 0);
    smm_reset();
    SMM_USE(read_aseg);
    smi();
    tap_ok(smm_seen.result[0] != 0x600dcafe, "AE=0: not seen in SMM either");
}

static void test_tseg(void)
{
    *at(TSEG + 0x100) = 0x11111111;
    *at(TSEG + TSEG_BYTES + 0x100) = 0x22222222;
    wrmsr(MSR_SMM_ADDR, TSEG);
    wrmsr(MSR_SMM_MASK, (~(uint64_t)(TSEG_BYTES - 1) & UINT64_C(0xfffffe0000)) | MASK_TE);
    tap_ok(*at(TSEG + 0x100) != 0x11111111, "TSeg is not seen outside SMM");
    tap_eq(*at(TSEG + TSEG_BYTES + 0x100), 0x22222222, "what lies behind it is");
    *at(TSEG + 0x100) = 0xbad;
    smm_reset();
    SMM_USE(write_tseg);
    smi();
    tap_eq(smm_seen.result[0], 0x11111111, "in SMM it is, and was not written from outside");
    tap_eq(smm_seen.result[1], 0x600dcafe, "SMM can write it");
    tap_ok(*at(TSEG + 0x100) != 0x600dcafe, "outside it is still not seen");
    smm_reset();
    SMM_USE(read_tseg);
    smi();
    tap_eq(smm_seen.result[1], 0x22222222, "memory behind it is the same in SMM");
    wrmsr(MSR_SMM_MASK, 0);
    wrmsr(MSR_SMM_ADDR, 0);
    tap_eq(*at(TSEG + 0x100), 0x600dcafe, "TE=0: it is memory as any other");
}

SMM_CODE(copy_there,
         "movl $0x38000, %esi\n movl $0xa8000, %edi\n movl $0x800, %ecx\n cld\n addr32 rep movsl");

static void test_handler_in_aseg(void)
{
    /* With AE, SMM writes ASeg: the handler copies itself there and SMBASE follows. */
    wrmsr(MSR_SMM_MASK, MASK_AE);
    smm_reset();
    SMM_USE(copy_there);
    smm_patch(SAVE_SMBASE, ASEG);
    smi();
    smm_seen.entries = 0;
    smi();
    tap_eq(smm_seen.entries, 1, "the handler runs in ASeg, which nobody else sees");
    tap_eq(smm_seen.cs, ASEG >> 4, "with its CS");
    wrmsr(MSR_SMBASE, SMBASE_RESET);
    wrmsr(MSR_SMM_MASK, 0);
    smm_install(SMBASE_RESET);
    smi();
    tap_eq(smm_seen.entries, 1, "and back at the old place");
}

int rom_main(void)
{
    smm_require();
    test_relocation();
    test_high();
    test_aseg();
    test_tseg();
    test_handler_in_aseg();
    tap_done();
}
