/* The public interface: making, loading, running, stopping, looking. */
#include "emu/machine/machine.h"
#include "svm/svm.h"

#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* --- images: 32-bit code behind a Multiboot 1 header ------------------------------------- */

#define LOAD 0x100000u
#define CODE_AT 32
#define EXIT_PORT 0xf4

struct image {
    uint8_t bytes[256];
    size_t size;
};

static void put32(struct image *image, uint32_t value)
{
    memcpy(image->bytes + image->size, &value, 4);
    image->size += 4;
}

static struct image image_of(const void *code, size_t size)
{
    const uint32_t magic = 0x1badb002, flags = 1u << 16;
    struct image image = { 0 };
    put32(&image, magic);
    put32(&image, flags);
    put32(&image, 0u - magic - flags);
    put32(&image, LOAD); /* header, load address, load end, bss end, entry */
    put32(&image, LOAD);
    put32(&image, 0);
    put32(&image, 0);
    put32(&image, LOAD + CODE_AT);
    memcpy(image.bytes + CODE_AT, code, size);
    image.size = CODE_AT + size;
    return image;
}
#define IMAGE(...) \
    image_of((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

/* mov dx, port; mov al, value; out dx, al */
#define OUT8(port, value) 0x66, 0xba, (port)&0xff, (port) >> 8, 0xb0, (value), 0xee
#define HALT 0xf4
#define SPIN 0xeb, 0xfe
#define RESET OUT8(0xcf9, 6)
/* 1: inc eax; push eax; pop ecx; add [200000], ecx; jmp 1 */
#define WORK \
    0xbc, 0x00, 0x00, 0x30, 0x00, 0x40, 0x50, 0x59, 0x01, 0x0d, 0x00, 0x00, 0x20, 0x00, 0xeb, 0xf5

/* --- a machine with its output ------------------------------------------------------------- */

struct box {
    struct pacifica_machine *machine;
    struct pacifica_result result;
    struct pacifica_diag diag;
    struct image image;
    char out[4096];
    size_t used;
    bool stop_on_output;
};

static void box_write(void *self, const void *bytes, size_t size)
{
    struct box *box = self;
    ck_assert_uint_lt(box->used + size, sizeof(box->out));
    memcpy(box->out + box->used, bytes, size);
    box->used += size;
    if (box->stop_on_output)
        pacifica_machine_stop(box->machine);
}

static const struct pacifica_device exit_device = { .kind = PACIFICA_DEVICE_DEBUG_EXIT,
                                                    .port = EXIT_PORT,
                                                    .port_count = 4 };

static struct pacifica_options box_options(struct box *box)
{
    struct pacifica_options options = PACIFICA_OPTIONS_INIT;
    options.ram_bytes = UINT64_C(8) << 20;
    options.serial = (struct pacifica_output){ .write = box_write, .self = box };
    options.devices = &exit_device;
    options.device_count = 1;
    return options;
}

static enum pacifica_status box_load(struct box *box, struct image image)
{
    box->image = image;
    const struct pacifica_kernel kernel = { .image = { box->image.bytes, box->image.size },
                                            .name = "image" };
    return pacifica_machine_load_kernel(box->machine, &kernel, &box->diag);
}

static struct box *box_new(struct image image)
{
    struct box *box = calloc(1, sizeof(*box));
    ck_assert_ptr_nonnull(box);
    const struct pacifica_options options = box_options(box);
    ck_assert_int_eq(pacifica_machine_new(&options, &box->machine, &box->diag), PACIFICA_OK);
    ck_assert_int_eq(box_load(box, image), PACIFICA_OK);
    return box;
}

static void box_free(struct box *box)
{
    pacifica_machine_free(box->machine);
    free(box);
}

static enum pacifica_stop box_run(struct box *box, uint64_t max_steps)
{
    struct pacifica_limits limits = PACIFICA_LIMITS_INIT;
    limits.max_steps = max_steps;
    pacifica_machine_run(box->machine, &limits, &box->result);
    return box->result.stop;
}

/* --- making --------------------------------------------------------------------------------- */

static void new_fails(const struct pacifica_options *options, enum pacifica_status wanted,
                      const char *word)
{
    struct pacifica_machine *machine = (struct pacifica_machine *)(uintptr_t)1;
    struct pacifica_diag diag = { 0 };
    ck_assert_int_eq(pacifica_machine_new(options, &machine, &diag), wanted);
    ck_assert_ptr_null(machine);
    ck_assert_msg(strstr(diag.what, word) || strstr(diag.where, word), "'%s' lacks '%s'", diag.what,
                  word);
    ck_assert_int_eq(pacifica_machine_new(options, &machine, NULL), wanted); /* diag may be NULL */
}

START_TEST(new_refuses_sizes_outside_the_range)
{
    struct pacifica_options options = PACIFICA_OPTIONS_INIT;
    const uint64_t bad[] = { 0, (1u << 20) - 4096, (1u << 20) + 1, (UINT64_C(1) << 40) + 4096,
                             UINT64_MAX & ~UINT64_C(4095) };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        options.ram_bytes = bad[i];
        new_fails(&options, PACIFICA_EUSAGE, "RAM");
    }
}
END_TEST

START_TEST(new_takes_the_smallest_size)
{
    struct pacifica_options options = PACIFICA_OPTIONS_INIT;
    struct pacifica_machine *machine;
    options.ram_bytes = 1 << 20;
    ck_assert_int_eq(pacifica_machine_new(&options, &machine, NULL), PACIFICA_OK);
    pacifica_machine_free(machine);
}
END_TEST

START_TEST(new_refuses_unknown_cpus)
{
    struct pacifica_options options = PACIFICA_OPTIONS_INIT;
    options.cpu = "quantum";
    new_fails(&options, PACIFICA_EUNSUPPORTED, "quantum");
    options.cpu = "max,+quantum";
    new_fails(&options, PACIFICA_EUSAGE, "quantum");
}
END_TEST

START_TEST(new_refuses_devices_that_cannot_be)
{
    struct pacifica_options options = PACIFICA_OPTIONS_INIT;
    struct pacifica_device device[9] = { exit_device };
    options.devices = device;
    options.device_count = 1;
    device[0].port = 0x3f8; /* COM1 is there */
    new_fails(&options, PACIFICA_EUSAGE, "3f8");
    device[0].port = 0xfffe; /* leaves the port space */
    new_fails(&options, PACIFICA_EUSAGE, "fffe");
    device[0] = exit_device;
    device[0].port_count = 0;
    new_fails(&options, PACIFICA_EUSAGE, "f4");
    device[0].port_count = 5;
    new_fails(&options, PACIFICA_EUSAGE, "f4");
    options.device_count = 9;
    new_fails(&options, PACIFICA_EUSAGE, "devices");
}
END_TEST

START_TEST(new_refuses_fw_cfg_files_without_a_good_name)
{
    struct pacifica_options options = PACIFICA_OPTIONS_INIT;
    struct pacifica_fw_cfg file[2] = { { .name = "" }, { .name = "opt/a" } };
    options.fw_cfg = file;
    options.fw_cfg_count = 1;
    new_fails(&options, PACIFICA_EUSAGE, "");
    file[0].name = "opt/a";
    options.fw_cfg_count = 2;
    new_fails(&options, PACIFICA_EUSAGE, "opt/a");
}
END_TEST

START_TEST(free_takes_null)
{
    pacifica_machine_free(NULL);
    pacifica_trace_free(NULL);
    pacifica_exit_stats_free(NULL);
}
END_TEST

/* --- loading --------------------------------------------------------------------------------- */

START_TEST(reset_without_a_kernel_is_refused)
{
    struct box *box = calloc(1, sizeof(*box));
    const struct pacifica_options options = box_options(box);
    ck_assert_int_eq(pacifica_machine_new(&options, &box->machine, NULL), PACIFICA_OK);
    ck_assert_int_eq(pacifica_machine_reset(box->machine, &box->diag), PACIFICA_EUSAGE);
    box_free(box);
}
END_TEST

START_TEST(load_refuses_nonsense_and_forgets_the_old_kernel)
{
    struct box *box = box_new(IMAGE(SPIN));
    struct image nonsense = { .size = 100 };
    ck_assert_int_eq(box_load(box, nonsense), PACIFICA_EFORMAT);
    ck_assert(box->diag.what[0]);
    ck_assert_int_eq(pacifica_machine_reset(box->machine, NULL), PACIFICA_EUSAGE);
    nonsense.size = 0;
    ck_assert_int_eq(box_load(box, nonsense), PACIFICA_EFORMAT);
    ck_assert_int_eq(box_load(box, IMAGE(OUT8(EXIT_PORT, 4))), PACIFICA_OK);
    ck_assert_int_eq(box_run(box, 1000), PACIFICA_STOP_EXIT);
    ck_assert_uint_eq(box->result.exit_value, 4);
    box_free(box);
}
END_TEST

START_TEST(load_refuses_more_modules_than_it_has_room_for)
{
    struct box *box = box_new(IMAGE(SPIN));
    struct pacifica_module module[65] = { { .text = "m" } };
    const struct pacifica_kernel kernel = { .image = { box->image.bytes, box->image.size },
                                            .modules = module,
                                            .module_count = 65 };
    ck_assert_int_eq(pacifica_machine_load_kernel(box->machine, &kernel, &box->diag),
                     PACIFICA_EUSAGE);
    box_free(box);
}
END_TEST

/* --- running and stopping --------------------------------------------------------------------- */

START_TEST(run_tells_the_exit_value_and_goes_on_behind_it)
{
    struct box *box = box_new(IMAGE(OUT8(EXIT_PORT, 5), OUT8(EXIT_PORT, 6), SPIN));
    ck_assert_int_eq(box_run(box, UINT64_MAX), PACIFICA_STOP_EXIT);
    ck_assert_uint_eq(box->result.exit_value, 5);
    ck_assert_uint_eq(box->result.steps, 3);
    ck_assert_uint_eq(box->result.instructions, 3);
    ck_assert_str_eq(box->result.diag.what, "");
    ck_assert_int_eq(box_run(box, UINT64_MAX), PACIFICA_STOP_EXIT);
    ck_assert_uint_eq(box->result.exit_value, 6);
    ck_assert_uint_eq(box->result.steps, 6);
    box_free(box);
}
END_TEST

START_TEST(run_stops_exactly_at_the_step_limit)
{
    struct box *box = box_new(IMAGE(WORK));
    for (uint64_t steps = 0; steps < 50; steps++) {
        ck_assert_int_eq(box_run(box, steps), PACIFICA_STOP_LIMIT_INSNS);
        ck_assert_uint_eq(box->result.steps, steps);
    }
    ck_assert(box->result.diag.what[0]);
    box_free(box);
}
END_TEST

START_TEST(cutting_a_run_changes_nothing)
{
    struct box *whole = box_new(IMAGE(WORK)), *cut = box_new(IMAGE(WORK));
    const uint64_t end = 10000;
    ck_assert_int_eq(box_run(whole, end), PACIFICA_STOP_LIMIT_INSNS);
    for (uint64_t steps = 0; steps < end; steps += 7)
        ck_assert_int_eq(box_run(cut, steps), PACIFICA_STOP_LIMIT_INSNS);
    ck_assert_int_eq(box_run(cut, end), PACIFICA_STOP_LIMIT_INSNS);
    ck_assert_uint_eq(pacifica_machine_state_hash(whole->machine),
                      pacifica_machine_state_hash(cut->machine));
    box_free(whole);
    box_free(cut);
}
END_TEST

START_TEST(test_limits_change_nothing)
{
    const struct pacifica_limits ways[] = {
        { .max_steps = 10000 },
        { .max_steps = 10000, .exact_blocks = true },
        { .max_steps = 10000, .drop_fast_every = 3 },
        { .max_steps = 10000, .exact_blocks = true, .drop_fast_every = 100 }
    };
    uint64_t first = 0;
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        struct box *box = box_new(IMAGE(WORK));
        pacifica_machine_run(box->machine, &ways[i], &box->result);
        uint64_t hash = pacifica_machine_state_hash(box->machine);
        ck_assert_msg(i == 0 || hash == first, "way %zu", i);
        first = hash;
        box_free(box);
    }
}
END_TEST

