/* The local APICs as a device: which of them answers where, the APIC_BASE MSR, reset. APM vol 2, 16.3 "Local APIC",
 * 16.9 "Detecting and Enabling x2APIC Mode".
 *
 * CHOICE: registers are read and written by naturally aligned doublewords; the manual leaves other accesses undefined.
 * Here other reads see the bytes of the registers and zeros between them, other writes do nothing.
 * CHOICE: AE is 1 after reset, as on every machine by the time an image runs; 16.10 says RESET clears it.
 * CHOICE: clearing AE puts the registers into their reset state, the ID included. */
#include "devices/lapic_priv.h"

#include <stdlib.h>

#define WINDOW_BYTES 4096
#define RESET_BASE 0xfee00000u

/* --- the window in memory ---------------------------------------------------------------------- */

/* A location without a register. 16.4.6: "illegal register address". */
static void illegal_address(struct lapic *lapic)
{
    lapic_tell(lapic, PROBE_GUEST_ERROR, "APIC: no register at this offset (APM vol 2, 16.3.2)");
    lapic_error(lapic, ESR_ADDRESS);
}

static uint32_t window_read(struct lapic *lapic, unsigned reg)
{
    if (lapic_register_exists(lapic, reg))
        return lapic_register_read(lapic, reg);
    illegal_address(lapic);
    return 0;
}

static uint64_t apics_mmio_read(void *self, uint64_t offset, unsigned size)
{
    struct apics *apics = self;
    struct lapic *lapic = &apics->cpu[apics->selected];
    if (size == 4 && !(offset & 15))
        return window_read(lapic, (unsigned)offset >> 4);
    lapic_tell(lapic, PROBE_GUEST_ERROR,
               "APIC: read is not an aligned doubleword (APM vol 2, 16.3.2)");
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++) {
        unsigned at = (unsigned)offset + i;
        if ((at & 15) < 4)
            value |= (uint64_t)(window_read(lapic, at >> 4) >> 8 * (at & 15) & 0xff) << 8 * i;
    }
    return value;
}

static void apics_mmio_write(void *self, uint64_t offset, unsigned size, uint64_t value)
{
    struct apics *apics = self;
    struct lapic *lapic = &apics->cpu[apics->selected];
    unsigned reg = (unsigned)offset >> 4;
    if (size != 4 || (offset & 15))
        lapic_tell(lapic, PROBE_GUEST_ERROR,
                   "APIC: write that is not an aligned doubleword is ignored (APM vol 2, 16.3.2)");
    else if (!lapic_register_exists(lapic, reg))
        illegal_address(lapic);
    else if (!lapic_register_writable(lapic, reg))
        lapic_tell(lapic, PROBE_GUEST_ERROR, "APIC: write to a read-only register");
    else
        lapic_register_write(lapic, reg, (uint32_t)value);
}

/* Show the window of the selected processor: there is none while its APIC is disabled or in x2APIC mode. */
static void show_window(struct apics *apics)
{
    const struct lapic *lapic = &apics->cpu[apics->selected];
    uint64_t spa = lapic->apic_base & APIC_BASE_ABA;
    uint64_t bytes = lapic_enabled(lapic) && !lapic_x2apic(lapic) ? WINDOW_BYTES : 0;
    if (spa == apics->window_spa && bytes == apics->window_bytes)
        return;
    apics->window_spa = spa;
    apics->window_bytes = bytes;
    bus_map_mmio(apics->bus, apics, spa, bytes);
}

void apics_select(struct apics *apics, unsigned index)
{
    if (index >= apics->config.count || index == apics->selected)
        return;
    apics->selected = index;
    show_window(apics);
}

/* --- APIC_BASE ----------------------------------------------------------------------------------- */

uint64_t lapic_read_base(void *self)
{
    const struct lapic *lapic = self;
    return lapic->apic_base;
}

