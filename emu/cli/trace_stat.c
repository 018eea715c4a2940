/* `pacifica trace stat`: what the #VMEXITs of a trace were and cost, as `perf kvm stat` tells it. */
#include "emu/cli/trace_priv.h"

#include "emu/base/output.h"
#include "emu/cli/trace_tally.h"
#include "emu/trace/exit_words.h"
#include "svm/exit_codes.h"

#include <inttypes.h>
#include <string.h>

#define KEYS 5u /* code, RIP, and one of port, MSR, gPA; vCPU, ASID */

enum table { BY_CODE, BY_RIP, BY_PORT, BY_MSR, BY_GPA, BY_CPU, BY_ASID, TABLES };

/* A vCPU between two events. Invariant: exited and entered are not both true. */
struct stat_cpu {
    bool exited, entered;
    uint64_t insns; /* then */
    unsigned count; /* tables that the exit counts in */
    enum table table[KEYS];
    uint64_t key[KEYS];
};

struct stat {
    struct tally table[TABLES];
    struct stat_cpu cpu[PACIFICA_CPUS_MOST];
    uint64_t exits, entries, host, guest; /* host, guest: instructions */
};

/* --- counting ----------------------------------------------------------------------------------- */

static void put_key(struct stat_cpu *cpu, enum table table, uint64_t key)
{
    cpu->table[cpu->count] = table;
    cpu->key[cpu->count++] = key;
}

static void put_keys(struct stat_cpu *cpu, const struct record *kept)
{
    uint64_t code = record_number(kept, "code", 0), info1 = record_number(kept, "info1", 0);
    cpu->count = 0;
    put_key(cpu, BY_CODE, code);
    put_key(cpu, BY_RIP, record_number(kept, "rip", 0));
    if (code == VMEXIT_IOIO)
        put_key(cpu, BY_PORT, info1 >> 16 & 0xffff);
    else if (code == VMEXIT_MSR && record_find(kept, "msr"))
        put_key(cpu, BY_MSR, record_number(kept, "msr", 0));
    else if (code == VMEXIT_NPF)
        put_key(cpu, BY_GPA, record_number(kept, "info2", 0));
    put_key(cpu, BY_CPU, record_number(kept, "cpu", 0));
    put_key(cpu, BY_ASID, record_number(kept, "asid", 0));
}

/* The host has spent what lies between an exit and the VMRUN that follows, the guest what lies between that and the next exit. */
static void count_entry(struct stat *stat, struct stat_cpu *cpu, uint64_t insns)
{
    stat->entries++;
    if (cpu->exited && insns >= cpu->insns) {
        for (unsigned i = 0; i < cpu->count; i++)
            spent_add(&tally_find(&stat->table[cpu->table[i]], cpu->key[i])->host,
                      insns - cpu->insns);
        stat->host += insns - cpu->insns;
    }
    cpu->exited = false;
    cpu->entered = true;
    cpu->insns = insns;
}

static void count_exit(struct stat *stat, struct stat_cpu *cpu, const struct record *kept,
                       uint64_t insns)
{
    bool known = cpu->entered && insns >= cpu->insns;
    stat->exits++;
    put_keys(cpu, kept);
    for (unsigned i = 0; i < cpu->count; i++) {
        struct tally_row *row = tally_add(&stat->table[cpu->table[i]], cpu->key[i]);
        if (known)
            spent_add(&row->guest, insns - cpu->insns);
    }
    if (known)
        stat->guest += insns - cpu->insns;
    cpu->entered = false;
    cpu->exited = true;
    cpu->insns = insns;
}

static void count(struct stat *stat, const struct record *kept)
{
    struct stat_cpu *cpu = &stat->cpu[record_number(kept, "cpu", 0) % PACIFICA_CPUS_MOST];
    uint64_t insns = record_number(kept, "insns", record_number(kept, "step", 0));
    if (strcmp(kept->event, "vmrun") == 0)
        count_entry(stat, cpu, insns);
    else if (strcmp(kept->event, "vmexit") == 0)
        count_exit(stat, cpu, kept, insns);
}

/* --- the tables ----------------------------------------------------------------------------------- */

/* part of whole in hundredths of a percent, or sum / count in hundredths: rounded half up, no floating point. */
static uint64_t hundredths(uint64_t part, uint64_t whole, uint64_t times)
{
    if (!whole)
        return 0;
    emu_u128 twice = (emu_u128)part * times * 200 + whole;
    return (uint64_t)(twice / (2 * (emu_u128)whole));
}

