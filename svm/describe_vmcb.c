/* VMCB fields in words: names of bits, events, exit codes. */
#include "svm/describe.h"

#include "svm/svm.h"
#include "svm/words.h"

#include <inttypes.h>
#include <stdio.h>

#define BYTES_TOLD 32u /* of a field that is no number */

static const struct bits_row {
    uint16_t field; /* enum vmcb_field */
    uint8_t low, width;
    const char *name;
} bits_rows[] = {
#define VMCB_BITS(field, low, width, name) { VMCB_##field, low, width, name },
#include "svm/vmcb_bits.def"
#undef VMCB_BITS
};
#define BITS_ROWS (sizeof(bits_rows) / sizeof(bits_rows[0]))

static void separate(struct words *words)
{
    if (words->used)
        words_add(words, " ");
}

/* The bits of a value that no row explains. */
static void add_rest(struct words *words, uint64_t rest)
{
    if (!rest)
        return;
    separate(words);
    words_add(words, "reserved 0x%" PRIx64, rest);
}

static void add_bits(struct words *words, enum vmcb_field field, uint64_t value)
{
    uint64_t told = field == VMCB_RFLAGS ? 2 : 0; /* bit 1 is always 1 */
    for (size_t i = 0; i < BITS_ROWS; i++) {
        const struct bits_row *row = &bits_rows[i];
        uint64_t mask = (UINT64_C(1) << row->width) - 1, part = value >> row->low & mask;
        if (row->field != field)
            continue;
        told |= mask << row->low;
        if (!part)
            continue;
        separate(words);
        if (row->width == 1)
            words_add(words, "%s", row->name);
        else
            words_add(words, "%s=0x%" PRIx64, row->name, part);
    }
    add_rest(words, value & ~told);
}

int svm_describe_intercept(char *text, unsigned size, unsigned intercept)
{
    struct words words = words_begin(text, size);
    const char *name = svm_intercept_name(intercept);
    if (!name)
        words_add(&words, "reserved");
    else if (intercept < INTERCEPT_EXCP0)
        words_add(&words, "%s%u_%s", intercept < INTERCEPT_DR0_READ ? "CR" : "DR", intercept & 15,
                  intercept & 16 ? "WRITE" : "READ");
    else if (intercept < INTERCEPT_INTR)
        words_add(&words, "EXCP%u", intercept & 31);
    else if (intercept >= INTERCEPT_CR0_WRITE_TRAP && intercept < INTERCEPT_INVLPGB)
        words_add(&words, "CR%u_WRITE_TRAP", intercept - INTERCEPT_CR0_WRITE_TRAP);
    else
        words_add(&words, "%s", name + sizeof("INTERCEPT_") - 1);
    return (int)words.used;
}

bool svm_exit_intercept(uint64_t code, unsigned *intercept)
{
    *intercept = (unsigned)(code & 0xff);
    return code < INTERCEPT_LIMIT && svm_intercept_name(*intercept);
}

static void add_intercepts(struct words *words, unsigned word, uint64_t value)
{
    char name[32];
    for (unsigned bit = 0; bit < 32; bit++) {
        if (!(value >> bit & 1) || !svm_intercept_name(word * 32 + bit))
            continue;
        (void)svm_describe_intercept(name, sizeof(name), word * 32 + bit);
        separate(words);
        words_add(words, "%s", name);
        value &= ~(UINT64_C(1) << bit);
    }
    add_rest(words, value);
}

