/* Setting up a run and taking it down. */
#include "emu/cli/session.h"

#include "emu/base/diag.h"
#include "emu/cli/firmware.h"
#include "emu/cli/snapshots.h"

#include <string.h>

#define DEMO_EXIT_PORT 0xf4
#define DEMO_EXIT_PORTS 4

/* --- character devices ------------------------------------------------------------------ */

/* The serial lines and the monitor. */
static enum pacifica_status open_lines(struct session *session, struct pacifica_diag *diag)
{
    const struct cli_options *o = session->options;
    enum pacifica_status status = PACIFICA_OK;
    for (unsigned i = 0; i < CLI_SERIALS && status == PACIFICA_OK; i++) {
        struct cli_chardev serial = cli_serial(o, i);
        status = endpoint_open(&session->serial[i], &serial, diag);
    }
    struct cli_chardev monitor = cli_monitor(o);
    if (status == PACIFICA_OK && cli_monitor_port(o) < 0)
        status = endpoint_open(&session->monitor, &monitor, diag);
    return status;
}

static bool has_vga(const struct cli_options *options)
{
    return options->vga == VGA_STD || (options->vga == VGA_DEFAULT && !options->nodefaults);
}

static bool has_flash(const struct cli_options *options)
{
    for (unsigned i = 0; i < options->drive_count; i++)
        if (options->drive[i].interface == PACIFICA_DISK_PFLASH)
            return true;
    return false;
}

/* --- the machine -------------------------------------------------------------------------- */

static enum pacifica_status read_files(struct session *session, struct pacifica_diag *diag)
{
    const struct cli_options *o = session->options;
    enum pacifica_status status = PACIFICA_OK;
    if (o->kernel)
        status = file_read(o->kernel, FILE_IMAGE_MOST, &session->kernel, diag);
    for (unsigned i = 0; status == PACIFICA_OK && i < o->rom_count; i++)
        status = firmware_read(&o->rom[i], &session->rom[i], diag);
    for (unsigned i = 0; status == PACIFICA_OK && i < o->module_count; i++)
        status = file_read(o->module[i].path, FILE_IMAGE_MOST, &session->module[i], diag);
    for (unsigned i = 0; status == PACIFICA_OK && i < o->fw_cfg_count; i++)
        if (o->fw_cfg[i].path)
            status = file_read(o->fw_cfg[i].path, FILE_IMAGE_MOST, &session->fw_cfg[i], diag);
    if (status == PACIFICA_OK && (o->rom_count || has_flash(o)) && has_vga(o))
        status = firmware_read_vga(&session->vga_bios, diag);
    return status;
}

/* Devices for the library; returns how many. */
static enum pacifica_status make_devices(struct session *session, struct pacifica_device *device,
                                         size_t *count, struct pacifica_diag *diag)
{
    const struct cli_options *o = session->options;
    bool debug_exit = false;
    for (*count = 0; *count < o->device_count; ++*count) {
        const struct cli_device *from = &o->device[*count];
        device[*count] = (struct pacifica_device){ .kind = from->kind,
                                                   .port = from->port,
                                                   .port_count = from->port_count };
        debug_exit = debug_exit || from->kind == PACIFICA_DEVICE_DEBUG_EXIT;
        const struct cli_chardev *to =
            from->chardev ? cli_find_chardev(o, from->chardev) : &from->destination;
        enum pacifica_status status = endpoint_open(&session->debugcon[*count], to, diag);
        if (status != PACIFICA_OK)
            return status;
        device[*count].output = endpoint_output(&session->debugcon[*count]);
    }
    if (!o->kernel && !o->rom_count && !has_flash(o) &&
        !debug_exit) /* the demonstration ends through it */
        device[(*count)++] = (struct pacifica_device){ .kind = PACIFICA_DEVICE_DEBUG_EXIT,
                                                       .port = DEMO_EXIT_PORT,
                                                       .port_count = DEMO_EXIT_PORTS };
    return PACIFICA_OK;
}

