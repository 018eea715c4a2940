/* Hot handlers, fused branches and elided flags against the plain bodies: random programs of the forms that have hot
 * handlers run through the run loop and, one body at a time, by a reference loop; registers, flags and memory agree. */
#include "tests/insn/hot_kit.h"

#define PROGRAMS 30000u

static void put_imm(struct program *p, unsigned size)
{
    uint64_t value = pick(4) == 0 ? (uint64_t)(int64_t)(int32_t)(pick(5) - 2) : rnd();
    put(p, size, (const uint8_t *)&value);
}

/* Any register but RBX and RSP, which keep pointing into the data. */
static unsigned free_register(void)
{
    unsigned reg;
    do
        reg = pick(16);
    while (reg == REG_RBX || reg == REG_RSP);
    return reg;
}

/* ModRM with reg and r/m: a register, [rbx + disp8], [rbx + disp32], [rsp + disp8] or [rip + x]. */
static void put_modrm(struct program *p, unsigned rex_at, unsigned reg, bool memory_form)
{
    if (reg & 8)
        p->bytes[rex_at] |= 4;
    unsigned r = (reg & 7) << 3;
    if (!memory_form) {
        unsigned rm = free_register();
        if (rm & 8)
            p->bytes[rex_at] |= 1;
        put1(p, 0xc0 | r | (rm & 7));
        return;
    }
    switch (pick(3)) {
    case 0:
        put1(p, 0x43 | r);
        put1(p, pick(120));
        break;
    case 1: {
        uint32_t disp = pick(0xff0); /* may cross into the second page */
        put1(p, 0x83 | r);
        put(p, 4, (const uint8_t *)&disp);
        break;
    }
    default:
        put1(p, 0x44 | r);
        put1(p, 0x24);
        put1(p, pick(64));
        break;
    }
}

static void put_alu(struct program *p)
{
    static const uint8_t op[8] = { 0x00, 0x08, 0x10, 0x18, 0x20, 0x28, 0x30, 0x38 };
    unsigned rex = p->len, form = pick(6), which = pick(8);
    put1(p, 0x40 | (pick(2) << 3));
    switch (form) {
    case 0:
        put1(p, op[which] | 1);
        put_modrm(p, rex, free_register(), false);
        break;
    case 1:
        put1(p, op[which] | 1);
        put_modrm(p, rex, free_register(), true);
        break;
    case 2:
        put1(p, op[which] | 3);
        put_modrm(p, rex, free_register(), true);
        break;
    case 3:
        put1(p, 0x83);
        put_modrm(p, rex, which, pick(2));
        put_imm(p, 1);
        break;
    case 4:
        put1(p, 0x81);
        put_modrm(p, rex, which, pick(2));
        put_imm(p, 4);
        break;
    default:
        put1(p, 0x80);
        put_modrm(p, rex, which, pick(2));
        put_imm(p, 1);
        break;
    }
    p->insns++;
}

static void put_other(struct program *p)
{
    unsigned rex = p->len;
    put1(p, 0x40 | (pick(2) << 3));
    bool mem = pick(2);
    switch (pick(21)) {
    case 0:
        put1(p, 0x89);
        put_modrm(p, rex, pick(16), mem);
        break;
    case 1:
        put1(p, 0x8b);
        put_modrm(p, rex, free_register(), mem);
        break;
    case 2:
        put1(p, 0x88);
        put_modrm(p, rex, pick(16), true);
        break;
    case 3:
        put1(p, 0xc7);
        put_modrm(p, rex, 0, mem);
        put_imm(p, 4);
        break;
    case 4:
        put1(p, 0xc6);
        put_modrm(p, rex, 0, true);
        put_imm(p, 1);
        break;
    case 5:
        put1(p, 0x0f);
        put1(p, 0xb6);
        put_modrm(p, rex, free_register(), mem);
        break;
    case 6:
        put1(p, 0x0f);
        put1(p, 0xb7);
        put_modrm(p, rex, free_register(), mem);
        break;
    case 7:
        p->bytes[rex] |= 8;
        put1(p, 0x63);
        put_modrm(p, rex, free_register(), mem);
        break;
    case 8:
        put1(p, 0x8d);
        put_modrm(p, rex, free_register(), true);
        break;
    case 9:
        put1(p, 0x85);
        put_modrm(p, rex, free_register(), mem);
        break;
    case 10:
        put1(p, 0x84);
        put_modrm(p, rex, free_register(), mem);
        break;
    case 11:
        put1(p, 0xf7);
        put_modrm(p, rex, 0, mem);
        put_imm(p, 4);
        break;
    case 12:
        put1(p, 0xf6);
        put_modrm(p, rex, 0, mem);
        put_imm(p, 1);
        break;
    case 13:
        put1(p, 0xc1);
        put_modrm(p, rex, 4 + pick(2), mem);
        put_imm(p, 1);
        break;
    case 14:
        put1(p, 0xc1);
        put_modrm(p, rex, 7, mem);
        put_imm(p, 1);
        break;
    case 15:
        put1(p, 0x0f);
        put1(p, 0xaf);
        put_modrm(p, rex, free_register(), mem);
        break;
    case 16:
        put1(p, 0xff);
        put_modrm(p, rex, pick(2), mem);
        break; /* INC, DEC */
    case 17: put1(p, 0x50 + REG_RSI); break;
    case 18: put1(p, 0x58 + REG_RDI); break;
    case 19: /* two bytes: the prefix comes before REX */
        p->bytes[rex++] = 0x66;
        put1(p, 0x40);
        put1(p, 0x89);
        put_modrm(p, rex, pick(16), true);
        break;
    default: put1(p, 0x98); break; /* CWDE, CDQE */
    }
    p->insns++;
}

/* Jcc over one instruction, or JMP, CALL over nothing. */
static void put_branch(struct program *p)
{
    unsigned at = p->len;
    switch (pick(6)) {
    case 0:
        put1(p, 0xeb);
        put1(p, 0);
        break;
    case 1: put(p, 5, (const uint8_t[]){ 0xe8, 0, 0, 0, 0 }); break;
    case 2: /* lea rsi, [rip + 2]; jmp rsi */
        put(p, 9, (const uint8_t[]){ 0x48, 0x8d, 0x35, 2, 0, 0, 0, 0xff, 0xe6 });
        p->insns++;
        break;
    default:
        put1(p, 0x70 | pick(16));
        put1(p, 0);
        p->insns++;
        put_alu(p);
        p->bytes[at + 1] = (uint8_t)(p->len - at - 2);
        return;
    }
    p->insns++;
}

static void make_program(struct program *p)
{
    *p = (struct program){ 0 };
    unsigned count = 1 + pick(12);
    while (p->insns < count) {
        switch (pick(4)) {
        case 0: put_alu(p); break;
        case 1: put_branch(p); break;
        default: put_other(p); break;
        }
    }
    put1(p, 0xf4);
}

START_TEST(hot_forms_equal_plain_bodies)
{
    static struct state start;
    for (unsigned i = 0; i < PROGRAMS; i++) {
        struct program p;
        make_program(&p);
        random_state(&start);
        check_program(&p, &start);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hot");
    TCase *tc = tcase_create("hot");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, hot_forms_equal_plain_bodies);
    tcase_set_timeout(tc, 300);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
