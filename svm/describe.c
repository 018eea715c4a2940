/* Exits and events in words. */
#include "svm/describe.h"

#include "svm/svm.h"
#include "svm/words.h"

#include <inttypes.h>

const struct svm_exit_row svm_exit_rows[] = {
#define VMEXIT_CODE(code, name, what) { code, "VMEXIT_" #name, what },
#define VMEXIT_NEGATIVE(code, name, what) { code, "VMEXIT_" #name, what },
#include "svm/exit_codes.def"
#undef VMEXIT_CODE
#undef VMEXIT_NEGATIVE
};
const unsigned svm_exit_count = sizeof(svm_exit_rows) / sizeof(svm_exit_rows[0]);

/* The table starts with the codes from 0 without a gap. */
static const struct svm_exit_row *exit_row(uint64_t code)
{
    if (code < svm_exit_count && svm_exit_rows[code].code == code)
        return &svm_exit_rows[code];
    for (unsigned i = 0; i < svm_exit_count; i++)
        if (svm_exit_rows[i].code == code)
            return &svm_exit_rows[i];
    return NULL;
}

const char *svm_exit_name(uint64_t code)
{
    const struct svm_exit_row *row = exit_row(code);
    return row ? row->name : NULL;
}

const char *svm_exit_meaning(uint64_t code)
{
    const struct svm_exit_row *row = exit_row(code);
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

static void add_fault_bits(struct words *words, uint64_t code)
{
    words_add(words, "%s%s", code & PF_P ? "present" : "not present",
              code & PF_RSV ? ", reserved bit" : "");
}

static const char *access_verb(uint64_t code)
{
    if (code & PF_SS)
        return code & PF_RW ? "shadow stack write to" : "shadow stack read of";
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
        words_add(words, "%s", svm_exit_meaning(code));
    else if (code < VMEXIT_DR0_READ && !(info1 >> 63))
        words_add(words, "CR%u %s", number, write ? "write by LMSW or CLTS" : "read by SMSW");
    else if (write)
        words_add(words, "MOV %s%u, %s", bank, number, gpr);
    else
        words_add(words, "MOV %s, %s%u", gpr, bank, number);
}

/* APM vol 2, 8.2.20 "#CP-Control-Protection Exception (Vector 21)". */
static void add_control_protection(struct words *words, uint64_t code)
{
    static const char *const causes[] = { NULL, "near RET", "far RET or IRET",
                                          NULL, "RSTORSSP", "SETSSBSY" };
    words_add(words, ", error code 0x%" PRIx64, code);
    if (code < sizeof(causes) / sizeof(causes[0]) && causes[code])
        words_add(words, " (%s)", causes[code]);
}

static void add_exception(struct words *words, uint64_t code, uint64_t info1, uint64_t info2)
{
    words_add(words, "%s", svm_exit_meaning(code));
    switch (code - VMEXIT_EXCP0) {
    case EXC_PF:
        words_add(words, ": %s %s 0x%" PRIx64 ", ", info1 & PF_US ? "user" : "supervisor",
                  access_verb(info1), info2);
        add_fault_bits(words, info1);
        break;
    case EXC_CP: add_control_protection(words, info1); break;
    case EXC_TS:
    case EXC_NP:
    case EXC_SS:
    case EXC_GP:
    case EXC_AC:
    case EXC_SX: words_add(words, ", error code 0x%" PRIx64, info1); break;
    default: break;
    }
}

static void add_npf(struct words *words, uint64_t info1, uint64_t info2)
{
    words_add(words, "%s gpa 0x%" PRIx64 ": ", access_verb(info1), info2);
    add_fault_bits(words, info1);
    if (info1 & NPF_SSS)
        words_add(words, ", supervisor shadow stack page");
    if (info1 & NPF_TABLE)
        words_add(words, ", guest page table");
    if (info1 & NPF_FINAL)
        words_add(words, ", final access");
}

static void add_port_access(struct words *words, uint64_t info1, bool with_segment)
{
    static const char *const segs[8] = { "ES", "CS", "SS", "DS", "FS", "GS", "?", "?" };
    bool in = info1 & 1, string = info1 & 4;
    unsigned bits = info1 & 0x10 ? 8 : info1 & 0x20 ? 16 : 32;
    words_add(words, "%s%s%s %u bits, port 0x%x", string && (info1 & 8) ? "REP " : "",
              in ? "IN" : "OUT", string ? "S" : "", bits, (unsigned)(info1 >> 16) & 0xffff);
    if (string && with_segment)
        words_add(words, ", segment %s", segs[info1 >> 10 & 7]);
}

static void add_ioio(struct words *words, uint64_t info1, uint64_t info2, bool with_segment)
{
    add_port_access(words, info1, with_segment);
    words_add(words, ", next RIP 0x%" PRIx64, info2);
}

/* The upper half of EXITINFO1 is that of a port access, if one pulled SMI: APM vol 2, appendix D. */
static void add_smi(struct words *words, uint64_t info1, uint64_t info2)
{
    words_add(words, "%s SMI", info1 & 1 ? "external" : "internal");
    if (!(info1 >> 33 & 1))
        return;
    words_add(words, " by ");
    add_port_access(words, (info1 >> 32 & ~UINT64_C(0x1c00)) | (info1 & 0x1c00), true);
    words_add(words, ", RIP 0x%" PRIx64, info2);
}

static void add_task_switch(struct words *words, uint64_t info1, uint64_t info2)
{
    const char *cause = info2 >> 36 & 1 ? "IRET" : info2 >> 38 & 1 ? "far JMP" : "CALL or event";
    words_add(words, "task switch by %s to selector 0x%x", cause, (unsigned)info1 & 0xffff);
    if (info2 >> 44 & 1)
        words_add(words, ", error code 0x%x", (unsigned)info2);
    if (info2 >> 48 & 1)
        words_add(words, ", RF");
}

/* APM vol 2, 15.29 "Advanced Virtual Interrupt Controller". */
static void add_avic_ipi(struct words *words, uint64_t info1, uint64_t info2)
{
    static const char *const reasons[] = { "not fixed and edge-triggered", "target not running",
                                           "invalid target", "invalid backing page",
                                           "vector below 16" };
    uint64_t reason = info2 >> 32;
    words_add(words, "IPI 0x%" PRIx64 ": %s", info1,
              reason < sizeof(reasons) / sizeof(reasons[0]) ? reasons[reason] : "reserved reason");
    if (reason >= 1 && reason <= 3)
        words_add(words, ", table index %u", (unsigned)info2 & 0xfff);
}

static void add_avic_noaccel(struct words *words, uint64_t info1, uint64_t info2)
{
    bool write = info1 >> 32 & 1;
    unsigned offset = (unsigned)info1 & 0xff0;
    words_add(words, "%s APIC register 0x%x", write ? "write of" : "read of", offset);
    if (write && offset == 0xb0)
        words_add(words, ", EOI of vector 0x%x", (unsigned)info2 & 0xff);
}

static void add_other(struct words *words, uint64_t code, uint64_t info1, uint64_t info2)
{
    const char *meaning = svm_exit_meaning(code);
    words_add(words, "%s", meaning ? meaning : "unknown exit code");
    if (code >= VMEXIT_EFER_WRITE_TRAP && code < VMEXIT_INVLPGB)
        words_add(words, ", value 0x%" PRIx64, info1);
    else if (info1 || info2)
        words_add(words, ", EXITINFO1 0x%" PRIx64 ", EXITINFO2 0x%" PRIx64, info1, info2);
}

int svm_describe_exit(char *text, unsigned size, uint64_t code, uint64_t info1, uint64_t info2)
{
    struct words words = words_begin(text, size);
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
            words_add(&words, "MOV CR0, %s, a bit other than TS and MP", gpr_names[info1 & 15]);
        else
            words_add(&words, "LMSW");
        break;
    case VMEXIT_SWINT: words_add(&words, "INT 0x%x", (unsigned)info1 & 0xff); break;
    case VMEXIT_INVLPG: words_add(&words, "INVLPG 0x%" PRIx64, info1); break;
    case VMEXIT_SMI: add_smi(&words, info1, info2); break;
    case VMEXIT_IOIO: add_ioio(&words, info1, info2, true); break;
    case VMEXIT_MSR: words_add(&words, "%s", info1 & 1 ? "WRMSR" : "RDMSR"); break;
    case VMEXIT_TASK_SWITCH: add_task_switch(&words, info1, info2); break;
    case VMEXIT_NPF: add_npf(&words, info1, info2); break;
    case VMEXIT_AVIC_INCOMPLETE_IPI: add_avic_ipi(&words, info1, info2); break;
    case VMEXIT_AVIC_NOACCEL: add_avic_noaccel(&words, info1, info2); break;
    default: add_other(&words, code, info1, info2); break;
    }
    return (int)words.used;
}

