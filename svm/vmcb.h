/* The VMCB as a table of fields, and little-endian access to it by field name. */
#ifndef SVM_VMCB_H
#define SVM_VMCB_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "emu/compiler.h"
#include "emu/cpu/state.h"

#define VMCB_PAGE_BYTES 4096u
#define VMCB_SAVE_AREA 0x400u /* the control area is below */

enum vmcb_area { VMCB_AREA_CONTROL, VMCB_AREA_SAVE };
enum vmcb_show {
    VMCB_SHOW_HEX,
    VMCB_SHOW_DEC,
    VMCB_SHOW_BITS,
    VMCB_SHOW_ENUM,
    VMCB_SHOW_EXITCODE,
    VMCB_SHOW_EVENT,
    VMCB_SHOW_ADDR,
    VMCB_SHOW_RIP,
    VMCB_SHOW_ATTR,
    VMCB_SHOW_BYTES
};
enum vmcb_use {
    VMCB_USE_ENTRY,
    VMCB_USE_EXIT,
    VMCB_USE_SWITCH,
    VMCB_USE_WORLD,
    VMCB_USE_GUEST,
    VMCB_USE_SHADOW,
    VMCB_USE_MOVED,
    VMCB_USE_LBR,
    VMCB_USE_PMC,
    VMCB_USE_PMC_WORLD,
    VMCB_USE_OFF
};

/* The bits of CLEAN_BITS. APM vol 2, 15.15.3 "VMCB Clean Field". */
enum vmcb_clean {
    VMCB_CLEAN_NONE = 0,
    VMCB_CLEAN_I = 1 << 0,
    VMCB_CLEAN_IOPM = 1 << 1,
    VMCB_CLEAN_ASID = 1 << 2,
    VMCB_CLEAN_TPR = 1 << 3,
    VMCB_CLEAN_NP = 1 << 4,
    VMCB_CLEAN_CRX = 1 << 5,
    VMCB_CLEAN_DRX = 1 << 6,
    VMCB_CLEAN_DT = 1 << 7,
    VMCB_CLEAN_SEG = 1 << 8,
    VMCB_CLEAN_CR2 = 1 << 9,
    VMCB_CLEAN_LBR = 1 << 10,
    VMCB_CLEAN_AVIC = 1 << 11,
    VMCB_CLEAN_CET = 1 << 12,
    VMCB_CLEAN_ALL = (1 << 13) - 1
};

enum vmcb_field {
#define VMCB_FIELD(area, name, offset, bytes, show, use, clean, home, how) VMCB_##name,
#include "svm/vmcb_fields.def"
#undef VMCB_FIELD
    VMCB_FIELD_COUNT
};

enum vmcb_offset {
#define VMCB_FIELD(area, name, offset, bytes, show, use, clean, home, how) \
    VMCB_AT_##name = (offset),
#include "svm/vmcb_fields.def"
#undef VMCB_FIELD
    VMCB_AT_END = VMCB_PAGE_BYTES
};

enum vmcb_size {
#define VMCB_FIELD(area, name, offset, bytes, show, use, clean, home, how) \
    VMCB_BYTES_##name = (bytes),
#include "svm/vmcb_fields.def"
#undef VMCB_FIELD
    VMCB_BYTES_ALL = VMCB_PAGE_BYTES
};

struct vmcb_field_info {
    const char *name;
    uint16_t offset, bytes;
    enum vmcb_area area;
    enum vmcb_show show;
    enum vmcb_use use;
    enum vmcb_clean clean; /* one bit, or NONE */
};
extern const struct vmcb_field_info vmcb_fields[VMCB_FIELD_COUNT];

/* Is it written by #VMEXIT from what VMRUN loaded? */
static inline bool vmcb_use_switches(enum vmcb_use use)
{
    return use == VMCB_USE_SWITCH || use == VMCB_USE_WORLD || use == VMCB_USE_GUEST ||
           use == VMCB_USE_SHADOW || use == VMCB_USE_LBR || use == VMCB_USE_PMC ||
           use == VMCB_USE_PMC_WORLD;
}

/* A field's value, zero-extended; 0 for fields wider than 8 bytes. `page` has VMCB_PAGE_BYTES bytes. */
uint64_t vmcb_field_value(const uint8_t *page, enum vmcb_field field);

/* The field that holds the byte at `offset`, or VMCB_FIELD_COUNT. */
enum vmcb_field vmcb_field_at(unsigned offset);

/* The constant sizes of VMCB_GET and VMCB_SET make these one load or store. */
EMU_INLINE uint64_t vmcb_load(const uint8_t *page, unsigned offset, unsigned bytes)
{
    uint64_t value = 0;
    memcpy(&value, page + offset, bytes);
    return value;
}

