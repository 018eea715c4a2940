/* Lines edited by libedit.
 *
 * libedit wants a terminal of its own and waits in its read function. But here bytes come from a console that has more to do, and the terminal
 * belongs to the serial line, too. So libedit runs on a thread of its own, at a pseudo-terminal of its own, and works only while the
 * program waits for it: from a byte to the next one it asks for. The user's terminal never changes its modes for it. */
#define _XOPEN_SOURCE 700 /* pseudo-terminals */
#include "emu/cli/line_editor.h"

#include <errno.h>
#include <fcntl.h>
#include <histedit.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>

#define HISTORY_LINES 200
#define CONTROL(letter) ((letter)&0x1f)
#define DELETE 0x7f

/* What the thread waits for; it says so in one byte. */
enum wants { WANTS_PROMPT = 'p', WANTS_BYTE = 'b', WANTS_NOTHING = 0 /* it is over */ };

struct line_editor {
    struct pacifica_output output;
    line_editor_complete *complete;
    const char *prompt;
    EditLine *libedit;
    History *history;
    FILE *in, *out;   /* libedit's side of the pseudo-terminal */
    int master;       /* and ours */
    int ours, theirs; /* the two ends between program and thread */
    enum wants wants;
    bool has_line, running;
    char line[LINE_EDITOR_MOST];
    pthread_t thread;
};

/* --- on the thread ------------------------------------------------------------------------ */

/* Say what is wanted, and wait for a byte. false: it is over. */
static bool wait_for(struct line_editor *editor, enum wants wants, uint8_t *byte)
{
    uint8_t word = (uint8_t)wants;
    (void)fflush(editor->out);
    if (send(editor->theirs, &word, 1, MSG_NOSIGNAL) != 1)
        return false;
    ssize_t got;
    do
        got = recv(editor->theirs, byte, 1, 0);
    while (got < 0 && errno == EINTR);
    return got == 1;
}

static struct line_editor *of(EditLine *libedit)
{
    void *editor = NULL;
    (void)el_get(libedit, EL_CLIENTDATA, &editor);
    return editor;
}

static int get_char(EditLine *libedit, wchar_t *to)
{
    uint8_t byte;
    if (!wait_for(of(libedit), WANTS_BYTE, &byte))
        return 0;
    *to = byte;
    return 1;
}

static char *show_prompt(EditLine *libedit)
{
    return (char *)(uintptr_t)of(libedit)->prompt;
}

/* What could be typed, as far as all of it is the same. */
struct candidates {
    char common[LINE_EDITOR_MOST];
    const char *typed;
    unsigned count, column;
    FILE *list; /* NULL: they are only counted */
};

static void take_candidate(void *self, const char *word)
{
    struct candidates *found = self;
    size_t same = 0;
    if (strncmp(word, found->typed, strlen(found->typed)) != 0)
        return;
    if (found->list)
        (void)fprintf(found->list, "%s%-19s", found->count % 4 ? " " : "\r\n", word);
    if (found->count++ == 0)
        (void)snprintf(found->common, sizeof(found->common), "%s", word);
    while (found->common[same] && found->common[same] == word[same])
        same++;
    found->common[same] = '\0';
}

static unsigned char complete(EditLine *libedit, wint_t key)
{
    struct line_editor *editor = of(libedit);
    const LineInfo *info = el_line(libedit);
    char text[LINE_EDITOR_MOST];
    struct candidates found = { .count = 0 };
    (void)key;
    (void)snprintf(text, sizeof(text), "%.*s", (int)(info->cursor - info->buffer), info->buffer);
    /* Where the word begins is known behind the first call. */
    found.typed = "";
    found.typed = text + editor->complete(text, take_candidate, &found);
    found.count = 0;
    found.common[0] = '\0';
    (void)editor->complete(text, take_candidate, &found);
    if (found.count == 0)
        return CC_REFRESH_BEEP;
    const char *more = found.common + strlen(found.typed);
    if (*more)
        return el_insertstr(libedit, more) == 0 ? CC_REFRESH : CC_REFRESH_BEEP;
    found.list = editor->out;
    found.count = 0;
    (void)editor->complete(text, take_candidate, &found);
    (void)fputs("\r\n", editor->out);
    return CC_REDISPLAY;
}

