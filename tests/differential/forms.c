/* Every encoding that leads to a row of the instruction table, found by decoding them all. */
#include "decoder/decode.h"
#include "emu/cpu/cpuid.h"
#include "emu/insn/insn.h"
#include "tests/differential/forms_priv.h"

#include <Zydis/Zydis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- what may run ----------------------------------------------------------------------------- */

static const char *excluded_mnemonic(uint16_t mnemonic)
{
    switch (mnemonic) {
#define EXCLUDED(name, why)     \
    case ZYDIS_MNEMONIC_##name: \
        return why;
#include "tests/differential/excluded.def"
#undef EXCLUDED
    default: return NULL;
    }
}

/* Selectors need a child that can put its own segments right again; INT 80h is a system call. */
static bool excluded_form(const struct insn *in)
{
    if (uses_selectors(in))
        return !native_loads_segments();
    return in->mnemonic == ZYDIS_MNEMONIC_INT && (uint8_t)in->imm == 0x80;
}

static bool is_listed_set(uint8_t set)
{
    switch (set) {
#define ISA(name, feature, and, ready) case ZYDIS_ISA_SET_##name:
#include "emu/insn/isa.def"
#undef ISA
        return true;
    default: return false;
    }
}

/* A processor of the features that the model has (or, with `natively`, those of them that the workstation has). */
static const struct vcpu *processor(bool natively)
{
    static struct cpu_model both;
    static struct vcpu ours, native = { .model = &both };
    ours.model = cpu_model_default();
    if (both.name[0] == '\0') {
        both = *ours.model;
        for (unsigned f = 1; f < CPU_FEATURE_COUNT; f++)
            if (!native_feature(cpu_features[f].leaf, cpu_features[f].reg, cpu_features[f].bit))
                both.features[f] = false;
        memcpy(both.name, "both", 5);
    }
    return natively ? &native : &ours;
}

static bool offers(const struct vcpu *cpu, const struct insn *in, const struct insn_info *info)
{
    return isa_offered(cpu, in) &&
           (!info->feature || cpu_has(cpu, (enum cpu_feature)info->feature));
}

/* Is it in the table, and does the model offer it? */
static bool is_ours(const struct insn *in)
{
    const struct insn_info *info = insn_lookup(in->mnemonic);
    return info && offers(processor(false), in, info);
}

static const char *left_out(const struct insn *in)
{
    const char *why = excluded_mnemonic(in->mnemonic);
    if (why)
        return why;
    if (excluded_form(in))
        return "the sandbox cannot come back from it";
    if (!offers(processor(true), in, insn_lookup(in->mnemonic)))
        return "the workstation lacks it";
    return NULL;
}

bool may_run(const struct insn *in)
{
    return is_ours(in) && !left_out(in);
}

/* --- kinds --------------------------------------------------------------------------------------- */

static uint64_t kind_key(const struct insn *in)
{
    uint64_t key = in->mnemonic | (uint64_t)in->vex << 12;
    for (unsigned i = 0; i < 4; i++)
        if (i < in->count)
            key |= (uint64_t)(in->op[i].kind | in->op[i].size << 4) << (13 + 12 * i);
    return key;
}

static uint16_t *kind_slot(const struct diff_forms *forms, uint64_t key)
{
    uint64_t at = key * UINT64_C(0x9e3779b97f4a7c15) >> 40;
    for (;; at++) {
        const uint16_t *slot = &forms->by_key[at % (2 * KINDS_MAX)];
        if (*slot == 0 || forms->kinds[*slot].key == key)
            return (uint16_t *)slot;
    }
}

uint16_t form_kind_of(const struct diff_forms *forms, const struct insn *in)
{
    return *kind_slot(forms, kind_key(in));
}

static uint16_t add_kind(struct diff_forms *forms, const struct insn *in)
{
    uint16_t *slot = kind_slot(forms, kind_key(in));
    if (*slot == 0 && forms->kind_count + 1 < KINDS_MAX) {
        *slot = (uint16_t)++forms->kind_count;
        struct form_kind *kind = &forms->kinds[*slot];
        kind->key = kind_key(in);
        kind->mnemonic = in->mnemonic;
        kind->vex = in->vex;
        kind->count = in->count;
        for (unsigned i = 0; i < in->count; i++) {
            kind->kinds[i] = in->op[i].kind;
            kind->sizes[i] = in->op[i].size;
        }
        kind->left_out = left_out(in);
    }
    return *slot;
}

