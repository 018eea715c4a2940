/* The monitor's lines: what is typed, and what is said. */
#include "emu/cli/monitor.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SAY_MOST 512
#define CTRL(letter) ((letter)&0x1f)
#define DELETE 0x7f

void monitor_say(const struct monitor *monitor, const char *format, ...)
{
    char text[SAY_MOST];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    size_t size = length < 0 ? 0 : (size_t)length;
    if (size >= sizeof(text))
        size = sizeof(text) - 1;
    if (size && monitor->output.write)
        monitor->output.write(monitor->output.self, text, size);
}

static void prompt(const struct monitor *monitor)
{
    if (monitor->editor)
        line_editor_prompt(monitor->editor);
    else
        monitor_say(monitor, MONITOR_PROMPT);
}

void monitor_greet(struct monitor *monitor)
{
    if (!monitor->greeted)
        monitor_say(monitor, "pacifica %s monitor - type 'help' for more information\n",
                    pacifica_version());
    monitor->greeted = true;
    prompt(monitor);
    if (!monitor->editor)
        monitor_say(monitor, "%.*s", (int)monitor->length, monitor->line);
}

void monitor_tell(struct monitor *monitor, const char *text)
{
    if (!*text)
        return;
    monitor_say(monitor, "%s%s", monitor->editor ? "\r\n" : "", text);
    if (monitor->editor)
        prompt(monitor);
}

static void echo(const struct monitor *monitor, const char *text)
{
    if (monitor->echo)
        monitor_say(monitor, "%s", text);
}

static void erase(struct monitor *monitor, size_t count)
{
    for (; count && monitor->length; count--, monitor->length--)
        echo(monitor, "\b \b");
}

static void execute(struct monitor *monitor, char *line)
{
    monitor_execute(monitor, line);
    if (!monitor->wishes->quit)
        prompt(monitor);
}

static void end_line(struct monitor *monitor)
{
    char line[MONITOR_LINE];
    memcpy(line, monitor->line, monitor->length);
    line[monitor->length] = '\0';
    monitor->length = 0;
    echo(monitor, "\n");
    execute(monitor, line);
}

static void insert(struct monitor *monitor, uint8_t byte)
{
    if (monitor->length == MONITOR_LINE - 1) {
        echo(monitor, "\a");
        return;
    }
    monitor->line[monitor->length++] = (char)byte;
    echo(monitor, (const char[]){ (char)byte, '\0' });
}

void monitor_byte(struct monitor *monitor, uint8_t byte)
{
    bool second = byte == '\n' && monitor->carriage_return; /* of CR LF */
    monitor->carriage_return = byte == '\r';
    if (second)
        return;
    if (monitor->editor) {
        char *line = line_editor_byte(monitor->editor, byte);
        if (line)
            execute(monitor, line);
        return;
    }
    if (byte == '\r' || byte == '\n')
        end_line(monitor);
    else if (byte == '\b' || byte == DELETE)
        erase(monitor, 1);
    else if (byte == CTRL('U') || byte == CTRL('C'))
        erase(monitor, monitor->length);
    else if (byte >= ' ')
        insert(monitor, byte);
    else if (byte == '\t')
        insert(monitor, ' ');
}