START_TEST(machines_in_one_process_do_not_disturb_each_other)
{
    struct box *alone = box_new(IMAGE(WORK)), *one = box_new(IMAGE(WORK)),
               *other = box_new(IMAGE(OUT8(0x3f8, 'x'), OUT8(0x3f8, 'y'), SPIN));
    box_run(alone, 5000);
    for (uint64_t steps = 100; steps <= 5000; steps += 100) {
        box_run(one, steps);
        box_run(other, steps);
    }
    ck_assert_uint_eq(pacifica_machine_state_hash(alone->machine),
                      pacifica_machine_state_hash(one->machine));
    ck_assert_str_eq(other->out, "xy");
    ck_assert_str_eq(one->out, "");
    box_free(alone);
    box_free(one);
    box_free(other);
}
END_TEST

START_TEST(stop_before_a_run_ends_it_at_once)
{
    struct box *box = box_new(IMAGE(WORK));
    pacifica_machine_stop(box->machine);
    ck_assert_int_eq(box_run(box, UINT64_MAX), PACIFICA_STOP_REQUEST);
    ck_assert_uint_eq(box->result.steps, 0);
    ck_assert_int_eq(box_run(box, 100), PACIFICA_STOP_LIMIT_INSNS); /* asked for once */
    box_free(box);
}
END_TEST

