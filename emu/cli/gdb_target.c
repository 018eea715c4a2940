/* The registers as GDB has them. GDB knows some features by name, with registers of fixed names and sizes ("Target
 * Descriptions" in its manual, "i386 Features"); all others of the library follow in features of our own.
 *
 * CHOICE: GDB's rip is the linear address of the next instruction, CS.base + RIP, since GDB compares it with addresses; so
 * breakpoints and x/i work in real mode, too. Where CS.base is 0 both are the same. `ip` is RIP itself. And the architecture is always i386:x86-64: GDB has no way to
 * change it with the mode, so it disassembles 16-bit and 32-bit code wrongly; `monitor x /i` does not. */
#include "emu/cli/gdb_target.h"
#include "emu/cli/code_bits.h"
#include "emu/cli/gdb_xml.h"

#include "emu/base/diag.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MASK_32 UINT64_C(0xffffffff)

struct making {
    struct gdb_target *target;
    struct xml xml;
    const struct pacifica_register *of; /* the library's */
    size_t of_count;
    bool *taken; /* it is in a feature of GDB's */
    size_t room;
};

static size_t find(const struct making *making, const char *name)
{
    for (size_t i = 0; i < making->of_count; i++)
        if (strcmp(making->of[i].name, name) == 0)
            return i;
    return SIZE_MAX;
}

/* Add a register: `bytes` of register `index` from `offset` on, at most as many as there are. */
static struct gdb_register *add(struct making *making, const char *name, size_t index,
                                unsigned offset, unsigned bits, const char *type, const char *group)
{
    struct gdb_target *target = making->target;
    struct gdb_register *reg = &target->regs[target->count++];
    unsigned bytes = index == SIZE_MAX ? 0 : making->of[index].bits / 8u - offset;
    (void)snprintf(reg->name, sizeof(reg->name), "%s", name);
    reg->index = index;
    reg->offset = (uint16_t)offset;
    reg->bits = (uint16_t)bits;
    reg->bytes = (uint16_t)(bytes < bits / 8 ? bytes : bits / 8);
    reg->linear = false;
    if (index != SIZE_MAX)
        making->taken[index] = true;
    xml_put(&making->xml, "<reg name=\"%s\" bitsize=\"%u\" type=\"%s\"%s%s%s/>\n", name, bits, type,
            group ? " group=\"" : "", group ? group : "", group ? "\"" : "");
    return reg;
}

/* --- GDB's features ------------------------------------------------------------------------ */

static const struct fixed_register {
    const char *name;
    unsigned bits;
    const char *type, *group;
} core[] = {
    { "rax", 64, "int64", NULL },    { "rbx", 64, "int64", NULL },
    { "rcx", 64, "int64", NULL },    { "rdx", 64, "int64", NULL },
    { "rsi", 64, "int64", NULL },    { "rdi", 64, "int64", NULL },
    { "rbp", 64, "data_ptr", NULL }, { "rsp", 64, "data_ptr", NULL },
    { "r8", 64, "int64", NULL },     { "r9", 64, "int64", NULL },
    { "r10", 64, "int64", NULL },    { "r11", 64, "int64", NULL },
    { "r12", 64, "int64", NULL },    { "r13", 64, "int64", NULL },
    { "r14", 64, "int64", NULL },    { "r15", 64, "int64", NULL },
    { "rip", 64, "code_ptr", NULL }, { "eflags", 32, "i386_eflags", NULL },
    { "cs", 32, "int32", NULL },     { "ss", 32, "int32", NULL },
    { "ds", 32, "int32", NULL },     { "es", 32, "int32", NULL },
    { "fs", 32, "int32", NULL },     { "gs", 32, "int32", NULL },
    { "st0", 80, "i387_ext", NULL }, { "st1", 80, "i387_ext", NULL },
    { "st2", 80, "i387_ext", NULL }, { "st3", 80, "i387_ext", NULL },
    { "st4", 80, "i387_ext", NULL }, { "st5", 80, "i387_ext", NULL },
    { "st6", 80, "i387_ext", NULL }, { "st7", 80, "i387_ext", NULL },
    { "fctrl", 32, "int", "float" }, { "fstat", 32, "int", "float" },
    { "ftag", 32, "int", "float" },  { "fiseg", 32, "int", "float" },
    { "fioff", 32, "int", "float" }, { "foseg", 32, "int", "float" },
    { "fooff", 32, "int", "float" }, { "fop", 32, "int", "float" },
};
#define CORE_COUNT (sizeof(core) / sizeof(core[0]))