/* Figure 16-32: from disabled to xAPIC to x2APIC mode, and back to disabled from either. */
static bool is_transition(uint64_t old, uint64_t new)
{
    const uint64_t modes = APIC_BASE_AE | APIC_BASE_EXTD;
    if ((new &modes) == (old & modes))
        return true;
    switch (new &modes) {
    case 0: return true;
    case APIC_BASE_AE: return (old & modes) == 0;
    case APIC_BASE_AE | APIC_BASE_EXTD: return (old & modes) == APIC_BASE_AE;
    default: return false;
    }
}

/* 16.9.1: LDR and the upper half of the ICR are not preserved, the ID gets its 32-bit form; 16.14. */
static void enter_x2apic(struct lapic *lapic)
{
    lapic->icr_high = 0;
    lapic->icr_low &= ICR_WRITABLE;
    lapic->ldr = lapic->id >> 4 << 16 | 1u << (lapic->id & 15);
}

static void tell_where(const struct lapic *lapic)
{
    struct memory *memory = bus_memory(lapic->apics->bus);
    if (lapic_enabled(lapic) && !lapic_x2apic(lapic) && memory &&
        memory_backing(memory, lapic->apic_base & APIC_BASE_ABA) != UINT64_MAX)
        lapic_tell(lapic, PROBE_UNIMP,
                   "APIC: registers moved over RAM cannot be reached (APM vol 2, 16.3.1)");
}

/* 16.3.1 "Local APIC Enable"; BSC is read-only. EXTD is reserved where CPUID does not offer x2APIC mode. */
bool lapic_write_base(void *self, uint64_t value)
{
    struct lapic *lapic = self;
    struct apics *apics = lapic->apics;
    uint64_t address = APIC_BASE_ABA & ((1ull << apics->config.maxphyaddr) - 1);
    uint64_t flags = APIC_BASE_AE | APIC_BASE_BSC | (apics->config.x2apic ? APIC_BASE_EXTD : 0);
    if ((value & ~(address | flags)) || !is_transition(lapic->apic_base, value))
        return false;
    bool was_enabled = lapic_enabled(lapic), was_x2apic = lapic_x2apic(lapic);
    lapic->apic_base = (value & ~(uint64_t)APIC_BASE_BSC) | (lapic->apic_base & APIC_BASE_BSC);
    if (was_enabled && !lapic_enabled(lapic)) {
        lapic->id = lapic->index;
        lapic_registers_reset(lapic);
    }
    if (!was_x2apic && lapic_x2apic(lapic))
        enter_x2apic(lapic);
    show_window(apics);
    tell_where(lapic);
    lapic_changed(lapic);
    return true;
}

/* 16.10 "x2APIC Initialization": INIT keeps the mode. The ID stays what software made of it. */
void lapic_init(void *self)
{
    struct lapic *lapic = self;
    lapic_registers_reset(lapic);
    if (lapic_x2apic(lapic))
        enter_x2apic(lapic);
    lapic_changed(lapic);
}

/* --- the device ------------------------------------------------------------------------------------ */

static void apics_reset(void *self)
{
    struct apics *apics = self;
    for (unsigned i = 0; i < apics->config.count; i++) {
        struct lapic *lapic = &apics->cpu[i];
        lapic->apic_base = RESET_BASE | APIC_BASE_AE | (i == 0 ? APIC_BASE_BSC : 0);
        lapic->id = i;
        lapic_registers_reset(lapic);
    }
    show_window(apics);
}

static void apics_fini(void *self)
{
    struct apics *apics = self;
    for (unsigned i = 0; apics->cpu && i < apics->config.count; i++)
        clock_cancel(apics->clock, &apics->cpu[i].expiry);
    free(apics->cpu);
}

static bool base_is_possible(const struct lapic *lapic)
{
    const struct apics_config *config = &lapic->apics->config;
    uint64_t may = (APIC_BASE_ABA & ((UINT64_C(1) << config->maxphyaddr) - 1)) | APIC_BASE_AE |
                   (lapic->index == 0 ? APIC_BASE_BSC : 0) | (config->x2apic ? APIC_BASE_EXTD : 0);
    return !(lapic->apic_base & ~may) && (lapic_enabled(lapic) || !lapic_x2apic(lapic));
}