START_TEST(time_limit_ends_a_run)
{
    struct box *busy = box_new(IMAGE(SPIN)), *halted = box_new(IMAGE(0xfa, 0xf4));
    struct pacifica_limits limits = PACIFICA_LIMITS_INIT;
    for (limits.max_ns = 5000; limits.max_ns <= 15000; limits.max_ns += 5000) {
        pacifica_machine_run(busy->machine, &limits, &busy->result);
        ck_assert_int_eq(busy->result.stop, PACIFICA_STOP_LIMIT_TIME);
        ck_assert_uint_eq(busy->result.now_ns, limits.max_ns);
        /* A machine that waits for ever says so, and its time goes on all the same. */
        pacifica_machine_run(halted->machine, &limits, &halted->result);
        ck_assert_int_eq(halted->result.stop, PACIFICA_STOP_HALTED);
        ck_assert_uint_eq(halted->result.now_ns, limits.max_ns);
    }
    pacifica_machine_run(busy->machine, &limits, &busy->result);
    limits.max_steps = busy->result.steps + 100; /* what comes first counts */
    limits.max_ns += 1000;
    pacifica_machine_run(busy->machine, &limits, &busy->result);
    ck_assert_int_eq(busy->result.stop, PACIFICA_STOP_LIMIT_INSNS);
    limits.max_ns = 1; /* it is over */
    limits.max_steps = UINT64_MAX;
    pacifica_machine_run(busy->machine, &limits, &busy->result);
    ck_assert_int_eq(busy->result.stop, PACIFICA_STOP_LIMIT_TIME);
    ck_assert_int_eq(box_run(busy, busy->result.steps + 10), PACIFICA_STOP_LIMIT_INSNS);
    box_free(busy);
    box_free(halted);
}
END_TEST

