/* strings.c: strlen, memcmp, strchr and a word count as plain byte loops. */
#include "bench/roms/bench.h"

#define TEXT_BYTES 4096u

const char bench_name[] = "strings";

static char text[TEXT_BYTES];
static char copy[TEXT_BYTES];

static uint64_t text_length(const char *string)
{
    const char *end = string;

    while (*end)
        end++;
    return (uint64_t)(end - string);
}

static int text_compare(const char *a, const char *b, uint64_t bytes)
{
    for (uint64_t i = 0; i < bytes; i++)
        if (a[i] != b[i])
            return (unsigned char)a[i] < (unsigned char)b[i] ? -1 : 1;
    return 0;
}

static const char *text_find(const char *string, char wanted)
{
    for (; *string; string++)
        if (*string == wanted)
            return string;
    return 0;
}

static uint64_t text_words(const char *string)
{
    uint64_t words = 0;
    int inside = 0;

    for (; *string; string++) {
        int letter = *string >= 'a' && *string <= 'z';

        words += (uint64_t)(letter && !inside);
        inside = letter;
    }
    return words;
}

uint64_t bench_run(uint64_t n)
{
    uint64_t sum = 0;
    uint64_t seed = 6;

    for (uint32_t i = 0; i < TEXT_BYTES - 1; i++) {
        text[i] = " abcdefghijklmno"[bench_random(&seed) % 16];
        copy[i] = text[i];
    }
    for (uint64_t i = 0; i < n; i++) {
        uint32_t at = (uint32_t)(bench_random(&seed) % (TEXT_BYTES - 1));
        const char *found;

        copy[at] ^= 0x40; /* a blank becomes a back quote, which is what is searched; never zero */
        sum = bench_mix(sum, text_length(copy));
        sum = bench_mix(sum, (uint64_t)(text_compare(text, copy, TEXT_BYTES) + 1));
        found = text_find(copy, '`');
        sum = bench_mix(sum, found ? (uint64_t)(found - copy) : 0);
        sum = bench_mix(sum, text_words(copy));
    }
    return sum;
}
