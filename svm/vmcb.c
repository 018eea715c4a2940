/* The table of VMCB fields. */
#include "svm/vmcb.h"

const struct vmcb_field_info vmcb_fields[VMCB_FIELD_COUNT] = {
#define VMCB_FIELD(area, name, offset, bytes, show, use, clean, home, how)                        \
    [VMCB_##                                                                                      \
        name] = { #name,          (offset),          (bytes), VMCB_AREA_##area, VMCB_SHOW_##show, \
                  VMCB_USE_##use, VMCB_CLEAN_##clean },
#include "svm/vmcb_fields.def"
#undef VMCB_FIELD
};

uint64_t vmcb_field_value(const uint8_t *page, enum vmcb_field field)
{
    const struct vmcb_field_info *info = &vmcb_fields[field];
    return info->bytes <= 8 ? vmcb_load(page, info->offset, info->bytes) : 0;
}

enum vmcb_field vmcb_field_at(unsigned offset)
{
    for (unsigned i = 0; i < VMCB_FIELD_COUNT; i++)
        if (offset >= vmcb_fields[i].offset &&
            offset - vmcb_fields[i].offset < vmcb_fields[i].bytes)
            return (enum vmcb_field)i;
    return VMCB_FIELD_COUNT;
}
