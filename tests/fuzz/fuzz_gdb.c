/* The GDB stub against a hostile peer: arbitrary bytes on its line, a machine behind it. Nothing but a packet that says so
 * ends or lets go the machine, answers are well-formed, and the stub stays able to answer. */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "emu/base/diag.h"
#include "emu/cli/gdb_priv.h"
#include "emu/cli/monitor_commands.h"
#include "tests/fuzz/fuzz.h"

#define PART 512
#define STEPS_MOST 200

static void require(bool holds)
{
    if (!holds)
        abort(); /* a finding: the fuzzer keeps the input */
}

/* --- what the program has around it ----------------------------------------------------------- */

struct cli_chardev cli_gdb(const struct cli_options *options)
{
    return options->gdb;
}

void monitor_say(const struct monitor *monitor, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (length > 0)
        monitor->output.write(monitor->output.self, text, strnlen(text, sizeof(text)));
}

/* Commands write files: they are read here, and not executed. */
void monitor_execute(struct monitor *monitor, char *line)
{
    monitor_say(monitor, "%s\n", line);
}

void monitor_complain(const struct monitor *monitor, const struct pacifica_diag *diag)
{
    monitor_say(monitor, "%s\n", diag->what);
}

struct stage {
    struct pacifica_machine *machine;
    struct run_wishes wishes;
    struct gdb *gdb;
    int peer;
    struct gdb_frame heard;
};

static bool begin(struct stage *stage)
{
    static const struct cli_options options = { .cpus = 2, .gdb = { .kind = CHARDEV_STDIO } };
    struct pacifica_options made = PACIFICA_OPTIONS_INIT;
    struct pacifica_diag diag = { .what = "" };
    int pair[2];
    made.ram_bytes = 1 << 20;
    made.cpus = options.cpus;
    if (pacifica_machine_new(&made, &stage->machine, &diag) != PACIFICA_OK ||
        gdb_open(&stage->gdb, &options, stage->machine, &diag) != PACIFICA_OK ||
        socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
        return false;
    stage->gdb->link = calloc(1, sizeof(*stage->gdb->link));
    if (!stage->gdb->link)
        return false;
    for (int i = 0; i < 2; i++)
        (void)fcntl(pair[i], F_SETFL, O_NONBLOCK);
    stage->gdb->link->fd = pair[0];
    stage->gdb->link->listener = stage->gdb->link->held = -1;
    stage->peer = pair[1];
    gdb_begin(stage->gdb, &stage->wishes);
    return true;
}

/* What the stub sends are packets without a fault, and signs. */
static void hear(struct stage *stage)
{
    uint8_t bytes[4096];
    ssize_t got;
    while ((got = read(stage->peer, bytes, sizeof(bytes))) > 0)
        for (ssize_t i = 0; i < got; i++) {
            enum gdb_frame_event event = gdb_frame_byte(&stage->heard, bytes[i]);
            require(event != GDB_FRAME_DAMAGED && event != GDB_FRAME_TOO_LONG &&
                    event != GDB_FRAME_INTERRUPT);
        }
}

/* As a run does it, a little at a time. */
static void run(struct stage *stage)
{
    struct pacifica_limits limits = PACIFICA_LIMITS_INIT;
    struct pacifica_result result = { .stop = PACIFICA_STOP_NONE };
    if (stage->wishes.paused || !stage->gdb->running)
        return;
    limits.max_steps = stage->wishes.steps + STEPS_MOST;
    if (!gdb_run(stage->gdb, &limits, &result))
        pacifica_machine_run(stage->machine, &limits, &result);
    stage->wishes.steps = result.steps;
    if (result.stop != PACIFICA_STOP_LIMIT_INSNS && result.stop != PACIFICA_STOP_LIMIT_TIME)
        stage->wishes.paused = gdb_stopped(stage->gdb, &result);
}

static void send_all(struct stage *stage, const uint8_t *data, size_t size)
{
    while (size && !stage->wishes.quit && gdb_is_open(stage->gdb)) {
        size_t part = size < PART ? size : PART;
        (void)send(stage->peer, data, part, MSG_NOSIGNAL);
        do
            gdb_feed(stage->gdb);
        while (hear(stage), stage->gdb->count && !stage->wishes.quit && !stage->wishes.reset);
        stage->wishes.reset = false;
        run(stage);
        data += part;
        size -= part;
    }
}

/* A line as a packet with its checksum, so that mutations reach what is behind that. */
static void send_packet(struct stage *stage, const uint8_t *body, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t sum = 0;
    for (size_t i = 0; i < size; i++)
        sum = (uint8_t)(sum + body[i]);
    const uint8_t end[] = { '#', (uint8_t)digits[sum >> 4], (uint8_t)digits[sum & 0xf] };
    send_all(stage, (const uint8_t *)"$", 1);
    send_all(stage, body, size);
    send_all(stage, end, sizeof(end));
}

/* The first byte says what follows: bytes of the line, or lines that are packets. */
static void send_input(struct stage *stage, const uint8_t *data, size_t size)
{
    if (size == 0 || data[0] != 'p') {
        send_all(stage, data, size);
        return;
    }
    for (size_t at = 1; at < size;) {
        const uint8_t *end = memchr(data + at, '\n', size - at);
        size_t length = end ? (size_t)(end - data) - at : size - at;
        send_packet(stage, data + at, length);
        at += length + 1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct stage *stage = calloc(1, sizeof(*stage));
    require(stage && begin(stage));
    send_input(stage, data, size);
    require(stage->gdb->break_count <= GDB_BREAKS && stage->gdb->cpu < stage->gdb->cpus);
    (void)close(stage->peer);
    gdb_feed(stage->gdb);
    require(stage->wishes.quit || (!stage->gdb->attached && !stage->gdb->break_count));
    gdb_close(stage->gdb);
    pacifica_machine_free(stage->machine);
    free(stage);
    return 0;
}