static void state_of_cpu(struct lapic *lapic, struct snap *snap)
{
    SNAP(snap, lapic, apic_base);
    SNAP(snap, lapic, id);
    SNAP(snap, lapic, ldr);
    SNAP(snap, lapic, icr_high);
    SNAP(snap, lapic, dfr);
    SNAP(snap, lapic, svr);
    SNAP(snap, lapic, icr_low);
    SNAP(snap, lapic, remote_read);
    SNAP(snap, lapic, tpr);
    SNAP(snap, lapic, seoi);
    SNAP(snap, lapic, ext_control);
    SNAP(snap, lapic, esr);
    SNAP(snap, lapic, errors);
    SNAP_ALL(snap, lapic, isr);
    SNAP_ALL(snap, lapic, tmr);
    SNAP_ALL(snap, lapic, irr);
    SNAP_ALL(snap, lapic, ier);
    SNAP_ALL(snap, lapic, lvt);
    SNAP_ALL(snap, lapic, lint);
    SNAP_ALL(snap, lapic, lint_vector);
    SNAP(snap, lapic, extint);
    lapic_timer_state(lapic, snap);
    if (snap_loading(snap) && !base_is_possible(lapic)) {
        snap_refuse(snap, "apic_base");
        lapic->apic_base = RESET_BASE;
    }
}

/* Whose window is shown is for the machine to say, as before. */
static void apics_state(void *self, struct snap *snap)
{
    struct apics *apics = self;
    for (unsigned i = 0; i < apics->config.count; i++) {
        state_of_cpu(&apics->cpu[i], snap);
        lapic_find_highest(&apics->cpu[i]);
    }
    show_window(apics);
}

/* The PIC's INTR is wired to every LINT0. */
static void lint0_from_pic(void *self, bool level)
{
    struct apics *apics = self;
    for (unsigned i = 0; i < apics->config.count; i++)
        lapic_set_lint(&apics->cpu[i], 0, level);
}

static const struct dev_class dev_apics = {
    .name = "lapic",
    .state_size = sizeof(struct apics),
    .reset = apics_reset,
    .fini = apics_fini,
    .mmio_read = apics_mmio_read,
    .mmio_write = apics_mmio_write,
    .state = apics_state,
    .state_version = 1,
};

struct apics *apics_add(struct bus *bus, const struct apics_config *config)
{
    struct apics *apics = bus_add(bus, &dev_apics);
    if (!apics)
        return NULL;
    apics->config = *config;
    if (config->count == 0)
        apics->config.count = 1;
    if (config->maxphyaddr < 32 || config->maxphyaddr > 52)
        apics->config.maxphyaddr = 52;
    apics->bus = bus;
    apics->clock = bus_clock(bus);
    if (apics->config.count > APICS_MAX)
        return NULL;
    apics->cpu = calloc(apics->config.count, sizeof(*apics->cpu));
    if (!apics->cpu)
        return NULL;
    for (unsigned i = 0; i < apics->config.count; i++) {
        struct lapic *lapic = &apics->cpu[i];
        lapic->apics = apics;
        lapic->index = i;
        lapic->expiry = (struct deadline){ .fire = lapic_timer_fire, .self = lapic };
    }
    apics_reset(apics);
    if (config->pic)
        pic_connect(config->pic, lint0_from_pic, apics);
    return apics;
}

struct lapic *apics_cpu(struct apics *apics, unsigned index)
{
    assert(index < apics->config.count);
    return &apics->cpu[index];
}

void apics_listen(struct apics *apics, const struct apics_listener *listener)
{
    apics->listener = *listener;
}

void apics_firmware_init(struct apics *apics)
{
    struct lapic *lapic = &apics->cpu[0];
    lapic_register_write(lapic, R_SVR, SVR_ENABLE | 0xff);
    lapic_register_write(lapic, R_LVT + LVT_LINT0, LVT_LEVEL | MT_EXTINT << 8);
    lapic_register_write(lapic, R_LVT + LVT_LINT1, LVT_LEVEL | MT_NMI << 8);
}
