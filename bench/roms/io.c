/* io.c: IOIO exits of OUT and IN in turn, with an I/O permission map that intercepts every port. */
#include "bench/roms/guest.h"

#define IOPM_BYTES 12288u
#define IO_PORT 0x80u

const char bench_name[] = "io";

/* RSI is the checksum of what IN gave. */
extern const char io_guest[];
__asm__(".text\n"
        "io_guest:\n"
        "    movl %ebx, %eax\n"
        "    outb %al, $0x80\n"
        "    inb $0x80, %al\n"
        "    addq %rax, %rsi\n"
        "    incq %rbx\n"
        "    jmp io_guest\n");

static _Alignas(4096) uint8_t iopm[IOPM_BYTES];

uint64_t bench_run(uint64_t n)
{
    struct svm_guest g;
    uint64_t sum = 0;

    for (uint32_t i = 0; i < IOPM_BYTES; i++)
        iopm[i] = 0xff;
    guest_enable_svm();
    guest_init(&g, io_guest, 1, guest_nested_root(BENCH_DATA_SPA));
    svm_intercept(&g, VMCB_INTERCEPT_3, INTERCEPT3_IOIO_PROT);
    svm_set(&g, VMCB_IOPM_BASE_PA, (uint64_t)iopm);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t info;
        uint64_t rax;

        guest_run(&g, VMEXIT_IOIO);
        info = svm_get(&g, VMCB_EXITINFO1);
        rax = svm_get(&g, VMCB_RAX);
        if (info >> IOIO_PORT_SHIFT != IO_PORT)
            bench_fail("EXITINFO1 has the wrong port", info);
        if (info & IOIO_IN)
            svm_set(&g, VMCB_RAX, (rax & ~UINT64_C(0xff)) | (sum & 0xff));
        else
            sum = bench_mix(sum, rax & 0xff);
        /* For IOIO, EXITINFO2 is the address of the next instruction: 15.10.2. */
        svm_set(&g, VMCB_RIP, svm_get(&g, VMCB_EXITINFO2));
    }
    return bench_mix(sum, g.rsi);
}
