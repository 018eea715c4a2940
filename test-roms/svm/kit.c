/* kit.c: see kit.h. */
#include "test-roms/svm/kit.h"

#define STUB_BYTES 16u
#define STACK_BYTES 16384u
#define VMMCALL_BYTES 3u
#define GATE_INTERRUPT64 UINT64_C(0x8e)

extern const char kit_stubs[], kit_stubs_end[];

static uint64_t guest_idt[256][2] __attribute__((aligned(16)));
static uint8_t guest_stack[STACK_BYTES] __attribute__((aligned(4096)));
static uint64_t user_root[512] __attribute__((aligned(4096)));

uint64_t kit_stack_top(void)
{
    return (uintptr_t)guest_stack + STACK_BYTES - 64;
}

uint64_t *kit_guest_gate(unsigned vector)
{
    return guest_idt[vector];
}

static void fill_idt(void)
{
    for (unsigned v = 0; v < 256; v++) {
        uint64_t target = (uintptr_t)kit_stubs + v * STUB_BYTES;

        guest_idt[v][0] = (target & 0xffff) | (uint64_t)SEL_CODE64 << 16 | GATE_INTERRUPT64 << 40 |
                          (target >> 16 & 0xffff) << 48;
        guest_idt[v][1] = target >> 32;
    }
}

void kit_init(void)
{
    if (!svm_enable()) {
        tap_skip("no SVM", "everything");
        tap_done();
    }
    fill_idt();
    memcpy(user_root, paging_root(), sizeof user_root);
    user_root[0] |= PAGE_U;
}

void kit_guest(struct svm_guest *g, const char *code)
{
    svm_guest_init(g, (uintptr_t)code, kit_stack_top(), 1);
    svm_set_segment(g, VMCB_IDTR, 0, 0, sizeof guest_idt - 1, (uintptr_t)guest_idt);
    svm_set8(g, VMCB_TLB_CONTROL, TLB_CONTROL_FLUSH_ALL);
}

void kit_guest_user(struct svm_guest *g)
{
    svm_set_segment(g, VMCB_CS, SEL_USER_CODE64, SEGMENT_CODE64_USER, 0xffffffffu, 0);
    svm_set_segment(g, VMCB_SS, SEL_USER_DATA, SEGMENT_DATA_USER, 0xffffffffu, 0);
    svm_set8(g, VMCB_CPL, 3);
    svm_set(g, VMCB_CR3, (uintptr_t)user_root);
}

struct kit_end kit_run(struct svm_guest *g)
{
    struct kit_end end;

    end.exitcode = svm_run(g);
    end.rip = svm_get(g, VMCB_RIP);
    end.event = NULL;
    svm_set8(g, VMCB_TLB_CONTROL, TLB_CONTROL_NONE);
    if (end.exitcode == VMEXIT_VMMCALL && end.rip >= (uintptr_t)kit_stubs &&
        end.rip < (uintptr_t)kit_stubs_end)
        end.event = (const struct guest_event *)svm_get(g, VMCB_RSP);
    return end;
}

void kit_resume(struct svm_guest *g)
{
    svm_skip(g, VMMCALL_BYTES);
}

uint64_t *kit_nested_identity(void)
{
    uint64_t *root = paging_new_root();

    paging_map_identity(root, PAGE_P | PAGE_W | PAGE_U);
    return root;
}

uint8_t *kit_iopm(struct svm_guest *g)
{
    uint8_t *map = rom_pages(3);

    svm_set(g, VMCB_IOPM_BASE_PA, (uintptr_t)map);
    svm_intercept(g, VMCB_INTERCEPT_3, INTERCEPT3_IOIO_PROT);
    return map;
}

uint8_t *kit_msrpm(struct svm_guest *g)
{
    uint8_t *map = rom_pages(2);

    svm_set(g, VMCB_MSRPM_BASE_PA, (uintptr_t)map);
    svm_intercept(g, VMCB_INTERCEPT_3, INTERCEPT3_MSR_PROT);
    return map;
}
