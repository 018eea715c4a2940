/* The reference of exit codes as text. */
#include "emu/base/output.h"
#include "emu/debug/vmcb_report.h"
#include "svm/describe.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define PREFIX "VMEXIT_"
#define PREFIX_CHARS (sizeof(PREFIX) - 1)

/* A number as C writes it, with the manual's h or a minus sign allowed. A leading zero says neither octal nor anything else: the
 * table prints codes as 072h. */
static bool parse_code(const char *text, uint64_t *code)
{
    char *end;
    const char *digits = text[0] == '-' ? text + 1 : text;
    size_t length = strlen(text);
    bool hex = length > 1 && (text[length - 1] == 'h' || text[length - 1] == 'H');
    bool starts =
        hex ? strspn(digits, "0123456789abcdefABCDEF") > 0 : *digits >= '0' && *digits <= '9';
    bool octal = !hex && digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9';
    if (!starts || octal)
        return false;
    errno = 0;
    *code = strtoull(digits, &end, hex ? 16 : 0);
    if (text[0] == '-')
        *code = -*code;
    return errno == 0 && strcmp(end, hex ? text + length - 1 : "") == 0;
}

static bool is_named(const struct svm_exit_info *info, const char *name)
{
    if (strncasecmp(name, PREFIX, PREFIX_CHARS) == 0)
        name += PREFIX_CHARS;
    return strcasecmp(name, info->name + PREFIX_CHARS) == 0;
}

static void code_text(uint64_t code, char text[24])
{
    if (code > UINT64_MAX / 2)
        (void)snprintf(text, 24, "%" PRId64, (int64_t)code);
    else
        (void)snprintf(text, 24, "%03" PRIX64 "h", code);
}

static void put_row(const struct svm_exit_info *info, const struct pacifica_output *output)
{
    char code[24];
    code_text(info->code, code);
    output_put(output, "%-5s %-27s %s\n", code, info->name, info->meaning);
}

static void put_all(const struct svm_exit_info *info, const struct pacifica_output *output)
{
    char name[32];
    unsigned intercept;
    put_row(info, output);
    if (svm_exit_intercept(info->code, &intercept)) {
        (void)svm_describe_intercept(name, sizeof(name), intercept);
        output_put(output, "  intercept  VMCB offset %03Xh, bit %u: %s\n", intercept / 32 * 4,
                   intercept % 32, name);
    } else {
        output_put(output, "  intercept  none\n");
    }
    output_put(output, "  saved RIP  %s\n", info->kind);
    output_put(output, "  EXITINFO1  %s\n", info->info1[0] ? info->info1 : "0");
    output_put(output, "  EXITINFO2  %s\n", info->info2[0] ? info->info2 : "0");
    output_put(output, "  manual     APM vol 2, %s\n", info->section);
}

bool exits_write(const char *which, const struct pacifica_output *output)
{
    struct svm_exit_info info;
    uint64_t code = 0;
    bool number = which && parse_code(which, &code);
    for (unsigned n = 0; svm_exit_info(n, &info); n++) {
        if (!which) {
            put_row(&info, output);
        } else if (is_named(&info, which) || (number && info.code == code)) {
            put_all(&info, output);
            return true;
        }
    }
    return !which;
}
