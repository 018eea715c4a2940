/* Shadow stacks of guests that begin in any mode: a supervisor's in use, one to switch to for each inner level and for an
 * interrupt stack, and a user's. Their bytes are ordinary memory where they are seen at 2 MiB. */
#include "tests/fuzz/modes.h"

enum shadow_place {
    SUPER_SPA = 0x60000,
    USER_SPA = 0x61000,
    TOKENS_SPA = 0x62000,
    ISST_SPA = 0x63000 /* an ordinary page */
};

static void make_page(struct pacifica_machine *machine, uint64_t spa, uint64_t user)
{
    const uint64_t entry = spa | 0x61 | user; /* P, A, D; R/W = 0 */
    modes_store(machine, PT_SPA + 8 * (spa >> 12), 8, entry);
    modes_store(machine, PT32_SPA + 4 * (spa >> 12), 4, entry);
}

static uint64_t make_token(struct pacifica_machine *machine, unsigned n)
{
    uint64_t at = TOKENS_SPA + 0x200 * n + 0x1f8;
    modes_store(machine, at, 8, at);
    return at;
}

void modes_make_shadow(struct pacifica_machine *machine)
{
    make_page(machine, SUPER_SPA, 0);
    make_page(machine, USER_SPA, 4);
    make_page(machine, TOKENS_SPA, 0);
    for (unsigned i = 0; i < 8; i++)
        modes_store(machine, ISST_SPA + 8 * i, 8, make_token(machine, i & 3)); /* IST 1 and 3 */
    for (unsigned n = 0; n < TSS_COUNT;
         n++) { /* PL0_SSP is the fifth, the tasks of 32 bits have the odd ones */
        uint64_t token = make_token(machine, n);
        if (n & 1)
            modes_store(machine, TSS_SPA + n * TSS_BYTES + 0x68, 4, token);
    }
}

void modes_set_shadow(struct vcpu *cpu)
{
    cpu->regs.cr0 |= CR0_WP;
    cpu->regs.cr4 |= CR4_CET;
    cpu->shadow.ssp = (cpu->regs.cpl == 3 ? USER_SPA : SUPER_SPA) + 0x800 - 0x100 * cpu->index;
    cpu->shadow.u_cet = cpu->shadow.s_cet = SHADOW_CET_ENABLE | SHADOW_CET_WRITE;
    for (unsigned cpl = 0; cpl < 3; cpl++)
        cpu->shadow.pl_ssp[cpl] = TOKENS_SPA + 0x200 * (4 + cpl) + 0x1f8;
    cpu->shadow.pl_ssp[3] = USER_SPA + 0x800 - 0x100 * cpu->index;
    cpu->shadow.isst = ISST_SPA;
    cpu_update_mode(cpu);
}
