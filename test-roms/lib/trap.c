/* trap.c: see trap.h. */
#include "test-roms/lib/trap.h"

#include "test-roms/lib/cpu.h"
#include "test-roms/lib/rom.h"

#define VECTORS 256
#define GATE_INTERRUPT64 0x8e
#define TSS_BYTES 104
#define TSS_RSP0 4
#define TSS_IST1 0x24
#define TSS_IOMAP 0x66
#define TSS_TYPE_AVAIL UINT64_C(0x0000890000000000)
#define IST_STACKS 4
#define IST_STACK_BYTES 8192
#define STUB_BYTES 16

/* Filled and used by trap_stubs.S. */
struct trap_try_frame {
    uint64_t rsp, rflags;
};

extern const uint8_t trap_stubs[];
extern uint64_t rom_gdt[];
void trap_dispatch(struct trap_frame *frame);
uint64_t trap_call(void (*body)(void *), void *arg, struct trap_try_frame *frame);
uint64_t trap_call_user(const uint64_t iret_frame[5], uint64_t rdi, uint64_t rsi,
                        struct trap_try_frame *frame);
extern const char trap_resume[];

static uint64_t idt[VECTORS][2] __attribute__((aligned(16)));
static uint8_t tss[TSS_BYTES] __attribute__((aligned(128)));
static uint8_t ist_stacks[IST_STACKS + 1][IST_STACK_BYTES] __attribute__((aligned(16)));
static trap_handler handlers[VECTORS];
static struct trap_try_frame *try_active;
static struct trap_result try_result;

uint64_t *trap_gate(unsigned vector)
{
    return idt[vector];
}

uint8_t *trap_tss(void)
{
    return tss;
}

void trap_set_handler(unsigned vector, trap_handler handler)
{
    handlers[vector] = handler;
}

void trap_set_ist(unsigned vector, unsigned ist)
{
    idt[vector][0] = (idt[vector][0] & ~(UINT64_C(7) << 32)) | (uint64_t)ist << 32;
}

void trap_set_dpl(unsigned vector, unsigned dpl)
{
    idt[vector][0] = (idt[vector][0] & ~(UINT64_C(3) << 45)) | (uint64_t)dpl << 45;
}

static void set_gate(unsigned vector, uint64_t target)
{
    idt[vector][0] = (target & 0xffff) | (uint64_t)SEL_CODE64 << 16 |
                     (uint64_t)GATE_INTERRUPT64 << 40 | (target >> 16 & 0xffff) << 48;
    idt[vector][1] = target >> 32;
}

static void store64(uint8_t *at, uint64_t value)
{
    memcpy(at, &value, sizeof value);
}

static void init_tss(void)
{
    uint64_t base = (uintptr_t)tss;

    store64(tss + TSS_RSP0, (uintptr_t)ist_stacks[1]); /* top of stack 0 */
    for (unsigned i = 0; i < IST_STACKS; i++)
        store64(tss + TSS_IST1 + 8 * i, (uintptr_t)ist_stacks[i] + 2 * IST_STACK_BYTES);
    tss[TSS_IOMAP] = TSS_BYTES; /* beyond the limit: no I/O permission map */
    rom_gdt[SEL_TSS / 8] =
        (TSS_BYTES - 1) | (base & 0xffffff) << 16 | TSS_TYPE_AVAIL | (base >> 24 & 0xff) << 56;
    rom_gdt[SEL_TSS / 8 + 1] = base >> 32;
    __asm__ volatile("ltr %w0" : : "r"(SEL_TSS));
}

void trap_init(void)
{
    struct table_register idtr = { sizeof idt - 1, (uintptr_t)idt };

    for (unsigned v = 0; v < VECTORS; v++)
        set_gate(v, (uintptr_t)trap_stubs + v * STUB_BYTES);
    trap_set_ist(EXC_DF, 1);
    trap_set_ist(EXC_NMI, 2);
    trap_set_dpl(0x80, 3);
    init_tss();
    __asm__ volatile("lidt %0" : : "m"(idtr));
}

static _Noreturn void die(const struct trap_frame *f)
{
    rom_printf("Bail out! unexpected vector %lu, error code %lx, cr2 %lx\n", f->vector, f->error,
               read_cr2());
    rom_printf("# rip %lx cs %lx rflags %lx rsp %lx\n", f->rip, f->cs, f->rflags, f->rsp);
    rom_printf("# rax %lx rbx %lx rcx %lx rdx %lx rsi %lx rdi %lx\n", f->rax, f->rbx, f->rcx,
               f->rdx, f->rsi, f->rdi);
    rom_exit(1);
}

void trap_dispatch(struct trap_frame *f)
{
    if (handlers[f->vector] != NULL) {
        handlers[f->vector](f);
        return;
    }
    if (try_active == NULL)
        die(f);
    try_result = (struct trap_result){
        .vector = (uint32_t)f->vector,
        .error = f->error,
        .rip = f->rip,
        .cs = f->cs,
        .rflags = f->rflags,
        .rsp = f->rsp,
        .cr2 = read_cr2(),
    };
    /* Return by IRET into trap_call(), which then looks like a call that has come back. */
    f->rip = (uintptr_t)trap_resume;
    f->cs = SEL_CODE64;
    f->ss = SEL_DATA;
    f->rsp = try_active->rsp;
    f->rflags = try_active->rflags;
}

struct trap_result trap_try(void (*body)(void *arg), void *arg)
{
    struct trap_try_frame frame, *outer = try_active;

    try_active = &frame;
    if (trap_call(body, arg, &frame) == 0)
        try_result = (struct trap_result){ .vector = EXC_NONE };
    try_active = outer;
    return try_result;
}

struct trap_result trap_try_user(uint64_t rip, uint64_t cs, uint64_t rsp, uint64_t rflags,
                                 uint64_t rdi, uint64_t rsi)
{
    uint64_t iret_frame[5] = { rip, cs, rflags, rsp, SEL_USER_DATA };
    struct trap_try_frame frame, *outer = try_active;

    try_active = &frame;
    trap_call_user(iret_frame, rdi, rsi, &frame);
    try_active = outer;
    return try_result;
}
