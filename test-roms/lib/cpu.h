/* cpu.h: one-instruction wrappers, and the architectural names that the ROMs use. */
#ifndef TEST_ROMS_LIB_CPU_H
#define TEST_ROMS_LIB_CPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "test-roms/lib/layout.h"

/* Exception vectors. */
enum {
    EXC_DE = 0,
    EXC_DB = 1,
    EXC_NMI = 2,
    EXC_BP = 3,
    EXC_OF = 4,
    EXC_BR = 5,
    EXC_UD = 6,
    EXC_NM = 7,
    EXC_DF = 8,
    EXC_TS = 10,
    EXC_NP = 11,
    EXC_SS = 12,
    EXC_GP = 13,
    EXC_PF = 14,
    EXC_MF = 16,
    EXC_AC = 17,
    EXC_MC = 18,
    EXC_XF = 19,
    EXC_NONE = 256,
};

/* Page-fault error code. */
#define PF_P 0x01u
#define PF_RW 0x02u
#define PF_US 0x04u
#define PF_RSV 0x08u
#define PF_ID 0x10u

#define CR0_PE UINT64_C(0x00000001)
#define CR0_MP UINT64_C(0x00000002)
#define CR0_EM UINT64_C(0x00000004)
#define CR0_TS UINT64_C(0x00000008)
#define CR0_ET UINT64_C(0x00000010)
#define CR0_NE UINT64_C(0x00000020)
#define CR0_WP UINT64_C(0x00010000)
#define CR0_AM UINT64_C(0x00040000)
#define CR0_NW UINT64_C(0x20000000)
#define CR0_CD UINT64_C(0x40000000)
#define CR0_PG UINT64_C(0x80000000)

#define CR4_TSD UINT64_C(0x00000004)
#define CR4_DE UINT64_C(0x00000008)
#define CR4_PAE UINT64_C(0x00000020)
#define CR4_PGE UINT64_C(0x00000080)
#define CR4_PCE UINT64_C(0x00000100)
#define CR4_PCIDE UINT64_C(0x00020000)
#define CR4_OSXSAVE UINT64_C(0x00040000)
#define CR4_SMEP UINT64_C(0x00100000)
#define CR4_SMAP UINT64_C(0x00200000)

#define EFER_SCE UINT64_C(0x0001)
#define EFER_LME UINT64_C(0x0100)
#define EFER_LMA UINT64_C(0x0400)
#define EFER_NXE UINT64_C(0x0800)
#define EFER_SVME UINT64_C(0x1000)

#define RFLAGS_CF UINT64_C(0x000001)
#define RFLAGS_ONE UINT64_C(0x000002)
#define RFLAGS_PF UINT64_C(0x000004)
#define RFLAGS_AF UINT64_C(0x000010)
#define RFLAGS_ZF UINT64_C(0x000040)
#define RFLAGS_SF UINT64_C(0x000080)
#define RFLAGS_TF UINT64_C(0x000100)
#define RFLAGS_IF UINT64_C(0x000200)
#define RFLAGS_DF UINT64_C(0x000400)
#define RFLAGS_OF UINT64_C(0x000800)
#define RFLAGS_IOPL UINT64_C(0x003000)
#define RFLAGS_NT UINT64_C(0x004000)
#define RFLAGS_RF UINT64_C(0x010000)
#define RFLAGS_AC UINT64_C(0x040000)

#define MSR_TSC 0x00000010u
#define MSR_APIC_BASE 0x0000001bu
#define MSR_SYSENTER_CS 0x00000174u
#define MSR_SYSENTER_ESP 0x00000175u
#define MSR_SYSENTER_EIP 0x00000176u
#define MSR_PAT 0x00000277u
#define MSR_EFER 0xc0000080u
#define MSR_STAR 0xc0000081u
#define MSR_LSTAR 0xc0000082u
#define MSR_CSTAR 0xc0000083u
#define MSR_SFMASK 0xc0000084u
#define MSR_FS_BASE 0xc0000100u
#define MSR_GS_BASE 0xc0000101u
#define MSR_KERNEL_GS_BASE 0xc0000102u
#define MSR_TSC_AUX 0xc0000103u
#define MSR_VM_CR 0xc0010114u
#define MSR_VM_HSAVE_PA 0xc0010117u

/* Base addresses that LGDT, LIDT, SGDT and SIDT use, in memory order. */
struct __attribute__((packed)) table_register {
    uint16_t limit;
    uint64_t base;
};

struct cpuid_result {
    uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid_result cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_result r;

    __asm__ volatile("cpuid"
                     : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
                     : "a"(leaf), "c"(subleaf));
    return r;
}

/* Like cpuid(), with zeros for a leaf above the highest one of its range. */
static inline struct cpuid_result cpuid_checked(uint32_t leaf, uint32_t subleaf)
{
    if (cpuid(leaf & 0x80000000u, 0).eax < leaf)
        return (struct cpuid_result){ 0, 0, 0, 0 };
    return cpuid(leaf, subleaf);
}

/* Number of physical address bits. */
static inline unsigned cpu_maxphyaddr(void)
{
    unsigned bits = cpuid_checked(0x80000008u, 0).eax & 0xff;

    return bits != 0 ? bits : 36;
}

static inline uint64_t rdmsr(uint32_t msr)
{
    uint32_t low, high;

    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr) : "memory");
    return (uint64_t)high << 32 | low;
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr"
                     :
                     : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                     : "memory");
}

#define CPU_REGISTER(reg)                                                  \
    static inline uint64_t read_##reg(void)                                \
    {                                                                      \
        uint64_t value;                                                    \
        __asm__ volatile("mov %%" #reg ", %0" : "=r"(value) : : "memory"); \
        return value;                                                      \
    }                                                                      \
    static inline void write_##reg(uint64_t value)                         \
    {                                                                      \
        __asm__ volatile("mov %0, %%" #reg : : "r"(value) : "memory");     \
    }
CPU_REGISTER(cr0)
CPU_REGISTER(cr2)
CPU_REGISTER(cr3)
CPU_REGISTER(cr4)
CPU_REGISTER(cr8)
CPU_REGISTER(dr0)
CPU_REGISTER(dr1)
CPU_REGISTER(dr2)
CPU_REGISTER(dr3)
CPU_REGISTER(dr6)
CPU_REGISTER(dr7)
#undef CPU_REGISTER

static inline uint64_t read_rflags(void)
{
    uint64_t value;

    __asm__ volatile("pushfq\n\tpopq %0" : "=r"(value) : : "memory");
    return value;
}

static inline void write_rflags(uint64_t value)
{
    __asm__ volatile("pushq %0\n\tpopfq" : : "r"(value) : "memory", "cc");
}

static inline uint64_t rdtsc(void)
{
    uint32_t low, high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

static inline void invlpg(uint64_t la)
{
    __asm__ volatile("invlpg (%0)" : : "r"(la) : "memory");
}

static inline void outb(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void outw(uint16_t port, uint16_t value)
{
    __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void outl(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline uint8_t inb(uint16_t port)
{
    uint8_t value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

static inline void interrupts_on(void)
{
    __asm__ volatile("sti" : : : "memory");
}

static inline void interrupts_off(void)
{
    __asm__ volatile("cli" : : : "memory");
}

/* STI; HLT, so that no interrupt can slip in between; interrupts are off again afterwards. */
static inline void wait_for_interrupt(void)
{
    __asm__ volatile("sti\n\thlt\n\tcli" : : : "memory");
}

static inline void cpu_pause(void)
{
    __asm__ volatile("pause" : : : "memory");
}

#endif