static void add_core(struct making *making)
{
    struct gdb_target *target = making->target;
    xml_put(&making->xml, "<feature name=\"org.gnu.gdb.i386.core\">\n");
    xml_flags(&making->xml, "i386_eflags");
    for (size_t i = 0; i < CORE_COUNT; i++) {
        const struct fixed_register *from = &core[i];
        struct gdb_register *reg = add(making, from->name, find(making, from->name), 0, from->bits,
                                       from->type, from->group);
        reg->linear = strcmp(from->name, "rip") == 0;
        if (reg->linear)
            target->pc = target->count - 1;
        else if (strcmp(from->name, "rsp") == 0)
            target->sp = target->count - 1;
        else if (strcmp(from->name, "rbp") == 0)
            target->fp = target->count - 1;
    }
    xml_put(&making->xml, "</feature>\n");
}

/* GDB has the low half of ymm0 as xmm0, the high one as ymm0h. */
static void add_vectors(struct making *making)
{
    char name[16], ymm[16];
    xml_put(&making->xml, "<feature name=\"org.gnu.gdb.i386.sse\">\n");
    xml_vector_types(&making->xml);
    xml_flags(&making->xml, "i386_mxcsr");
    for (unsigned i = 0; i < 16; i++) {
        (void)snprintf(name, sizeof(name), "xmm%u", i);
        (void)snprintf(ymm, sizeof(ymm), "ymm%u", i);
        (void)add(making, name, find(making, ymm), 0, 128, "vec128", NULL);
    }
    (void)add(making, "mxcsr", find(making, "mxcsr"), 0, 32, "i386_mxcsr", "vector");
    xml_put(&making->xml, "</feature>\n<feature name=\"org.gnu.gdb.i386.avx\">\n");
    for (unsigned i = 0; i < 16; i++) {
        (void)snprintf(name, sizeof(name), "ymm%uh", i);
        (void)snprintf(ymm, sizeof(ymm), "ymm%u", i);
        (void)add(making, name, find(making, ymm), 16, 128, "uint128", NULL);
    }
    xml_put(&making->xml, "</feature>\n<feature name=\"org.gnu.gdb.i386.segments\">\n");
    (void)add(making, "fs_base", find(making, "fs_base"), 0, 64, "int", NULL);
    (void)add(making, "gs_base", find(making, "gs_base"), 0, 64, "int", NULL);
    xml_put(&making->xml, "</feature>\n");
}

/* --- ours ---------------------------------------------------------------------------------------- */

static const struct own_feature {
    const char *name, *group;
} own_features[] = {
    [PACIFICA_REGISTER_GENERAL] = { "org.pacifica.general", "general" },
    [PACIFICA_REGISTER_SEGMENT] = { "org.pacifica.segment", "segment" },
    [PACIFICA_REGISTER_CONTROL] = { "org.pacifica.control", "control" },
    [PACIFICA_REGISTER_X87] = { "org.pacifica.x87", "float" },
    [PACIFICA_REGISTER_VECTOR] = { "org.pacifica.vector", "vector" },
    [PACIFICA_REGISTER_SVM] = { "org.pacifica.svm", "svm" },
};
#define OWN_FEATURES (sizeof(own_features) / sizeof(own_features[0]))

static const char *type_of(const struct pacifica_register *reg)
{
    static const char *const with_flags[] = { "cr0", "cr4", "efer" };
    for (size_t i = 0; i < sizeof(with_flags) / sizeof(with_flags[0]); i++)
        if (reg->bits == 64 && strcmp(reg->name, with_flags[i]) == 0)
            return with_flags[i];
    switch (reg->bits) {
    case 8: return "uint8";
    case 16: return "uint16";
    case 32: return "uint32";
    case 64: return "uint64";
    default: return "uint128";
    }
}

static void add_feature(struct making *making, enum pacifica_register_group group)
{
    bool begun = false;
    for (size_t i = 0; i < making->of_count; i++) {
        const struct pacifica_register *reg = &making->of[i];
        bool ip = strcmp(reg->name, "rip") == 0;
        if (reg->group != group || (making->taken[i] && !ip))
            continue;
        if (!begun)
            xml_put(&making->xml, "<feature name=\"%s\">\n", own_features[group].name);
        begun = true;
        const char *type = type_of(reg);
        if (strcmp(type, reg->name) == 0)
            xml_flags(&making->xml, type);
        (void)add(making, ip ? "ip" : reg->name, i, 0, reg->bits, type, own_features[group].group);
    }
    if (begun)
        xml_put(&making->xml, "</feature>\n");
}

/* --- the target -------------------------------------------------------------------------------- */