static enum pacifica_status make_machine(struct session *session, struct pacifica_diag *diag)
{
    const struct cli_options *o = session->options;
    struct pacifica_device device[CLI_DEVICES + 1];
    struct pacifica_fw_cfg fw_cfg[CLI_FW_CFG];
    struct pacifica_disk disk[CLI_DRIVES];
    struct pacifica_nic nic[CLI_NICS];
    struct pacifica_options options = PACIFICA_OPTIONS_INIT;
    struct pacifica_output com2;
    options.ram_bytes = o->ram_bytes;
    options.cpu = o->cpu;
    options.stop_on = o->stop_on;
    options.cpus = o->cpus;
    options.seed = o->seed;
    options.devices = device;
    options.fw_cfg = fw_cfg;
    options.fw_cfg_count = o->fw_cfg_count;
    options.disks = disk;
    options.disk_count = o->drive_count;
    options.nics = nic;
    options.nic_count = o->nic_count;
    options.boot_order = o->boot_order;
    options.boot_menu = o->boot_menu;
    options.vga = has_vga(o) ? PACIFICA_VGA_STD : PACIFICA_VGA_NONE;
    options.vga_bios = session->vga_bios;
    for (unsigned i = 0; i < o->fw_cfg_count; i++) {
        const char *string = o->fw_cfg[i].string;
        fw_cfg[i].name = o->fw_cfg[i].name;
        fw_cfg[i].content = session->fw_cfg[i];
        if (string)
            fw_cfg[i].content = (struct pacifica_bytes){ .data = string, .size = strlen(string) };
    }
    enum pacifica_status status = open_lines(session, diag);
    if (status == PACIFICA_OK)
        status = make_devices(session, device, &options.device_count, diag);
    for (unsigned i = 0; status == PACIFICA_OK && i < o->drive_count; i++)
        status = disk_open(&session->disk[i], &o->drive[i], &disk[i], diag);
    if (status == PACIFICA_OK)
        status = nets_open(&session->nets, o, &session->machine, nic, diag);
    if (status != PACIFICA_OK)
        return status;
    options.serial = endpoint_output(&session->serial[0]);
    com2 = endpoint_output(&session->serial[1]);
    if (cli_serial(o, 1).kind != CHARDEV_UNSET)
        options.com2 = &com2;
    return pacifica_machine_new(&options, &session->machine, diag);
}

static enum pacifica_status load_image(struct session *session, struct pacifica_diag *diag)
{
    const struct cli_options *o = session->options;
    if (o->rom_count)
        return firmware_load(o, session->rom, session->machine, diag);
    if (has_flash(o) && !o->kernel)
        return pacifica_machine_reset(session->machine, diag);
    struct pacifica_kernel kernel = { .image = session->kernel,
                                      .name = o->kernel,
                                      .cmdline = o->append };
    for (unsigned i = 0; i < o->module_count; i++)
        session->module_for_library[i] =
            (struct pacifica_module){ .image = session->module[i], .text = o->module[i].text };
    kernel.modules = session->module_for_library;
    kernel.module_count = o->module_count;
    if (!o->kernel) {
        kernel.image = cli_demo();
        kernel.name = "demo";
        if (kernel.image.size == 0)
            return diag_set(diag, PACIFICA_EUNSUPPORTED, NULL, "-kernel names an image",
                            "the demonstration hypervisor is not built in: "
                            "there was no x86-64 compiler for it");
    }
    return pacifica_machine_load_kernel(session->machine, &kernel, diag);
}

/* --- seeing it ---------------------------------------------------------------------------- */

static enum pacifica_status attach(struct session *session, struct output_file *file,
                                   const char *events, const char *path,
                                   enum pacifica_trace_format format, uint32_t ring,
                                   struct pacifica_trace **client, struct pacifica_diag *diag)
{
    if (!events[0])
        return PACIFICA_OK;
    enum pacifica_status status = path ? output_open(file, path, diag) : output_stderr(file, diag);
    if (status != PACIFICA_OK)
        return status;
    const struct pacifica_trace_options options = {
        .events = events, .format = format, .output = output_to(file), .ring = ring
    };
    return pacifica_trace_attach(session->machine, &options, client, diag);
}

static enum pacifica_status attach_all(struct session *session, struct pacifica_diag *diag)
{
    const struct cli_options *o = session->options;
    enum pacifica_status status = attach(session, &session->log, o->log_items, o->log_path,
                                         PACIFICA_TRACE_TEXT, 0, &session->log_client, diag);
    if (status == PACIFICA_OK)
        status = attach(session, &session->trace, o->trace_events, o->trace_path, o->trace_format,
                        o->trace_ring, &session->trace_client, diag);
    if (status == PACIFICA_OK && o->exit_stats) {
        session->stats = pacifica_exit_stats_attach(session->machine);
        if (!session->stats)
            status = diag_set(diag, PACIFICA_ENOMEM, NULL, NULL, "no memory for the statistics");
    }
    return status;
}

