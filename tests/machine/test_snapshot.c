/* Snapshots: what they bring back, and what they refuse. */
#include "emu/machine/snapshot.h"
#include "svm/svm.h"
#include "tests/check_main.h"
#include "tests/random.h"

#include <stdlib.h>
#include <string.h>

/* --- a machine that counts, and its snapshot --------------------------------------------------- */

/* 32-bit code behind a Multiboot 1 header: esp = 300000h; 1: inc eax; push eax; pop ecx; add [200000h], ecx; jmp 1 */
static const uint8_t image[] = { 0x02, 0xb0, 0xad, 0x1b, 0x00, 0x00, 0x01, 0x00, 0xfe, 0x4f,
                                 0x51, 0xe4, 0x00, 0x00, 0x10, 0x00, 0x00, 0x00, 0x10, 0x00,
                                 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x20, 0x00,
                                 0x10, 0x00, 0xbc, 0x00, 0x00, 0x30, 0x00, 0x40, 0x50, 0x59,
                                 0x01, 0x0d, 0x00, 0x00, 0x20, 0x00, 0xeb, 0xf5 };

static struct pacifica_options plain_options(void)
{
    struct pacifica_options options = PACIFICA_OPTIONS_INIT;
    options.ram_bytes = UINT64_C(8) << 20;
    return options;
}

static struct pacifica_machine *machine_with(const struct pacifica_options *options)
{
    const struct pacifica_kernel kernel = { .image = { image, sizeof(image) }, .name = "image" };
    struct pacifica_machine *machine;
    struct pacifica_diag diag = { 0 };
    ck_assert_msg(pacifica_machine_new(options, &machine, &diag) == PACIFICA_OK, "%s", diag.what);
    ck_assert_msg(pacifica_machine_load_kernel(machine, &kernel, &diag) == PACIFICA_OK, "%s",
                  diag.what);
    return machine;
}

static struct pacifica_machine *plain_machine(void)
{
    const struct pacifica_options options = plain_options();
    return machine_with(&options);
}

static struct pacifica_machine *model_machine(const char *cpu)
{
    struct pacifica_options options = plain_options();
    options.cpu = cpu;
    return machine_with(&options);
}

static void run_to(struct pacifica_machine *machine, uint64_t steps)
{
    struct pacifica_limits limits = PACIFICA_LIMITS_INIT;
    struct pacifica_result result;
    limits.max_steps = steps;
    pacifica_machine_run(machine, &limits, &result);
    ck_assert_int_eq(result.stop, PACIFICA_STOP_LIMIT_INSNS);
    ck_assert_uint_eq(result.steps, steps);
}

struct file {
    uint8_t *data;
    size_t size, most; /* most: writing fails behind it; 0: never */
};

static bool file_write(void *self, const void *bytes, size_t size)
{
    struct file *file = self;
    if (file->most && file->size + size > file->most)
        return false;
    file->data = realloc(file->data, file->size + size);
    ck_assert_ptr_nonnull(file->data);
    memcpy(file->data + file->size, bytes, size);
    file->size += size;
    return true;
}

static struct file save(struct pacifica_machine *machine)
{
    struct file file = { 0 };
    struct pacifica_diag diag = { 0 };
    const struct pacifica_writer writer = { .write = file_write, .self = &file };
    ck_assert_msg(pacifica_machine_save(machine, &writer, &diag) == PACIFICA_OK, "%s", diag.what);
    return file;
}

static struct pacifica_diag diag; /* of the last load */

static enum pacifica_status load(struct pacifica_machine *machine, const struct file *file)
{
    const struct pacifica_bytes bytes = { file->data, file->size };
    diag = (struct pacifica_diag){ 0 };
    return pacifica_machine_load(machine, &bytes, &diag);
}

static void loads(struct pacifica_machine *machine, const struct file *file)
{
    enum pacifica_status status = load(machine, file);
    ck_assert_msg(status == PACIFICA_OK, "%s: %s", diag.where, diag.what);
}

