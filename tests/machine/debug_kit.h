/* A machine whose processors run hand-made code in 64-bit mode over the tables of tests/cpu/kit.h, and its debugger. */
#ifndef TESTS_MACHINE_DEBUG_KIT_H
#define TESTS_MACHINE_DEBUG_KIT_H

#include "emu/machine/breaks.h"
#include "emu/machine/machine.h"

#include "tests/cpu/kit.h"

#define NPT_SPA 0x100000u  /* nested tables: 2 MiB pages */
#define GUEST_AT 0x800000u /* what the guest has at gpa 400000h */
#define GUEST_CODE 0x400000u

struct scene {
    struct pacifica_machine *machine;
    struct kit kit; /* borrows memory and the first processor */
    struct pacifica_result result;
    struct pacifica_diag diag;
};

static const struct pacifica_device scene_exit = { .kind = PACIFICA_DEVICE_DEBUG_EXIT,
                                                   .port = 0xf4,
                                                   .port_count = 4 };

static inline void scene_init(struct scene *scene, unsigned cpus)
{
    struct pacifica_options options = PACIFICA_OPTIONS_INIT;
    options.ram_bytes = 16 << 20;
    options.cpus = cpus;
    options.devices = &scene_exit;
    options.device_count = 1;
    *scene = (struct scene){ 0 };
    ck_assert_int_eq(pacifica_machine_new(&options, &scene->machine, NULL), PACIFICA_OK);
    scene->kit.memory = scene->machine->memory;
    for (unsigned i = cpus; i-- > 0;) {
        scene->kit.cpu = scene->machine->cpu[i];
        kit_tables(&scene->kit);
        kit_mode(&scene->kit, MODE_LONG64, 0);
        scene->kit.cpu->regs.wait_sipi = false;
        scene->kit.cpu->r[REG_RSP] = STACK_TOP + 0x1000 * i;
    }
    scene->kit.vmcb = memory_ptr(scene->machine->memory, VMCB_SPA, 4096);
}

static inline void scene_fini(struct scene *scene)
{
    pacifica_machine_free(scene->machine);
}

static inline void scene_code(struct scene *scene, uint64_t spa, const void *code, size_t size)
{
    ck_assert(phys_write_block(scene->machine->memory, spa, code, size));
}
#define CODE_AT(scene, spa, ...)                                 \
    scene_code((scene), (spa), (const uint8_t[]){ __VA_ARGS__ }, \
               sizeof((const uint8_t[]){ __VA_ARGS__ }))

/* Run so many further steps at most. */
static inline enum pacifica_stop scene_run(struct scene *scene, uint64_t steps)
{
    struct pacifica_limits limits = PACIFICA_LIMITS_INIT;
    limits.max_steps = group_steps(scene->machine->cpu[0]) + steps;
    pacifica_machine_run(scene->machine, &limits, &scene->result);
    return scene->result.stop;
}

static inline uint64_t scene_steps(struct scene *scene)
{
    return group_steps(scene->machine->cpu[0]);
}

/* A VMCB for a guest in 32-bit protected mode without paging of its own, behind nested tables that map its page 400000h to
 * GUEST_AT and the rest to itself. Its code starts at gpa 400000h. */