START_TEST(stop_from_a_callback)
{
    struct box *box = box_new(IMAGE(OUT8(0x3f8, 'x'), SPIN));
    box->stop_on_output = true;
    ck_assert_int_eq(box_run(box, UINT64_MAX), PACIFICA_STOP_REQUEST);
    ck_assert_str_eq(box->out, "x");
    box_free(box);
}
END_TEST

static void *stop_soon(void *machine)
{
    pacifica_machine_stop(machine);
    return NULL;
}

START_TEST(stop_from_another_thread)
{
    struct box *box = box_new(IMAGE(SPIN));
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, stop_soon, box->machine), 0);
    ck_assert_int_eq(box_run(box, UINT64_MAX), PACIFICA_STOP_REQUEST);
    pthread_join(thread, NULL);
    box_free(box);
}
END_TEST

START_TEST(halted_for_ever_is_told_and_can_be_told_again)
{
    struct box *box = box_new(IMAGE(HALT, SPIN));
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(box_run(box, UINT64_MAX), PACIFICA_STOP_HALTED);
        ck_assert_ptr_nonnull(strstr(box->result.diag.what, "halted"));
        ck_assert_uint_eq(box->result.steps, 1);
    }
    ck_assert(!pacifica_machine_wants_input(box->machine)); /* IF is 0 */
    box_free(box);
}
END_TEST

