/* A machine that listens: its guest echoes what arrives at COM1, adds it up, counts, and fills memory. */
#ifndef TESTS_MACHINE_TRAVEL_KIT_H
#define TESTS_MACHINE_TRAVEL_KIT_H

#include "emu/machine/machine.h"

#include "tests/check_main.h"
#include "tests/random.h"

#include <stdlib.h>
#include <string.h>

#define KIT_LOAD 0x100000u
#define KIT_CODE_AT 32u
#define KIT_COUNT 0x200000u /* the guest's counter, and behind it the sum of what arrived */
#define KIT_SUM 0x200004u
#define KIT_FILLED 0x210000u

/* clang-format off */
static const uint8_t kit_echo[] = {
    0xbc, 0, 0, 0x30, 0,                 /* mov esp, 300000h */
    0x66, 0xba, 0xfb, 0x03, 0xb0, 0x83, 0xee, /* 115200 baud: a byte takes 87 microseconds */
    0x66, 0xba, 0xf8, 0x03, 0xb0, 0x01, 0xee,
    0x66, 0xba, 0xfb, 0x03, 0xb0, 0x03, 0xee,
    0x66, 0xba, 0xfd, 0x03, 0xec,        /* 1: mov dx, 3fdh; in al, dx */
    0xa8, 1, 0x74, 0x0c,                 /* test al, 1; jz 2 */
    0x66, 0xba, 0xf8, 0x03, 0xec,        /* mov dx, 3f8h; in al, dx */
    0x01, 0x05, 4, 0, 0x20, 0, 0xee,     /* add [200004h], eax; out dx, al */
    0x40, 0x01, 0x05, 0, 0, 0x20, 0,     /* 2: inc eax; add [200000h], eax */
    0xbf, 0, 0, 0x21, 0,                 /* mov edi, 210000h */
    0xb9, 37, 0, 0, 0, 0xf3, 0xaa,       /* mov ecx, 37; rep stosb */
    0xeb, 0xd6,                          /* jmp 1 */
};

/* Echoes, too, and resets the machine behind an r. */
static const uint8_t kit_reset[] = {
    0x66, 0xba, 0xfd, 0x03, 0xec,        /* 1: mov dx, 3fdh; in al, dx */
    0xff, 0x05, 0, 0, 0x20, 0,           /* inc dword [200000h] */
    0xa8, 1, 0x74, 0xf1,                 /* test al, 1; jz 1 */
    0x66, 0xba, 0xf8, 0x03, 0xec, 0xee,  /* mov dx, 3f8h; in al, dx; out dx, al */
    0x3c, 'r', 0x75, 0xe7,               /* cmp al, 'r'; jne 1 */
    0x66, 0xba, 0xf9, 0x0c, 0xb0, 6, 0xee, /* mov dx, cf9h; mov al, 6; out dx, al */
    0xeb, 0xfe,                          /* jmp $ */
};
/* clang-format on */

struct random {
    uint64_t state;
};

static inline unsigned random_below(struct random *random, unsigned end)
{
    return (unsigned)((test_random(&random->state) >> 33) % end);
}

struct kit {
    struct pacifica_machine *machine;
    struct pacifica_result result;
    struct pacifica_diag diag;
    uint8_t image[256];
    char out[65536];
    size_t used;
    bool stop_on_output;
};

static void kit_write(void *self, const void *bytes, size_t size)
{
    struct kit *kit = self;
    ck_assert_uint_lt(kit->used + size, sizeof(kit->out));
    memcpy(kit->out + kit->used, bytes, size);
    kit->used += size;
    if (kit->stop_on_output)
        pacifica_machine_stop(kit->machine);
}

static struct kit *kit_new_with(const void *code, size_t size, struct pacifica_options options)
{
    const uint32_t head[8] = {
        0x1badb002, 1u << 16, 0u - 0x1badb002 - (1u << 16), KIT_LOAD, KIT_LOAD,
        0,          0,        KIT_LOAD + KIT_CODE_AT
    };
    struct kit *kit = calloc(1, sizeof(*kit));
    ck_assert_ptr_nonnull(kit);
    memcpy(kit->image, head, sizeof(head));
    memcpy(kit->image + KIT_CODE_AT, code, size);
    options.serial = (struct pacifica_output){ .write = kit_write, .self = kit };
    ck_assert_int_eq(pacifica_machine_new(&options, &kit->machine, &kit->diag), PACIFICA_OK);
    const struct pacifica_kernel kernel = { .image = { kit->image, KIT_CODE_AT + size } };
    ck_assert_int_eq(pacifica_machine_load_kernel(kit->machine, &kernel, &kit->diag), PACIFICA_OK);
    return kit;
}

static struct pacifica_options kit_options(void)
{
    struct pacifica_options options = PACIFICA_OPTIONS_INIT;
    options.ram_bytes = UINT64_C(4) << 20;
    return options;
}

static void kit_free(struct kit *kit)
{
    pacifica_machine_free(kit->machine);
    free(kit);
}

static enum pacifica_stop kit_run(struct kit *kit, uint64_t max_steps)
{
    struct pacifica_limits limits = PACIFICA_LIMITS_INIT;
    limits.max_steps = max_steps;
    pacifica_machine_run(kit->machine, &limits, &kit->result);
    return kit->result.stop;
}

static uint64_t kit_hash(struct kit *kit)
{
    return pacifica_machine_state_hash(kit->machine);
}

#endif
