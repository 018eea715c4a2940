/* What the command line asks for. */
#ifndef EMU_CLI_OPTIONS_H
#define EMU_CLI_OPTIONS_H

#include <pacifica/pacifica.h>

#define CLI_MODULES 32
#define CLI_ROMS 8
#define CLI_DEVICES 8
#define CLI_FW_CFG 16
#define CLI_CHARDEVS 8
#define CLI_DRIVES 16
#define CLI_SERIALS 2
#define CLI_NICS PACIFICA_NICS_MOST
#define CLI_FORWARDS 16
#define CLI_SCREENDUMPS 8
#define CLI_AT_END UINT64_MAX
#define CLI_INFO 8
#define CLI_TEXT 256

/* Where a character device goes. */
struct cli_chardev {
    enum {
        CHARDEV_UNSET,
        CHARDEV_NULL,
        CHARDEV_STDIO,
        CHARDEV_FILE,
        CHARDEV_UNIX,
        CHARDEV_TCP,
        CHARDEV_PTY
    } kind;
    const char *path;        /* CHARDEV_FILE, CHARDEV_UNIX */
    const char *host, *port; /* CHARDEV_TCP */
    const char *name;        /* for messages: of sockets and pseudo-terminals */
    const char *id;          /* -chardev only */
    bool mux;                /* a monitor shares it */
    bool server, nowait;     /* sockets: listen, and do not wait for the first to connect */
    bool no_signals;         /* CHARDEV_STDIO: Ctrl-C is a key like others */
};

/* A device as the command line describes it; `chardev` is an ID that may be defined later on the line. */
struct cli_device {
    enum pacifica_device_kind kind;
    uint16_t port, port_count;
    const char *chardev;            /* ID, or NULL */
    struct cli_chardev destination; /* -debugcon says it directly */
};

struct cli_module {
    const char *path;
    const char *text; /* "F ARGS" as the guest sees it */
};

/* A ROM. `load_at` is PACIFICA_FIRMWARE_TOP unless -load-at said something else. */
struct cli_rom {
    const char *path;
    uint64_t load_at;
    bool search; /* -bios: in the folders of firmware, too */
};

struct cli_fw_cfg {
    const char *name;
    const char *path, *string; /* one of them */
};

/* A drive of -drive and its short forms. */
struct cli_drive {
    const char *path; /* NULL: a CD-ROM drive without a disc */
    const char *id, *serial;
    const char *format; /* as it was given; NULL: it was not */
    enum pacifica_disk_interface interface;
    unsigned index;
    uint64_t memory_most; /* for writes, if they stay in memory; 0: the library's */
    bool placed;          /* index counts */
    bool unused;          /* if=none, and no -device has taken it */
    bool cdrom, read_only, through;
};

/* A disk of -device, which names its drive. bus and unit are -1 if they were not given. */
struct cli_drive_device {
    const char *drive, *serial;
    enum pacifica_disk_interface interface;
    bool cdrom;
    int bus, unit;
};

/* A port of the workstation (host) that leads to one of the guest. IPv4 addresses as numbers. */
struct cli_forward {
    bool udp;
    uint32_t host, guest;
    uint16_t host_port, guest_port;
};

/* A network of -netdev or -nic. */
struct cli_netdev {
    const char *id; /* NULL: of -nic */
    bool outside;   /* restrict=off */
    bool used;      /* it has a card */
    struct cli_forward forward[CLI_FORWARDS];
    unsigned forward_count;
};

/* A network card of -nic, or of -device, which names its network. */
struct cli_nic {
    const char *netdev;
    unsigned network; /* index of it */
    uint8_t mac[6];   /* all zero: the library's */
};

/* A picture of the screen or a snapshot that is to be saved after so many steps, or CLI_AT_END. */
struct cli_save_at {
    uint64_t at;
    const char *path;
};

/* What a run is to do instead of running. */
enum cli_action {
    CLI_RUN,
    CLI_HELP,
    CLI_VERSION,
    CLI_CPU_LIST,
    CLI_DEVICE_LIST,
    CLI_TRACE_LIST,
    CLI_INFO_LIST
};