START_TEST(halted_for_ever_says_why)
{
    struct box *box = box_new(IMAGE(HALT, SPIN));
    ck_assert_int_eq(box_run(box, UINT64_MAX), PACIFICA_STOP_HALTED);
    ck_assert_str_eq(box->result.diag.what,
                     "halted for ever: RFLAGS.IF is 0, and nothing can end this HLT");
    struct vcpu *cpu = box->machine->cpu[0];
    cpu->svm->guest = true;
    ck_assert_int_eq(box_run(box, UINT64_MAX), PACIFICA_STOP_HALTED);
    ck_assert_str_eq(
        box->result.diag.what,
        "halted for ever: nothing can end this HLT of a guest, which no intercept takes");
    cpu->svm->guest = false;
    cpu->svm->gif = false;
    ck_assert_int_eq(box_run(box, UINT64_MAX), PACIFICA_STOP_HALTED);
    ck_assert_str_eq(box->result.diag.what,
                     "halted for ever: GIF is 0, and nothing can end this HLT");
    box_free(box);
    box = box_new(IMAGE(0xfb, HALT)); /* sti; hlt */
    ck_assert_int_eq(box_run(box, UINT64_MAX), PACIFICA_STOP_HALTED);
    ck_assert_str_eq(box->result.diag.what, "halted for ever: nothing can end this HLT");
    box_free(box);
}
END_TEST

/* An IDT would be needed to take the interrupt; to see that it would come, enabling it is enough. */
START_TEST(halted_machine_wants_input_when_the_uart_would_interrupt)
{
    struct box *box = box_new(IMAGE(OUT8(0x3f9, 1), 0xfb, HALT)); /* IER = receive; sti; hlt */
    ck_assert_int_eq(box_run(box, UINT64_MAX), PACIFICA_STOP_HALTED);
    ck_assert(pacifica_machine_wants_input(box->machine));
    box_free(box);
    box = box_new(IMAGE(0xfb, HALT));
    ck_assert_int_eq(box_run(box, UINT64_MAX), PACIFICA_STOP_HALTED);
    ck_assert(!pacifica_machine_wants_input(box->machine));
    box_free(box);
}
END_TEST

/* No guest can ask for anything of that kind: the processor is stopped from outside. */
static void stop_unimplemented(void *self, const struct probe_event *event)
{
    struct vcpu *cpu = ((struct box *)self)->machine->cpu[0];
    (void)event;
    ck_assert_int_eq(cpu_stop_unimplemented(cpu, "a test"), STEP_STOP);
    cpu_attention(cpu);
}

START_TEST(what_is_not_emulated_stops_until_reset)
{
    struct box *box = box_new(IMAGE(0x90, OUT8(0x80, 0), SPIN));
    struct probe_client client = { .mask = 1u << PROBE_IO,
                                   .fire = stop_unimplemented,
                                   .self = box };
    probes_attach(&box->machine->probes, &client);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(box_run(box, UINT64_MAX), PACIFICA_STOP_UNIMPLEMENTED);
        ck_assert_ptr_nonnull(strstr(box->result.diag.what, "not emulated"));
        ck_assert_str_eq(box->result.diag.where, "0008:0000000000100028");
    }
    probes_detach(&box->machine->probes, &client);
    ck_assert_int_eq(box_load(box, IMAGE(OUT8(EXIT_PORT, 1))), PACIFICA_OK);
    ck_assert_int_eq(box_run(box, UINT64_MAX), PACIFICA_STOP_EXIT);
    box_free(box);
}
END_TEST