/* APM vol 2, 4.7 "Legacy Segment Descriptors", packed as 15.5.1 says. */
static void add_attributes(struct words *words, uint64_t attr)
{
    static const struct {
        uint16_t mask;
        const char *name;
    } flags[] = { { SEG_ATTR_P, "P" },
                  { SEG_ATTR_AVL, "AVL" },
                  { SEG_ATTR_L, "L" },
                  { SEG_ATTR_DB, "D" },
                  { SEG_ATTR_G, "G" } };
    unsigned type = attr & SEG_ATTR_TYPE;
    if (!attr)
        return;
    if (!(attr & SEG_ATTR_S))
        words_add(words, "system type 0x%x", type);
    else if (type & 8)
        words_add(words, "code%s%s", type & 2 ? ", readable" : "", type & 4 ? ", conforming" : "");
    else
        words_add(words, "data%s%s", type & 2 ? ", writable" : "", type & 4 ? ", expand-down" : "");
    words_add(words, ", DPL %u,", (unsigned)(attr >> SEG_ATTR_DPL_SHIFT) & 3);
    for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
        if (attr & flags[i].mask)
            words_add(words, " %s", flags[i].name);
    if (!(attr & SEG_ATTR_P))
        words_add(words, " not present");
    add_rest(words, attr & 0xf000);
}

/* APM vol 2, 15.16.1 "TLB Flush". */
static void add_tlb_control(struct words *words, uint64_t value)
{
    switch (value) {
    case 0: words_add(words, "flush nothing"); break;
    case TLB_CONTROL_FLUSH_ALL: words_add(words, "flush all"); break;
    case TLB_CONTROL_FLUSH_ASID: words_add(words, "flush this ASID"); break;
    case TLB_CONTROL_FLUSH_NONGLOBAL: words_add(words, "flush this ASID but global pages"); break;
    default: words_add(words, "reserved"); break;
    }
}

static void add_exit_code(struct words *words, const uint8_t *page)
{
    char text[200];
    uint64_t code = VMCB_GET(page, EXITCODE);
    const char *name = svm_exit_name(code);
    (void)svm_describe_exit(text, sizeof(text), code, VMCB_GET(page, EXITINFO1),
                            VMCB_GET(page, EXITINFO2));
    words_add(words, "%s: %s", name ? name : "no exit code", text);
}

int svm_describe_field(char *text, unsigned size, const uint8_t *page, enum vmcb_field field)
{
    struct words words = words_begin(text, size);
    const struct vmcb_field_info *info = &vmcb_fields[field];
    uint64_t value = vmcb_field_value(page, field);
    char event[80];
    switch (info->show) {
    case VMCB_SHOW_BITS:
        if (info->offset <= VMCB_AT_INTERCEPT_5)
            add_intercepts(&words, info->offset / 4u, value);
        else
            add_bits(&words, field, value);
        break;
    case VMCB_SHOW_ENUM:
        if (field == VMCB_TLB_CONTROL)
            add_tlb_control(&words, value);
        break;
    case VMCB_SHOW_EXITCODE: add_exit_code(&words, page); break;
    case VMCB_SHOW_EVENT:
        (void)svm_describe_event(event, sizeof(event), value);
        words_add(&words, "%s", event);
        break;
    case VMCB_SHOW_ATTR: add_attributes(&words, value); break;
    case VMCB_SHOW_HEX:
    case VMCB_SHOW_DEC:
    case VMCB_SHOW_ADDR:
    case VMCB_SHOW_RIP:
    case VMCB_SHOW_BYTES: break;
    }
    return (int)words.used;
}

int svm_describe_value(char *text, unsigned size, const uint8_t *page, enum vmcb_field field)
{
    struct words words = words_begin(text, size);
    const struct vmcb_field_info *info = &vmcb_fields[field];
    if (info->bytes <= 8) {
        if (info->show == VMCB_SHOW_DEC)
            words_add(&words, "%" PRIu64, vmcb_field_value(page, field));
        else
            words_add(&words, "0x%0*" PRIx64, info->bytes * 2, vmcb_field_value(page, field));
        return (int)words.used;
    }
    unsigned told = info->bytes < BYTES_TOLD ? info->bytes : BYTES_TOLD;
    for (unsigned i = 0; i < told; i++)
        words_add(&words, "%02x", page[info->offset + i]);
    if (told < info->bytes)
        words_add(&words, "...");
    return (int)words.used;
}