/* Take a line over; too long ones end where there is no room. */
static void keep_line(struct line_editor *editor, const char *line, int length)
{
    HistEvent event;
    while (length && (line[length - 1] == '\n' || line[length - 1] == '\r'))
        length--;
    (void)snprintf(editor->line, sizeof(editor->line), "%.*s", length, line);
    editor->has_line = true;
    if (editor->line[strspn(editor->line, " ")])
        (void)history(editor->history, &event, H_ENTER, editor->line);
}

static void *edit(void *self)
{
    struct line_editor *editor = self;
    uint8_t go;
    while (wait_for(editor, WANTS_PROMPT, &go)) {
        int length = 0;
        const char *line = el_gets(editor->libedit, &length);
        if (line && length > 0)
            keep_line(editor, line, length);
    }
    (void)shutdown(editor->theirs, SHUT_RDWR);
    return NULL;
}

/* --- on the program's side ------------------------------------------------------------------ */

/* Hand on what libedit has written. */
static void show(struct line_editor *editor)
{
    char bytes[512];
    ssize_t got;
    while ((got = read(editor->master, bytes, sizeof(bytes))) > 0)
        editor->output.write(editor->output.self, bytes, (size_t)got);
}

/* Let the thread work until it wants something. */
static void work(struct line_editor *editor)
{
    struct pollfd both[2] = { { .fd = editor->ours, .events = POLLIN },
                              { .fd = editor->master, .events = POLLIN } };
    uint8_t word;
    do {
        (void)poll(both, 2, -1);
        show(editor);
    } while (!(both[0].revents & (POLLIN | POLLHUP | POLLERR)));
    editor->wants = recv(editor->ours, &word, 1, 0) == 1 ? (enum wants)word : WANTS_NOTHING;
    show(editor);
}

static void give(struct line_editor *editor, uint8_t byte)
{
    if (send(editor->ours, &byte, 1, MSG_NOSIGNAL) == 1)
        work(editor);
    else
        editor->wants = WANTS_NOTHING;
}

/* CHOICE: 80 columns where the terminal does not tell how many it has. */
static void set_size(struct line_editor *editor)
{
    struct winsize size = { 0 }, before = { 0 };
    (void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    if (size.ws_col < 20 || size.ws_row < 2)
        size = (struct winsize){ .ws_row = 24, .ws_col = 80 };
    (void)ioctl(editor->master, TIOCGWINSZ, &before);
    if (size.ws_col == before.ws_col && size.ws_row == before.ws_row)
        return;
    (void)ioctl(editor->master, TIOCSWINSZ, &size);
    if (editor->libedit)
        el_resize(editor->libedit);
}

void line_editor_prompt(struct line_editor *editor)
{
    if (editor->wants == WANTS_PROMPT) {
        set_size(editor);
        give(editor, 0);
    } else if (editor->wants == WANTS_BYTE) {
        (void)el_set(editor->libedit, EL_REFRESH);
        (void)fflush(editor->out);
        show(editor);
    }
}

/* Keys that make no line longer. */
static bool is_short(uint8_t byte)
{
    static const char keys[] = { '\r',         '\n',         '\b',         DELETE,
                                 CONTROL('A'), CONTROL('B'), CONTROL('C'), CONTROL('D'),
                                 CONTROL('E'), CONTROL('F'), CONTROL('K'), CONTROL('L'),
                                 CONTROL('N'), CONTROL('P'), CONTROL('U'), CONTROL('W') };
    return memchr(keys, byte, sizeof(keys)) != NULL;
}

char *line_editor_byte(struct line_editor *editor, uint8_t byte)
{
    if (editor->wants != WANTS_BYTE)
        return NULL;
    const LineInfo *info = el_line(editor->libedit);
    bool full = info->lastchar - info->buffer >= LINE_EDITOR_MOST - 1;
    /* CHOICE: characters beyond ASCII are not taken: libedit would need a locale, which the program does not set. */
    if (!byte || byte > DELETE || (full && !is_short(byte))) {
        editor->output.write(editor->output.self, "\a", 1);
        return NULL;
    }
    editor->has_line = false;
    give(editor, byte);
    if (editor->wants == WANTS_PROMPT && !editor->has_line) /* libedit saw an end of its input */
        editor->line[0] = '\0';
    return editor->wants == WANTS_PROMPT ? editor->line : NULL;
}

/* --- making ----------------------------------------------------------------------------------- */

/* The pseudo-terminal, and both streams at it. */
static bool open_terminal(struct line_editor *editor)
{
    editor->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (editor->master < 0 || grantpt(editor->master) != 0 || unlockpt(editor->master) != 0)
        return false;
    const char *name = ptsname(editor->master);
    int slave = name ? open(name, O_RDWR | O_NOCTTY | O_CLOEXEC) : -1;
    if (slave < 0)
        return false;
    struct termios modes;
    if (tcgetattr(slave, &modes) ==
        0) { /* as the console's terminal: nothing is a signal, nothing is changed */
        modes.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG | IEXTEN);
        modes.c_iflag &= ~(tcflag_t)(ICRNL | INLCR | IGNCR | IXON);
        modes.c_oflag |= OPOST | ONLCR;
        (void)tcsetattr(slave, TCSANOW, &modes);
    }
    int copy = fcntl(slave, F_DUPFD_CLOEXEC, 0);
    editor->in = fdopen(slave, "r");
    editor->out = copy < 0 ? NULL : fdopen(copy, "w");
    set_size(editor);
    return editor->in && editor->out && fcntl(editor->master, F_SETFL, O_NONBLOCK) == 0;
}

