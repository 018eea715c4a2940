/* Memory accesses of x87 and vector instructions seen from outside: breakpoints, probes, and code that they write. */
#include "tests/check_main.h"
#include "tests/cpu/kit.h"
#include "tests/cpu/program.h"

#include <string.h>

#define AREA (DATA_SPA + 0x1000u)

/* Instructions with their memory operand at [rax], and how many bytes of it are accessed. */
static const struct form {
    const char *bytes;
    unsigned len, size;
} forms[] = {
#define FORM(bytes, size)              \
    {                                  \
        bytes, sizeof(bytes) - 1, size \
    }
    FORM("\x0f\x10\x00", 16),         /* movups xmm0, [rax] */
    FORM("\xc5\xfc\x10\x00", 32),     /* vmovups ymm0, [rax] */
    FORM("\xf2\x0f\x10\x00", 8),      /* movsd xmm0, [rax] */
    FORM("\x66\x0f\xef\x00", 16),     /* pxor xmm0, [rax] */
    FORM("\xf2\x0f\x58\x00", 8),      /* addsd xmm0, [rax] */
    FORM("\xc5\xf5\x58\x00", 32),     /* vaddpd ymm0, ymm1, [rax] */
    FORM("\xdb\x28", 10),             /* fld tbyte [rax] */
    FORM("\x0f\x11\x00", 16),         /* movups [rax], xmm0 */
    FORM("\xc5\xfc\x11\x00", 32),     /* vmovups [rax], ymm0 */
    FORM("\xf3\x0f\x11\x00", 4),      /* movss [rax], xmm0 */
    FORM("\x0f\x13\x00", 8),          /* movlps [rax], xmm0 */
    FORM("\x66\x0f\xe7\x00", 16),     /* movntdq [rax], xmm0 */
    FORM("\xdb\x38", 10),             /* fstp tbyte [rax] */
    FORM("\xd9\x30", 28),             /* fnstenv [rax] */
    FORM("\xc4\xe2\x75\x2e\x00", 32), /* vmaskmovps [rax], ymm1, ymm0 */
};

/* Ready for all of them; YMM1 is all ones. */
static void start(struct kit *k, const void *bytes, unsigned len)
{
    struct vcpu *cpu = k->cpu;
    program(k, bytes, len);
    cpu->regs.cr4 |= CR4_OSFXSR | CR4_OSXSAVE;
    cpu->simd.xcr0 = XCR0_X87 | XCR0_SSE | XCR0_AVX;
    cpu->x87 = (struct cpu_x87){ .fcw = 0x37f };
    cpu_update_mode(cpu);
    memset(cpu->simd.v, 0, sizeof(cpu->simd.v));
    memset(cpu->simd.v[1].u8, 0xff, 32);
    cpu->r[REG_RAX] = AREA;
}

/* A watched byte is hit by the accesses that have it, and by no other. */
WITH_KIT(data_breakpoints_see_every_byte)
{
    for (unsigned i = 0; i < TABLE_ROWS(forms); i++)
        for (unsigned at = 0; at <= forms[i].size + 1; at++) {
            start(k, forms[i].bytes, forms[i].len);
            watch(k, 0, AREA - 1 + at, ON_ACCESS, LEN1);
            program_run(k, 10);
            bool hit = at >= 1 && at <= forms[i].size;
            ck_assert_msg(k->deliveries == hit, "form %u byte %d", i, (int)at - 1);
        }
}

/* Probes hear of all bytes. */
static void probed(void *self, const struct probe_event *event)
{
    uint64_t *seen = self;
    for (unsigned i = 0; i < (event->b & 0xff); i++)
        *seen |= UINT64_C(1) << (event->a + i - AREA);
}

WITH_KIT(probes_see_every_byte)
{
    for (unsigned i = 0; i < TABLE_ROWS(forms); i++) {
        uint64_t seen = 0;
        struct probe_client client = { .mask = 1u << PROBE_MEM, .fire = probed, .self = &seen };
        start(k, forms[i].bytes, forms[i].len);
        probes_attach(&k->probes, &client);
        program_run(k, 2);
        probes_detach(&k->probes, &client);
        ck_assert_msg(seen == (UINT64_C(1) << forms[i].size) - 1, "form %u", i);
    }
}

/* Behind a store the new code runs, also in the block that was made of the old one. */
WITH_KIT(stores_into_the_block_that_stores)
{
    enum { TARGET = 32 };
    static const uint64_t patch = 0xf400000002bb; /* mov ebx, 2; hlt */
    unsigned stores = 0;
    for (unsigned i = 0; i < TABLE_ROWS(forms); i++) {
        uint8_t code[TARGET + 6];
        memset(code, 0x90, sizeof(code));
        memcpy(code, forms[i].bytes, forms[i].len);
        memcpy(code + TARGET, "\xbb\x01\x00\x00\x00\xf4", 6); /* mov ebx, 1; hlt */
        for (unsigned into_code = 0; into_code <= 1; into_code++) {
            start(k, code, sizeof(code));
            kit_put(k, AREA, 8, 0);
            k->cpu->simd.v[0].u64[0] = patch;
            k->cpu->x87.reg[0] = (struct f80){ .mant = patch };
            k->cpu->x87.used = 1;
            k->cpu->r[REG_RAX] = into_code ? CODE_SPA + TARGET : AREA;
            program_run(k, 100);
            ck_assert_msg(k->cpu->r[REG_RBX] == 1 + into_code, "form %u", i);
            if ((uint32_t)kit_get(k, AREA, 8) != (uint32_t)patch)
                break; /* a load, or something else is stored */
            stores++;
        }
    }
    ck_assert_uint_eq(stores, 7);
}

CHECK_MAIN("vector accesses", data_breakpoints_see_every_byte, probes_see_every_byte,
           stores_into_the_block_that_stores)
