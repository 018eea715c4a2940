/* The VGA's state, and marks of its memory. */
#include "devices/vga_priv.h"

#include <stdlib.h>
#include <string.h>

static void registers_state(struct vga *vga, struct snap *snap)
{
    SNAP(snap, vga, seq_index);
    SNAP(snap, vga, gfx_index);
    SNAP(snap, vga, crtc_index);
    SNAP(snap, vga, attr_index);
    SNAP(snap, vga, attr_data);
    SNAP_ALL(snap, vga, seq);
    SNAP_ALL(snap, vga, gfx);
    SNAP_ALL(snap, vga, crtc);
    SNAP_ALL(snap, vga, attr);
    SNAP(snap, vga, misc);
    SNAP(snap, vga, feature);
    SNAP(snap, vga, enable);
    SNAP(snap, vga, dac_mask);
    SNAP(snap, vga, dac_state);
    SNAP(snap, vga, dac_read);
    SNAP(snap, vga, dac_write);
    vga->dac_step = (uint8_t)snap_below(snap, "dac_step", vga->dac_step, 3);
    SNAP_ALL(snap, vga, dac_latch);
    snap_bytes(snap, "dac", &vga->dac[0][0], sizeof(vga->dac));
    SNAP(snap, vga, latch);
}

static void vbe_state(struct vga *vga, struct snap *snap)
{
    SNAP(snap, vga, vbe_index);
    SNAP_ALL(snap, vga, vbe);
    SNAP(snap, vga, big_endian);
    if (!snap_loading(snap) || vga_vbe_good(vga))
        return;
    snap_refuse(snap, "vbe");
    vga_vbe_reset(vga);
}

static void memory_state(struct vga *vga, struct snap *snap)
{
    snap_sparse(snap, "memory", vga->memory, VGA_MEMORY_BYTES, vga->touched);
    for (unsigned page = 0; snap_loading(snap) && page < VGA_PAGES; page++)
        if (vga->touched[page])
            vga->touched[page] = VGA_TOUCHED | VGA_CHANGED;
}

void vga_state(void *self, struct snap *snap)
{
    struct vga *vga = self;
    pci_device_state(&vga->pci, snap);
    registers_state(vga, snap);
    vbe_state(vga, snap);
    if (!snap->without_media)
        memory_state(vga, snap);
}

/* --- marks ------------------------------------------------------------------------------------------- */

struct vga_mark {
    struct pages_mark *memory;
};

static uint8_t *page_at(const struct vga *vga, unsigned page)
{
    return vga->memory + (size_t)page * VGA_PAGE;
}

/* Bring what is kept of a page up to date. false: without memory. */
static bool keep_page(struct vga *vga, unsigned page)
{
    static const uint8_t zeros[VGA_PAGE];
    if (memcmp(page_at(vga, page), zeros, VGA_PAGE) == 0) {
        if (!pages_drop(vga->marked, page))
            return false;
        vga->touched[page] = 0;
        return true;
    }
    struct page *kept = pages_change(vga->marked, page);
    if (!kept)
        return false;
    memcpy(kept->bytes, page_at(vga, page), VGA_PAGE);
    vga->touched[page] = VGA_TOUCHED;
    return true;
}

struct vga_mark *vga_mark(struct vga *vga)
{
    if (!vga->marked)
        vga->marked = pages_new(VGA_PAGES);
    struct vga_mark *mark = vga->marked ? calloc(1, sizeof(*mark)) : NULL;
    if (!mark)
        return NULL;
    bool kept = true;
    for (unsigned page = 0; kept && page < VGA_PAGES; page++)
        if (vga->touched[page] & VGA_CHANGED)
            kept = keep_page(vga, page);
    mark->memory = kept ? pages_mark(vga->marked) : NULL;
    if (mark->memory)
        return mark;
    free(mark);
    return NULL;
}

void vga_return(struct vga *vga, const struct vga_mark *mark)
{
    for (unsigned page = 0; page < VGA_PAGES; page++) {
        const struct page *wanted = pages_mark_get(mark->memory, page);
        if (!(vga->touched[page] & VGA_CHANGED) && pages_get(vga->marked, page) == wanted)
            continue;
        if (wanted)
            memcpy(page_at(vga, page), wanted->bytes, VGA_PAGE);
        else
            memset(page_at(vga, page), 0, VGA_PAGE);
        vga->touched[page] = wanted ? VGA_TOUCHED : 0;
    }
    pages_return(vga->marked, mark->memory);
}

void vga_mark_free(struct vga_mark *mark)
{
    if (!mark)
        return;
    pages_mark_free(mark->memory);
    free(mark);
}

uint64_t vga_mark_bytes(const struct vga_mark *mark)
{
    return sizeof(*mark) + pages_mark_bytes(mark->memory);
}

uint64_t vga_mark_memory(const struct vga *vga)
{
    return vga->marked ? pages_memory(vga->marked) : 0;
}