/* It says why, with this word in it, and nothing has changed. */
static void refuses(struct pacifica_machine *machine, const struct file *file,
                    enum pacifica_status wanted, const char *word)
{
    uint64_t hash = pacifica_machine_state_hash(machine);
    enum pacifica_status status = load(machine, file);
    ck_assert_msg(status == wanted, "%d, not %d: %s", status, wanted, diag.what);
    ck_assert_msg(strstr(diag.what, word) || strstr(diag.where, word), "'%s: %s' lacks '%s'",
                  diag.where, diag.what, word);
    ck_assert_uint_eq(pacifica_machine_state_hash(machine), hash);
}

/* --- going on ---------------------------------------------------------------------------------- */

START_TEST(a_loaded_machine_goes_on_as_if_it_had_never_stopped)
{
    struct pacifica_machine *one = plain_machine(), *two = plain_machine();
    run_to(one, 5001);
    struct file file = save(one);
    uint64_t there = pacifica_machine_state_hash(one);
    run_to(one, 90000);
    uint64_t later = pacifica_machine_state_hash(one);
    loads(two, &file); /* one that has never run */
    ck_assert_uint_eq(pacifica_machine_state_hash(two), there);
    run_to(two, 90000);
    ck_assert_uint_eq(pacifica_machine_state_hash(two), later);
    loads(one, &file); /* the same, back in time */
    ck_assert_uint_eq(pacifica_machine_state_hash(one), there);
    run_to(one, 90000);
    ck_assert_uint_eq(pacifica_machine_state_hash(one), later);
    free(file.data);
    pacifica_machine_free(one);
    pacifica_machine_free(two);
}
END_TEST

START_TEST(saving_changes_nothing_and_gives_the_same_bytes_again)
{
    struct pacifica_machine *machine = plain_machine();
    run_to(machine, 777);
    uint64_t hash = pacifica_machine_state_hash(machine);
    struct file one = save(machine);
    ck_assert_uint_eq(pacifica_machine_state_hash(machine), hash);
    loads(machine, &one);
    struct file two = save(machine);
    ck_assert_uint_eq(one.size, two.size);
    ck_assert_mem_eq(one.data, two.data, two.size);
    free(one.data);
    free(two.data);
    pacifica_machine_free(machine);
}
END_TEST

START_TEST(pages_of_zeros_take_no_room_and_come_back)
{
    struct pacifica_machine *machine = plain_machine();
    const uint64_t spa = 0x500000;
    struct file file = save(machine);
    ck_assert_uint_lt(file.size, 100000); /* of a machine of 8 MiB */
    phys_write(machine->memory, spa, 8, 0x1234);
    loads(machine, &file);
    ck_assert_uint_eq(phys_read(machine->memory, spa, 8), 0);
    free(file.data);
    pacifica_machine_free(machine);
}
END_TEST

START_TEST(code_that_was_decoded_before_is_not_executed_after)
{
    struct pacifica_machine *machine = plain_machine();
    struct file file = save(machine);
    run_to(machine, 1000);
    phys_write(machine->memory, 0x100025, 1, 0x48); /* dec eax */
    run_to(machine, 2000);
    loads(machine, &file);
    run_to(machine, 2000);
    uint64_t hash = pacifica_machine_state_hash(machine);
    struct pacifica_machine *fresh = plain_machine();
    run_to(fresh, 2000);
    ck_assert_uint_eq(pacifica_machine_state_hash(fresh), hash);
    free(file.data);
    pacifica_machine_free(machine);
    pacifica_machine_free(fresh);
}
END_TEST

/* --- other machines ------------------------------------------------------------------------------ */

static bool read_zeros(void *self, uint64_t offset, void *to, size_t size)
{
    (void)self;
    (void)offset;
    memset(to, 0, size);
    return true;
}

