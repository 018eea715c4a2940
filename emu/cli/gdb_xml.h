/* XML that grows in memory, and the types of registers in target descriptions. */
#ifndef EMU_CLI_GDB_XML_H
#define EMU_CLI_GDB_XML_H

#include "emu/compiler.h"

#include <stdbool.h>
#include <stddef.h>

/* Start from all zero; `text` is to be freed. failed: there was no memory. */
struct xml {
    char *text;
    size_t size, room;
    bool failed;
};

/* At most 500 characters at a time. */
void xml_put(struct xml *xml, const char *format, ...) EMU_PRINTF(2, 3);

/* The type with the names of the bits of i386_eflags, i386_mxcsr, cr0, cr4 or efer. */
void xml_flags(struct xml *xml, const char *name);

/* vec128, what xmm registers are. */
void xml_vector_types(struct xml *xml);

#endif
