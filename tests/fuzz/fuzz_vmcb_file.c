/* A VMCB from a file, and the words of an exit code: whatever the bytes are, reports end, are text, and agree with themselves. */
#include <stdlib.h>
#include <string.h>

#include <pacifica/pacifica.h>

#include "tests/fuzz/fuzz.h"

static void require(bool holds)
{
    if (!holds)
        abort(); /* a finding: the fuzzer keeps the input */
}

struct report {
    size_t size, lines;
};

static void take(void *self, const void *bytes, size_t size)
{
    struct report *report = self;
    const char *text = bytes;
    require(size > 0);
    for (size_t i = 0; i < size; i++) {
        require(text[i] == '\n' || (text[i] >= ' ' && text[i] <= '~'));
        report->lines += text[i] == '\n';
    }
    report->size += size;
}

/* Inputs are shorter than a page, mostly: the first two bytes say where the rest begins, and it is repeated. */
static void fill_page(uint8_t page[PACIFICA_VMCB_BYTES], const uint8_t *data, size_t size)
{
    size_t at = (size_t)(data[0] | (data[1] & 0xf) << 8);
    memset(page, 0, PACIFICA_VMCB_BYTES);
    for (size_t i = 2; i < size && at < PACIFICA_VMCB_BYTES; i++)
        page[at++] = data[i];
    for (size_t i = 2; (data[1] & 0x10) && at < PACIFICA_VMCB_BYTES; i++)
        page[at++] = data[2 + (i - 2) % (size - 2)];
}

static void check_page(const uint8_t *data, size_t size)
{
    static const char *const models[] = { NULL, "max", "epyc-naples", "max,-npt,-lm",
                                          "epyc-turin" };
    uint8_t page[PACIFICA_VMCB_BYTES], zeros[PACIFICA_VMCB_BYTES] = { 0 };
    const struct pacifica_bytes vmcb = { page, sizeof(page) }, other = { zeros, sizeof(zeros) };
    struct report report = { 0 };
    const struct pacifica_output output = { .write = take, .self = &report };
    unsigned found;
    fill_page(page, data, size);
    require(pacifica_vmcb_dump(&vmcb, &output, NULL) == PACIFICA_OK && report.lines > 100);
    report = (struct report){ 0 };
    require(pacifica_vmcb_diff(&vmcb, &other, &output, &found, NULL) == PACIFICA_OK);
    require((found == 0) == (memcmp(page, zeros, sizeof(page)) == 0) && report.lines >= found);
    for (unsigned i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
        report = (struct report){ 0 };
        enum pacifica_status status = pacifica_vmcb_check(models[i], &vmcb, &output, &found, NULL);
        require(status == PACIFICA_OK ? report.lines >= found : report.size == 0);
    }
}

static void check_sizes(const uint8_t *data, size_t size)
{
    const struct pacifica_bytes bytes = { data, size };
    struct report report = { 0 };
    struct pacifica_diag diag = { .what = "" };
    const struct pacifica_output output = { .write = take, .self = &report };
    unsigned found;
    enum pacifica_status wanted = size == PACIFICA_VMCB_BYTES ? PACIFICA_OK : PACIFICA_EFORMAT;
    require(pacifica_vmcb_dump(&bytes, &output, &diag) == wanted);
    require(pacifica_vmcb_diff(&bytes, &bytes, &output, &found, &diag) == wanted && found == 0);
    require(pacifica_vmcb_check(NULL, &bytes, &output, &found, &diag) == wanted);
    require((report.size != 0) == (wanted == PACIFICA_OK) &&
            (diag.what[0] != 0) != (report.size != 0));
}

static void check_code(const uint8_t *data, size_t size)
{
    char text[64];
    struct report report = { 0 };
    const struct pacifica_output output = { .write = take, .self = &report };
    size_t length = size < sizeof(text) - 1 ? size : sizeof(text) - 1;
    memcpy(text, data, length);
    text[length] = '\0';
    enum pacifica_status status = pacifica_exit_codes(text, &output, NULL);
    require(status == PACIFICA_OK ? report.lines == 6 : report.size == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 2)
        check_page(data, size);
    check_sizes(data, size);
    check_code(data, size);
    return 0;
}