static bool write_nothing(void *self, uint64_t offset, const void *from, size_t size)
{
    (void)self, (void)offset, (void)from, (void)size;
    return true;
}

static void refused_by(const struct file *file, const struct pacifica_options *options,
                       const char *word)
{
    struct pacifica_machine *machine = machine_with(options);
    run_to(machine, 100);
    refuses(machine, file, PACIFICA_EUSAGE, word);
    pacifica_machine_free(machine);
}

START_TEST(a_machine_that_is_made_in_another_way_is_refused)
{
    struct pacifica_machine *machine = plain_machine();
    struct file file = save(machine);
    const struct pacifica_device rng = { .kind = PACIFICA_DEVICE_VIRTIO_RNG };
    const struct pacifica_output com2 = { .write = NULL };
    struct pacifica_disk disk = { .interface = PACIFICA_DISK_VIRTIO,
                                  .size_bytes = 65536,
                                  .read = read_zeros };
    struct pacifica_options options = plain_options();
    options.ram_bytes *= 2;
    refused_by(&file, &options, "memory 8388608");
    options = plain_options();
    options.cpus = 2;
    refused_by(&file, &options, "processors 2");
    options = plain_options();
    options.vga = PACIFICA_VGA_STD;
    refused_by(&file, &options, "display: none");
    options = plain_options();
    options.com2 = &com2;
    refused_by(&file, &options, "second serial line: yes");
    options = plain_options();
    options.devices = &rng;
    options.device_count = 1;
    refused_by(&file, &options, "virtio-rng");
    options = plain_options();
    options.disks = &disk;
    options.disk_count = 1;
    refused_by(&file, &options, "disk 0: virtio 0, 65536 bytes");
    pacifica_machine_free(machine);
    machine = machine_with(&options);
    free(file.data);
    file = save(machine);
    disk.size_bytes *= 2;
    refused_by(&file, &options, "disk 0: virtio 0, 131072 bytes");
    free(file.data);
    pacifica_machine_free(machine);
}
END_TEST

START_TEST(a_disk_that_writes_through_is_refused)
{
    struct pacifica_disk disk = { .interface = PACIFICA_DISK_VIRTIO,
                                  .size_bytes = 65536,
                                  .read = read_zeros,
                                  .write = write_nothing };
    struct pacifica_options options = plain_options();
    options.disks = &disk;
    options.disk_count = 1;
    struct pacifica_machine *machine = machine_with(&options);
    struct file file = save(machine), none = { 0 };
    const struct pacifica_writer writer = { .write = file_write, .self = &none };
    pacifica_machine_free(machine);
    disk.write_through = true;
    machine = machine_with(&options);
    refuses(machine, &file, PACIFICA_EUNSUPPORTED, "writes through");
    ck_assert_int_eq(pacifica_machine_save(machine, &writer, &diag), PACIFICA_EUNSUPPORTED);
    ck_assert_uint_eq(none.size, 0);
    free(file.data);
    pacifica_machine_free(machine);
}
END_TEST

START_TEST(going_back_begins_anew_where_a_snapshot_was_loaded)
{
    struct pacifica_machine *machine = plain_machine();
    const struct pacifica_travel_options options = { .every_steps = 1000,
                                                     .memory_most = UINT64_C(64) << 20 };
    struct pacifica_result result;
    uint64_t first, latest;
    run_to(machine, 5000);
    struct file file = save(machine);
    run_to(machine, 6000);
    uint64_t at_6000 = pacifica_machine_state_hash(machine);
    ck_assert_int_eq(pacifica_travel_begin(machine, &options, &diag), PACIFICA_OK);
    run_to(machine, 20000);
    ck_assert_int_eq(pacifica_travel_goto(machine, 7000, &result, &diag), PACIFICA_OK);
    loads(machine, &file); /* out of the past, even */
    ck_assert(pacifica_travel_range(machine, &first, &latest));
    ck_assert_uint_eq(first, 5000);
    ck_assert_uint_eq(latest, 5000);
    run_to(machine, 9000);
    ck_assert_int_eq(pacifica_travel_goto(machine, 6000, &result, &diag), PACIFICA_OK);
    ck_assert_uint_eq(pacifica_machine_state_hash(machine), at_6000);
    ck_assert_int_eq(pacifica_travel_goto(machine, 4999, &result, &diag), PACIFICA_ERANGE);
    free(file.data);
    pacifica_machine_free(machine);
}
END_TEST

