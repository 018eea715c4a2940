/* Memory as debuggers see it: spaces, reads and writes without effects, the map of what there is. */
#include "emu/machine/access.h"

#include "emu/base/diag.h"
#include "emu/cpu/cpuid.h"
#include "emu/cpu/mem.h"
#include "emu/cpu/smm.h"
#include "emu/machine/breaks.h"
#include "emu/machine/journal.h"
#include "svm/svm.h"
#include "svm/vmcb.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PAGE_BYTES UINT64_C(4096)

/* --- what translates ---------------------------------------------------------------------------- */

/* Rights are no matter here: whatever is present may be read and written by a debugger. */
static struct walk_regime plain_regime(const struct vcpu *cpu, uint64_t cr0, uint64_t cr3,
                                       uint64_t cr4, uint64_t efer)
{
    efer &= ~(uint64_t)EFER_LMA;
    if ((efer & EFER_LME) && (cr0 & CR0_PG))
        efer |= EFER_LMA;
    return (struct walk_regime){ .mode = walk_mode_of(cr0, cr4, efer),
                                 .root = cr3,
                                 .nxe = efer & EFER_NXE,
                                 .pse = cr4 & CR4_PSE,
                                 .pge = cr4 & CR4_PGE,
                                 .pcide = cr4 & CR4_PCIDE,
                                 .maxphyaddr = cpu->model->address_bits,
                                 .page_1gb = cpu_has(cpu, CPU_FEATURE_PAGE1GB),
                                 .smm = cpu->regs.smm };
}

static void take_current(struct vcpu *cpu, struct access_view *view)
{
    view->regime = *mem_regime(cpu);
    view->regime.cpl = 0;
    view->regime.smap = false;
    view->regime.pkru = 0;
    view->regime.shadow_stack = false;
    view->nested = view->regime.nested != NULL;
    if (view->nested)
        view->nested_regime = *view->regime.nested;
}

/* The host that #VMEXIT would load. */
static void take_host(const struct vcpu *cpu, struct access_view *view)
{
    uint64_t page = cpu->msr.vm_hsave_pa;
    view->regime = plain_regime(cpu, phys_read(cpu->memory, page + VMCB_AT_CR0, 8),
                                phys_read(cpu->memory, page + VMCB_AT_CR3, 8),
                                phys_read(cpu->memory, page + VMCB_AT_CR4, 8),
                                phys_read(cpu->memory, page + VMCB_AT_EFER, 8));
}

/* The guest of the last VMRUN, as its VMCB has it. */
static const char *take_guest(const struct vcpu *cpu, struct access_view *view)
{
    uint8_t vmcb[VMCB_PAGE_BYTES];
    const struct cpu_regs *host = &cpu->regs;
    if (cpu->svm->vmruns == 0)
        return "there was no VMRUN yet";
    if (!phys_read_block(cpu->memory, cpu->svm->vmcb_spa, vmcb, sizeof(vmcb)))
        return "the VMCB is no longer in memory";
    view->regime = plain_regime(cpu, VMCB_GET(vmcb, CR0), VMCB_GET(vmcb, CR3), VMCB_GET(vmcb, CR4),
                                VMCB_GET(vmcb, EFER));
    view->nested = (VMCB_GET(vmcb, NESTED_CONTROL) & NESTED_NP_ENABLE) != 0 &&
                   (cpu->svm->model.features & SVM_FEATURE_NP);
    if (view->nested) {
        view->nested_regime =
            plain_regime(cpu, host->cr0, VMCB_GET(vmcb, N_CR3), host->cr4, host->efer);
        view->nested_regime.cpl = 3;
    }
    return NULL;
}

const char *access_view(struct vcpu *cpu, enum pacifica_space space, struct access_view *view)
{
    bool guest = svm_guest(cpu);
    const char *lacks = NULL;
    *view = (struct access_view){ .is_linear = true };
    switch (space) {
    case PACIFICA_SPACE_LINEAR: take_current(cpu, view); break;
    case PACIFICA_SPACE_PHYSICAL: view->physical = true; return NULL;
    case PACIFICA_SPACE_HOST_LINEAR:
        if (guest)
            take_host(cpu, view);
        else
            take_current(cpu, view);
        break;
    case PACIFICA_SPACE_GUEST_LINEAR:
    case PACIFICA_SPACE_GUEST_PHYSICAL:
        if (guest)
            take_current(cpu, view);
        else
            lacks = take_guest(cpu, view);
        break;
    default: return "there is no such space";
    }
    if (lacks)
        return lacks;
    if (space == PACIFICA_SPACE_GUEST_PHYSICAL) {
        view->is_linear = false;
        view->physical = !view->nested;
        view->regime.mode = WALK_NONE;
    }
    return NULL;
}