START_TEST(shutdown_stops_until_reset)
{
    struct box *box = box_new(IMAGE(0x0f, 0x0b)); /* ud2 without an IDT */
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(box_run(box, UINT64_MAX), PACIFICA_STOP_SHUTDOWN);
        ck_assert_ptr_nonnull(strstr(box->result.diag.what, "triple fault"));
    }
    ck_assert_int_eq(pacifica_machine_reset(box->machine, NULL), PACIFICA_OK);
    ck_assert_int_eq(box_run(box, UINT64_MAX), PACIFICA_STOP_SHUTDOWN);
    box_free(box);
}
END_TEST

START_TEST(reset_runs_the_kernel_again_while_time_goes_on)
{
    struct box *box = box_new(IMAGE(OUT8(0x3f8, 'x'), RESET, SPIN));
    ck_assert_int_eq(box_run(box, UINT64_MAX), PACIFICA_STOP_RESET);
    uint64_t steps = box->result.steps;
    ck_assert_int_eq(pacifica_machine_reset(box->machine, NULL), PACIFICA_OK);
    ck_assert_int_eq(box_run(box, UINT64_MAX), PACIFICA_STOP_RESET);
    ck_assert_uint_eq(box->result.steps, 2 * steps);
    ck_assert_str_eq(box->out, "xx");
    box_free(box);
}
END_TEST

START_TEST(serial_input_that_has_no_room_stays_with_the_caller)
{
    static const uint8_t bytes[65536];
    struct box *box = box_new(IMAGE(SPIN));
    size_t taken = pacifica_machine_serial_input(box->machine, bytes, sizeof(bytes));
    ck_assert_uint_gt(taken, 0);
    ck_assert_uint_lt(taken, sizeof(bytes));
    ck_assert_uint_eq(pacifica_machine_serial_input(box->machine, bytes, 1), 0);
    box_free(box);
}
END_TEST

/* --- looking ---------------------------------------------------------------------------------- */

/* Each of these is part of the state, so each must change the hash; and looking must not. */
START_TEST(state_hash_sees_every_part_of_the_state)
{
    struct box *box = box_new(IMAGE(WORK));
    box_run(box, 1000);
    struct pacifica_machine *m = box->machine;
    struct vcpu *cpu = m->cpu[0];
    uint64_t before = pacifica_machine_state_hash(m);
    ck_assert_uint_eq(pacifica_machine_state_hash(m), before);
    uint8_t *byte = memory_ptr(m->memory, 0x200000, 1);
    uint64_t *word[] = { &cpu->r[REG_R15],
                         &cpu->r[REG_RIP],
                         &cpu->rflags,
                         &cpu->regs.cr2,
                         &cpu->regs.cr3,
                         &cpu->regs.dr[3],
                         &cpu->regs.seg[SEG_TR].base,
                         &cpu->regs.gdtr.base,
                         &cpu->msr.star,
                         &cpu->msr.spec_ctrl,
                         &cpu->shadow.ssp,
                         &cpu->shadow.u_cet,
                         &cpu->shadow.s_cet,
                         &cpu->shadow.pl_ssp[0],
                         &cpu->shadow.pl_ssp[3],
                         &cpu->shadow.isst,
                         &cpu->svm->n_cr3,
                         &cpu->svm->vmruns,
                         &cpu->skipped_ns,
                         &cpu->extra_steps };
    for (size_t i = 0; i < sizeof(word) / sizeof(word[0]); i++) {
        *word[i] ^= 1;
        ck_assert_msg(pacifica_machine_state_hash(m) != before, "word %zu", i);
        *word[i] ^= 1;
    }
    *byte ^= 1;
    ck_assert_uint_ne(pacifica_machine_state_hash(m), before);
    *byte ^= 1;
    ck_assert_uint_eq(pacifica_machine_state_hash(m), before);
    *memory_ptr(m->memory, 0x400000, 1) = 0; /* a page of zeros counts as one never touched */
    ck_assert_uint_eq(pacifica_machine_state_hash(m), before);
    box_free(box);
}
END_TEST

