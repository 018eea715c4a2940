/* Every encoding that leads to a row of the instruction table, found by decoding them all. */
#include "decoder/decode.h"
#include "emu/cpu/cpuid.h"
#include "emu/insn/insn.h"
#include "tests/differential/forms_priv.h"

#include <Zydis/Mnemonic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORMS_MAX 60000u

/* --- what may run ----------------------------------------------------------------------------- */

static bool excluded_mnemonic(uint16_t mnemonic)
{
    switch (mnemonic) {
#define EXCLUDED(name, why) case ZYDIS_MNEMONIC_##name:
#include "tests/differential/excluded.def"
#undef EXCLUDED
        return true;
    default: return false;
    }
}

/* Selectors need a child that can put its own segments right again; INT 80h is a system call. */
static bool excluded_form(const struct insn *in)
{
    if (uses_selectors(in))
        return !native_loads_segments();
    return in->mnemonic == ZYDIS_MNEMONIC_INT && (uint8_t)in->imm == 0x80;
}

/* Is it in the table, and does the model offer it? */
static bool is_ours(const struct insn *in)
{
    const struct insn_info *info = insn_lookup(in->mnemonic);
    bool vector = false; /* MOVSD, CMPSD of SSE2 */
    for (unsigned i = 0; i < in->count; i++)
        vector = vector || in->op[i].kind == OPERAND_NONE;
    if (!info || vector || info->body == insn_absent)
        return false;
    return !info->feature || cpu_model_has(cpu_model_default(), (enum cpu_feature)info->feature);
}

bool may_run(const struct insn *in)
{
    return is_ours(in) && !excluded_mnemonic(in->mnemonic) && !excluded_form(in);
}

/* --- the forms ----------------------------------------------------------------------------------- */

static bool is_prefix(uint8_t byte, unsigned mode)
{
    return (byte != 0 && memchr("\x26\x2e\x36\x3e\x64\x65\x66\x67\xf0\xf2\xf3", byte, 11)) ||
           (mode == DIFF_64 && (byte & 0xf0) == 0x40);
}

unsigned put_opcode(uint8_t *at, const struct form *form, unsigned mode, unsigned vvvv,
                    unsigned rex)
{
    unsigned n = 0;
    if (form->map >= MAP_VEX38) {
        unsigned pp = form->prefix == 0x66 ? 1 : form->prefix == 0xf3 ? 2 : form->prefix ? 3 : 0;
        unsigned rxb = mode == DIFF_64 ? ~rex & 7 : 7;
        at[n++] = 0xc4;
        at[n++] = (uint8_t)(rxb << 5 | (form->map == MAP_VEX38 ? 2 : 3));
        at[n++] = (uint8_t)((rex & 8) << 4 | vvvv << 3 | pp);
    } else {
        if (form->prefix)
            at[n++] = form->prefix;
        if (rex)
            at[n++] = (uint8_t)rex;
        if (form->map != MAP_1)
            at[n++] = 0x0f;
        if (form->map == MAP_0F38)
            at[n++] = 0x38;
        if (form->map == MAP_0F3A)
            at[n++] = 0x3a;
    }
    at[n++] = form->opcode;
    return n;
}

/* What does an encoding decode to? 0: nothing that runs. */
static uint16_t form_mnemonic(const struct form *form, unsigned mode)
{
    uint8_t bytes[16] = { 0 };
    struct insn in;
    unsigned n = put_opcode(bytes, form, mode, form->opcode == 0xf0 ? 15 : 1, 0);
    bytes[n] = (uint8_t)(form->reg << 3 | (form->memory ? 0 : 0xc0));
    if (decode_insn(bytes, sizeof(bytes), diff_cpu_mode(mode), &in) != DECODE_OK || !is_ours(&in) ||
        excluded_mnemonic(in.mnemonic) || excluded_form(&in))
        return 0;
    return in.mnemonic < MNEMONICS ? in.mnemonic : 0;
}

static int by_mnemonic(const void *a, const void *b)
{
    return (int)((const struct form *)a)->mnemonic - (int)((const struct form *)b)->mnemonic;
}

static void index_forms(struct form_list *list)
{
    qsort(list->forms, list->count, sizeof(*list->forms), by_mnemonic);
    for (unsigned i = 0; i < list->count; i++) {
        if (i > 0 && list->forms[i].mnemonic == list->forms[i - 1].mnemonic)
            continue;
        list->mnemonics[list->mnemonic_count] = list->forms[i].mnemonic;
        list->first[list->mnemonic_count++] = i;
    }
    list->first[list->mnemonic_count] = list->count;
}

static bool find_forms(struct form_list *list, unsigned mode)
{
    static const uint8_t prefixes[] = { 0, 0x66, 0xf2, 0xf3 };
    list->forms = calloc(FORMS_MAX, sizeof(*list->forms));
    if (!list->forms)
        return false;
    for (unsigned map = 0; map < MAP_COUNT; map++)
        for (unsigned n = 0; n < 256 * 4 * 16; n++) {
            struct form form = { .map = (uint8_t)map,
                                 .opcode = (uint8_t)(n >> 6),
                                 .prefix = prefixes[n >> 4 & 3],
                                 .reg = n >> 1 & 7,
                                 .memory = n & 1 };
            if (map == MAP_1 && (is_prefix(form.opcode, mode) || form.opcode == 0x0f))
                continue;
            form.mnemonic = form_mnemonic(&form, mode);
            if (form.mnemonic != 0 && list->count < FORMS_MAX)
                list->forms[list->count++] = form;
        }
    index_forms(list);
    return list->count > 0;
}

struct diff_forms *forms_new(void)
{
    struct diff_forms *forms = calloc(1, sizeof(*forms));
    for (unsigned mode = 0; forms && mode < DIFF_MODES; mode++) {
        if (!find_forms(&forms->modes[mode], mode)) {
            forms_free(forms);
            return NULL;
        }
    }
    return forms;
}

void forms_free(struct diff_forms *forms)
{
    for (unsigned mode = 0; forms && mode < DIFF_MODES; mode++)
        free(forms->modes[mode].forms);
    free(forms);
}

void forms_print(const struct diff_forms *forms)
{
    static const char *const names[] = { "64-bit", "32-bit", "16-bit" };
    for (unsigned mode = 0; mode < DIFF_MODES; mode++)
        printf("%s: %u encodings of %u mnemonics\n", names[mode], forms->modes[mode].count,
               forms->modes[mode].mnemonic_count);
}
