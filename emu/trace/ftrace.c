/* The text of ftrace: Linux, Documentation/trace/ftrace.rst "Output format", and arch/x86/kvm/trace.h for what KVM's
 * tracepoints say (6.1 and later). Seconds and microseconds are virtual time. */
#include "emu/trace/ftrace.h"

#include "emu/compiler.h"
#include "emu/trace/exit_words.h"
#include "svm/exit_codes.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LINE_BYTES (RECORD_BYTES + 512u)

void ftrace_head(const struct pacifica_output *output)
{
    static const char head[] = "# tracer: nop\n"
                               "#\n"
                               "#                                _-----=> irqs-off/BH-disabled\n"
                               "#                               / _----=> need-resched\n"
                               "#                              | / _---=> hardirq/softirq\n"
                               "#                              || / _--=> preempt-depth\n"
                               "#                              ||| / _-=> migrate-disable\n"
                               "#                              |||| /     delay\n"
                               "#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION\n"
                               "#              | |         |   |||||     |         |\n";
    if (output->write)
        output->write(output->self, head, sizeof(head) - 1);
}

struct line {
    const struct record *kept;
    const struct pacifica_output *output;
    uint64_t cpu, rip;
    size_t used;
    char bytes[LINE_BYTES];
};

static void add(struct line *line, const char *fmt, ...) EMU_PRINTF(2, 3);
static void add(struct line *line, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int length = vsnprintf(line->bytes + line->used, LINE_BYTES - line->used, fmt, args);
    va_end(args);
    if (length > 0)
        line->used +=
            (size_t)length < LINE_BYTES - line->used ? (size_t)length : LINE_BYTES - line->used - 1;
}

/* Task and process are the vCPU's, which has the name and the number that it is given here. */
static void begin(struct line *line, const char *prefix, const char *event)
{
    uint64_t ns = record_number(line->kept, "ns", record_number(line->kept, "step", 0));
    uint64_t us = ns / 1000;
    line->used = 0;
    add(line,
        "%16s-%-7" PRIu64 " [%03" PRIu64 "] ..... %5" PRIu64 ".%06" PRIu64 ": %s%s:", "pacifica",
        line->cpu + 1, line->cpu, us / 1000000, us % 1000000, prefix, event);
}

static void end(struct line *line)
{
    line->bytes[line->used++] = '\n';
    if (line->output->write)
        line->output->write(line->output->self, line->bytes, line->used);
}

/* Every member that its text form has behind step and cpu. */
static void put_other(struct line *line)
{
    struct record text;
    char words[RECORD_BYTES + 1];
    record_begin(&text, RECORD_TEXT, "");
    for (unsigned i = 0; i < line->kept->count; i++) {
        const struct member *m = &line->kept->member[i];
        if (strcmp(m->name, "step") != 0 && strcmp(m->name, "cpu") != 0)
            record_add(&text, line->kept, m);
    }
    memcpy(words, text.line, text.used);
    words[text.used] = '\0';
    begin(line, "pacifica_", line->kept->event);
    add(line, "%s", words);
    end(line);
}

static const char *const exceptions[32] = { "#DE", "#DB", NULL,  "#BP", "#OF", "#BR", "#UD",
                                            "#NM", "#DF", NULL,  "#TS", "#NP", "#SS", "#GP",
                                            "#PF", NULL,  "#MF", "#AC", "#MC" };

/* EVENTINJ. APM vol 2, 15.20 "Event Injection". */
static void put_injection(struct line *line, uint64_t event)
{
    unsigned vector = event & 0xff, type = event >> 8 & 7;
    if (type == 3) {
        begin(line, "", "kvm_inj_exception");
        if (vector < 32 && exceptions[vector])
            add(line, " %s", exceptions[vector]);
        else
            add(line, " 0x%x", vector);
        if (event >> 11 & 1)
            add(line, " (0x%" PRIx64 ")", event >> 32);
    } else if (type == 0 || type == 4) {
        begin(line, "", "kvm_inj_virq");
        add(line, " %s 0x%x", type == 4 ? "Soft/INTn" : "IRQ", vector);
    } else { /* KVM has none for NMIs */
        begin(line, "pacifica_", "inject");
        add(line, " eventinj 0x%" PRIx64, event);
    }
    end(line);
}

static void put_entry(struct line *line)
{
    uint64_t injects = record_number(line->kept, "eventinj", 0);
    if (injects)
        put_injection(line, injects);
    begin(line, "", "kvm_entry");
    add(line, " vcpu %" PRIu64 ", rip 0x%" PRIx64, line->cpu, line->rip);
    end(line);
}

static void put_exit(struct line *line)
{
    uint64_t code = record_number(line->kept, "code", 0);
    uint64_t info1 = record_number(line->kept, "info1", 0);
    uint64_t info2 = record_number(line->kept, "info2", 0);
    uint64_t delivering = record_number(line->kept, "exitintinfo", 0);
    const char *reason = exit_word_kvm(code);
    char number[24];
    (void)snprintf(number, sizeof(number), "0x%" PRIx64, code);
    begin(line, "", "kvm_exit");
    add(line,
        " vcpu %" PRIu64 " reason %s rip 0x%" PRIx64 " info1 0x%016" PRIx64 " info2 0x%016" PRIx64
        " intr_info 0x%08x error_code 0x%08x",
        line->cpu, reason ? reason : number, line->rip, info1, info2, (unsigned)delivering,
        (unsigned)(delivering >> 32));
    end(line);
    if (code != VMEXIT_NPF)
        return;
    begin(line, "", "kvm_page_fault");
    add(line, " vcpu %" PRIu64 " rip 0x%" PRIx64 " address 0x%016" PRIx64 " error_code 0x%" PRIx64,
        line->cpu, line->rip, info2, info1);
    end(line);
}

void ftrace_put(const struct record *kept, const struct pacifica_output *output)
{
    struct line line = { .kept = kept,
                         .output = output,
                         .cpu = record_number(kept, "cpu", 0),
                         .rip = record_number(kept, "rip", 0) };
    if (strcmp(kept->event, "vmrun") == 0)
        put_entry(&line);
    else if (strcmp(kept->event, "vmexit") == 0)
        put_exit(&line);
    else
        put_other(&line);
}
