/* The reference of exit codes. */
#include "svm/describe.h"

#include "svm/avic.h"

enum { FAULT, TRAP, MIXED, EVENT, NONE };

static const struct info_row {
    uint64_t first, last;
    unsigned kind;
    const char *info1, *info2, *section;
} info_rows[] = {
#define EXIT_INFO(first, last, kind, info1, info2, section) \
    { first, last, kind, info1, info2, section },
#include "svm/exit_info.def"
#undef EXIT_INFO
};

static const struct info_row *find(uint64_t code)
{
    for (size_t i = 0; i < sizeof(info_rows) / sizeof(info_rows[0]); i++)
        if (info_rows[i].first <= code && code <= info_rows[i].last)
            return &info_rows[i];
    return NULL;
}

bool svm_exit_is_fault(const struct svm_state *svm, uint64_t code, uint64_t info1)
{
    const struct info_row *row = find(code);
    if (row && row->kind == MIXED)
        return svm_avic_is_fault(svm, info1);
    return row && row->kind == FAULT;
}

bool svm_exit_info(unsigned n, struct svm_exit_info *info)
{
    static const char *const kinds[] = {
        [FAULT] = "at the instruction, which has had no effect",
        [TRAP] = "behind the instruction",
        [MIXED] = "at the instruction or behind it, by the APIC register",
        [EVENT] = "at the instruction that would run next",
        [NONE] = "no guest state is saved",
    };
    if (n >= svm_exit_count)
        return false;
    const struct svm_exit_row *exit = &svm_exit_rows[n];
    const struct info_row *row = find(exit->code);
    *info = (struct svm_exit_info){ .code = exit->code,
                                    .name = exit->name,
                                    .meaning = exit->meaning,
                                    .kind = row ? kinds[row->kind] : "",
                                    .info1 = row ? row->info1 : "",
                                    .info2 = row ? row->info2 : "",
                                    .section = row ? row->section : "" };
    return true;
}
