/* What is told of a secure launch: the trace's line and `info skinit`. APM vol 2, 15.27 "Secure Startup with SKINIT". */
#include "emu/debug/info.h"
#include "emu/debug/trace.h"
#include "tests/cpu/kit.h"

#define SLB 0x200000u
/* Of the bytes 04 00 04 00, from sha1sum and sha256sum; PCR 17 of 20 or 32 zeros and those. */
#define SHA1 "df3c0a21d22d2592cfd58c0d709f80924f193587"
#define SHA256 "3732eca13abc9deaa345b1fb82f8729ed1c9c774212e82177f8c199abc9c62bb"
#define PCR_SHA1 "424f87e8376e686e2fd499c18b7050783b0144f8"
#define PCR_SHA256 "a80b83eb5ca2e43419b4371408db0603a5b77d1299ab50c05a561d9d4f212077"

static char text[4096];

static void collect(void *self, const void *bytes, size_t size)
{
    (void)self;
    ck_assert_uint_lt(strlen(text) + size, sizeof(text));
    strncat(text, bytes, size);
}

static const struct pacifica_output output = { .write = collect };

static void skinit(struct kit *k)
{
    kit_mode(k, MODE_LONG64, 0);
    kit_put(k, SLB, 4, 0x00040004);
    k->cpu->r[REG_RAX] = SLB;
    ck_assert_int_eq(EXEC(k, "\x0f\x01\xde"), STEP_JUMP);
}

static const char *tell(struct kit *k)
{
    text[0] = '\0';
    ck_assert_int_eq(info_write(k->cpu, "skinit", &output, NULL), PACIFICA_OK);
    return text;
}

WITH_KIT(info_tells_what_was_measured)
{
    ck_assert_str_eq(tell(k), "no SKINIT since reset\n");
    skinit(k);
    ck_assert_str_eq(tell(k), "SLB 00200000-0020ffff  entry 0004  image 4 bytes\n"
                              "image, SHA-1    " SHA1 "\n"
                              "image, SHA-256  " SHA256 "\n"
                              "PCR 17, SHA-1   " PCR_SHA1 "\n"
                              "PCR 17, SHA-256 " PCR_SHA256 "\n"
                              "devices do not reach the SLB\n");
    k->cpu->index = 1;
    skinit(k);
    k->cpu->index = 0;
    ck_assert_ptr_nonnull(
        strstr(tell(k), "no secure launch: the processor is not the boot processor\n"));
    ck_assert_ptr_null(strstr(text, "PCR 17"));
}

static void trace(struct kit *k, const char *events, enum pacifica_trace_format format)
{
    const struct pacifica_trace_options options = { .events = events,
                                                    .format = format,
                                                    .output = output };
    struct pacifica_trace *trace;
    text[0] = '\0';
    ck_assert_int_eq(trace_new(&k->probes, k->cpu, &options, &trace, NULL), PACIFICA_OK);
    skinit(k);
    trace_free(trace);
}

WITH_KIT(the_trace_has_a_line_for_it)
{
    trace(k, "svm", PACIFICA_TRACE_TEXT);
    ck_assert_ptr_nonnull(strstr(text,
                                 " slb 0x200000 entry 0x4 length 4 sha1 " SHA1 " sha256 " SHA256
                                 " pcr17_sha1 " PCR_SHA1 " pcr17_sha256 " PCR_SHA256 "\n"));
    trace(k, "svm:SKINIT", PACIFICA_TRACE_JSONL);
    ck_assert_ptr_nonnull(strstr(text, "\"event\":\"skinit\""));
    ck_assert_ptr_nonnull(strstr(text, "\"length\":4,\"sha1\":\"" SHA1 "\""));
    trace(k, "svm:CPUID", PACIFICA_TRACE_TEXT);
    ck_assert_str_eq(text, "");
    k->cpu->index = 1;
    trace(k, "svm", PACIFICA_TRACE_TEXT);
    k->cpu->index = 0;
    ck_assert_ptr_nonnull(strstr(text, ": the processor is not the boot processor\n"));
    ck_assert_ptr_null(strstr(text, "pcr17"));
}

int main(void)
{
    Suite *suite = suite_create("debug/skinit");
    TCase *tc = tcase_create("skinit");
    tcase_add_test(tc, info_tells_what_was_measured);
    tcase_add_test(tc, the_trace_has_a_line_for_it);
    suite_add_tcase(suite, tc);
    return kit_run(suite);
}