EMU_INLINE void vmcb_store(uint8_t *page, unsigned offset, unsigned bytes, uint64_t value)
{
    memcpy(page + offset, &value, bytes);
}

#define VMCB_GET(page, name) vmcb_load((page), VMCB_AT_##name, VMCB_BYTES_##name)
#define VMCB_SET(page, name, value) vmcb_store((page), VMCB_AT_##name, VMCB_BYTES_##name, (value))

/* Bits of the control fields. */
#define VINTR_TPR UINT64_C(0x00f)
#define VINTR_TPR_FIELD UINT64_C(0x0ff)
#define VINTR_IRQ (UINT64_C(1) << 8)
#define VINTR_GIF (UINT64_C(1) << 9)
#define VINTR_NMI (UINT64_C(1) << 11)
#define VINTR_NMI_MASK (UINT64_C(1) << 12)
#define VINTR_PRIO_SHIFT 16
#define VINTR_IGN_TPR (UINT64_C(1) << 20)
#define VINTR_MASKING (UINT64_C(1) << 24)
#define VINTR_GIF_ENABLE (UINT64_C(1) << 25)
#define VINTR_NMI_ENABLE (UINT64_C(1) << 26)
#define VINTR_X2AVIC_ENABLE (UINT64_C(1) << 30)
#define VINTR_AVIC_ENABLE (UINT64_C(1) << 31)
#define VINTR_ENABLES \
    (VINTR_GIF_ENABLE | VINTR_NMI_ENABLE | VINTR_X2AVIC_ENABLE | VINTR_AVIC_ENABLE)
#define VINTR_VECTOR_SHIFT 32
#define NESTED_NP_ENABLE (UINT64_C(1) << 0)
#define NESTED_GMET_ENABLE (UINT64_C(1) << 3)
#define NESTED_SSS_ENABLE (UINT64_C(1) << 4)
#define NESTED_ROGPT_ENABLE (UINT64_C(1) << 6)
#define NESTED_TLBI_ENABLE (UINT64_C(1) << 7) /* INVLPGB and TLBSYNC in the guest */
#define NESTED_OPTIONS UINT64_C(0x7e)         /* also SEV, SEV-ES and VTE */
#define NESTED_DEFINED (NESTED_OPTIONS | NESTED_TLBI_ENABLE)
#define VIRT_LBR_ENABLE (UINT64_C(1) << 0)
#define VIRT_VMLOAD_ENABLE (UINT64_C(1) << 1)
#define VIRT_PMC_ENABLE (UINT64_C(1) << 3)
#define VIRT_DEFINED UINT64_C(0x0f) /* also IBS */
#define EVENTINJ_EV (UINT64_C(1) << 11)
#define EVENTINJ_V (UINT64_C(1) << 31)
#define TLB_CONTROL_FLUSH_ALL 1u
#define TLB_CONTROL_FLUSH_ASID 3u
#define TLB_CONTROL_FLUSH_NONGLOBAL 7u

/* Segment registers: selector, attributes, limit and base are 16 consecutive bytes. `offset` is that of the selector.
 * What is read has 12 attribute bits; the base is as in memory. */
EMU_INLINE struct segment vmcb_load_segment(const uint8_t *page, unsigned offset)
{
    uint64_t low = vmcb_load(page, offset, 8);
    return (struct segment){ .selector = (uint16_t)low,
                             .attr = (uint16_t)(low >> 16) & 0xfff,
                             .limit = (uint32_t)(low >> 32),
                             .base = vmcb_load(page, offset + 8, 8) };
}

EMU_INLINE void vmcb_store_segment(uint8_t *page, unsigned offset, const struct segment *seg)
{
    vmcb_store(page, offset, 8,
               seg->selector | (uint64_t)seg->attr << 16 | (uint64_t)seg->limit << 32);
    vmcb_store(page, offset + 8, 8, seg->base);
}

/* Sign-extend an address from the implemented linear address width. APM vol 2, 15.5.1 "Basic Operation",
 * "Canonicalization and Consistency Checks". */
EMU_INLINE uint64_t vmcb_canonical(uint64_t la, unsigned linear_bits)
{
    unsigned shift = 64 - linear_bits;
    return (uint64_t)((int64_t)(la << shift) >> shift);
}

/* EVENTINJ and EXITINTINFO, APM vol 2, 15.20 "Event Injection". */
EMU_INLINE uint64_t vmcb_event_word(const struct event *event)
{
    if (!event->valid)
        return 0;
    uint64_t word = event->vector | (uint64_t)event->type << 8 | EVENTINJ_V;
    return event->has_code ? word | EVENTINJ_EV | (uint64_t)event->code << 32 : word;
}

#endif