static void put_percent(char text[32], uint64_t part, uint64_t whole)
{
    uint64_t value = hundredths(part, whole, 100);
    (void)snprintf(text, 32, "%" PRIu64 ".%02u%%", value / 100, (unsigned)(value % 100));
}

static void put_mean(char text[32], const struct spent *spent)
{
    uint64_t value = hundredths(spent->sum, spent->count, 1);
    (void)snprintf(text, 32, "%" PRIu64 ".%02u", value / 100, (unsigned)(value % 100));
}

static void put_exit_row(const struct stat *stat, const struct tally_row *row, const char *name,
                         const struct pacifica_output *output)
{
    char samples[32], insns[32], host[32], guest[32];
    put_percent(samples, row->samples, stat->exits);
    put_percent(insns, row->host.sum, stat->host);
    put_mean(host, &row->host);
    put_mean(guest, &row->guest);
    output_put(output, "%20s %10" PRIu64 " %9s %9s %11" PRIu64 " %11" PRIu64 " %14s %14s\n", name,
               row->samples, samples, insns, row->host.min, row->host.max, host, guest);
}

static void put_exits(struct stat *stat, const struct pacifica_output *output)
{
    struct tally *tally = &stat->table[BY_CODE];
    size_t rows = tally_sort(tally);
    output_put(output, "%20s %10s %9s %9s %11s %11s %14s %14s\n\n", "VM-EXIT", "Samples",
               "Samples%", "Insns%", "Min Insns", "Max Insns", "Avg Insns", "Avg Guest");
    for (size_t i = 0; i < rows; i++) {
        char number[32];
        const char *name = exit_word_name(tally->row[i].key);
        (void)snprintf(number, sizeof(number), "0x%" PRIx64, tally->row[i].key);
        put_exit_row(stat, &tally->row[i], name ? name : number, output);
    }
    if (tally->others.samples)
        put_exit_row(stat, &tally->others, "others", output);
    output_put(output,
               "\nTotal Samples:%" PRIu64 ", Total host insns:%" PRIu64
               ", Total guest insns:%" PRIu64 ".\n",
               stat->exits, stat->host, stat->guest);
}

/* The first rows of a table; keys are addresses and the like, or plain numbers. */
static void put_table(struct stat *stat, enum table which, const char *title, bool plain,
                      uint64_t most, const struct pacifica_output *output)
{
    struct tally *tally = &stat->table[which];
    size_t rows = tally_sort(tally);
    if (!rows)
        return;
    output_put(output, "\n%20s %10s %9s %14s %14s\n\n", title, "Samples", "Samples%", "Host Insns",
               "Guest Insns");
    for (size_t i = 0; i < rows && i < most; i++) {
        const struct tally_row *row = &tally->row[i];
        char key[32], share[32];
        (void)snprintf(key, sizeof(key), plain ? "%" PRIu64 : "0x%" PRIx64, row->key);
        put_percent(share, row->samples, stat->exits);
        output_put(output, "%20s %10" PRIu64 " %9s %14" PRIu64 " %14" PRIu64 "\n", key,
                   row->samples, share, row->host.sum, row->guest.sum);
    }
    if (rows > most)
        output_put(output, "%20s %zu more\n", "...", rows - (size_t)most);
}

static void put_all(struct stat *stat, const struct trace_words *words,
                    const struct pacifica_output *output)
{
    if (!stat->exits) {
        output_put(output, "no #VMEXITs\n");
        return;
    }
    put_exits(stat, output);
    put_table(stat, BY_RIP, "Top RIPs", false, words->top, output);
    put_table(stat, BY_PORT, "Top ports", false, words->top, output);
    put_table(stat, BY_MSR, "Top MSRs", false, words->top, output);
    put_table(stat, BY_GPA, "Top gPAs", false, words->top, output);
    put_table(stat, BY_CPU, "vCPU", true, UINT64_MAX, output);
    put_table(stat, BY_ASID, "ASID", true, words->top, output);
}

enum pacifica_status trace_stat(struct trace_input *input, const struct trace_words *words,
                                const struct pacifica_output *output, struct pacifica_diag *diag)
{
    struct stat stat = { 0 };
    enum trace_read read;
    while ((read = trace_input_next(input, diag)) == TRACE_READ_EVENT)
        count(&stat, &input->kept);
    put_all(&stat, words, output);
    for (unsigned i = 0; i < TABLES; i++)
        tally_free(&stat.table[i]);
    return read == TRACE_READ_END ? PACIFICA_OK : PACIFICA_EFORMAT;
}