static bool make(struct making *making)
{
    struct gdb_target *target = making->target;
    /* Each of the library's is there once, vectors twice, rip twice, and names that it lacks. */
    making->room = 2 * making->of_count + CORE_COUNT + 64;
    target->regs = calloc(making->room, sizeof(*target->regs));
    making->taken = calloc(making->of_count + 1, sizeof(*making->taken));
    if (!target->regs || !making->taken)
        return false;
    xml_put(&making->xml, "<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n"
                          "<target version=\"1.0\">\n<architecture>i386:x86-64</architecture>\n");
    add_core(making);
    add_vectors(making);
    for (unsigned group = 0; group < OWN_FEATURES; group++)
        add_feature(making, (enum pacifica_register_group)group);
    xml_put(&making->xml, "</target>\n");
    target->cs_base = find(making, "cs_base");
    target->cs_attrib = find(making, "cs_attrib");
    target->efer = find(making, "efer");
    return !making->xml.failed;
}

enum pacifica_status gdb_target_init(struct gdb_target *target, struct pacifica_diag *diag)
{
    struct making making = { .target = target };
    *target = (struct gdb_target){ .regs = NULL };
    making.of = pacifica_registers(&making.of_count);
    bool made = make(&making);
    free(making.taken);
    target->xml = making.xml.text;
    target->xml_size = making.xml.size;
    if (made)
        return PACIFICA_OK;
    return diag_set(diag, PACIFICA_ENOMEM, NULL, NULL, "no memory for the debugger's description");
}

void gdb_target_fini(struct gdb_target *target)
{
    free(target->regs);
    free(target->xml);
    *target = (struct gdb_target){ .regs = NULL };
}

/* --- values -------------------------------------------------------------------------------------- */

static uint64_t value_of(struct pacifica_machine *machine, unsigned cpu, size_t index)
{
    union {
        uint64_t value;
        uint8_t bytes[PACIFICA_REGISTER_BYTES];
    } got = { .bytes = { 0 } };
    if (index != SIZE_MAX)
        (void)pacifica_machine_register_get(machine, cpu, index, got.bytes);
    return got.value;
}

/* The base that is added to RIP: in 64-bit mode there is none (APM vol 2, 4.8.1 "Code-Segment Descriptors (64-bit mode)"). */
static uint64_t code_base(const struct gdb_target *target, struct pacifica_machine *machine,
                          unsigned cpu, bool *wide)
{
    *wide = code_bits(value_of(machine, cpu, target->efer),
                      value_of(machine, cpu, target->cs_attrib)) == 64;
    return *wide ? 0 : value_of(machine, cpu, target->cs_base);
}

uint64_t gdb_target_pc(const struct gdb_target *target, struct pacifica_machine *machine,
                       unsigned cpu)
{
    bool wide;
    uint64_t base = code_base(target, machine, cpu, &wide);
    uint64_t linear = base + value_of(machine, cpu, target->regs[target->pc].index);
    return wide ? linear : linear & MASK_32;
}

bool gdb_target_get(const struct gdb_target *target, struct pacifica_machine *machine, unsigned cpu,
                    unsigned number, void *bytes)
{
    const struct gdb_register *reg = &target->regs[number];
    uint8_t all[PACIFICA_REGISTER_BYTES] = { 0 };
    memset(bytes, 0, PACIFICA_REGISTER_BYTES);
    if (reg->index == SIZE_MAX ||
        pacifica_machine_register_get(machine, cpu, reg->index, all) != PACIFICA_OK)
        return false;
    memcpy(bytes, all + reg->offset, reg->bytes);
    if (reg->linear) {
        uint64_t pc = gdb_target_pc(target, machine, cpu);
        memcpy(bytes, &pc, sizeof(pc));
    }
    return true;
}

enum pacifica_status gdb_target_set(const struct gdb_target *target,
                                    struct pacifica_machine *machine, unsigned cpu, unsigned number,
                                    const void *bytes, struct pacifica_diag *diag)
{
    const struct gdb_register *reg = &target->regs[number];
    uint8_t all[PACIFICA_REGISTER_BYTES] = { 0 };
    if (reg->index == SIZE_MAX)
        return diag_set(diag, PACIFICA_EUSAGE, reg->name, NULL, "there is no such register");
    enum pacifica_status status = pacifica_machine_register_get(machine, cpu, reg->index, all);
    if (status != PACIFICA_OK)
        return status;
    memcpy(all + reg->offset, bytes, reg->bytes);
    if (reg->linear) {
        bool wide;
        uint64_t base = code_base(target, machine, cpu, &wide), pc;
        memcpy(&pc, bytes, sizeof(pc));
        pc = wide ? pc : (pc - base) & MASK_32;
        memcpy(all, &pc, sizeof(pc));
    }
    return pacifica_machine_register_set(machine, cpu, reg->index, all, diag);
}
