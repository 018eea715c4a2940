/* `info why`: the last #VMEXIT and the last exception in words. */
#include "emu/debug/history_priv.h"

#include "emu/cpu/msr.h"
#include "emu/debug/disasm.h"
#include "emu/debug/exit_facts.h"
#include "emu/debug/info_priv.h"
#include "emu/debug/walk_words.h"
#include "svm/describe.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- VMEXIT_INVALID --------------------------------------------------------------------------- */

static void put_rule(const struct svm_invalid *invalid, const struct pacifica_output *output)
{
    output_put(output, "  rule          %s is 0x%" PRIx64 ": %s\n", invalid->field, invalid->value,
               invalid->rule);
    output_put(output, "                %s\n", invalid->section);
}

static void put_invalid(const struct svm_state *svm, const struct pacifica_output *output)
{
    output_put(output,
               "  cause         VMRUN refused the VMCB: %u rule%s broken; the guest has run "
               "nothing\n",
               svm->invalid_count, svm->invalid_count == 1 ? " is" : "s are");
    put_rule(&svm->invalid, output);
    for (unsigned i = 0; i + 1 < svm->invalid_count && i < SVM_FURTHER; i++)
        put_rule(&svm->further[i], output);
    if (svm->invalid_count > SVM_FURTHER + 1)
        output_put(output, "  and %u more\n", svm->invalid_count - SVM_FURTHER - 1);
}

/* --- causes ------------------------------------------------------------------------------------- */

static void put_words(const struct vcpu *cpu, const struct pacifica_output *output)
{
    const struct svm_state *svm = cpu->svm;
    bool assists = svm->model.features & SVM_FEATURE_DECODE_ASSISTS;
    char words[140];
    if ((assists ? svm_describe_exit : svm_describe_exit_plain)(
            words, sizeof(words), svm->last_exit_code, svm->last_info1, svm->last_info2) > 0)
        output_put(output, "  cause         %s\n", words);
}

static void put_intercept(const struct vcpu *cpu, uint32_t ecx,
                          const struct pacifica_output *output)
{
    const struct svm_state *svm = cpu->svm;
    unsigned intercept;
    struct svm_map_bit at;
    char name[32];
    if (svm_exit_intercept(svm->last_exit_code, &intercept)) {
        (void)svm_describe_intercept(name, sizeof(name), intercept);
        output_put(output, "  intercept     %s: bit %u of the VMCB's word at %03Xh\n", name,
                   intercept % 32, intercept / 32 * 4);
    }
    if (svm->last_exit_code == VMEXIT_MSR) {
        const struct msr_info *msr = msr_find(cpu, ecx);
        output_put(output, "  MSR           %08" PRIx32 "h %s\n", ecx, msr ? msr->name : "");
    }
    if (exit_map_bit(cpu, svm->last_exit_code, svm->last_info1, ecx, &at))
        output_put(output, "  map           bit %u of the byte at %012" PRIx64 "\n", at.bit,
                   at.spa);
}

