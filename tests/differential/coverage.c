/* Which forms of the model's instructions have run, how often, and why others have not. */
#include "tests/differential/forms_priv.h"

#include <Zydis/Mnemonic.h>
#include <stdio.h>
#include <string.h>

static void print_operand(unsigned kind, unsigned size)
{
    switch ((enum operand_kind)kind) {
    case OPERAND_NONE: printf("?"); break;
    case OPERAND_REG: printf("r%u", 8 * size); break;
    case OPERAND_MEM: printf("m%u", 8 * size); break;
    case OPERAND_IMM: printf("imm"); break;
    case OPERAND_SEG: printf("sreg"); break;
    case OPERAND_CR: printf("cr"); break;
    case OPERAND_DR: printf("dr"); break;
    case OPERAND_ST: printf("st"); break;
    case OPERAND_MMX: printf("mm"); break;
    case OPERAND_VECTOR: printf("%s", size == 32 ? "ymm" : "xmm"); break; /* or its lower half */
    }
}

static void print_kind(const struct form_kind *kind)
{
    printf("%s", ZydisMnemonicGetString((ZydisMnemonic)kind->mnemonic));
    for (unsigned i = 0; i < kind->count; i++) {
        printf(i ? ", " : " ");
        print_operand(kind->kinds[i], kind->sizes[i]);
    }
}

static const char *mode_name(unsigned mode)
{
    static const char *const names[] = { "64", "32", "16" };
    return names[mode];
}

void coverage_print(const struct diff_forms *forms, uint64_t wanted, unsigned modes)
{
    unsigned total = 0, enough = 0, never = 0, excluded = 0;
    uint64_t least = UINT64_MAX;
    for (unsigned k = 1; k <= forms->kind_count; k++)
        for (unsigned mode = 0; mode < DIFF_MODES; mode++) {
            const struct form_kind *kind = &forms->kinds[k];
            if (!kind->modes[mode] || !(modes >> mode & 1))
                continue;
            total++;
            excluded += kind->left_out != NULL;
            if (kind->left_out)
                continue;
            never += kind->ran[mode] == 0;
            enough += kind->ran[mode] >= wanted;
            least = kind->ran[mode] < least ? kind->ran[mode] : least;
            if (wanted && kind->ran[mode] < wanted) {
                printf("coverage: %s-bit ", mode_name(mode));
                print_kind(kind);
                printf(": %llu\n", (unsigned long long)kind->ran[mode]);
            }
        }
    printf("forms: %u, of which %u ran at least %llu times (each at least %llu), %u never, %u are "
           "left out\n",
           total, enough, (unsigned long long)wanted,
           (unsigned long long)(least == UINT64_MAX ? 0 : least), never, excluded);
    for (unsigned k = 1; wanted && k <= forms->kind_count; k++) {
        const struct form_kind *kind = &forms->kinds[k];
        if (!kind->left_out)
            continue;
        printf("left out: ");
        print_kind(kind);
        printf(": %s\n", kind->left_out);
    }
}
