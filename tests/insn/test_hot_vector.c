/* Hot vector forms against the plain bodies: random programs of them, aligned or not, in both encodings. */
#include "tests/insn/hot_kit.h"

#define PROGRAMS 20000u

/* An instruction with a hot form: 0F opcodes of map 1. */
static const struct form {
    uint8_t prefix; /* 0, 66, F3, F2 */
    uint8_t opcode;
    uint8_t sources; /* register sources of the VEX form: 1, or 2 with vvvv */
    bool wide;       /* a 256-bit form has a hot handler or a body */
    enum { MEM, REG, BOTH } kinds;
    bool general; /* ModRM.reg is a general register */
} forms[] = {
    { 0x00, 0x28, 1, true, BOTH, false },  /* movaps */
    { 0x66, 0x29, 1, true, BOTH, false },  /* movapd to memory */
    { 0x66, 0x6f, 1, true, BOTH, false },  /* movdqa */
    { 0xf3, 0x6f, 1, true, BOTH, false },  /* movdqu */
    { 0xf3, 0x7f, 1, true, BOTH, false },  /* movdqu to memory */
    { 0x00, 0x10, 1, true, BOTH, false },  /* movups */
    { 0x66, 0x11, 1, true, BOTH, false },  /* movupd to memory */
    { 0xf2, 0x10, 1, false, MEM, false },  /* movsd */
    { 0xf2, 0x11, 1, false, MEM, false },  /* movsd to memory */
    { 0xf3, 0x10, 1, false, MEM, false },  /* movss */
    { 0xf3, 0x11, 1, false, MEM, false },  /* movss to memory */
    { 0xf3, 0x7e, 1, false, BOTH, false }, /* movq */
    { 0x66, 0xd6, 1, false, MEM, false },  /* movq to memory */
    { 0x66, 0xef, 2, true, BOTH, false },  /* pxor */
    { 0x00, 0x57, 2, true, BOTH, false },  /* xorps */
    { 0x66, 0x57, 2, true, BOTH, false },  /* xorpd */
    { 0x66, 0xdb, 2, true, BOTH, false },  /* pand */
    { 0x66, 0xeb, 2, true, BOTH, false },  /* por */
    { 0x66, 0x74, 2, true, BOTH, false },  /* pcmpeqb */
    { 0x66, 0xda, 2, true, BOTH, false },  /* pminub */
    { 0x66, 0xfe, 2, true, BOTH, false },  /* paddd */
    { 0x66, 0xd7, 1, true, REG, true },    /* pmovmskb */
    { 0xf2, 0x58, 2, false, BOTH, false }, /* addsd */
    { 0xf2, 0x5c, 2, false, BOTH, false }, /* subsd */
    { 0xf2, 0x59, 2, false, BOTH, false }, /* mulsd */
};

/* ModRM: registers, or [rbx + disp32] on the boundary that legacy encodings ask for, now and then across the page. */
static void put_operands(struct program *p, unsigned reg, bool memory_form, bool aligned)
{
    if (!memory_form) {
        put1(p, 0xc0 | reg << 3 | pick(8));
        return;
    }
    uint32_t disp = pick(4) ? pick(0x400) : 0xfc0 + pick(0x80);
    if (aligned)
        disp &= ~31u;
    put1(p, 0x83 | reg << 3);
    put(p, 4, (const uint8_t *)&disp);
}

static void put_form(struct program *p)
{
    const struct form *f = &forms[pick(sizeof(forms) / sizeof(forms[0]))];
    bool memory_form = f->kinds == MEM || (f->kinds == BOTH && pick(2));
    unsigned reg = f->general ? 0 : pick(8);
    static const uint8_t prefixes[4] = { 0x00, 0x66, 0xf3, 0xf2 };
    if (pick(2)) {
        if (f->prefix)
            put1(p, f->prefix);
        put1(p, 0x0f);
    } else {
        unsigned pp = 0;
        while (prefixes[pp] != f->prefix)
            pp++;
        unsigned vvvv = f->sources == 2 ? pick(16) : 0;
        put1(p, 0xc5);
        put1(p, 0x80 | (~vvvv & 15) << 3 | (f->wide && pick(2) ? 4 : 0) | pp);
    }
    put1(p, f->opcode);
    put_operands(p, reg, memory_form, true);
    p->insns++;
}

/* Bytes at random, numbers about 1, of few bits, or special. All exceptions stay masked. */
static void random_vectors(struct state *start)
{
    static const uint64_t doubles[] = { 0,
                                        0x3ff0000000000000,
                                        0xc008000000000000,
                                        1,
                                        0x7ff0000000000000,
                                        0x7ff4000000000000,
                                        0x7fefffffffffffff,
                                        0x0010000000000000 };
    for (unsigned v = 0; v < 16; v++) {
        for (unsigned i = 0; i < 32; i++)
            start->v[v].u8[i] = (uint8_t)(pick(3) ? rnd() : (v & 1) * 0x80);
        if (pick(2))
            start->v[v].u64[0] = (rnd() >> 8) * pick(2) + 0x3ff0000000000000;
        else if (pick(2))
            start->v[v].u64[0] = doubles[pick(8)];
    }
    for (unsigned k = 0; k < DATA_BYTES; k += 8)
        if (pick(2))
            memcpy(start->data + k, &start->v[pick(16)], 8);
    start->mxcsr = MXCSR_RESET | (pick(2) ? 0x20 : 0) | (pick(4) ? 0 : pick(4) << 13) |
                   (pick(4) ? 0 : MXCSR_DAZ | MXCSR_FTZ);
}

START_TEST(hot_vector_forms_equal_plain_bodies)
{
    static struct state start;
    for (unsigned i = 0; i < PROGRAMS; i++) {
        struct program p = { 0 };
        unsigned count = 1 + pick(10);
        while (p.insns < count)
            put_form(&p);
        put1(&p, 0xf4);
        random_state(&start);
        random_vectors(&start);
        check_program(&p, &start);
    }
}
END_TEST

/* A hot load from an odd address leaves the fault to the body. */
START_TEST(a_misaligned_hot_load_faults)
{
    static struct state start;
    static const uint8_t code[] = { 0x0f, 0x28, 0x43, 0x01,
                                    0xf4 }; /* movaps xmm0, [rbx + 1]; hlt */
    random_state(&start);
    ck_assert(phys_write_block(memory, CODE, code, sizeof(code)));
    load(&start);
    struct run_limits limits = { .max_steps = 100 };
    ck_assert_int_eq(run_vcpu(cpu, &limits), PACIFICA_STOP_SHUTDOWN); /* there is no IDT */
    ck_assert_uint_eq(cpu->simd.v[0].u64[0], 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hot vectors");
    TCase *tc = tcase_create("hot");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, hot_vector_forms_equal_plain_bodies);
    tcase_add_test(tc, a_misaligned_hot_load_faults);
    tcase_set_timeout(tc, 300);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