static void drop(void *self, const void *bytes, size_t size)
{
    (void)self, (void)bytes, (void)size;
}

START_TEST(a_machine_that_records_is_refused)
{
    struct pacifica_machine *machine = plain_machine();
    const struct pacifica_output output = { .write = drop };
    struct file file = save(machine);
    ck_assert_int_eq(pacifica_record(machine, &output, &diag), PACIFICA_OK);
    refuses(machine, &file, PACIFICA_EUSAGE, "records or replays");
    free(file.data);
    pacifica_machine_free(machine);
}
END_TEST

/* --- bad bytes --------------------------------------------------------------------------------------- */

START_TEST(what_is_truncated_anywhere_is_refused)
{
    struct pacifica_machine *machine = plain_machine();
    run_to(machine, 3000);
    struct file file = save(machine);
    uint64_t hash = pacifica_machine_state_hash(machine);
    struct pacifica_machine *other = plain_machine();
    run_to(other, 10);
    uint64_t before = pacifica_machine_state_hash(other);
    for (size_t size = 0; size < file.size; size++) {
        /* In a copy of that size, so that sanitizers see who reads beyond it. */
        struct file cut = { malloc(size + 1), size, 0 };
        memcpy(cut.data, file.data, size);
        ck_assert_int_eq(load(other, &cut), PACIFICA_EFORMAT);
        ck_assert(diag.what[0] && diag.where[0]);
        free(cut.data);
    }
    ck_assert_uint_eq(pacifica_machine_state_hash(other), before);
    loads(other, &file);
    ck_assert_uint_eq(pacifica_machine_state_hash(other), hash);
    free(file.data);
    pacifica_machine_free(machine);
    pacifica_machine_free(other);
}
END_TEST

