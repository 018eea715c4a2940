/* The items of the table in info.c that have files of their own. */
#ifndef EMU_DEBUG_INFO_PRIV_H
#define EMU_DEBUG_INFO_PRIV_H

#include "emu/cpu/memtype.h"
#include "emu/debug/info.h"
#include "emu/base/output.h"
#include "svm/svm.h"

typedef enum pacifica_status info_writer(struct vcpu *cpu, const char *argument,
                                         const struct pacifica_output *output,
                                         struct pacifica_diag *diag);
info_writer info_registers, info_fp, info_mtrr, info_tlb, info_asids, info_walk, info_mem,
    info_skinit, info_svm, info_vmcb_fields, info_intercepts, info_iopm, info_msrpm, info_npt;

/* info_svm.c: read the VMCB of the guest that runs or last ran. false: there is none, and it was told. */
bool info_vmcb(struct vcpu *cpu, uint8_t *page, const struct pacifica_output *output);

/* "real mode", "64-bit mode", ... */
const char *info_mode_name(const struct vcpu *cpu);

/* "4-level", "PAE", ... */
const char *info_paging_name(enum walk_mode mode);

/* The current regime with every right of the supervisor, so that a report shows pages whoever may use them. */
struct walk_regime info_regime(struct vcpu *cpu);

/* Bytes that an entry of a level covers; level 1 is a page table. */
uint64_t info_entry_bytes(enum walk_mode mode, unsigned level);

/* Size of a page in words: "4 KiB". */
const char *info_page_name(uint64_t bytes);

#endif