/* What VMRUN may take of its last guest instead of memory. */
START_TEST(state_hash_sees_what_clean_bits_speak_of)
{
    struct box *box = box_new(IMAGE(WORK));
    struct svm_clean *clean = &box->machine->cpu[0]->svm->clean;
    uint64_t before = pacifica_machine_state_hash(box->machine), in_use;
    clean->regs.cr3 = 1; /* without meaning yet */
    ck_assert_uint_eq(pacifica_machine_state_hash(box->machine), before);
    clean->in_use = true;
    in_use = pacifica_machine_state_hash(box->machine);
    ck_assert_uint_ne(in_use, before);
    clean->regs.cr3 = 2;
    ck_assert_uint_ne(pacifica_machine_state_hash(box->machine), in_use);
    clean->regs.cr3 = 1;
    VMCB_SET(clean->page, TSC_OFFSET, 1);
    ck_assert_uint_ne(pacifica_machine_state_hash(box->machine), in_use);
    VMCB_SET(clean->page, TSC_OFFSET, 0);
    clean->spa = 0x1000;
    ck_assert_uint_ne(pacifica_machine_state_hash(box->machine), in_use);
    clean->spa = 0;
    clean->valid = true;
    ck_assert_uint_ne(pacifica_machine_state_hash(box->machine), in_use);
    box_free(box);
}
END_TEST

START_TEST(state_hash_sees_the_tlb)
{
    struct box *box = box_new(IMAGE(WORK));
    struct pacifica_machine *m = box->machine;
    /* One 4 MiB page, accessed and dirty already, so that the walk writes nothing. */
    const uint32_t pde = 0xe3;
    const struct walk_regime regime = {
        .mode = WALK_32, .root = 0x600000, .pse = true, .maxphyaddr = 48
    };
    ck_assert(phys_write_block(m->memory, regime.root, &pde, sizeof(pde)));
    uint64_t before = pacifica_machine_state_hash(m);
    struct walk_result result = paging_translate(m->cpu[0]->paging, &regime, 0x1000,
                                                 (struct access){ .kind = ACCESS_READ });
    ck_assert_int_eq(result.status, WALK_OK);
    ck_assert_uint_ne(pacifica_machine_state_hash(m), before);
    paging_drop_fast(m->cpu[0]->paging); /* derived: */
    ck_assert_uint_ne(pacifica_machine_state_hash(m), before);
    paging_flush_all(m->cpu[0]->paging);
    ck_assert_uint_eq(pacifica_machine_state_hash(m), before);
    box_free(box);
}
END_TEST

START_TEST(tracing_changes_nothing)
{
    struct box *plain = box_new(IMAGE(WORK)), *traced = box_new(IMAGE(WORK));
    struct pacifica_trace *trace;
    const struct pacifica_trace_options options = { .events = "exec,mem,tlb,in_asm,io,int" };
    ck_assert_int_eq(pacifica_trace_attach(traced->machine, &options, &trace, NULL), PACIFICA_OK);
    box_run(plain, 2000);
    box_run(traced, 1000);
    pacifica_trace_free(trace); /* in the middle: */
    box_run(traced, 2000);
    ck_assert_uint_eq(pacifica_machine_state_hash(plain->machine),
                      pacifica_machine_state_hash(traced->machine));
    box_free(plain);
    box_free(traced);
}
END_TEST

START_TEST(trace_attach_refuses_unknown_events)
{
    struct box *box = box_new(IMAGE(SPIN));
    struct pacifica_trace *trace;
    const struct pacifica_trace_options options = { .events = "telepathy" };
    ck_assert_int_eq(pacifica_trace_attach(box->machine, &options, &trace, &box->diag),
                     PACIFICA_EUSAGE);
    ck_assert_ptr_null(trace);
    ck_assert_ptr_nonnull(strstr(box->diag.what, "telepathy"));
    box_free(box);
}
END_TEST