bool access_walk(const struct vcpu *cpu, const struct access_view *view, uint64_t address,
                 struct walk_log *log, struct walk_result *res)
{
    const struct access read = { .kind = ACCESS_READ };
    struct walk_regime regime = view->regime;
    if (log)
        log->count = 0;
    if (view->physical) {
        *res = (struct walk_result){ .status = WALK_OK, .gpa = address, .spa = address };
        return true;
    }
    if (view->is_linear && regime.mode < WALK_4LEVEL)
        address = (uint32_t)address;
    else if (view->is_linear && !paging_is_canonical(address, regime.mode == WALK_5LEVEL))
        return false;
    regime.nested = view->nested ? &view->nested_regime : NULL;
    *res = log ? walk_explain(cpu->memory, &regime, address, read, log)
               : walk(cpu->memory, &regime, address, read, false);
    return true;
}

/* --- reading and writing ------------------------------------------------------------------------- */

typedef bool block_copy(struct memory *memory, uint64_t spa, void *bytes, size_t size);

static bool copy_in(struct memory *memory, uint64_t spa, void *bytes, size_t size)
{
    return phys_write_block(memory, spa, bytes, size);
}

/* Page by page, to the first that cannot be had. */
static size_t copy_pages(struct vcpu *cpu, enum pacifica_space space, uint64_t address,
                         uint8_t *bytes, size_t size, block_copy *copy)
{
    struct access_view view;
    struct walk_result res;
    size_t done = 0;
    if (access_view(cpu, space, &view))
        return 0;
    while (done < size) {
        uint64_t at = address + done;
        size_t part = (size_t)(PAGE_BYTES - at % PAGE_BYTES);
        part = part < size - done ? part : size - done;
        if (at < address || !access_walk(cpu, &view, at, NULL, &res) || res.status != WALK_OK ||
            !copy(cpu->memory, res.spa, bytes + done, part))
            break;
        done += part;
    }
    return done;
}

size_t access_read(struct vcpu *cpu, enum pacifica_space space, uint64_t address, void *to,
                   size_t size)
{
    return copy_pages(cpu, space, address, to, size, phys_read_block);
}

size_t access_write(struct vcpu *cpu, enum pacifica_space space, uint64_t address, const void *from,
                    size_t size)
{
    return copy_pages(cpu, space, address, (uint8_t *)(uintptr_t)from, size, copy_in);
}

/* Memory is as processor `index` sees it, for so long. NULL: there is none. */
static struct vcpu *borrow_view(struct pacifica_machine *machine, unsigned index)
{
    if (index >= machine->cpu_count)
        return NULL;
    smm_view(machine->cpu[index]);
    return machine->cpu[index];
}

static void return_view(struct pacifica_machine *machine)
{
    smm_view(machine_current(machine));
}

size_t pacifica_machine_memory_read(struct pacifica_machine *machine, unsigned cpu_index,
                                    enum pacifica_space space, uint64_t address, void *to,
                                    size_t size)
{
    struct vcpu *cpu = borrow_view(machine, cpu_index);
    if (!cpu)
        return 0;
    size_t done = access_read(cpu, space, address, to, size);
    return_view(machine);
    return done;
}

size_t machine_memory_write(struct pacifica_machine *machine, unsigned cpu_index,
                            enum pacifica_space space, uint64_t address, const void *from,
                            size_t size)
{
    struct vcpu *cpu = borrow_view(machine, cpu_index);
    if (!cpu)
        return 0;
    machine_breaks_quiet(machine, true);
    size_t done = access_write(cpu, space, address, from, size);
    machine_breaks_quiet(machine, false);
    return_view(machine);
    return done;
}

size_t pacifica_machine_memory_write(struct pacifica_machine *machine, unsigned cpu_index,
                                     enum pacifica_space space, uint64_t address, const void *from,
                                     size_t size)
{
    machine_change(machine);
    size_t done = machine_memory_write(machine, cpu_index, space, address, from, size);
    if (done)
        journal_note(machine, &(struct input){ .kind = INPUT_MEMORY,
                                               .index = (uint16_t)cpu_index,
                                               .a = (uint64_t)space,
                                               .b = address,
                                               .data = from,
                                               .size = (uint32_t)done });
    return done;
}

/* --- translating ---------------------------------------------------------------------------------- */

static enum pacifica_status not_mapped(const struct access_view *view, const char *where,
                                       const struct walk_result *res, const struct walk_log *log,
                                       struct pacifica_diag *diag)
{
    const struct walk_step *last = log->count ? &log->step[log->count - 1] : NULL;
    const char *tables = !view->nested ? "" : res->status == WALK_NPF ? "nested " : "guest ";
    if (!last)
        return diag_set(diag, PACIFICA_ERANGE, where, NULL, "not mapped");
    return diag_set(diag, PACIFICA_ERANGE, where, NULL,
                    "not mapped: the %slevel-%u entry at %#" PRIx64 " is %#" PRIx64, tables,
                    last->level, last->spa, last->entry);
}

static enum pacifica_status translate(struct vcpu *cpu, enum pacifica_space space, uint64_t address,
                                      uint64_t *physical, struct pacifica_diag *diag)
{
    struct access_view view;
    struct walk_log log;
    struct walk_result res;
    char where[32];
    const char *lacks = access_view(cpu, space, &view);
    (void)snprintf(where, sizeof(where), "%#" PRIx64, address);
    if (lacks)
        return diag_set(diag, PACIFICA_EUSAGE, where, NULL, "%s", lacks);
    if (!access_walk(cpu, &view, address, &log, &res))
        return diag_set(diag, PACIFICA_ERANGE, where, NULL, "not mapped: not canonical");
    if (res.status != WALK_OK)
        return not_mapped(&view, where, &res, &log, diag);
    *physical = res.spa;
    return PACIFICA_OK;
}

