/* glibc.c: the string functions of the C library that this program was built with: those for AVX2 where CPUID shows it, else those
 * for SSE2. Their object files come out of libc.a unchanged. */
#include "bench/roms/bench.h"
#include "bench/roms/fp.h"

#include <stddef.h>

#define BYTES 8192

const char bench_name[] = "glibc";

/* What the C library would have found out about the caches. */
int64_t __x86_shared_non_temporal_threshold = 0xc0000;
int64_t __x86_rep_movsb_threshold = 2048;
int64_t __x86_rep_movsb_stop_threshold = 0x80000;
int64_t __x86_rep_stosb_threshold = 2048;
int __x86_string_control = 0;

#define FUNCTIONS(suffix, memory, set, compare)                        \
    size_t __strlen_##suffix(const char *text);                        \
    void *__memchr_##suffix(const void *text, int byte, size_t bytes); \
    char *__strchr_##suffix(const char *text, int byte);               \
    int __strcmp_##suffix(const char *a, const char *b);               \
    void *__memcpy_##memory(void *to, const void *from, size_t bytes); \
    void *__memset_##set(void *to, int byte, size_t bytes);            \
    int __memcmp_##compare(const void *a, const void *b, size_t bytes);
FUNCTIONS(avx2, avx_unaligned_erms, avx2_unaligned_erms, avx2_movbe)
FUNCTIONS(sse2, sse2_unaligned_erms, sse2_unaligned_erms, sse2)

struct functions {
    size_t (*length)(const char *);
    void *(*find)(const void *, int, size_t);
    char *(*find_in_text)(const char *, int);
    int (*compare_text)(const char *, const char *);
    void *(*copy)(void *, const void *, size_t);
    void *(*set)(void *, int, size_t);
    int (*compare)(const void *, const void *, size_t);
};

static const struct functions with_avx2 = { __strlen_avx2,
                                            __memchr_avx2,
                                            __strchr_avx2,
                                            __strcmp_avx2,
                                            __memcpy_avx_unaligned_erms,
                                            __memset_avx2_unaligned_erms,
                                            __memcmp_avx2_movbe };
static const struct functions with_sse2 = { __strlen_sse2,
                                            __memchr_sse2,
                                            __strchr_sse2,
                                            __strcmp_sse2,
                                            __memcpy_sse2_unaligned_erms,
                                            __memset_sse2_unaligned_erms,
                                            __memcmp_sse2 };

static char one[BYTES + 64], other[BYTES + 64];

/* Every function once on `bytes` bytes. */
static uint64_t round_of(const struct functions *f, unsigned bytes, unsigned skew)
{
    char *a = one + skew, *b = other + 3 * skew;
    char kept = a[bytes];
    uint64_t sum;

    f->copy(b, a, bytes);
    a[bytes] = b[bytes] = 0;
    sum = f->length(a) + (uint64_t)(f->compare_text(a, b) == 0);
    b[bytes] = 'z';
    sum += (uint64_t)((char *)f->find(b, 'z', bytes + 1) - b);
    sum += (uint64_t)(f->find_in_text(a, 0) - a);
    sum += (uint64_t)(f->compare(a, b, bytes) == 0);
    a[bytes] = kept;
    f->set(b, 'q', bytes);
    return sum + (uint8_t)b[bytes / 2];
}

uint64_t bench_run(uint64_t n)
{
    static const unsigned sizes[] = { 7, 24, 100, 500, 2000, BYTES - 1 };
    const struct functions *f = bench_fp_on().avx2 ? &with_avx2 : &with_sse2;
    uint64_t sum = 0, seed = 19;

    for (unsigned i = 0; i < sizeof(one); i++)
        one[i] = (char)('a' + bench_random(&seed) % 25);
    for (uint64_t i = 0; i < n; i++)
        for (unsigned s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
            sum = bench_mix(sum, round_of(f, sizes[s], (unsigned)(i % 8)) * (i + 1));
    return sum;
}