START_TEST(stop_on_guest_error_ends_the_run)
{
    struct box *box = calloc(1, sizeof(*box));
    struct pacifica_options options = box_options(box);
    options.stop_on = PACIFICA_STOP_ON_GUEST_ERROR;
    ck_assert_int_eq(pacifica_machine_new(&options, &box->machine, NULL), PACIFICA_OK);
    /* mov eax, [fee00004]: no register of the APIC is there. */
    ck_assert_int_eq(box_load(box, IMAGE(0xa1, 0x04, 0x00, 0xe0, 0xfe, SPIN)), PACIFICA_OK);
    ck_assert_int_eq(box_run(box, 1000), PACIFICA_STOP_WATCH);
    ck_assert_ptr_nonnull(strstr(box->result.diag.what, "guest error: APIC"));
    ck_assert_int_eq(box_run(box, 1000), PACIFICA_STOP_LIMIT_INSNS); /* and it can go on */
    box_free(box);
}
END_TEST

START_TEST(resident_memory_is_what_was_touched)
{
    struct box *box = box_new(IMAGE(WORK));
    box_run(box, 1000);
    uint64_t kib = pacifica_machine_memory_resident_kib(box->machine);
    ck_assert_uint_ge(kib, 8);
    ck_assert_uint_lt(kib, 4096);
    box_free(box);
}
END_TEST

static void add_making(Suite *suite)
{
    TCase *tc = tcase_create("making");
    tcase_add_test(tc, new_refuses_sizes_outside_the_range);
    tcase_add_test(tc, new_takes_the_smallest_size);
    tcase_add_test(tc, new_refuses_unknown_cpus);
    tcase_add_test(tc, new_refuses_devices_that_cannot_be);
    tcase_add_test(tc, new_refuses_fw_cfg_files_without_a_good_name);
    tcase_add_test(tc, free_takes_null);
    tcase_add_test(tc, reset_without_a_kernel_is_refused);
    tcase_add_test(tc, load_refuses_nonsense_and_forgets_the_old_kernel);
    tcase_add_test(tc, load_refuses_more_modules_than_it_has_room_for);
    suite_add_tcase(suite, tc);
}

static void add_running(Suite *suite)
{
    TCase *tc = tcase_create("running");
    tcase_add_test(tc, run_tells_the_exit_value_and_goes_on_behind_it);
    tcase_add_test(tc, run_stops_exactly_at_the_step_limit);
    tcase_add_test(tc, cutting_a_run_changes_nothing);
    tcase_add_test(tc, test_limits_change_nothing);
    tcase_add_test(tc, machines_in_one_process_do_not_disturb_each_other);
    tcase_add_test(tc, stop_before_a_run_ends_it_at_once);
    tcase_add_test(tc, time_limit_ends_a_run);
    tcase_add_test(tc, stop_from_a_callback);
    tcase_add_test(tc, stop_from_another_thread);
    tcase_add_test(tc, halted_for_ever_is_told_and_can_be_told_again);
    tcase_add_test(tc, halted_for_ever_says_why);
    tcase_add_test(tc, halted_machine_wants_input_when_the_uart_would_interrupt);
    tcase_add_test(tc, what_is_not_emulated_stops_until_reset);
    tcase_add_test(tc, shutdown_stops_until_reset);
    tcase_add_test(tc, reset_runs_the_kernel_again_while_time_goes_on);
    tcase_add_test(tc, serial_input_that_has_no_room_stays_with_the_caller);
    suite_add_tcase(suite, tc);
}

static void add_looking(Suite *suite)
{
    TCase *tc = tcase_create("looking");
    tcase_add_test(tc, state_hash_sees_every_part_of_the_state);
    tcase_add_test(tc, state_hash_sees_what_clean_bits_speak_of);
    tcase_add_test(tc, state_hash_sees_the_tlb);
    tcase_add_test(tc, tracing_changes_nothing);
    tcase_add_test(tc, trace_attach_refuses_unknown_events);
    tcase_add_test(tc, stop_on_guest_error_ends_the_run);
    tcase_add_test(tc, resident_memory_is_what_was_touched);
    suite_add_tcase(suite, tc);
}

int main(void)
{
    Suite *suite = suite_create("machine");
    add_making(suite);
    add_running(suite);
    add_looking(suite);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
