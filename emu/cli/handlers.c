/* Handlers of the plain options. */
#include "emu/cli/options_priv.h"

#include "emu/base/diag.h"
#include "emu/trace/sink.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum pacifica_status option_not_yet(struct parse *parse, const char *value)
{
    return diag_set(parse->diag, PACIFICA_EUNSUPPORTED, parse->where, NULL, "%s%snot there yet",
                    value ? value : "", value ? ": " : "");
}

enum pacifica_status option_bad(struct parse *parse, const char *value, const char *what)
{
    return diag_set(parse->diag, PACIFICA_EUSAGE, parse->where, NULL, "'%s' is %s", value, what);
}

enum pacifica_status option_accepted(struct parse *parse, const char *value)
{
    (void)parse;
    (void)value;
    return PACIFICA_OK;
}

enum pacifica_status option_told(struct parse *parse, const char *value)
{
    (void)fprintf(stderr, "pacifica: %s %s: no effect here\n", parse->where, value);
    return PACIFICA_OK;
}

enum pacifica_status option_none(struct parse *parse, const char *value)
{
    return strcmp(value, "none") == 0 ? PACIFICA_OK : option_not_yet(parse, value);
}

/* --- image ------------------------------------------------------------------------------ */

enum pacifica_status option_kernel(struct parse *parse, const char *value)
{
    parse->options->kernel = value;
    return PACIFICA_OK;
}

enum pacifica_status option_append(struct parse *parse, const char *value)
{
    parse->options->append = value;
    return PACIFICA_OK;
}

enum pacifica_status option_initrd(struct parse *parse, const char *value)
{
    struct cli_options *o = parse->options;
    o->module_count = 0; /* as elsewhere, the last -initrd counts */
    while (value) {
        char *text = words_next(&o->words, &value);
        if (!text)
            return diag_set(parse->diag, PACIFICA_ENOMEM, NULL, NULL, "no memory");
        size_t path = strcspn(text, " ");
        if (path == 0)
            return option_bad(parse, text, "no module: the file name is missing");
        if (o->module_count == CLI_MODULES)
            return option_bad(parse, text, "one module too many (32)");
        struct cli_module *module = &o->module[o->module_count++];
        module->text = text;
        module->path = words_keep(&o->words, text, path);
        if (!module->path)
            return diag_set(parse->diag, PACIFICA_ENOMEM, NULL, NULL, "no memory");
    }
    return PACIFICA_OK;
}

static enum pacifica_status add_rom(struct parse *parse, const char *path, bool search)
{
    struct cli_options *o = parse->options;
    if (o->rom_count == CLI_ROMS)
        return option_bad(parse, path, "one ROM too many (8)");
    o->rom[o->rom_count++] =
        (struct cli_rom){ .path = path, .load_at = PACIFICA_FIRMWARE_TOP, .search = search };
    return PACIFICA_OK;
}

enum pacifica_status option_bios(struct parse *parse, const char *value)
{
    return add_rom(parse, value, true);
}

enum pacifica_status option_rom(struct parse *parse, const char *value)
{
    return add_rom(parse, value, false);
}

enum pacifica_status option_load_at(struct parse *parse, const char *value)
{
    struct cli_options *o = parse->options;
    struct cli_rom *rom = o->rom_count ? &o->rom[o->rom_count - 1] : NULL;
    if (!rom || rom->search || rom->load_at != PACIFICA_FIRMWARE_TOP)
        return diag_set(parse->diag, PACIFICA_EUSAGE, parse->where, NULL,
                        "follows the -rom that it places");
    if (!word_number(value, &rom->load_at) || rom->load_at == PACIFICA_FIRMWARE_TOP)
        return option_bad(parse, value, "no address");
    return PACIFICA_OK;
}

/* --- machine ---------------------------------------------------------------------------- */

enum pacifica_status option_memory(struct parse *parse, const char *value)
{
    const char *size = word_value(value, "size");
    if (!word_size(size ? size : value, UINT64_C(1) << 20, &parse->options->ram_bytes))
        return option_bad(parse, value, "no size");
    return PACIFICA_OK;
}

enum pacifica_status option_cpu(struct parse *parse, const char *value)
{
    if (strcmp(value, "help") == 0 || strcmp(value, "?") == 0)
        parse->options->action = CLI_CPU_LIST;
    parse->options->cpu = value;
    return PACIFICA_OK;
}

enum pacifica_status option_seed(struct parse *parse, const char *value)
{
    if (!word_number(value, &parse->options->seed))
        return option_bad(parse, value, "no number");
    return PACIFICA_OK;
}

enum pacifica_status option_no_reboot(struct parse *parse, const char *value)
{
    (void)value;
    parse->options->no_reboot = true;
    return PACIFICA_OK;
}

enum pacifica_status option_display(struct parse *parse, const char *value)
{
    parse->options->window = strcmp(value, "sdl") == 0;
    return parse->options->window || strcmp(value, "none") == 0 ? PACIFICA_OK
                                                                : option_not_yet(parse, value);
}

