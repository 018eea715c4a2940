/* Exits and events in words. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "svm/svm.h"
#include "svm/vmcb.h"

struct exit_row {
    uint64_t code;
    const char *name, *meaning;
};

static const struct exit_row exit_rows[] = {
#define VMEXIT_CODE(code, name, what) { code, "VMEXIT_" #name, what },
#define VMEXIT_NEGATIVE(code, name, what) { code, "VMEXIT_" #name, what },
#include "svm/exit_codes.def"
#undef VMEXIT_CODE
#undef VMEXIT_NEGATIVE
};
#define EXIT_ROWS (sizeof(exit_rows) / sizeof(exit_rows[0]))

/* The table starts with the codes from 0 without a gap. */
static const struct exit_row *exit_row(uint64_t code)
{
    if (code < EXIT_ROWS && exit_rows[code].code == code)
        return &exit_rows[code];
    for (size_t i = 0; i < EXIT_ROWS; i++)
        if (exit_rows[i].code == code)
            return &exit_rows[i];
    return NULL;
}

const char *svm_exit_name(uint64_t code)
{
    const struct exit_row *row = exit_row(code);
    return row ? row->name : NULL;
}

const char *svm_exit_meaning(uint64_t code)
{
    const struct exit_row *row = exit_row(code);
    return row ? row->meaning : NULL;
}