START_TEST(a_bit_that_is_not_what_it_was_is_seen)
{
    struct pacifica_machine *machine = plain_machine();
    uint64_t random = 11;
    run_to(machine, 3000);
    struct file file = save(machine);
    run_to(machine, 4000);
    uint64_t hash = pacifica_machine_state_hash(machine);
    for (unsigned i = 0; i < 4000; i++) {
        /* The heads first, where every bit has its turn; then anywhere. */
        uint64_t bit = i < 8 * 64 ? i : test_random(&random) % (8 * file.size);
        file.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_int_eq(load(machine, &file), PACIFICA_EFORMAT);
        ck_assert(diag.what[0] && diag.where[0]);
        file.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    ck_assert_uint_eq(pacifica_machine_state_hash(machine), hash);
    free(file.data);
    pacifica_machine_free(machine);
}
END_TEST

START_TEST(bytes_behind_the_end_are_refused)
{
    struct pacifica_machine *machine = plain_machine();
    struct file file = save(machine);
    const uint8_t more = 0;
    ck_assert(file_write(&file, &more, 1));
    refuses(machine, &file, PACIFICA_EFORMAT, "behind its end");
    free(file.data);
    pacifica_machine_free(machine);
}
END_TEST

START_TEST(a_newer_format_is_named)
{
    struct pacifica_machine *machine = plain_machine();
    struct file file = save(machine);
    file.data[SNAPSHOT_MAGIC_BYTES] = 9;
    refuses(machine, &file, PACIFICA_EFORMAT, "format 9");
    free(file.data);
    pacifica_machine_free(machine);
}
END_TEST

START_TEST(saving_tells_when_nothing_can_be_written)
{
    struct pacifica_machine *machine = plain_machine();
    struct file whole = save(machine);
    for (size_t most = 1; most < whole.size; most += whole.size / 16) {
        struct file file = { .most = most };
        const struct pacifica_writer writer = { .write = file_write, .self = &file };
        ck_assert_int_eq(pacifica_machine_save(machine, &writer, &diag), PACIFICA_EIO);
        free(file.data);
    }
    free(whole.data);
    pacifica_machine_free(machine);
}
END_TEST

/* --- another model ------------------------------------------------------------------------------------ */

static void poke_umip(struct vcpu *cpu)
{
    cpu->regs.cr4 |= CR4_UMIP;
}

static void poke_pcid(struct vcpu *cpu)
{
    cpu->regs.cr4 |= CR4_PCIDE;
}

static void poke_spec_ctrl(struct vcpu *cpu)
{
    cpu->msr.spec_ctrl = 1;
}

static void poke_prefetch_ctl(struct vcpu *cpu)
{
    cpu->msr.prefetch_ctl = 1;
}

static void poke_shadow_stack(struct vcpu *cpu)
{
    cpu->shadow.pl_ssp[0] = 0x1000;
}

static void poke_pkru(struct vcpu *cpu)
{
    cpu->simd.xcr0 |= XCR0_PKRU;
}

static const struct {
    void (*poke)(struct vcpu *cpu);
    const char *word;
} in_use[] = { { poke_umip, "umip (CR4.UMIP)" },
               { poke_pcid, "pcid (CR4.PCIDE)" },
               { poke_spec_ctrl, "ibrs (SPEC_CTRL.IBRS)" },
               { poke_prefetch_ctl, "prefetch-ctl-msr (PREFETCH_CTL)" },
               { poke_shadow_stack, "cet-ss (MSRs of shadow stacks)" },
               { poke_pkru, "pku (XCR0)" } };

START_TEST(a_feature_in_use_that_the_new_model_lacks_is_named)
{
    for (size_t i = 0; i < sizeof(in_use) / sizeof(in_use[0]); i++) {
        struct pacifica_machine *milan = model_machine("epyc-milan");
        in_use[i].poke(milan->cpu[0]);
        struct file file = save(milan);
        struct pacifica_machine *naples = model_machine("epyc-naples");
        run_to(naples, 50);
        refuses(naples, &file, PACIFICA_EUNSUPPORTED, in_use[i].word);
        ck_assert_msg(strstr(diag.what, "1 in use of epyc-milan that epyc-naples lacks"), "%s",
                      diag.what);
        pacifica_machine_free(naples);
        naples = model_machine("epyc-rome,+umip,+pcid,+ibrs,+prefetch-ctl-msr,+cet-ss,+pku");
        loads(naples, &file); /* what it needs was switched on */
        free(file.data);
        pacifica_machine_free(milan);
        pacifica_machine_free(naples);
    }
}
END_TEST

/* A guest that runs: what its VMCB asks for counts, and what the hypervisor relies on. */
static void run_guest(struct pacifica_machine *machine, uint64_t nested, uint64_t control)
{
    uint8_t page[SNAPSHOT_PAGE] = { 0 };
    struct svm_state *svm = machine->cpu[0]->svm;
    VMCB_SET(page, NESTED_CONTROL, nested);
    VMCB_SET(page, VINTR_CONTROL, control);
    ck_assert(phys_write_block(machine->memory, 0x400000, page, sizeof(page)));
    machine->cpu[0]->regs.efer |= EFER_SVME;
    machine->cpu[0]->msr.vm_hsave_pa = 0x401000;
    VMCB_SET(page, CR4, UINT64_C(0));
    ck_assert(phys_write_block(machine->memory, 0x401000, page, sizeof(page)));
    svm->guest = true;
    svm->vmruns = 1;
    svm->asid = 1;
    svm->vmcb_spa = 0x400000;
}

static const struct {
    uint64_t nested, control;
    const char *to, *word; /* word NULL: it can go on */
} guests[] = {
    { NESTED_NP_ENABLE, VINTR_GIF_ENABLE, "epyc-naples", NULL },
    { NESTED_NP_ENABLE | NESTED_GMET_ENABLE, 0, "epyc-naples", "gmet (GMET_ENABLE)" },
    { 0, 0, "epyc-naples,-npt", NULL },
    { NESTED_NP_ENABLE, 0, "epyc-naples,-npt", "npt (NP_ENABLE)" },
    { 0, VINTR_GIF_ENABLE, "epyc-naples,-vgif", "vgif (V_GIF_ENABLE)" },
    { 0, 0, "epyc-naples,-nrip-save", "nrip-save (nRIP is saved)" },
    { 0, 0, "epyc-naples,-decodeassists", "decodeassists (#VMEXIT decodes)" },
    { NESTED_NP_ENABLE | NESTED_GMET_ENABLE, 0, "epyc-rome", NULL },
};

START_TEST(a_running_guest_needs_what_its_vmcb_asks_for)
{
    for (size_t i = 0; i < sizeof(guests) / sizeof(guests[0]); i++) {
        struct pacifica_machine *from = model_machine("epyc-milan"),
                                *to = model_machine(guests[i].to);
        run_guest(from, guests[i].nested, guests[i].control);
        struct file file = save(from);
        if (guests[i].word)
            refuses(to, &file, PACIFICA_EUNSUPPORTED, guests[i].word);
        else
            loads(to, &file);
        free(file.data);
        pacifica_machine_free(from);
        pacifica_machine_free(to);
    }
}
END_TEST

START_TEST(the_host_of_a_running_guest_needs_its_features_too)
{
    struct pacifica_machine *from = model_machine("epyc-milan"), *to = model_machine("epyc-naples");
    run_guest(from, 0, 0);
    phys_write(from->memory, 0x401000 + VMCB_AT_CR4, 8, CR4_UMIP);
    struct file file = save(from);
    refuses(to, &file, PACIFICA_EUNSUPPORTED, "umip (CR4.UMIP)");
    free(file.data);
    pacifica_machine_free(from);
    pacifica_machine_free(to);
}
END_TEST

/* What the override MSRs reach: Fn1, Fn7 EBX, Fn6 ECX, Fn8000_0001. */
START_TEST(cpuid_answers_as_before_where_the_override_msrs_reach)
{
    static const struct {
        uint32_t leaf;
        bool kept[4];
    } leaves[] = { { 1, { false, false, true, true } },
                   { 6, { false, false, true, false } },
                   { 7, { true, true, false, false } },
                   { 0x80000001, { false, false, true, true } },
                   { 0x80000002, { true, true, true, true } } }; /* the name is in MSRs */
    struct pacifica_machine *from = model_machine("epyc-milan"), *to = model_machine("epyc-naples");
    struct file file = save(from);
    uint32_t before[4], other[4], after[4];
    cpu_cpuid(from->cpu[0], 7, 0, before);
    cpu_cpuid(to->cpu[0], 7, 0, other);
    ck_assert_uint_ne(before[CPUID_EBX], other[CPUID_EBX]);
    loads(to, &file);
    for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++) {
        cpu_cpuid(from->cpu[0], leaves[i].leaf, 0, before);
        cpu_cpuid(to->cpu[0], leaves[i].leaf, 0, after);
        for (unsigned reg = 0; reg < 4; reg++)
            if (leaves[i].kept[reg])
                ck_assert_uint_eq(before[reg], after[reg]);
    }
    struct file back = save(to); /* and home again */
    loads(from, &back);
    for (unsigned n = 0; n < 4; n++)
        ck_assert_uint_eq(from->cpu[0]->msr.cpuid_flip[n], 0);
    free(file.data);
    free(back.data);
    pacifica_machine_free(from);
    pacifica_machine_free(to);
}
END_TEST