enum pacifica_status option_realtime(struct parse *parse, const char *value)
{
    (void)value;
    parse->options->realtime = true;
    return PACIFICA_OK;
}

enum pacifica_status option_fw_cfg(struct parse *parse, const char *value)
{
    struct cli_options *o = parse->options;
    struct cli_fw_cfg item = { 0 };
    const char *rest = value;
    while (rest) {
        const char *part = words_next(&o->words, &rest);
        if (!part)
            return diag_set(parse->diag, PACIFICA_ENOMEM, NULL, NULL, "no memory");
        if (word_value(part, "name"))
            item.name = word_value(part, "name");
        else if (word_value(part, "file"))
            item.path = word_value(part, "file");
        else if (word_value(part, "string"))
            item.string = word_value(part, "string");
        else if (!item.name && !strchr(part, '='))
            item.name = part;
        else
            return option_bad(parse, part, "no name=, file= or string=");
    }
    if (!item.name || !item.path == !item.string)
        return option_bad(parse, value, "no name with one of file= and string=");
    if (o->fw_cfg_count == CLI_FW_CFG)
        return option_bad(parse, value, "one file too many (16)");
    o->fw_cfg[o->fw_cfg_count++] = item;
    return PACIFICA_OK;
}

/* --- seeing it ---------------------------------------------------------------------------- */

/* Add to a list of events; "help" asks for the list of all. */
static enum pacifica_status add_events(struct parse *parse, char *list, const char *value)
{
    if (strcmp(value, "help") == 0 || strcmp(value, "?") == 0) {
        parse->options->action = CLI_TRACE_LIST;
        return PACIFICA_OK;
    }
    size_t used = strlen(list);
    int more = snprintf(list + used, CLI_TEXT - used, "%s%s", used ? "," : "", value);
    if ((size_t)more >= CLI_TEXT - used)
        return option_bad(parse, value, "too much (255 characters of events)");
    return PACIFICA_OK;
}

enum pacifica_status option_log_items(struct parse *parse, const char *value)
{
    if (strchr(value, ':'))
        return option_bad(parse, value, "no list of items (-trace takes filters)");
    return add_events(parse, parse->options->log_items, value);
}

enum pacifica_status option_log_file(struct parse *parse, const char *value)
{
    parse->options->log_path = value;
    return PACIFICA_OK;
}

enum pacifica_status option_trace(struct parse *parse, const char *value)
{
    return add_events(parse, parse->options->trace_events, value);
}

enum pacifica_status option_trace_format(struct parse *parse, const char *value)
{
    if (!trace_format_find(value, &parse->options->trace_format))
        return option_bad(parse, value, "none of text, jsonl, perfetto, ftrace");
    return PACIFICA_OK;
}

enum pacifica_status option_trace_ring(struct parse *parse, const char *value)
{
    uint64_t events;
    if (!word_number(value, &events) || events == 0 || events > TRACE_RING_MOST)
        return option_bad(parse, value, "no number of events from 1 to 1000000");
    parse->options->trace_ring = (uint32_t)events;
    return PACIFICA_OK;
}

enum pacifica_status option_trace_file(struct parse *parse, const char *value)
{
    parse->options->trace_path = value;
    return PACIFICA_OK;
}

enum pacifica_status option_exit_stats(struct parse *parse, const char *value)
{
    (void)value;
    parse->options->exit_stats = true;
    return PACIFICA_OK;
}

enum pacifica_status option_info(struct parse *parse, const char *value)
{
    struct cli_options *o = parse->options;
    const char *rest = value;
    if (strcmp(value, "help") == 0 || strcmp(value, "?") == 0) {
        o->action = CLI_INFO_LIST;
        return PACIFICA_OK;
    }
    while (rest) {
        const char *part = words_next(&o->words, &rest);
        if (!part)
            return diag_set(parse->diag, PACIFICA_ENOMEM, NULL, NULL, "no memory");
        if (o->info_count == CLI_INFO)
            return option_bad(parse, part, "one item too many (8)");
        o->info[o->info_count++] = part;
    }
    return PACIFICA_OK;
}

enum pacifica_status option_state_hash(struct parse *parse, const char *value)
{
    (void)value;
    parse->options->state_hash = true;
    return PACIFICA_OK;
}

/* --- the screen --------------------------------------------------------------------------- */

enum pacifica_status option_vga(struct parse *parse, const char *value)
{
    if (strcmp(value, "std") == 0)
        parse->options->vga = VGA_STD;
    else if (strcmp(value, "none") == 0)
        parse->options->vga = VGA_NONE;
    else
        return option_bad(parse, value, "no display adapter here: std or none");
    return PACIFICA_OK;
}