/* --- the forms ----------------------------------------------------------------------------------- */

static bool is_prefix(uint8_t byte, unsigned mode)
{
    return (byte != 0 && memchr("\x26\x2e\x36\x3e\x64\x65\x66\x67\xf0\xf2\xf3", byte, 11)) ||
           (mode == DIFF_64 && (byte & 0xf0) == 0x40);
}

static unsigned put_vex(uint8_t *at, const struct form *form, unsigned mode,
                        const struct form_extra *extra)
{
    unsigned pp = form->prefix == 0x66 ? 1 : form->prefix == 0xf3 ? 2 : form->prefix ? 3 : 0;
    unsigned rxb = mode == DIFF_64 ? ~extra->rex & 7 : 7;
    unsigned rest = (extra->vvvv & 15) << 3 | (unsigned)form->large << 2 | pp;
    if (extra->two_bytes && form->map == MAP_VEX0F && !form->wide && (rxb & 3) == 3 &&
        (mode == DIFF_64 || (extra->vvvv & 8))) {
        at[0] = 0xc5;
        at[1] = (uint8_t)((rxb & 4) << 5 | rest);
        return 2;
    }
    at[0] = 0xc4;
    at[1] = (uint8_t)(rxb << 5 | (form->map - MAP_VEX0F + 1u));
    at[2] = (uint8_t)((unsigned)form->wide << 7 | rest);
    return 3;
}

