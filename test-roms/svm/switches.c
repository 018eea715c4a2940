/* switches.c: a guest that goes from real mode through protected and compatibility mode to 64-bit mode and all the way
 * back: by itself, and with a hypervisor that makes each write of CR0, CR3, CR4 and EFER for it. APM vol 2, 14.6
 * "Enabling and Activating Long Mode", 15.5.1 "Basic Operation", 15.9 "Instruction Intercepts". */
#include "test-roms/svm/mode_kit.h"

#define WRITE 16

/* s_16 is the start; what exits under a hypervisor has a label. */
MODE_CODE16(s_16, "lgdtl s_gdtr\n movl %cr0, %eax\n orb $1, %al\n s_pe: movl %eax, %cr0\n"
                  "ljmpl $0x30, $s_32");
MODE_CODE32(s_32, "movl $0x10, %eax\n movl %eax, %ds\n movl %eax, %ss\n"
                  "movl $0x20, %eax\n s_pae: movl %eax, %cr4\n"
                  "movl s_root, %eax\n s_root_write: movl %eax, %cr3\n"
                  "movl $0xc0000080, %ecx\n rdmsr\n orb $1, %ah\n s_lme: wrmsr\n"
                  "movl %cr0, %eax\n orl $0x80000000, %eax\n s_pg: movl %eax, %cr0\n"
                  "ljmp $0x08, $s_64");
MODE_CODE64(s_64, "movabsq $0x600df00d00000000, %rbx\n shrq $32, %rbx\n movl $0xc0000080, %ecx\n"
                  "rdmsr\n movl %eax, %edi\n pushq $0x30\n pushq $s_compat\n lretq");
MODE_CODE32(s_compat, "movl %cr0, %eax\n andl $0x7fffffff, %eax\n s_unpg: movl %eax, %cr0\n"
                      "movl $0xc0000080, %ecx\n rdmsr\n andb $0xfe, %ah\n s_unlme: wrmsr\n"
                      "xorl %eax, %eax\n s_unpae: movl %eax, %cr4\n ljmp $0x38, $s_prot16");
MODE_CODE16(s_prot16, "movw $0x40, %ax\n movw %ax, %ds\n movw %ax, %ss\n movl %cr0, %eax\n"
                      "andb $0xfe, %al\n s_unpe: movl %eax, %cr0\n ljmp $0, $s_real");
MODE_CODE16(s_real, "xorw %ax, %ax\n movw %ax, %ds\n movw %ax, %ss\n smsw %ax\n int $0x40");
MODE_CODE16(s_handler, "popw %dx");

extern const char s_pe[], s_pae[], s_root_write[], s_lme[], s_pg[], s_unpg[], s_unlme[], s_unpae[],
    s_unpe[];

struct table_register s_gdtr LOW_DATA;
uint32_t s_root LOW_DATA;
static struct svm_guest g;

static void prepare(bool nested)
{
    modes_begin(MODE_REAL, s_16);
    modes_ivt(0x40, 0, (uint16_t)(uintptr_t)s_handler);
    s_gdtr = (struct table_register){ GDT_BYTES - 1, (uintptr_t)modes_gdt };
    s_root = (uint32_t)(uintptr_t)paging_root();
    guest_make(&g, nested);
}

/* What the way leaves behind. */
static void arrived(void)
{
    tap_eq(g.rbx, 0x600df00d, "64-bit code ran");
    tap_eq((uint32_t)g.rdi & (EFER_LME | EFER_LMA), EFER_LME | EFER_LMA, "and saw EFER.LMA = 1");
    tap_ok(svm_get(&g, VMCB_EFER) == EFER_SVME && svm_get(&g, VMCB_CR4) == 0 &&
               (svm_get(&g, VMCB_CR0) & (CR0_PE | CR0_PG)) == 0,
           "real mode has LME, LMA, PAE, PG and PE clear again");
    tap_ok(svm_get8(&g, VMCB_CPL) == 0 && (uint16_t)g.rdx == (uint16_t)(uintptr_t)s_real_end,
           "and INT n goes through its table");
    tap_ok(svm_get32(&g, VMCB_DS + SEGMENT_LIMIT) == 0xffff &&
               guest_attributes(&g, VMCB_CS) == 0x9b &&
               svm_get32(&g, VMCB_CS + SEGMENT_LIMIT) == 0xffff,
           "CS and DS have the limits that 16-bit protected mode left");
}

/* ---- with a hypervisor --------------------------------------------------------------------------- */

