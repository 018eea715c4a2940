/* The monitor's commands x and xp: memory of every level, as numbers, characters and instructions. */
#include "emu/cli/code_bits.h"
#include "emu/cli/monitor_address.h"
#include "emu/cli/monitor_break.h"
#include "emu/cli/monitor_commands.h"

#include <capstone/capstone.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT_MOST 4096u
#define LINE_BYTES 16u
#define INSTRUCTION_MOST 15u

/* What stands behind the slash. */
struct format {
    unsigned count, size;
    char form; /* x d u o c s i */
};

static bool take_size(char letter, unsigned *size)
{
    static const char letters[] = "bhwg";
    const char *at = strchr(letters, letter);
    if (!letter || !at)
        return false;
    *size = 1u << (at - letters);
    return true;
}

/* [COUNT][FORM][SIZE], letters in any order. */
static bool take_format(const char *text, struct format *format)
{
    char *end;
    bool sized = false;
    unsigned long count = strtoul(text, &end, 10);
    *format = (struct format){ .count = 1, .size = 4, .form = 'x' };
    if (end != text) {
        if (!isdigit((unsigned char)text[0]) || count == 0 || count > COUNT_MOST)
            return false;
        format->count = (unsigned)count;
    }
    for (; *end && *end != ' '; end++) {
        if (strchr("xduocsi", *end))
            format->form = *end;
        else if (take_size(*end, &format->size))
            sized = true;
        else
            return false;
    }
    if ((format->form == 'c' || format->form == 's') && !sized)
        format->size = 1;
    return true;
}

/* Read; false, and told where, if not all is there. */
static bool get(const struct monitor *monitor, const struct monitor_address *at, void *to,
                size_t size)
{
    size_t got = pacifica_machine_memory_read(monitor->machine, monitor->cpu, at->space,
                                              at->address, to, size);
    if (got == size)
        return true;
    monitor_say(monitor, "Error: no memory at 0x%" PRIx64 "\n", at->address + got);
    return false;
}

static void say_value(const struct monitor *monitor, const struct format *format,
                      const uint8_t *bytes)
{
    uint64_t value = 0;
    int width = (int)format->size * 2;
    unsigned shift = 64 - 8 * format->size;
    memcpy(&value, bytes, format->size);
    switch (format->form) {
    case 'd': monitor_say(monitor, " %" PRId64, (int64_t)(value << shift) >> shift); break;
    case 'u': monitor_say(monitor, " %" PRIu64, value); break;
    case 'o': monitor_say(monitor, " 0%" PRIo64, value); break;
    case 'c':
        if (value >= ' ' && value < 0x7f)
            monitor_say(monitor, " '%c'", (char)value);
        else
            monitor_say(monitor, " '\\x%02" PRIx64 "'", value);
        break;
    default: monitor_say(monitor, " 0x%0*" PRIx64, width, value); break;
    }
}

static void say_values(const struct monitor *monitor, const struct format *format,
                       struct monitor_address at)
{
    unsigned per_line = LINE_BYTES / format->size;
    for (unsigned left = format->count; left;) {
        uint8_t bytes[LINE_BYTES];
        unsigned count = left < per_line ? left : per_line;
        if (!get(monitor, &at, bytes, (size_t)count * format->size))
            return;
        monitor_say(monitor, "%016" PRIx64 ":", at.address);
        for (unsigned i = 0; i < count; i++)
            say_value(monitor, format, bytes + i * format->size);
        monitor_say(monitor, "\n");
        at.address += count * format->size;
        left -= count;
    }
}

/* Strings end with NUL, or after a while. */
static void say_strings(const struct monitor *monitor, const struct format *format,
                        struct monitor_address at)
{
    for (unsigned i = 0; i < format->count; i++) {
        monitor_say(monitor, "%016" PRIx64 ": \"", at.address);
        for (unsigned length = 0; length < 200; length++) {
            char byte;
            if (!get(monitor, &at, &byte, 1))
                return;
            at.address++;
            if (!byte)
                break;
            monitor_say(monitor, byte >= ' ' && byte < 0x7f ? "%c" : "\\x%02x",
                        (unsigned char)byte);
        }
        monitor_say(monitor, "\"\n");
    }
}

/* As the processor would decode now. */
static cs_mode code_mode(const struct monitor *monitor)
{
    uint64_t efer = 0, attrib = 0;
    (void)monitor_register(monitor->machine, monitor->cpu, "efer", &efer);
    (void)monitor_register(monitor->machine, monitor->cpu, "cs_attrib", &attrib);
    unsigned bits = code_bits(efer, attrib);
    return bits == 64 ? CS_MODE_64 : bits == 32 ? CS_MODE_32 : CS_MODE_16;
}

static void say_instructions(const struct monitor *monitor, const struct format *format,
                             struct monitor_address at)
{
    csh handle;
    if (cs_open(CS_ARCH_X86, code_mode(monitor), &handle) != CS_ERR_OK) {
        monitor_say(monitor, "Error: no memory\n");
        return;
    }
    for (unsigned i = 0; i < format->count; i++) {
        uint8_t bytes[INSTRUCTION_MOST];
        cs_insn *insn;
        size_t size = pacifica_machine_memory_read(monitor->machine, monitor->cpu, at.space,
                                                   at.address, bytes, sizeof(bytes));
        if (size == 0) {
            (void)get(monitor, &at, bytes, 1);
            break;
        }
        if (cs_disasm(handle, bytes, size, at.address, 1, &insn) == 1) {
            monitor_say(monitor, "%016" PRIx64 ": %s %s\n", at.address, insn->mnemonic,
                        insn->op_str);
            at.address += insn->size;
            cs_free(insn, 1);
        } else {
            monitor_say(monitor, "%016" PRIx64 ": (bad) %02x\n", at.address, bytes[0]);
            at.address++;
        }
    }
    (void)cs_close(&handle);
}

static void say_memory(struct monitor *monitor, const char *argument, enum pacifica_space space)
{
    struct format format = { .count = 1, .size = 4, .form = 'x' };
    struct monitor_address at;
    if (argument[0] == '/') {
        if (!take_format(argument + 1, &format)) {
            monitor_say(monitor,
                        "Error: '%.100s' does not begin with /COUNT, x d u o c s i, and b h w g\n",
                        argument);
            return;
        }
        argument += strcspn(argument, " ");
        argument += strspn(argument, " ");
    }
    if (!monitor_take_address(monitor, argument, space, &at))
        return;
    switch (format.form) {
    case 'i': say_instructions(monitor, &format, at); break;
    case 's': say_strings(monitor, &format, at); break;
    default: say_values(monitor, &format, at); break;
    }
}

void monitor_x(struct monitor *monitor, const char *argument)
{
    say_memory(monitor, argument, PACIFICA_SPACE_LINEAR);
}

void monitor_xp(struct monitor *monitor, const char *argument)
{
    say_memory(monitor, argument, PACIFICA_SPACE_PHYSICAL);
}