static bool open_ends(struct line_editor *editor)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return false;
    editor->ours = ends[0];
    editor->theirs = ends[1];
    return true;
}

static bool open_libedit(struct line_editor *editor)
{
    HistEvent event;
    EditLine *libedit = el_init("pacifica", editor->in, editor->out, editor->out);
    editor->libedit = libedit;
    editor->history = history_init();
    if (!libedit || !editor->history)
        return false;
    (void)history(editor->history, &event, H_SETSIZE, HISTORY_LINES);
    (void)history(editor->history, &event, H_SETUNIQUE, 1);
    (void)el_set(libedit, EL_CLIENTDATA, editor);
    (void)el_set(libedit, EL_PROMPT, show_prompt);
    (void)el_set(libedit, EL_EDITOR, "emacs");
    (void)el_set(libedit, EL_HIST, history, editor->history);
    (void)el_set(libedit, EL_GETCFN, get_char);
    /* The other form of it copies the names and never frees them. */
    (void)el_wset(libedit, EL_ADDFN, L"complete", L"complete the word", complete);
    (void)el_set(libedit, EL_BIND, "^I", "complete", NULL);
    (void)el_set(libedit, EL_BIND, "^C", "em-kill-line", NULL);
    (void)el_set(libedit, EL_BIND, "^D", "ed-delete-next-char", NULL);
    (void)el_set(libedit, EL_BIND, "^R", "em-inc-search-prev", NULL);
    (void)el_set(libedit, EL_BIND, "\\e[3~", "ed-delete-next-char", NULL);
    /* Repeat counts: a line of a million characters helps nobody. */
    for (char digit[] = "\\e0"; digit[2] <= '9'; digit[2]++)
        (void)el_set(libedit, EL_BIND, digit, "ed-unassigned", NULL);
    return true;
}

static bool begin(struct line_editor *editor)
{
    sigset_t all, before;
    if (!open_terminal(editor) || !open_ends(editor) || !open_libedit(editor))
        return false;
    (void)fflush(editor->out);
    char bytes[512]; /* what it says of terminals that it does not know */
    while (read(editor->master, bytes, sizeof(bytes)) > 0)
        continue;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, &before);
    editor->running = pthread_create(&editor->thread, NULL, edit, editor) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (editor->running)
        work(editor);
    return editor->running && editor->wants == WANTS_PROMPT;
}

struct line_editor *line_editor_new(const char *prompt, const struct pacifica_output *output,
                                    line_editor_complete *complete_word)
{
    struct line_editor *editor = output->write ? calloc(1, sizeof(*editor)) : NULL;
    if (!editor)
        return NULL;
    editor->master = editor->ours = editor->theirs = -1;
    editor->output = *output;
    editor->complete = complete_word;
    editor->prompt = prompt;
    if (begin(editor))
        return editor;
    line_editor_free(editor);
    return NULL;
}

static void close_end(int fd)
{
    if (fd >= 0)
        (void)close(fd);
}

void line_editor_free(struct line_editor *editor)
{
    if (!editor)
        return;
    if (editor->running) {
        (void)shutdown(editor->ours, SHUT_RDWR);
        (void)pthread_join(editor->thread, NULL);
    }
    if (editor->libedit)
        el_end(editor->libedit);
    if (editor->history)
        history_end(editor->history);
    if (editor->in)
        (void)fclose(editor->in);
    if (editor->out)
        (void)fclose(editor->out);
    close_end(editor->master);
    close_end(editor->ours);
    close_end(editor->theirs);
    free(editor);
}
