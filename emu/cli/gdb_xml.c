/* XML that grows in memory, and the types of registers in target descriptions. */
#include "emu/cli/gdb_xml.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PART_MOST 512
#define ROOM_FIRST 16384

static bool make_room(struct xml *xml, size_t more)
{
    if (xml->room - xml->size >= more)
        return true;
    size_t room = xml->room ? 2 * xml->room : ROOM_FIRST;
    char *text = realloc(xml->text, room);
    if (!text)
        return false;
    xml->text = text;
    xml->room = room;
    return true;
}

void xml_put(struct xml *xml, const char *format, ...)
{
    va_list arguments;
    if (!make_room(xml, PART_MOST)) {
        xml->failed = true;
        return;
    }
    va_start(arguments, format);
    int length = vsnprintf(xml->text + xml->size, PART_MOST, format, arguments);
    va_end(arguments);
    if (length < 0 || length >= PART_MOST)
        xml->failed = true;
    else
        xml->size += (size_t)length;
}

/* --- flags ---------------------------------------------------------------------------------- */

struct field {
    const char *name; /* "": GDB shows it only by its value */
    unsigned first, last;
};

/* APM vol 2, 3.1.6 "RFLAGS Register". */
static const struct field eflags[] = {
    { "CF", 0, 0 },    { "", 1, 1 },     { "PF", 2, 2 },   { "AF", 4, 4 },   { "ZF", 6, 6 },
    { "SF", 7, 7 },    { "TF", 8, 8 },   { "IF", 9, 9 },   { "DF", 10, 10 }, { "OF", 11, 11 },
    { "NT", 14, 14 },  { "RF", 16, 16 }, { "VM", 17, 17 }, { "AC", 18, 18 }, { "VIF", 19, 19 },
    { "VIP", 20, 20 }, { "ID", 21, 21 },
};

/* APM vol 1, 4.2.2 "MXCSR Register". */
static const struct field mxcsr[] = {
    { "IE", 0, 0 },   { "DE", 1, 1 },   { "ZE", 2, 2 },   { "OE", 3, 3 },   { "UE", 4, 4 },
    { "PE", 5, 5 },   { "DAZ", 6, 6 },  { "IM", 7, 7 },   { "DM", 8, 8 },   { "ZM", 9, 9 },
    { "OM", 10, 10 }, { "UM", 11, 11 }, { "PM", 12, 12 }, { "FZ", 15, 15 },
};

/* APM vol 2, 3.1.1 "CR0 Register", 3.1.3 "CR4 Register", 3.1.7 "Extended Feature Enable Register (EFER)". */
static const struct field cr0[] = {
    { "PE", 0, 0 },   { "MP", 1, 1 },   { "EM", 2, 2 },   { "TS", 3, 3 },
    { "ET", 4, 4 },   { "NE", 5, 5 },   { "WP", 16, 16 }, { "AM", 18, 18 },
    { "NW", 29, 29 }, { "CD", 30, 30 }, { "PG", 31, 31 },
};
static const struct field cr4[] = {
    { "VME", 0, 0 },    { "PVI", 1, 1 },        { "TSD", 2, 2 },          { "DE", 3, 3 },
    { "PSE", 4, 4 },    { "PAE", 5, 5 },        { "MCE", 6, 6 },          { "PGE", 7, 7 },
    { "PCE", 8, 8 },    { "OSFXSR", 9, 9 },     { "OSXMMEXCPT", 10, 10 }, { "UMIP", 11, 11 },
    { "LA57", 12, 12 }, { "FSGSBASE", 16, 16 }, { "PCIDE", 17, 17 },      { "OSXSAVE", 18, 18 },
    { "SMEP", 20, 20 }, { "SMAP", 21, 21 },     { "PKE", 22, 22 },        { "CET", 23, 23 },
};
static const struct field efer[] = {
    { "SCE", 0, 0 },    { "LME", 8, 8 },     { "LMA", 10, 10 },   { "NXE", 11, 11 },
    { "SVME", 12, 12 }, { "LMSLE", 13, 13 }, { "FFXSR", 14, 14 }, { "TCE", 15, 15 },
};

#define FLAGS(name, size, fields)                                \
    {                                                            \
        name, size, fields, sizeof(fields) / sizeof((fields)[0]) \
    }
static const struct flags {
    const char *name;
    unsigned size;
    const struct field *fields;
    size_t count;
} all_flags[] = {
    FLAGS("i386_eflags", 4, eflags),
    FLAGS("i386_mxcsr", 4, mxcsr),
    FLAGS("cr0", 8, cr0),
    FLAGS("cr4", 8, cr4),
    FLAGS("efer", 8, efer),
};

void xml_flags(struct xml *xml, const char *name)
{
    for (size_t i = 0; i < sizeof(all_flags) / sizeof(all_flags[0]); i++) {
        const struct flags *flags = &all_flags[i];
        if (strcmp(flags->name, name) != 0)
            continue;
        xml_put(xml, "<flags id=\"%s\" size=\"%u\">\n", name, flags->size);
        for (size_t k = 0; k < flags->count; k++)
            xml_put(xml, "<field name=\"%s\" start=\"%u\" end=\"%u\"/>\n", flags->fields[k].name,
                    flags->fields[k].first, flags->fields[k].last);
        xml_put(xml, "</flags>\n");
    }
}

/* --- vectors -------------------------------------------------------------------------------- */

static const struct vector {
    const char *id, *type, *field;
    unsigned count;
} vectors[] = {
    { "v4f", "ieee_single", "v4_float", 4 }, { "v2d", "ieee_double", "v2_double", 2 },
    { "v16i8", "int8", "v16_int8", 16 },     { "v8i16", "int16", "v8_int16", 8 },
    { "v4i32", "int32", "v4_int32", 4 },     { "v2i64", "int64", "v2_int64", 2 },
};
#define VECTORS (sizeof(vectors) / sizeof(vectors[0]))

void xml_vector_types(struct xml *xml)
{
    for (size_t i = 0; i < VECTORS; i++)
        xml_put(xml, "<vector id=\"%s\" type=\"%s\" count=\"%u\"/>\n", vectors[i].id,
                vectors[i].type, vectors[i].count);
    xml_put(xml, "<union id=\"vec128\">\n");
    for (size_t i = 0; i < VECTORS; i++)
        xml_put(xml, "<field name=\"%s\" type=\"%s\"/>\n", vectors[i].field, vectors[i].id);
    xml_put(xml, "<field name=\"uint128\" type=\"uint128\"/>\n</union>\n");
}
