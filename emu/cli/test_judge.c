/* Holding what a ROM did against what it should have done. */
#include "emu/cli/tap.h"
#include "emu/cli/test.h"

#include <inttypes.h>
#include <string.h>

#define POINTS_TOLD 20 /* failed points that a report names */
#define LINE_TOLD 300  /* bytes of a line that a report shows */

void test_put(FILE *out, const char *bytes, size_t size, size_t most)
{
    for (size_t i = 0; i < size && i < most; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (c >= 0x20 && c < 0x7f)
            (void)fputc(c, out);
        else
            (void)fprintf(out, "\\x%02x", c);
    }
    if (size > most)
        (void)fputs("...", out);
}

struct judge {
    FILE *out;
    unsigned failures;
    uint64_t points_told;
};

/* Begin the line of a check that failed. */
static FILE *fail(struct judge *judge)
{
    judge->failures++;
    return judge->out;
}

/* --- the end --------------------------------------------------------------------------------- */

static void put_stop(FILE *out, enum pacifica_stop stop, uint32_t exit_value)
{
    (void)fputs(expect_stop_name(stop), out);
    if (stop == PACIFICA_STOP_EXIT)
        (void)fprintf(out, " %" PRIu32, exit_value);
}

static void judge_end(struct judge *judge, const struct expectation *e,
                      const struct pacifica_result *result)
{
    bool same = result->stop == e->stop &&
                (e->stop != PACIFICA_STOP_EXIT || result->exit_value == e->exit_value);
    if (same)
        return;
    FILE *out = fail(judge);
    (void)fputs("end: ", out);
    put_stop(out, result->stop, result->exit_value);
    (void)fputs(", expected ", out);
    put_stop(out, e->stop, e->exit_value);
    if (result->diag.what[0]) {
        (void)fputs(" (", out);
        test_put(out, result->diag.what, strlen(result->diag.what), LINE_TOLD);
        (void)fprintf(out, "%s%s)", result->diag.where[0] ? " at " : "", result->diag.where);
    }
    (void)fputc('\n', out);
}

/* --- TAP ---------------------------------------------------------------------------------------- */

static void point_failed(void *self, const char *text, size_t size)
{
    struct judge *judge = self;
    FILE *out = fail(judge);
    if (judge->points_told++ >= POINTS_TOLD)
        return;
    for (size_t at = 0, next; at < size; at += next) {
        (void)fputs(at ? "     " : "TAP: ", out);
        test_put(out, text + at, tap_line(text + at, size - at, &next), LINE_TOLD);
        (void)fputc('\n', out);
    }
}

static void judge_tap(struct judge *judge, const struct expectation *e,
                      const struct rom_outcome *outcome, struct tap_result *tap)
{
    const struct tap_listener listener = { point_failed, judge };
    tap_read(outcome->output, outcome->output_size, &listener, tap);
    if (!e->tap && tap->points == 0 && tap->fault == TAP_NO_PLAN)
        return;
    if (judge->points_told > POINTS_TOLD)
        (void)fprintf(judge->out, "TAP: and %" PRIu64 " more\n", judge->points_told - POINTS_TOLD);
    if (tap->fault == TAP_PLAN_NOT_MET)
        (void)fprintf(fail(judge), "TAP: plan 1..%" PRIu64 ", but %" PRIu64 " points\n", tap->plan,
                      tap->points);
    else if (tap->fault == TAP_NO_PLAN || tap->fault == TAP_TWO_PLANS ||
             tap->fault == TAP_OUT_OF_ORDER)
        (void)fprintf(fail(judge), "TAP: %s\n", tap_fault_text(tap->fault));
    if (e->has_plan && tap->points != e->plan)
        (void)fprintf(fail(judge), "TAP: %" PRIu64 " points, expected %" PRIu32 "\n", tap->points,
                      e->plan);
}

/* --- lines ---------------------------------------------------------------------------------------- */

/* Where the line behind the first one that reads `wanted` begins, looking from `at`; SIZE_MAX: there is none. */
static size_t behind_line(const struct rom_outcome *outcome, size_t at, const char *wanted)
{
    size_t length = strlen(wanted);
    for (size_t next; at < outcome->output_size; at += next) {
        const char *line = outcome->output + at;
        if (tap_line(line, outcome->output_size - at, &next) == length &&
            memcmp(line, wanted, length) == 0)
            return at + next;
    }
    return SIZE_MAX;
}

static void judge_lines(struct judge *judge, const struct expectation *e,
                        const struct rom_outcome *outcome)
{
    size_t at = 0;
    for (unsigned i = 0; i < e->line_count; i++) {
        size_t behind = behind_line(outcome, at, e->line[i]);
        if (behind != SIZE_MAX) {
            at = behind;
            continue;
        }
        FILE *out = fail(judge);
        (void)fputs("serial: no line \"", out);
        test_put(out, e->line[i], strlen(e->line[i]), LINE_TOLD);
        bool earlier = behind_line(outcome, 0, e->line[i]) != SIZE_MAX;
        (void)fprintf(out, "\"%s\n", earlier ? " behind the lines before it" : "");
    }
}

bool test_judge(const struct expectation *expectation, const struct rom_outcome *outcome, FILE *out,
                size_t *bad_at)
{
    struct judge judge = { .out = out };
    struct tap_result tap = { .bad_at = SIZE_MAX };
    judge_end(&judge, expectation, &outcome->result);
    if (expectation->tap || expectation->tap_if_any)
        judge_tap(&judge, expectation, outcome, &tap);
    judge_lines(&judge, expectation, outcome);
    if (expectation->has_hash && outcome->state_hash != expectation->state_hash)
        (void)fprintf(fail(&judge), "state hash %016" PRIx64 ", expected %016" PRIx64 "\n",
                      outcome->state_hash, expectation->state_hash);
    *bad_at = tap.bad_at;
    if (judge.failures == 0 && tap.points)
        (void)fprintf(out, "%" PRIu64 " points, %" PRIu64 " skipped\n", tap.points, tap.skipped);
    return judge.failures == 0;
}