int svm_describe_exit_plain(char *text, unsigned size, uint64_t code, uint64_t info1,
                            uint64_t info2)
{
    struct words words = words_begin(text, size);
    if (code == VMEXIT_IOIO)
        add_ioio(&words, info1, info2, false);
    else if (code <= VMEXIT_DR15_WRITE || code == VMEXIT_CR0_SEL_WRITE || code == VMEXIT_SWINT ||
             code == VMEXIT_INVLPG)
        words_add(&words, "%s", svm_exit_meaning(code));
    else
        return svm_describe_exit(text, size, code, info1, info2);
    return (int)words.used;
}

/* "#PF" out of "#PF page fault". */
static void add_mnemonic(struct words *words, unsigned vector)
{
    const char *name = svm_exit_meaning(VMEXIT_EXCP0 + vector);
    if (vector <= 31 && name && name[0] == '#')
        words_add(words, "%.3s", name);
    else
        words_add(words, "exception %u", vector);
}

int svm_describe_event(char *text, unsigned size, uint64_t word)
{
    struct words words = words_begin(text, size);
    unsigned vector = (uint8_t)word;
    if (!(word & EVENTINJ_V)) {
        words_add(&words, "none");
        return (int)words.used;
    }
    switch (word >> 8 & 7) {
    case EVENT_INTR: words_add(&words, "interrupt 0x%x", vector); break;
    case EVENT_NMI: words_add(&words, "NMI"); break;
    case EVENT_EXCEPTION: add_mnemonic(&words, vector); break;
    case EVENT_SOFT: words_add(&words, "INT 0x%x", vector); break;
    default:
        words_add(&words, "reserved type %u, vector 0x%x", (unsigned)(word >> 8 & 7), vector);
        break;
    }
    if (word & EVENTINJ_EV)
        words_add(&words, ", error code 0x%x", (unsigned)(word >> 32));
    return (int)words.used;
}