/* --- telling ------------------------------------------------------------------------------------------- */

struct kept {
    char bytes[65536];
    size_t size;
};

static void keep(void *self, const void *bytes, size_t size)
{
    struct kept *text = self;
    ck_assert_uint_lt(text->size + size, sizeof(text->bytes));
    memcpy(text->bytes + text->size, bytes, size);
    text->size += size;
    text->bytes[text->size] = '\0';
}

static void tells(const struct kept *text, const char *words)
{
    ck_assert_msg(strstr(text->bytes, words), "no '%s' in:\n%s", words, text->bytes);
}

START_TEST(info_tells_the_machine_its_sections_and_memory)
{
    struct pacifica_machine *machine = model_machine("epyc-rome");
    struct kept text = { .size = 0 };
    run_to(machine, 1234);
    struct file file = save(machine);
    const struct pacifica_output output = { .write = keep, .self = &text };
    const struct pacifica_bytes bytes = { file.data, file.size }, none = { NULL, 0 };
    ck_assert_int_eq(pacifica_snapshot_info(&bytes, &output, &diag), PACIFICA_OK);
    tells(&text, "\nsteps               1234\n");
    tells(&text, "\ncpu                 epyc-rome\n");
    tells(&text, "\nmemory              8388608\n");
    tells(&text, "\nuart16550.0 ");
    ck_assert_int_eq(pacifica_snapshot_info(&none, &output, &diag), PACIFICA_EFORMAT);
    free(file.data);
    pacifica_machine_free(machine);
}
END_TEST

