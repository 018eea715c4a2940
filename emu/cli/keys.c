/* Keys by name, and key strokes on their way to the machine. */
#include "emu/cli/keys.h"

#include "emu/base/diag.h"

#include <string.h>

#define USAGE_A 0x04u
#define USAGE_1 0x1eu
#define USAGE_0 0x27u
#define USAGE_F1 0x3au

static const struct key_name {
    const char *name;
    unsigned usage;
} key_names[] = {
#define KEY(name, usage) { name, usage },
#include "emu/cli/keys.def"
#undef KEY
};

unsigned key_usage(const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof(key_names) / sizeof(key_names[0]); i++)
        if (strlen(key_names[i].name) == length && memcmp(key_names[i].name, name, length) == 0)
            return key_names[i].usage;
    if (length == 1 && name[0] >= 'a' && name[0] <= 'z')
        return USAGE_A + (unsigned)(name[0] - 'a');
    if (length == 1 && name[0] >= '1' && name[0] <= '9')
        return USAGE_1 + (unsigned)(name[0] - '1');
    if (length == 1 && name[0] == '0')
        return USAGE_0;
    if (length < 2 || length > 3 || name[0] != 'f')
        return 0;
    unsigned number = 0;
    for (size_t i = 1; i < length; i++) {
        if (name[i] < '0' || name[i] > '9' || (i == 1 && name[i] == '0'))
            return 0;
        number = number * 10 + (unsigned)(name[i] - '0');
    }
    return number <= 12 ? USAGE_F1 + number - 1 : 0;
}

static void put(struct key_queue *queue, unsigned usage, bool down)
{
    unsigned last = (queue->first + queue->count++) % KEYS_QUEUE;
    queue->event[last].usage = (uint16_t)usage;
    queue->event[last].down = down;
}

enum pacifica_status keys_chord(struct key_queue *queue, const char *names,
                                struct pacifica_diag *diag)
{
    unsigned usage[KEYS_CHORD], count = 0;
    for (const char *name = names;; name++) {
        size_t length = strcspn(name, "-");
        if (count == KEYS_CHORD)
            return diag_set(diag, PACIFICA_EUSAGE, names, NULL, "more than %d keys", KEYS_CHORD);
        usage[count] = key_usage(name, length);
        if (!usage[count])
            return diag_set(diag, PACIFICA_EUSAGE, names, NULL, "'%.*s' is no key",
                            length > 32 ? 32 : (int)length, name);
        count++;
        name += length;
        if (!*name)
            break;
    }
    if (KEYS_QUEUE - queue->count < 2 * count)
        return diag_set(diag, PACIFICA_ERANGE, names, NULL, "too many keys wait for the guest");
    for (unsigned i = 0; i < count; i++)
        put(queue, usage[i], true);
    for (unsigned i = count; i-- > 0;)
        put(queue, usage[i], false);
    return PACIFICA_OK;
}

void keys_feed(struct key_queue *queue, struct pacifica_machine *machine)
{
    if (queue->count == 0)
        return;
    pacifica_machine_key(machine, queue->event[queue->first].usage,
                         queue->event[queue->first].down);
    queue->first = (queue->first + 1) % KEYS_QUEUE;
    queue->count--;
}