static inline void scene_guest(struct scene *scene)
{
    struct memory *memory = scene->machine->memory;
    uint8_t *vmcb = scene->kit.vmcb;
    const struct segment code = { .selector = 8, .attr = 0xc9b, .limit = UINT32_MAX };
    const struct segment data = { .selector = 16, .attr = 0xc93, .limit = UINT32_MAX };
    phys_write(memory, NPT_SPA, 8, (NPT_SPA + 0x1000) | 7);
    phys_write(memory, NPT_SPA + 0x1000, 8, (NPT_SPA + 0x2000) | 7);
    for (uint64_t i = 0; i < 8; i++)
        phys_write(memory, NPT_SPA + 0x2000 + 8 * i, 8, i << 21 | 0x87);
    phys_write(memory, NPT_SPA + 0x2010, 8, GUEST_AT | 0x87);
    memset(vmcb, 0, 4096);
    VMCB_SET(vmcb, INTERCEPT_4, 3); /* VMRUN, VMMCALL */
    VMCB_SET(vmcb, IOPM_BASE_PA, IOPM_SPA);
    VMCB_SET(vmcb, MSRPM_BASE_PA, MSRPM_SPA);
    VMCB_SET(vmcb, GUEST_ASID, 1);
    VMCB_SET(vmcb, NESTED_CONTROL, 1);
    VMCB_SET(vmcb, N_CR3, NPT_SPA);
    VMCB_SET(vmcb, G_PAT, 0x0007040600070406);
    vmcb_store_segment(vmcb, VMCB_AT_CS_SEL, &code);
    vmcb_store_segment(vmcb, VMCB_AT_SS_SEL, &data);
    vmcb_store_segment(vmcb, VMCB_AT_DS_SEL, &data);
    vmcb_store_segment(vmcb, VMCB_AT_ES_SEL, &data);
    VMCB_SET(vmcb, EFER, EFER_SVME);
    VMCB_SET(vmcb, CR0, CR0_PE | CR0_ET);
    VMCB_SET(vmcb, DR6, 0xffff0ff0);
    VMCB_SET(vmcb, DR7, 0x400);
    VMCB_SET(vmcb, RFLAGS, 2);
    VMCB_SET(vmcb, RIP, GUEST_CODE);
    VMCB_SET(vmcb, RSP, 0x3f0000);
    phys_written(memory, VMCB_SPA, 4096);
    scene->machine->cpu[0]->msr.vm_hsave_pa = HSAVE_SPA;
}

/* --- the debugger's side --- */

static inline size_t register_index(const char *name)
{
    size_t count;
    const struct pacifica_register *all = pacifica_registers(&count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(all[i].name, name) == 0)
            return i;
    ck_abort_msg("no register %s", name);
    return SIZE_MAX;
}

static inline uint64_t get_register(struct scene *scene, unsigned cpu, const char *name)
{
    uint64_t value[4] = { 0 };
    ck_assert_int_eq(
        pacifica_machine_register_get(scene->machine, cpu, register_index(name), value),
        PACIFICA_OK);
    return value[0];
}

static inline enum pacifica_status set_register(struct scene *scene, const char *name,
                                                uint64_t value)
{
    uint64_t bytes[4] = { value };
    return pacifica_machine_register_set(scene->machine, 0, register_index(name), bytes,
                                         &scene->diag);
}

static inline unsigned add_break(struct scene *scene, struct pacifica_break wanted)
{
    unsigned id;
    ck_assert_int_eq(pacifica_break_add(scene->machine, &wanted, &id, &scene->diag), PACIFICA_OK);
    ck_assert_uint_ne(id, 0);
    return id;
}

static inline struct pacifica_break break_of(enum pacifica_break_kind kind)
{
    struct pacifica_break wanted = PACIFICA_BREAK_INIT;
    wanted.kind = kind;
    return wanted;
}

static inline unsigned break_at(struct scene *scene, uint64_t address)
{
    struct pacifica_break wanted = break_of(PACIFICA_BREAK_EXECUTE);
    wanted.address = address;
    return add_break(scene, wanted);
}

static inline unsigned break_on(struct scene *scene, enum pacifica_break_kind kind, uint64_t number)
{
    struct pacifica_break wanted = break_of(kind);
    wanted.number = number;
    return add_break(scene, wanted);
}

static inline unsigned watch(struct scene *scene, enum pacifica_break_kind kind,
                             enum pacifica_space space, uint64_t address, uint32_t size)
{
    struct pacifica_break wanted = break_of(kind);
    wanted.space = space;
    wanted.address = address;
    wanted.size = size;
    return add_break(scene, wanted);
}

/* The machine stopped at break `id`, its current processor before `rip`. */
static inline void stopped_at(const struct scene *scene, unsigned id, uint64_t rip)
{
    ck_assert_int_eq(scene->result.stop, PACIFICA_STOP_BREAK);
    ck_assert_uint_eq(scene->result.break_id, id);
    ck_assert_uint_eq(cpu_rip(scene->machine->cpu[scene->result.cpu]), rip);
}

#endif