unsigned put_opcode(uint8_t *at, const struct form *form, unsigned mode,
                    const struct form_extra *extra)
{
    unsigned n = 0;
    if (form->map >= MAP_VEX0F) {
        n = put_vex(at, form, mode, extra);
    } else {
        unsigned rex = (extra->rex & 0x47) | (form->wide ? 0x48 : 0);
        if (form->prefix)
            at[n++] = form->prefix;
        if ((rex & 0x4f) != 0 && mode == DIFF_64)
            at[n++] = (uint8_t)(rex | 0x40);
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

static enum decode_status decode_form(const struct form *form, unsigned mode, unsigned vvvv,
                                      struct insn *in)
{
    uint8_t bytes[24] = { 0 };
    const struct form_extra extra = { .vvvv = vvvv };
    unsigned n = put_opcode(bytes, form, mode, &extra);
    unsigned rm = form->rm == ANY_RM ? 0 : form->rm;
    bytes[n++] = (uint8_t)((form->memory ? 0 : 0xc0) | form->reg << 3 | rm);
    if (form->memory && rm == 4)
        bytes[n] = 3 << 3; /* index: register 3 */
    return decode_insn(bytes, 16, diff_cpu_mode(mode), in);
}

static bool is_wanted(const struct diff_forms *forms, const struct insn *in)
{
    const char *name = ZydisMnemonicGetString((ZydisMnemonic)in->mnemonic);
    return !forms->only || strncmp(name, forms->only, strlen(forms->only)) == 0;
}

static void add_form(struct diff_forms *forms, unsigned mode, struct form form)
{
    struct form_list *list = &forms->modes[mode];
    const unsigned gather = 6; /* vvvv: a register that neither SIB nor ModRM names */
    struct insn in;
    enum decode_status status = decode_form(&form, mode, 15, &in);
    if (status != DECODE_OK && form.map == MAP_VEX38 && form.memory) {
        form.rm = 4;
        status = decode_form(&form, mode, gather, &in);
    }
    if (status != DECODE_OK)
        return;
    if (!insn_lookup(in.mnemonic) && is_listed_set(in.isa_set) &&
        isa_offered(processor(false), &in))
        forms->missing++;
    if (!is_ours(&in) || !is_wanted(forms, &in))
        return;
    form.kind = add_kind(forms, &in);
    forms->kinds[form.kind].modes[mode] = true;
    if (forms->kinds[form.kind].left_out)
        return;
    form.vvvv = form.map >= MAP_VEX0F && decode_form(&form, mode, gather, &in) == DECODE_OK;
    if (list->count == list->room) {
        list->room = list->room ? 2 * list->room : 4096;
        list->forms = realloc(list->forms, list->room * sizeof(*list->forms));
        if (!list->forms)
            abort();
    }
    list->forms[list->count++] = form;
}

static int by_kind(const void *a, const void *b)
{
    return (int)((const struct form *)a)->kind - (int)((const struct form *)b)->kind;
}

static bool index_forms(struct form_list *list)
{
    qsort(list->forms, list->count, sizeof(*list->forms), by_kind);
    list->first = calloc(list->count + 1, sizeof(*list->first));
    if (!list->first)
        return false;
    for (unsigned i = 0; i < list->count; i++)
        if (i == 0 || list->forms[i].kind != list->forms[i - 1].kind)
            list->first[list->kind_count++] = i;
    list->first[list->kind_count] = list->count;
    return true;
}

/* Opcodes whose ModRM.rm chooses the instruction too, when it is no memory. */
static bool rm_chooses(unsigned map, unsigned opcode)
{
    return (map == MAP_1 && opcode >= 0xd8 && opcode <= 0xdf) || (map == MAP_0F && opcode == 1);
}

/* ModRM.reg, memory or not, REX.W or VEX.W, VEX.L: all of one opcode. */
static void find_operands(struct diff_forms *forms, unsigned mode, struct form form)
{
    bool vex = form.map >= MAP_VEX0F;
    for (unsigned n = 0; n < 64; n++) {
        form.reg = n & 7;
        form.memory = n & 8;
        form.wide = n & 16;
        form.large = n & 32;
        form.rm = ANY_RM;
        if ((form.large && !vex) || (form.wide && !vex && mode != DIFF_64))
            continue;
        unsigned last = !form.memory && rm_chooses(form.map, form.opcode) ? 8 : 1;
        for (unsigned rm = 0; rm < last; rm++) {
            if (last == 8)
                form.rm = (uint8_t)rm;
            add_form(forms, mode, form);
        }
    }
}

static bool find_forms(struct diff_forms *forms, unsigned mode)
{
    static const uint8_t prefixes[] = { 0, 0x66, 0xf2, 0xf3 };
    for (unsigned map = 0; map < MAP_COUNT; map++)
        for (unsigned n = 0; n < 256 * 4; n++) {
            struct form form = { .map = (uint8_t)map,
                                 .opcode = (uint8_t)(n >> 2),
                                 .prefix = prefixes[n & 3] };
            bool escape = map == MAP_1 && rm_chooses(map, form.opcode);
            if (map == MAP_1 && (is_prefix(form.opcode, mode) || form.opcode == 0x0f))
                continue;
            if (!escape || form.prefix == 0)
                find_operands(forms, mode, form);
        }
    return index_forms(&forms->modes[mode]);
}

struct diff_forms *forms_new(const char *only)
{
    struct diff_forms *forms = calloc(1, sizeof(*forms));
    if (forms)
        forms->only = only;
    for (unsigned mode = 0; forms && mode < DIFF_MODES; mode++) {
        if (!find_forms(forms, mode)) {
            forms_free(forms);
            return NULL;
        }
    }
    return forms;
}

void forms_free(struct diff_forms *forms)
{
    for (unsigned mode = 0; forms && mode < DIFF_MODES; mode++) {
        free(forms->modes[mode].forms);
        free(forms->modes[mode].first);
    }
    free(forms);
}

unsigned forms_modes(const struct diff_forms *forms)
{
    unsigned modes = 0;
    for (unsigned mode = 0; mode < DIFF_MODES; mode++)
        modes |= (forms->modes[mode].count != 0) << mode;
    return modes;
}

void forms_print(const struct diff_forms *forms)
{
    static const char *const names[] = { "64-bit", "32-bit", "16-bit" };
    for (unsigned mode = 0; mode < DIFF_MODES; mode++)
        printf("%s: %u encodings of %u forms\n", names[mode], forms->modes[mode].count,
               forms->modes[mode].kind_count);
    if (forms->missing)
        printf("%u encodings of offered instruction sets have no row\n", forms->missing);
}

void forms_tally(struct diff_forms *forms, const struct diff_case *ran)
{
    forms->kinds[ran->kind].ran[ran->mode]++;
}
