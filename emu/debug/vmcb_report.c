/* Dumping, comparing and checking a VMCB. */
#include "emu/debug/vmcb_report.h"

#include "emu/base/output.h"
#include "svm/describe.h"
#include "svm/rules.h"

#include <inttypes.h>

#define VALUE_BYTES 80u
#define WORDS_BYTES 2048u

/* One field as a line; `mark` stands before it. Lines may be longer than output_put() takes. */
static void put_field(const uint8_t *page, enum vmcb_field field, const char *mark,
                      const struct pacifica_output *output)
{
    char value[VALUE_BYTES], words[WORDS_BYTES];
    const struct vmcb_field_info *info = &vmcb_fields[field];
    (void)svm_describe_value(value, sizeof(value), page, field);
    int length = svm_describe_field(words, sizeof(words), page, field);
    output_put(output, "%s%03Xh  %-22s  %s%s", mark, info->offset, info->name, value,
               length ? "  " : "");
    if (length > 0 && output->write)
        output->write(output->self, words,
                      (size_t)length < sizeof(words) ? (size_t)length : sizeof(words) - 1);
    output_put(output, "\n");
}

static bool same_field(const uint8_t *a, const uint8_t *b, enum vmcb_field field)
{
    const struct vmcb_field_info *info = &vmcb_fields[field];
    return memcmp(a + info->offset, b + info->offset, info->bytes) == 0;
}

/* --- bytes that belong to no field ------------------------------------------------------------ */

static void mark_fields(bool known[VMCB_PAGE_BYTES])
{
    memset(known, 0, VMCB_PAGE_BYTES * sizeof(known[0]));
    for (unsigned i = 0; i < VMCB_FIELD_COUNT; i++)
        memset(known + vmcb_fields[i].offset, 1, vmcb_fields[i].bytes);
}

/* The next run of reserved bytes that differ from those of `other` (NULL: zeros), from *at on. */
static bool next_run(const bool *known, const uint8_t *page, const uint8_t *other, unsigned *at,
                     unsigned *end)
{
#define DIFFERS(i) (!known[i] && page[i] != (other ? other[i] : 0))
    while (*at < VMCB_PAGE_BYTES && !DIFFERS(*at))
        (*at)++;
    if (*at == VMCB_PAGE_BYTES)
        return false;
    for (*end = *at; *end < VMCB_PAGE_BYTES && DIFFERS(*end);)
        (*end)++;
    return true;
#undef DIFFERS
}

/* Write the runs; returns their number. */
static unsigned put_reserved(const uint8_t *page, const uint8_t *other, const char *what,
                             const struct pacifica_output *output)
{
    bool known[VMCB_PAGE_BYTES];
    unsigned count = 0, end;
    mark_fields(known);
    for (unsigned at = 0; next_run(known, page, other, &at, &end); at = end, count++)
        output_put(output, "reserved bytes %03Xh-%03Xh %s\n", at, end - 1, what);
    return count;
}

/* --- the three reports ------------------------------------------------------------------------- */

void vmcb_dump(const uint8_t *page, const struct pacifica_output *output)
{
    output_put(output, "control area\n");
    for (unsigned i = 0; i < VMCB_FIELD_COUNT; i++) {
        if (i && vmcb_fields[i].area != vmcb_fields[i - 1].area)
            output_put(output, "state-save area\n");
        put_field(page, (enum vmcb_field)i, "", output);
    }
    (void)put_reserved(page, NULL, "are not zero", output);
}

unsigned vmcb_diff(const uint8_t *from, const uint8_t *to, const struct pacifica_output *output)
{
    unsigned count = 0;
    for (unsigned i = 0; i < VMCB_FIELD_COUNT; i++) {
        enum vmcb_field field = (enum vmcb_field)i;
        if (same_field(from, to, field))
            continue;
        put_field(from, field, "- ", output);
        put_field(to, field, "+ ", output);
        count++;
    }
    return count + put_reserved(from, to, "differ", output);
}

static void put_rule(void *self, const struct svm_invalid *invalid)
{
    const struct pacifica_output *output = self;
    output_put(output, "%s is 0x%" PRIx64 ": %s (", invalid->field, invalid->value, invalid->rule);
    output_put(output, "%s)\n", invalid->section);
}

unsigned vmcb_check(const uint8_t *page, const struct svm_model *model,
                    const struct pacifica_output *output)
{
    bool np =
        (VMCB_GET(page, NESTED_CONTROL) & NESTED_NP_ENABLE) && (model->features & SVM_FEATURE_NP);
    const struct svm_check check = {
        .page = page, .model = model, .host_cr0 = CR0_PE | CR0_PG, .np = np
    };
    struct pacifica_output copy = *output;
    bool pae = (VMCB_GET(page, CR0) & CR0_PG) && (VMCB_GET(page, CR4) & CR4_PAE) &&
               !(VMCB_GET(page, EFER) & EFER_LME);
    unsigned broken = svm_rules_report(&check, put_rule, &copy);
    if (pae && !np)
        output_put(output, "not checked: the PDPTEs at CR3, which are not in the VMCB\n");
    if (model->shadow_stacks && (VMCB_GET(page, CR4) & CR4_CET) &&
        (VMCB_GET(page, RFLAGS) & FLAG_VM))
        output_put(output, "not checked: U_CET with RFLAGS.VM; U_CET is not in the VMCB\n");
    if (np)
        output_put(output, "assumed: the host has CR0.PG set\n");
    return broken;
}
