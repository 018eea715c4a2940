/* fp_kit.h: floating-point and vector state as the programs fp_*.c set and see it. VMRUN and #VMEXIT leave all of it alone, so that host
 * and guest work on the same registers. */
#ifndef TEST_ROMS_SVM_FP_KIT_H
#define TEST_ROMS_SVM_FP_KIT_H

#include "test-roms/svm/kit.h"

#define CR4_OSFXSR UINT64_C(0x200)
#define CR4_OSXMMEXCPT UINT64_C(0x400)
#define CR4_PKE UINT64_C(0x400000)
#define XCR0_X87 1u
#define XCR0_SSE 2u
#define XCR0_AVX 4u
#define XCR0_ALL 7u
#define XSTATE_BV 512u
#define XSTATE_BYTES 832u

/* An area of XSAVE. */
struct fp_area {
    uint8_t byte[4096];
} __attribute__((aligned(64)));

static inline uint64_t fp_word(const struct fp_area *area, unsigned at)
{
    return *(const volatile uint64_t *)(area->byte + at);
}

static inline void fp_set_xcr0(uint32_t value)
{
    __asm__ volatile("xsetbv" : : "a"(value), "d"(0), "c"(0));
}

static inline uint32_t fp_xcr0(void)
{
    uint32_t low, high;

    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

static inline void fp_save(struct fp_area *area)
{
    __asm__ volatile("xsave64 (%0)" : : "r"(area), "a"(XCR0_ALL), "d"(0) : "memory");
}

static inline void fp_restore(const struct fp_area *area)
{
    __asm__ volatile("xrstor64 (%0)" : : "r"(area), "a"(XCR0_ALL), "d"(0) : "memory");
}

/* x87, SSE and AVX for the host, or the end of the program with a skipped point. */
static inline void fp_init(void)
{
    kit_init();
    if ((cpuid(1, 0).ecx & (1u << 26 | 1u << 28)) != (1u << 26 | 1u << 28)) {
        tap_skip("no AVX", "everything");
        tap_done();
    }
    write_cr4(read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE);
    fp_set_xcr0(XCR0_ALL);
    __asm__ volatile("fninit");
}

static inline void fp_set_mxcsr(uint32_t value)
{
    __asm__ volatile("ldmxcsr %0" : : "m"(value));
}

static inline uint32_t fp_mxcsr(void)
{
    uint32_t value;

    __asm__ volatile("stmxcsr %0" : "=m"(value));
    return value;
}

#endif