/* An item that makes no sense is told before the run and not behind it. */
static enum pacifica_status check_info(struct session *session, struct pacifica_diag *diag)
{
    const struct cli_options *o = session->options;
    const struct pacifica_output nowhere = { .write = NULL };
    enum pacifica_status status = PACIFICA_OK;
    for (unsigned i = 0; i < o->info_count && status == PACIFICA_OK; i++)
        status = pacifica_machine_info(session->machine, 0, o->info[i], &nowhere, diag);
    return status;
}

/* What enters is written down, or read. */
static enum pacifica_status begin_record(struct session *session, struct pacifica_diag *diag)
{
    const struct cli_options *o = session->options;
    enum pacifica_status status = PACIFICA_OK;
    if (o->record) {
        status = output_open(&session->record, o->record, diag);
        const struct pacifica_output output = output_to(&session->record);
        if (status == PACIFICA_OK)
            status = pacifica_record(session->machine, &output, diag);
    }
    if (status == PACIFICA_OK && o->replay) {
        status = file_read(o->replay, FILE_IMAGE_MOST, &session->replay, diag);
        if (status == PACIFICA_OK)
            status = pacifica_replay(session->machine, &session->replay, diag);
        if (status == PACIFICA_OK && diag->what[0])
            cli_complain(diag); /* its end is missing */
    }
    if (status == PACIFICA_OK && o->travel)
        status = pacifica_travel_begin(session->machine, &o->travel_options, diag);
    return status;
}

enum pacifica_status session_begin(struct session *session, const struct cli_options *options,
                                   struct pacifica_diag *diag)
{
    *session = (struct session){ .options = options };
    enum pacifica_status status = read_files(session, diag);
    if (status == PACIFICA_OK)
        status = make_machine(session, diag);
    if (status == PACIFICA_OK)
        status = attach_all(session, diag);
    if (status == PACIFICA_OK)
        status = check_info(session, diag);
    if (status == PACIFICA_OK)
        status = load_image(session, diag);
    if (status == PACIFICA_OK && options->loadvm)
        status = snapshot_load_file(session->machine, options->loadvm, diag);
    if (status == PACIFICA_OK)
        status = begin_record(session, diag);
    if (status == PACIFICA_OK)
        status = gdb_open(&session->gdb, options, session->machine, diag);
    return status;
}

void session_flush(struct session *session)
{
    for (unsigned i = 0; i < CLI_SERIALS; i++)
        endpoint_flush(&session->serial[i]);
    for (unsigned i = 0; i < session->options->device_count; i++)
        endpoint_flush(&session->debugcon[i]);
    endpoint_flush(&session->monitor);
    output_flush(&session->log);
    output_flush(&session->trace);
    output_flush(&session->record);
}

enum pacifica_status session_end(struct session *session, struct pacifica_diag *diag)
{
    gdb_close(session->gdb);
    pacifica_exit_stats_free(session->stats);
    pacifica_trace_free(session->trace_client);
    pacifica_trace_free(session->log_client);
    nets_close(&session->nets);
    pacifica_machine_free(session->machine);
    enum pacifica_status status = endpoint_close(&session->monitor, diag);
    for (unsigned i = 0; i < CLI_SERIALS; i++)
        if (endpoint_close(&session->serial[i], diag) != PACIFICA_OK)
            status = PACIFICA_EIO;
    for (unsigned i = 0; i < session->options->device_count; i++)
        if (endpoint_close(&session->debugcon[i], diag) != PACIFICA_OK)
            status = PACIFICA_EIO;
    for (unsigned i = 0; i < session->options->drive_count; i++)
        if (disk_close(&session->disk[i], diag) != PACIFICA_OK)
            status = PACIFICA_EIO;
    if (output_close(&session->log, diag) != PACIFICA_OK)
        status = PACIFICA_EIO;
    if (output_close(&session->trace, diag) != PACIFICA_OK)
        status = PACIFICA_EIO;
    if (output_close(&session->record, diag) != PACIFICA_OK)
        status = PACIFICA_EIO;
    file_free(&session->replay);
    file_free(&session->kernel);
    file_free(&session->vga_bios);
    for (unsigned i = 0; i < session->options->rom_count; i++)
        file_free(&session->rom[i]);
    for (unsigned i = 0; i < session->options->module_count; i++)
        file_free(&session->module[i]);
    for (unsigned i = 0; i < session->options->fw_cfg_count; i++)
        file_free(&session->fw_cfg[i]);
    return status;
}