/* "N:FILE" or "end:FILE". */
static enum pacifica_status add_save(struct parse *parse, const char *value,
                                     struct cli_save_at *all, unsigned *count)
{
    struct cli_save_at save = { .at = CLI_AT_END };
    const char *rest = strchr(value, ':');
    char when[24];
    if (!rest || !rest[1] || rest - value >= (ptrdiff_t)sizeof(when))
        return option_bad(parse, value, "not a number of steps or 'end', a colon and a file");
    memcpy(when, value, (size_t)(rest - value));
    when[rest - value] = '\0';
    if (strcmp(when, "end") != 0 && (!word_number(when, &save.at) || save.at == CLI_AT_END))
        return option_bad(parse, when, "no number of steps and not 'end'");
    if (*count == CLI_SCREENDUMPS)
        return option_bad(parse, value, "one file too many (8)");
    save.path = rest + 1;
    all[(*count)++] = save;
    return PACIFICA_OK;
}

enum pacifica_status option_screendump_at(struct parse *parse, const char *value)
{
    return add_save(parse, value, parse->options->screendump, &parse->options->screendump_count);
}

/* --- snapshots ------------------------------------------------------------------------------ */

enum pacifica_status option_savevm_at(struct parse *parse, const char *value)
{
    return add_save(parse, value, parse->options->savevm, &parse->options->savevm_count);
}

enum pacifica_status option_loadvm(struct parse *parse, const char *value)
{
    parse->options->loadvm = value;
    return PACIFICA_OK;
}

/* --- recordings, going back -------------------------------------------------------------------- */

enum pacifica_status option_record(struct parse *parse, const char *value)
{
    parse->options->record = value;
    return PACIFICA_OK;
}

enum pacifica_status option_replay(struct parse *parse, const char *value)
{
    parse->options->replay = value;
    return PACIFICA_OK;
}

enum pacifica_status option_travel(struct parse *parse, const char *value)
{
    struct cli_options *o = parse->options;
    const char *rest = value;
    o->travel = true;
    o->travel_options = PACIFICA_TRAVEL_INIT;
    while (rest) {
        const char *part = words_next(&o->words, &rest);
        if (!part)
            return diag_set(parse->diag, PACIFICA_ENOMEM, NULL, NULL, "no memory");
        const char *every = word_value(part, "every"), *memory = word_value(part, "memory");
        bool good = strcmp(part, "on") == 0;
        if (every)
            good = word_number(every, &o->travel_options.every_steps);
        else if (memory)
            good = word_size(memory, UINT64_C(1) << 20, &o->travel_options.memory_most);
        if (!good)
            return option_bad(parse, part, "neither on, every=STEPS nor memory=SIZE");
    }
    return PACIFICA_OK;
}

/* --- ends --------------------------------------------------------------------------------- */

enum pacifica_status option_max_insns(struct parse *parse, const char *value)
{
    if (!word_number(value, &parse->options->max_steps))
        return option_bad(parse, value, "no number of steps");
    return PACIFICA_OK;
}

enum pacifica_status option_max_time(struct parse *parse, const char *value)
{
    if (!word_seconds(value, &parse->options->max_time_ms))
        return option_bad(parse, value, "no number of seconds");
    return PACIFICA_OK;
}

enum pacifica_status option_stop_on(struct parse *parse, const char *value)
{
    const char *rest = value;
    while (rest) {
        const char *part = words_next(&parse->options->words, &rest);
        if (!part)
            return diag_set(parse->diag, PACIFICA_ENOMEM, NULL, NULL, "no memory");
        if (strcmp(part, "vmexit-invalid") == 0)
            parse->options->stop_on |= PACIFICA_STOP_ON_VMEXIT_INVALID;
        else if (strcmp(part, "triple-fault") == 0)
            parse->options->stop_on |= PACIFICA_STOP_ON_GUEST_SHUTDOWN;
        else if (strcmp(part, "guest-error") == 0)
            parse->options->stop_on |= PACIFICA_STOP_ON_GUEST_ERROR;
        else if (strcmp(part, "unimplemented") != 0) /* the machine stops there in any case */
            return option_bad(parse, part, "no event to stop on");
    }
    return PACIFICA_OK;
}

enum pacifica_status option_qemu_exit_codes(struct parse *parse, const char *value)
{
    (void)value;
    parse->options->qemu_exit_codes = true;
    return PACIFICA_OK;
}

enum pacifica_status option_exact_blocks(struct parse *parse, const char *value)
{
    (void)value;
    parse->options->exact_blocks = true;
    return PACIFICA_OK;
}

enum pacifica_status option_drop_fast_every(struct parse *parse, const char *value)
{
    if (!word_number(value, &parse->options->drop_fast_every))
        return option_bad(parse, value, "no number of steps");
    return PACIFICA_OK;
}

enum pacifica_status option_version(struct parse *parse, const char *value)
{
    (void)value;
    parse->options->action = CLI_VERSION;
    return PACIFICA_OK;
}

enum pacifica_status option_help(struct parse *parse, const char *value)
{
    (void)value;
    parse->options->action = CLI_HELP;
    return PACIFICA_OK;
}
