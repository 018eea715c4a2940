/* guest.h: what the SVM workloads share.
 * A guest is a loop of a few instructions in 64-bit mode at CPL 0 in the host's linear address
 * space. It uses RAX, RBX, RCX, RDX, RSI and RDI alone, and no stack. */
#ifndef BENCH_ROMS_GUEST_H
#define BENCH_ROMS_GUEST_H

#include "bench/roms/bench.h"
#include "test-roms/lib/paging.h"
#include "test-roms/lib/svm.h"

#include <stdint.h>

/* Guest physical memory that guest_nested_root() maps in pages of 4 KiB. */
#define GUEST_DATA_GPA BENCH_DATA_SPA
#define GUEST_DATA_BYTES PAGE_2M

/* Rights of all pages made here. Nested tables need U/S: APM vol 2, 15.25.5 "Nested Table Walk". */
#define GUEST_PAGE (PAGE_P | PAGE_W | PAGE_U)

/* Switch SVM on, once before the first guest. Ends the program if the processor has none. */
void guest_enable_svm(void);

/* Make a guest.
 * code         address of its first instruction
 * asid         its ASID, not 0
 * nested_root  the root of its nested tables, or NULL for a guest without nested paging */
void guest_init(struct svm_guest *g, const char *code, uint32_t asid, const uint64_t *nested_root);

/* Nested tables that map everything to itself, except that the GUEST_DATA_BYTES at GUEST_DATA_GPA
 * lead to data_spa. */
uint64_t *guest_nested_root(uint64_t data_spa);

/* Map that many pages of GUEST_DATA_GPA at PAGING_WINDOW in the host's address space. */
void guest_map_window(uint64_t pages);

/* Run the guest up to its next #VMEXIT. Ends the program if EXITCODE is not the expected one.
 * Unlike svm_run() this is VMRUN and next to nothing around it: the round trip is what is measured.
 * GIF stays 0 after the first #VMEXIT. */
void guest_run(struct svm_guest *g, uint64_t expected);

/* Let the guest continue behind an instruction of that many bytes. svm_skip() would ask CPUID each
 * time. */
static inline void guest_skip(struct svm_guest *g, uint32_t bytes)
{
    svm_set(g, VMCB_RIP, svm_get(g, VMCB_RIP) + bytes);
}

#define VMMCALL_BYTES 3u
#define CPUID_BYTES 2u

/* A loop that increments RBX and executes VMMCALL. */
extern const char guest_vmmcall_code[];

/* A loop that adds RDI to the first quadword of RDX pages from RBX on, then executes VMMCALL. */
extern const char guest_touch_code[];

#endif