struct stop {
    const char *at;
    uint64_t code, info1;
    unsigned field; /* of the VMCB: takes what the guest would write */
};
#define MOV UINT64_C(0x8000000000000000)
#define CR(n) (VMEXIT_CR0_WRITE + (n))
static const struct stop stops[] = {
    { s_pe, VMEXIT_CR0_SEL_WRITE, MOV, VMCB_CR0 },
    { s_pae, CR(4), MOV, VMCB_CR4 },
    { s_root_write, CR(3), MOV, VMCB_CR3 },
    { s_lme, VMEXIT_MSR, 1, VMCB_EFER },
    { s_pg, VMEXIT_CR0_SEL_WRITE, MOV, VMCB_CR0 },
    { s_unpg, VMEXIT_CR0_SEL_WRITE, MOV, VMCB_CR0 },
    { s_unlme, VMEXIT_MSR, 1, VMCB_EFER },
    { s_unpae, CR(4), MOV, VMCB_CR4 },
    { s_unpe, VMEXIT_CR0_SEL_WRITE, MOV, VMCB_CR0 },
};

static void test_intercepted(bool nested, bool selective)
{
    const uint32_t cr0 = selective ? 0 : 1u << WRITE;
    uint8_t *msrpm;

    prepare(nested);
    svm_intercept(&g, VMCB_INTERCEPT_CR, cr0 | 1u << (3 + WRITE) | 1u << (4 + WRITE));
    svm_intercept(&g, VMCB_INTERCEPT_3, INTERCEPT3_CR0_SEL_WRITE);
    msrpm = kit_msrpm(&g);
    msrpm[0x800 + 0x80 / 4] = 2; /* writes of EFER */
    for (unsigned i = 0; i < sizeof stops / sizeof stops[0]; i++) {
        const struct stop *stop = &stops[i];
        uint64_t code = stop->code, before, value;

        if (code == VMEXIT_CR0_SEL_WRITE && !selective)
            code = VMEXIT_CR0_WRITE; /* it has precedence */
        guest_run(&g);
        before = svm_get(&g, stop->field);
        value = svm_get(&g, VMCB_RAX);
        if (!tap_ok(svm_get(&g, VMCB_EXITCODE) == code &&
                        svm_get(&g, VMCB_EXITINFO1) == stop->info1 &&
                        svm_get(&g, VMCB_RIP) == (uintptr_t)stop->at && before != value,
                    "stop %u: exit %x with the register unchanged", i, (unsigned)code)) {
            rom_printf("#   exit %lx at %lx, info %lx\n", svm_get(&g, VMCB_EXITCODE),
                       svm_get(&g, VMCB_RIP), svm_get(&g, VMCB_EXITINFO1));
            return;
        }
        svm_set(&g, stop->field, value);
        svm_skip(&g, 0);
        svm_set8(&g, VMCB_TLB_CONTROL, TLB_CONTROL_FLUSH_ASID);
    }
    guest_pass(&g, s_handler_end, "and at last the guest has arrived");
    arrived();
}

/* Writes that are illegal fault before their intercept, in the mode at hand. */
static void test_illegal(void)
{
    prepare(false);
    svm_intercept(&g, VMCB_INTERCEPT_CR, 1u << WRITE | 1u << (4 + WRITE));
    svm_intercept(&g, VMCB_INTERCEPT_EXCEPTION, 1u << EXC_GP);
    svm_set(&g, VMCB_RIP, (uintptr_t)s_pe);
    svm_set(&g, VMCB_RAX, CR0_PG);
    guest_exits(&g, VMEXIT_EXCP0 + EXC_GP, s_pe, "real mode: PG without PE is #GP, not an exit");
    svm_set(&g, VMCB_RAX, CR0_NW);
    guest_exits(&g, VMEXIT_EXCP0 + EXC_GP, s_pe, "and NW without CD");
    svm_set(&g, VMCB_RAX, CR0_PG | CR0_PE);
    svm_set(&g, VMCB_EFER, EFER_SVME | EFER_LME);
    guest_exits(&g, VMEXIT_EXCP0 + EXC_GP, s_pe, "and PG with LME and without PAE");
    svm_set(&g, VMCB_CR4, CR4_PAE);
    guest_exits(&g, VMEXIT_CR0_WRITE, s_pe, "with PAE it is the exit");
}

int rom_main(void)
{
    kit_init();
    for (unsigned nested = 0; nested <= svm_has(SVM_FEATURE_NP); nested++) {
        rom_printf("# nested paging %u\n", nested);
        prepare(nested != 0);
        guest_pass(&g, s_handler_end, "from real mode to 64-bit mode and back");
        arrived();
        if (!svm_has(SVM_FEATURE_NRIPS) || !svm_has(SVM_FEATURE_DECODE_ASSISTS)) {
            tap_skip("no nRIP or no decode assists", "a hypervisor that makes the writes");
            continue;
        }
        test_intercepted(nested != 0, true);
        test_intercepted(nested != 0, false);
    }
    test_illegal();
    tap_done();
}