enum pacifica_status pacifica_machine_translate(struct pacifica_machine *machine,
                                                unsigned cpu_index, enum pacifica_space space,
                                                uint64_t address, uint64_t *physical,
                                                struct pacifica_diag *diag)
{
    struct vcpu *cpu = borrow_view(machine, cpu_index);
    if (!cpu)
        return diag_set(diag, PACIFICA_EUSAGE, NULL, NULL, "there is no processor %u", cpu_index);
    enum pacifica_status status = translate(cpu, space, address, physical, diag);
    return_view(machine);
    return status;
}

/* --- the map, the VMCB ------------------------------------------------------------------------------ */

/* What answers at a page: enum pacifica_memory_kind, or -1. */
static int kind_at(const struct memory *memory, uint64_t spa)
{
    uint64_t page = memory_backing(memory, spa);
    if (page == UINT64_MAX)
        return -1;
    return memory_page_writable(memory, page) ? PACIFICA_MEMORY_RAM : PACIFICA_MEMORY_ROM;
}

struct region_list {
    struct pacifica_memory_region *regions;
    size_t room, count;
    uint64_t next; /* where the last one ends, and of which kind it is */
    int kind;
};

static void add_region(struct region_list *list, int kind, uint64_t base, uint64_t bytes)
{
    if (kind < 0 || bytes == 0)
        return;
    bool joins = list->count && list->kind == kind && list->next == base;
    list->next = base + bytes;
    list->kind = kind;
    if (!joins)
        list->count++;
    if (list->count > list->room)
        return;
    struct pacifica_memory_region *region = &list->regions[list->count - 1];
    if (joins)
        region->bytes += bytes;
    else
        *region = (struct pacifica_memory_region){ (enum pacifica_memory_kind)kind, base, bytes };
}

static void add_pages(struct region_list *list, const struct memory *memory, uint64_t from,
                      uint64_t to)
{
    for (uint64_t spa = from; spa < to; spa += PAGE_BYTES)
        add_region(list, kind_at(memory, spa), spa, PAGE_BYTES);
}

#define HOLE UINT64_C(0xa0000)
#define HOLE_END UINT64_C(0x100000)
#define HIGH (UINT64_C(1) << 32)

size_t pacifica_machine_memory_map(const struct pacifica_machine *machine,
                                   struct pacifica_memory_region *regions, size_t room)
{
    const struct memory *memory = machine->memory;
    uint64_t high = memory_high_bytes(memory), low = memory_ram_bytes(memory) - high;
    struct region_list list = { .regions = regions, .room = room };
    add_region(&list, PACIFICA_MEMORY_RAM, 0, HOLE);
    add_pages(&list, memory, HOLE, HOLE_END);
    add_region(&list, PACIFICA_MEMORY_RAM, HOLE_END, low > HOLE_END ? low - HOLE_END : 0);
    add_pages(&list, memory, low, HIGH); /* ROMs, wherever they are */
    add_region(&list, PACIFICA_MEMORY_RAM, HIGH, high);
    return list.count;
}

static enum pacifica_status vmcb_field(struct vcpu *cpu, const char *name, uint64_t *value,
                                       uint64_t *offset, unsigned *bytes,
                                       struct pacifica_diag *diag)
{
    uint8_t page[VMCB_PAGE_BYTES];
    for (unsigned i = 0; i < VMCB_FIELD_COUNT; i++) {
        if (strcmp(vmcb_fields[i].name, name) != 0)
            continue;
        if (cpu->svm->vmruns == 0)
            return diag_set(diag, PACIFICA_ERANGE, name, NULL, "there was no VMRUN yet");
        if (!phys_read_block(cpu->memory, cpu->svm->vmcb_spa, page, sizeof(page)))
            return diag_set(diag, PACIFICA_ERANGE, name, NULL, "the VMCB is no longer in memory");
        *value = vmcb_field_value(page, (enum vmcb_field)i);
        if (offset)
            *offset = vmcb_fields[i].offset;
        if (bytes)
            *bytes = vmcb_fields[i].bytes;
        return PACIFICA_OK;
    }
    return diag_set(diag, PACIFICA_EUSAGE, name, "'pacifica vmcb' writes all names",
                    "a VMCB has no such field");
}

enum pacifica_status pacifica_machine_vmcb_field(struct pacifica_machine *machine,
                                                 unsigned cpu_index, const char *name,
                                                 uint64_t *value, uint64_t *offset, unsigned *bytes,
                                                 struct pacifica_diag *diag)
{
    struct vcpu *cpu = borrow_view(machine, cpu_index);
    if (!cpu)
        return diag_set(diag, PACIFICA_EUSAGE, NULL, NULL, "there is no processor %u", cpu_index);
    enum pacifica_status status = vmcb_field(cpu, name, value, offset, bytes, diag);
    return_view(machine);
    return status;
}
