/* What `pacifica test` reads: expectations and TAP, on arbitrary bytes. What is accepted keeps its promises. */
#include <stdlib.h>
#include <string.h>

#include "emu/cli/expect.h"
#include "emu/cli/tap.h"
#include "tests/fuzz/fuzz.h"

static void require(bool holds)
{
    if (!holds)
        abort(); /* a finding: the fuzzer keeps the input */
}

static void check_expectation(const char *text, size_t size)
{
    struct expectation e;
    struct pacifica_diag diag = { .what = "" };
    if (expectation_parse(&e, text, size, "fuzz", &diag) != PACIFICA_OK) {
        require(diag.what[0] && memchr(diag.what, 0, sizeof(diag.what)));
        require(memchr(diag.where, 0, sizeof(diag.where)));
        return;
    }
    require(size <= EXPECT_BYTES_MOST && strcmp(expect_stop_name(e.stop), "?") != 0);
    require(e.line_count <= EXPECT_LINES && e.debugcon_count <= EXPECT_DEBUGCONS);
    require(e.cpus >= 1 && e.cpus <= PACIFICA_CPUS_MOST && e.cpu[0]);
    for (unsigned i = 0; i < e.line_count; i++)
        require(e.line[i] >= e.words && e.line[i] + strlen(e.line[i]) <= e.words + size);
    require(strlen(e.append) <= size);
    expectation_free(&e);
}

/* Failed points lie one behind the other in the text. */
struct told {
    const char *begin, *end;
    uint64_t count;
};

static void point_failed(void *self, const char *text, size_t size)
{
    struct told *told = self;
    require(text >= told->begin && text + size <= told->end);
    told->begin = text + size;
    told->count++;
}

static void check_tap(const char *text, size_t size)
{
    struct told told = { text, text + size, 0 };
    const struct tap_listener listener = { point_failed, &told };
    struct tap_result heard, unheard;
    tap_read(text, size, &listener, &heard);
    tap_read(text, size, NULL, &unheard);
    require(heard.points == unheard.points && heard.failed == unheard.failed);
    require(heard.skipped + heard.failed <= heard.points && heard.points <= size);
    require(told.count >= heard.failed && (told.count != 0) == (heard.bad_at != SIZE_MAX));
    require(heard.bad_at == SIZE_MAX || heard.bad_at < size);
    require(heard.fault != TAP_WELL || heard.plan == heard.points);
    require(tap_fault_text(heard.fault)[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_expectation((const char *)data, size);
    check_tap((const char *)data, size);
    return 0;
}
