/* Addresses as people give them to monitors. */
#include "emu/cli/monitor_address.h"
#include "emu/cli/monitor_break.h"
#include "emu/cli/words.h"

#include <stdio.h>
#include <string.h>

#define VALUE_MOST 32

static const struct space_word {
    const char *word;
    enum pacifica_space space;
} space_words[] = {
    { "phys:", PACIFICA_SPACE_PHYSICAL },
    { "host:", PACIFICA_SPACE_HOST_LINEAR },
    { "guest:", PACIFICA_SPACE_GUEST_LINEAR },
    { "gpa:", PACIFICA_SPACE_GUEST_PHYSICAL },
};

bool monitor_register(struct pacifica_machine *machine, unsigned cpu, const char *name,
                      uint64_t *value)
{
    size_t count;
    const struct pacifica_register *regs = pacifica_registers(&count);
    union {
        uint64_t value;
        uint8_t bytes[PACIFICA_REGISTER_BYTES];
    } got = { .bytes = { 0 } };
    for (size_t i = 0; i < count; i++) {
        if (strcmp(regs[i].name, name) != 0 || regs[i].bits > 64)
            continue;
        if (pacifica_machine_register_get(machine, cpu, i, got.bytes) != PACIFICA_OK)
            return false;
        *value = got.value;
        return true;
    }
    return false;
}

/* A number or register of `length` characters. */
static bool take_value(const struct monitor *monitor, const char *text, size_t length,
                       uint64_t *value)
{
    char word[VALUE_MOST];
    if (length == 0 || length >= sizeof(word))
        return false;
    (void)snprintf(word, sizeof(word), "%.*s", (int)length, text);
    if (word_number(word, value))
        return true;
    return monitor_register(monitor->machine, monitor->cpu, word + (word[0] == '$'), value);
}

bool monitor_take_address(const struct monitor *monitor, const char *text,
                          enum pacifica_space space, struct monitor_address *address)
{
    const char *rest = text;
    uint64_t more = 0;
    *address = (struct monitor_address){ .space = space };
    for (size_t i = 0; i < sizeof(space_words) / sizeof(space_words[0]); i++) {
        size_t length = strlen(space_words[i].word);
        if (strncmp(text, space_words[i].word, length) != 0)
            continue;
        address->space = space_words[i].space;
        rest = text + length;
    }
    size_t length = strcspn(rest, "+-");
    bool good = take_value(monitor, rest, length, &address->address);
    char sign = rest[length];
    if (good && sign)
        good = take_value(monitor, rest + length + 1, strlen(rest + length + 1), &more);
    if (!good)
        monitor_say(monitor, "Error: '%.100s' is no address\n", text);
    address->address += sign == '-' ? -more : more;
    return good;
}