START_TEST(diff_names_members_and_ranges_of_memory)
{
    struct pacifica_machine *machine = plain_machine();
    struct file one = save(machine);
    struct kept text = { .size = 0 };
    const struct pacifica_output output = { .write = keep, .self = &text };
    machine->cpu[0]->r[REG_RBX] = 0x1234;
    phys_write(machine->memory, 0x200ffe, 4, 0x01010101);
    phys_write(machine->memory, 0x300000, 1, 1);
    struct file two = save(machine);
    const struct pacifica_bytes from = { one.data, one.size }, to = { two.data, two.size };
    uint64_t found;
    ck_assert_int_eq(pacifica_snapshot_diff(&from, &to, &output, &found, &diag), PACIFICA_OK);
    ck_assert_uint_eq(found, 3);
    tells(&text, "0x1234\n");
    tells(&text, "memory 0x200000-0x201fff: 4 bytes differ\n");
    tells(&text, "memory 0x300000-0x300fff: 1 bytes differ\n");
    ck_assert_int_eq(pacifica_snapshot_diff(&to, &to, &output, &found, &diag), PACIFICA_OK);
    ck_assert_uint_eq(found, 0);
    free(one.data);
    free(two.data);
    pacifica_machine_free(machine);
}
END_TEST

CHECK_MAIN("snapshot", a_loaded_machine_goes_on_as_if_it_had_never_stopped,
           saving_changes_nothing_and_gives_the_same_bytes_again,
           pages_of_zeros_take_no_room_and_come_back,
           code_that_was_decoded_before_is_not_executed_after,
           a_machine_that_is_made_in_another_way_is_refused, a_disk_that_writes_through_is_refused,
           a_machine_that_records_is_refused, going_back_begins_anew_where_a_snapshot_was_loaded,
           what_is_truncated_anywhere_is_refused, a_bit_that_is_not_what_it_was_is_seen,
           bytes_behind_the_end_are_refused, a_newer_format_is_named,
           saving_tells_when_nothing_can_be_written,
           a_feature_in_use_that_the_new_model_lacks_is_named,
           a_running_guest_needs_what_its_vmcb_asks_for,
           the_host_of_a_running_guest_needs_its_features_too,
           cpuid_answers_as_before_where_the_override_msrs_reach,
           info_tells_the_machine_its_sections_and_memory, diff_names_members_and_ranges_of_memory)