/* Invariant: texts belong to `words`, which cli_options_fini() frees; counts stay within the arrays. */
struct cli_options {
    enum cli_action action;
    const char *kernel, *append; /* kernel NULL and no rom: the built-in demonstration */
    struct cli_module module[CLI_MODULES];
    unsigned module_count;
    struct cli_rom rom[CLI_ROMS]; /* none: a kernel starts */
    unsigned rom_count;
    uint64_t ram_bytes, seed;
    uint32_t cpus;
    const char *cpu;
    struct cli_device device[CLI_DEVICES];
    unsigned device_count;
    struct cli_fw_cfg fw_cfg[CLI_FW_CFG];
    unsigned fw_cfg_count;
    struct cli_drive drive[CLI_DRIVES];
    unsigned drive_count;
    struct cli_drive_device drive_device[CLI_DRIVES];
    unsigned drive_device_count;
    struct cli_netdev netdev[CLI_NICS];
    unsigned netdev_count;
    struct cli_nic nic[CLI_NICS];
    unsigned nic_count;
    bool snapshot; /* of all drives */
    const char *boot_order;
    bool boot_menu;
    enum { VGA_DEFAULT, VGA_NONE, VGA_STD } vga;
    struct cli_save_at screendump[CLI_SCREENDUMPS], savevm[CLI_SCREENDUMPS];
    unsigned screendump_count, savevm_count;
    const char *record, *replay; /* NULL: neither */
    bool travel;
    struct pacifica_travel_options travel_options;
    const char *loadvm; /* begin with this snapshot; NULL: as the image does */
    struct cli_chardev chardev[CLI_CHARDEVS];
    unsigned chardev_count;
    struct cli_port {
        struct cli_chardev to;
        const char *chardev; /* -serial chardev:ID; or NULL */
    } serial[CLI_SERIALS];
    unsigned serial_count;
    struct cli_chardev monitor;
    const char *monitor_chardev; /* -monitor chardev:ID, -mon ID */
    struct cli_chardev gdb;
    const char *gdb_chardev; /* -gdb chardev:ID */
    bool frozen;             /* -S */
    bool magic_break;
    bool window; /* -display sdl */
    bool nodefaults, nographic, realtime, no_reboot, qemu_exit_codes, exit_stats, state_hash,
        exact_blocks;
    char log_items[CLI_TEXT], trace_events[CLI_TEXT];
    const char *log_path, *trace_path;
    const char *info[CLI_INFO];
    unsigned info_count;
    enum pacifica_trace_format trace_format;
    uint32_t trace_ring; /* 0: events go out at once */
    uint64_t max_steps, drop_fast_every;
    uint64_t max_time_ms; /* 0: no limit */
    uint32_t stop_on;
    struct cli_words *words;
};

/* Parse the command line. PACIFICA_OK; PACIFICA_EUSAGE (unknown option, malformed value), PACIFICA_EUNSUPPORTED (not there
 * yet), PACIFICA_ENOMEM: `diag` has the line for the user, where = the option. cli_options_fini() is needed in any case. */
enum pacifica_status cli_options_parse(struct cli_options *options, int argc,
                                       const char *const *argv, struct pacifica_diag *diag);
void cli_options_fini(struct cli_options *options);

/* The destination behind a -chardev ID; NULL: there is none. */
const struct cli_chardev *cli_find_chardev(const struct cli_options *options, const char *id);

/* Where COM1 and COM2 (port 1) and the monitor are, from all options together; CHARDEV_UNSET: there is no such thing. */
struct cli_chardev cli_serial(const struct cli_options *options, unsigned port);
struct cli_chardev cli_monitor(const struct cli_options *options);

/* Where GDB is: CHARDEV_UNSET or CHARDEV_NULL for nowhere. */
struct cli_chardev cli_gdb(const struct cli_options *options);

/* The serial line that the monitor is behind, or -1: it is alone, or not there. */
int cli_monitor_port(const struct cli_options *options);

/* Write the help to standard output. */
void cli_help(void);

#endif
