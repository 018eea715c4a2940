/* Guest memory as instructions reach it: segmentation, canonical checks, translation, MMIO. */
#ifndef EMU_CPU_MEM_H
#define EMU_CPU_MEM_H

#include "decoder/insn.h"
#include "emu/cpu/raise.h"
#include "paging/paging.h"

/* The current walk regime (rebuilt when cpu->context_stale) with cpu->fast set to its bank. */
const struct walk_regime *mem_regime(struct vcpu *cpu);

/* Linear address of seg:off for `size` bytes; #GP/#SS on limit, type or canonical violation. `off` is already
 * cut to the address size. In 64-bit mode only FS and GS have a base. */
EMU_MUST_USE enum step mem_linear(struct vcpu *cpu, enum seg seg, uint64_t off, unsigned size,
                                  enum access_kind kind, uint64_t *la);

/* Effective offset of the memory operand, cut to the address size. */
uint64_t mem_offset(const struct vcpu *cpu, const struct insn *in);

/* Are accesses of the current level checked for alignment? APM vol 2, 8.2.17 "#AC-Alignment-Check Exception (Vector 17)". */
bool mem_alignment_checked(const struct vcpu *cpu);

/* Loads and stores of 1-8 bytes (any size) at seg:off, zero-extended; page crossings are checked on both pages before
 * anything is written. */
EMU_MUST_USE enum step mem_load(struct vcpu *cpu, enum seg seg, uint64_t off, unsigned size,
                                uint64_t *value);
EMU_MUST_USE enum step mem_store(struct vcpu *cpu, enum seg seg, uint64_t off, unsigned size,
                                 uint64_t value);

/* Same at a linear address (canonical check included: #GP(0)). */
EMU_MUST_USE enum step mem_load_la(struct vcpu *cpu, uint64_t la, unsigned size, uint64_t *value);
EMU_MUST_USE enum step mem_store_la(struct vcpu *cpu, uint64_t la, unsigned size, uint64_t value);

/* Implicit supervisor accesses: descriptor tables, TSS, IDT, event frames when CPL becomes 0-2. */
EMU_MUST_USE enum step mem_load_sys(struct vcpu *cpu, uint64_t la, unsigned size, uint64_t *value);
EMU_MUST_USE enum step mem_store_sys(struct vcpu *cpu, uint64_t la, unsigned size, uint64_t value);

/* Loads and stores of 1-4096 bytes at seg:off as one access: all pages are checked before anything is read or written.
 * No alignment check: callers that need one make it. A store takes effect in ascending order of addresses. */
EMU_MUST_USE enum step mem_load_bytes(struct vcpu *cpu, enum seg seg, uint64_t off, unsigned size,
                                      void *to);
EMU_MUST_USE enum step mem_store_bytes(struct vcpu *cpu, enum seg seg, uint64_t off, unsigned size,
                                       const void *from);

/* Read-modify-write: checks write access first (a read-only page faults as a write), then loads. The commit cannot
 * fail. */
struct mem_rmw {
    uint64_t la;
    uint8_t *ptr; /* through a fast entry: nothing else is set */
    uint64_t spa[2];
    unsigned size, first; /* first: bytes in the first page */
    bool apic[2];         /* it is the page of the guest's local APIC: svm/avic.h */
};
EMU_MUST_USE enum step mem_rmw_begin(struct vcpu *cpu, enum seg seg, uint64_t off, unsigned size,
                                     struct mem_rmw *rmw, uint64_t *value);
void mem_rmw_commit(struct vcpu *cpu, const struct mem_rmw *rmw, uint64_t value);

/* One access of shadow stacks: the address is as for mem_load_la(). mem_begun_load() and mem_rmw_commit() then cannot fail. */
EMU_MUST_USE enum step mem_begin(struct vcpu *cpu, uint64_t la, unsigned size, struct access access,
                                 struct mem_rmw *at);
uint64_t mem_begun_load(struct vcpu *cpu, const struct mem_rmw *at);

#define MEM_RUN_UNMARKED UINT64_MAX /* *spa of mem_run(): nobody needs to hear of writes there */

/* Translate for a run of bytes inside one page (string fast paths): native pointer if RAM that may be accessed directly
 * (stores: then call mem_run_written() with *spa), NULL in *ptr if it must be accessed by elements: MMIO, ROM, marked
 * pages, PROBE_MEM, alignment checking. `la` is canonical and cut to 32 bits outside 64-bit mode. */
EMU_MUST_USE enum step mem_run(struct vcpu *cpu, uint64_t la, enum access_kind kind, uint8_t **ptr,
                               uint64_t *spa);
void mem_run_written(struct vcpu *cpu, uint64_t spa, unsigned len);

/* The faults and table bits of an access of one byte, without the access. `la` as for mem_run(). */
EMU_MUST_USE enum step mem_touch(struct vcpu *cpu, uint64_t la, enum access_kind kind);

/* The faults and table bits of mem_load_bytes() or mem_store_bytes(), without the access. */
EMU_MUST_USE enum step mem_touch_bytes(struct vcpu *cpu, enum seg seg, uint64_t off, unsigned size,
                                       enum access_kind kind);

#endif