const char *svm_intercept_name(unsigned intercept)
{
    static const struct {
        const char *name;
        unsigned first, count;
    } rows[] = {
#define INTERCEPT_BITS(name, word, bit, count) { "INTERCEPT_" #name, (word)*32 + (bit), count },
#include "svm/intercepts.def"
#undef INTERCEPT_BITS
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (intercept >= rows[i].first && intercept - rows[i].first < rows[i].count)
            return rows[i].name;
    return NULL;
}

/* --- text that grows, and counts what did not fit --- */

struct words {
    char *text;
    unsigned size, used;
};

static void add(struct words *words, const char *fmt, ...) EMU_PRINTF(2, 3);

static void add(struct words *words, const char *fmt, ...)
{
    bool room = words->used < words->size;
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(room ? words->text + words->used : NULL,
                        room ? words->size - words->used : 0, fmt, args);
    va_end(args);
    if (len > 0)
        words->used += (unsigned)len;
}

static void add_fault_bits(struct words *words, uint64_t code)
{
    add(words, "%s%s", code & PF_P ? "present" : "not present",
        code & PF_RSV ? ", reserved bit" : "");
}

static const char *access_verb(uint64_t code)
{
    return code & PF_ID ? "fetch from" : code & PF_RW ? "write to" : "read of";
}

/* --- exits by kind --- */

static const char *const gpr_names[16] = { "RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
                                           "R8",  "R9",  "R10", "R11", "R12", "R13", "R14", "R15" };

/* CR and DR accesses, in the order of their 64 codes. APM vol 2, 15.8.1. */
static void add_move(struct words *words, uint64_t code, uint64_t info1)
{
    const char *bank = code < VMEXIT_DR0_READ ? "CR" : "DR";
    unsigned number = code & 15;
    const char *gpr = gpr_names[info1 & 15];
    bool write = code & 16;
    if (code < VMEXIT_DR0_READ && !(info1 >> 63) && number != 0) /* no decode assists */
        add(words, "%s", svm_exit_meaning(code));
    else if (code < VMEXIT_DR0_READ && !(info1 >> 63))
        add(words, "CR%u %s", number, write ? "write by LMSW or CLTS" : "read by SMSW");
    else if (write)
        add(words, "MOV %s%u, %s", bank, number, gpr);
    else
        add(words, "MOV %s, %s%u", gpr, bank, number);
}

static void add_exception(struct words *words, uint64_t code, uint64_t info1, uint64_t info2)
{
    add(words, "%s", svm_exit_meaning(code));
    switch (code - VMEXIT_EXCP0) {
    case EXC_PF:
        add(words, ": %s %s 0x%" PRIx64 ", ", info1 & PF_US ? "user" : "supervisor",
            access_verb(info1), info2);
        add_fault_bits(words, info1);
        break;
    case EXC_TS:
    case EXC_NP:
    case EXC_SS:
    case EXC_GP:
    case EXC_AC:
    case 21: /* #CP */
    case EXC_SX: add(words, ", error code 0x%" PRIx64, info1); break;
    default: break;
    }
}

static void add_npf(struct words *words, uint64_t info1, uint64_t info2)
{
    add(words, "%s gpa 0x%" PRIx64 ": ", access_verb(info1), info2);
    add_fault_bits(words, info1);
    if (info1 & NPF_TABLE)
        add(words, ", guest page table");
    if (info1 & NPF_FINAL)
        add(words, ", final access");
}

static void add_port_access(struct words *words, uint64_t info1)
{
    static const char *const segs[8] = { "ES", "CS", "SS", "DS", "FS", "GS", "?", "?" };
    bool in = info1 & 1, string = info1 & 4;
    unsigned bits = info1 & 0x10 ? 8 : info1 & 0x20 ? 16 : 32;
    add(words, "%s%s%s %u bits, port 0x%x", string && (info1 & 8) ? "REP " : "", in ? "IN" : "OUT",
        string ? "S" : "", bits, (unsigned)(info1 >> 16) & 0xffff);
    if (string)
        add(words, ", segment %s", segs[info1 >> 10 & 7]);
}

static void add_ioio(struct words *words, uint64_t info1, uint64_t info2)
{
    add_port_access(words, info1);
    add(words, ", next RIP 0x%" PRIx64, info2);
}

/* The upper half of EXITINFO1 is that of a port access, if one pulled SMI: APM vol 2, appendix D. */
static void add_smi(struct words *words, uint64_t info1, uint64_t info2)
{
    add(words, "%s SMI", info1 & 1 ? "external" : "internal");
    if (!(info1 >> 33 & 1))
        return;
    add(words, " by ");
    add_port_access(words, (info1 >> 32 & ~UINT64_C(0x1c00)) | (info1 & 0x1c00));
    add(words, ", RIP 0x%" PRIx64, info2);
}

static void add_task_switch(struct words *words, uint64_t info1, uint64_t info2)
{
    const char *cause = info2 >> 36 & 1 ? "IRET" : info2 >> 38 & 1 ? "far JMP" : "CALL or event";
    add(words, "task switch by %s to selector 0x%x", cause, (unsigned)info1 & 0xffff);
    if (info2 >> 44 & 1)
        add(words, ", error code 0x%x", (unsigned)info2);
}

static void add_other(struct words *words, uint64_t code, uint64_t info1, uint64_t info2)
{
    const char *meaning = svm_exit_meaning(code);
    add(words, "%s", meaning ? meaning : "unknown exit code");
    if (info1 || info2)
        add(words, ", EXITINFO1 0x%" PRIx64 ", EXITINFO2 0x%" PRIx64, info1, info2);
}

int svm_describe_exit(char *text, unsigned size, uint64_t code, uint64_t info1, uint64_t info2)
{
    struct words words = { .text = text, .size = size };
    if (size)
        text[0] = '\0';
    if (code <= VMEXIT_DR15_WRITE) {
        add_move(&words, code, info1);
        return (int)words.used;
    }
    if (code <= VMEXIT_EXCP31) {
        add_exception(&words, code, info1, info2);
        return (int)words.used;
    }
    switch (code) {
    case VMEXIT_CR0_SEL_WRITE:
        if (info1 >> 63)
            add(&words, "MOV CR0, %s, a bit other than TS and MP", gpr_names[info1 & 15]);
        else
            add(&words, "LMSW");
        break;
    case VMEXIT_SWINT: add(&words, "INT 0x%x", (unsigned)info1 & 0xff); break;
    case VMEXIT_INVLPG: add(&words, "INVLPG 0x%" PRIx64, info1); break;
    case VMEXIT_SMI: add_smi(&words, info1, info2); break;
    case VMEXIT_IOIO: add_ioio(&words, info1, info2); break;
    case VMEXIT_MSR: add(&words, "%s", info1 & 1 ? "WRMSR" : "RDMSR"); break;
    case VMEXIT_TASK_SWITCH: add_task_switch(&words, info1, info2); break;
    case VMEXIT_NPF: add_npf(&words, info1, info2); break;
    default: add_other(&words, code, info1, info2); break;
    }
    return (int)words.used;
}

/* "#PF" out of "#PF page fault". */
static void add_mnemonic(struct words *words, unsigned vector)
{
    const char *name = svm_exit_meaning(VMEXIT_EXCP0 + vector);
    if (vector <= 31 && name && name[0] == '#')
        add(words, "%.3s", name);
    else
        add(words, "exception %u", vector);
}

int svm_describe_event(char *text, unsigned size, uint64_t word)
{
    struct words words = { .text = text, .size = size };
    unsigned vector = (uint8_t)word;
    if (size)
        text[0] = '\0';
    if (!(word & EVENTINJ_V)) {
        add(&words, "none");
        return (int)words.used;
    }
    switch (word >> 8 & 7) {
    case EVENT_INTR: add(&words, "interrupt 0x%x", vector); break;
    case EVENT_NMI: add(&words, "NMI"); break;
    case EVENT_EXCEPTION: add_mnemonic(&words, vector); break;
    case EVENT_SOFT: add(&words, "INT 0x%x", vector); break;
    default: add(&words, "reserved type %u, vector 0x%x", (unsigned)(word >> 8 & 7), vector); break;
    }
    if (word & EVENTINJ_EV)
        add(&words, ", error code 0x%x", (unsigned)(word >> 32));
    return (int)words.used;
}