static void put_code(const uint8_t *bytes, size_t size, unsigned bits, uint64_t rip,
                     const char *what, const struct pacifica_output *output)
{
    struct disasm *disasm = disasm_new();
    char text[96], hex[2 * EXIT_INSN_BYTES + 1] = "";
    if (!disasm || size == 0) {
        disasm_free(disasm);
        return;
    }
    size_t length = disasm_insn(disasm, bits, rip, bytes, size, text, sizeof(text));
    for (size_t i = 0; i < length && i < EXIT_INSN_BYTES; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
    output_put(output, "  %-13s %s (%s)\n", what, text, hex);
    disasm_free(disasm);
}

static void put_exit_code(const struct vcpu *cpu, const uint8_t *vmcb,
                          const struct pacifica_output *output)
{
    const struct svm_state *svm = cpu->svm;
    uint8_t bytes[EXIT_INSN_BYTES];
    unsigned bits;
    size_t size = exit_code(cpu, vmcb, bytes, &bits);
    bool fault = svm_exit_is_fault(svm, svm->last_exit_code, svm->last_info1);
    put_code(bytes, size, bits, svm->last_rip, fault ? "instruction" : "next one", output);
}

/* --- the walk of a nested page fault -------------------------------------------------------------- */

static void put_step(const struct vcpu *cpu, const struct walk_regime *regime,
                     const struct walk_step *step, const char *stop,
                     const struct pacifica_output *output)
{
    char words[96];
    walk_entry_words(words, sizeof(words), regime, step);
    bool there = memory_backing(cpu->memory, step->spa) != UINT64_MAX;
    output_put(output, "  %-6s %-6s %012" PRIx64 " = %016" PRIx64 ": %s%s%s\n",
               step->guest ? "guest" : "nested", walk_level_name(step->level), step->spa,
               step->entry, there ? words : "not in memory", stop ? " <- stops here: " : "",
               stop ? stop : "");
}

static void put_walk(const struct vcpu *cpu, const uint8_t *vmcb,
                     const struct pacifica_output *output)
{
    const struct svm_state *svm = cpu->svm;
    struct walk_log log;
    char stop[40];
    if (!svm->last_nested)
        return;
    const struct walk_regime guest = exit_regime(cpu, vmcb);
    bool same = exit_npf_walk(cpu, vmcb, svm->last_info1, svm->last_info2, &log);
    int at = same ? walk_stop_words(stop, sizeof(stop), guest.nested, &log, svm->last_info1) : -1;
    output_put(output, "  the walk      N_CR3 %012" PRIx64 "\n", guest.nested->root);
    for (unsigned i = 0; i < log.count; i++)
        put_step(cpu, log.step[i].guest ? &guest : guest.nested, &log.step[i],
                 at == (int)i ? stop : NULL, output);
    if (!same)
        output_put(output, "  the tables do not say so now: they were changed, or an older "
                           "translation was cached\n");
    else if (at < 0 && log.count == 0)
        output_put(output, "  the address is beyond what the nested tables can map\n");
}

/* --- #VMEXIT ---------------------------------------------------------------------------------------- */

static const struct svm_exit_info *find_exit(uint64_t code, struct svm_exit_info *info)
{
    for (unsigned i = 0; svm_exit_info(i, info); i++)
        if (info->code == code)
            return info;
    return NULL;
}

static void put_reference(const struct svm_state *svm, const struct pacifica_output *output)
{
    struct svm_exit_info info;
    if (!find_exit(svm->last_exit_code, &info))
        return;
    output_put(output, "  meaning       %s; saved RIP: %s\n", info.meaning, info.kind);
    if (info.info1[0])
        output_put(output, "  EXITINFO1     0x%" PRIx64 ": %s\n", svm->last_info1, info.info1);
    if (info.info2[0])
        output_put(output, "  EXITINFO2     0x%" PRIx64 ": %s\n", svm->last_info2, info.info2);
    output_put(output, "  manual        APM vol 2, %s\n", info.section);
}

static void put_exit(const struct vcpu *cpu, uint32_t ecx, const struct pacifica_output *output)
{
    const struct svm_state *svm = cpu->svm;
    const uint8_t *vmcb = exit_vmcb(cpu);
    const char *name = svm_exit_name(svm->last_exit_code);
    char words[64];
    output_put(output,
               "#VMEXIT %s (%" PRIX64 "h) of ASID %u at %04x:%016" PRIx64 ", VMCB %012" PRIx64 "\n",
               name ? name : "of a reserved code", svm->last_exit_code, svm->last_asid,
               svm->last_cs, svm->last_rip, svm->vmcb_spa);
    if (svm->last_exit_code == VMEXIT_INVALID && svm->invalid.rule)
        put_invalid(svm, output);
    else
        put_words(cpu, output);
    put_intercept(cpu, ecx, output);
    if (svm->last_exitintinfo & EVENTINJ_V) {
        (void)svm_describe_event(words, sizeof(words), svm->last_exitintinfo);
        output_put(output, "  while         %s was delivered (EXITINTINFO)\n", words);
    }
    put_reference(svm, output);
    if (!vmcb || svm->guest || svm->last_exit_code > INT64_MAX)
        return; /* a guest that runs again has other registers */
    put_exit_code(cpu, vmcb, output);
    if (svm->last_exit_code == VMEXIT_NPF)
        put_walk(cpu, vmcb, output);
}

/* --- exceptions --------------------------------------------------------------------------------------- */

static void put_exception(const struct history_exception *kept, struct vcpu *cpu,
                          const struct pacifica_output *output)
{
    char words[64], where[48] = "", address[32];
    uint64_t word = EVENTINJ_V | (uint64_t)EVENT_EXCEPTION << 8 | kept->vector |
                    (uint64_t)kept->has_code << 11 | (uint64_t)kept->code << 32;
    (void)svm_describe_event(words, sizeof(words), word);
    if (kept->placed)
        (void)snprintf(where, sizeof(where), " at RIP %016" PRIx64, kept->rip);
    output_put(output, "exception %s, delivered%s", words, where);
    if (kept->guest)
        output_put(output, " in the guest of ASID %u", kept->asid);
    output_put(output, ", step %" PRIu64 "\n", kept->steps);
    if (kept->vector != EXC_PF)
        return;
    output_put(output, "  address       %016" PRIx64 " (CR2): %s %s, %s%s\n", kept->cr2,
               kept->code & PF_US ? "user" : "supervisor",
               kept->code & PF_ID   ? "fetch"
               : kept->code & PF_RW ? "write"
                                    : "read",
               kept->code & PF_P ? "denied by the tables' rights" : "not present",
               kept->code & PF_RSV ? ", a reserved bit is set" : "");
    if (kept->guest != cpu->svm->guest)
        return;
    (void)snprintf(address, sizeof(address), "0x%" PRIx64, kept->cr2);
    output_put(output, "the walk, as the tables are now\n");
    (void)info_walk(cpu, address, output, NULL);
}

void why_write(const struct history *history, struct vcpu *cpu,
               const struct pacifica_output *output)
{
    static const struct history_cpu nothing;
    const struct history_cpu *kept = history ? history->cpu[cpu->index] : NULL;
    kept = kept ? kept : &nothing;
    bool exits = cpu->svm->exits > 0, exception = kept->exception.valid;
    bool exception_first =
        exception && (!kept->exit.valid || kept->exception.steps > kept->exit.steps);
    if (exception && exception_first)
        put_exception(&kept->exception, cpu, output);
    if (exits)
        put_exit(cpu, kept->exit.valid ? kept->exit_ecx : (uint32_t)cpu->r[REG_RCX], output);
    if (exception && !exception_first)
        put_exception(&kept->exception, cpu, output);
    if (!exits && !exception)
        output_put(output, "no #VMEXIT yet, and no exception since it was asked for\n");
}
