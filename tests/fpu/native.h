/* Is this workstation's processor one to compare with? */
#ifndef TESTS_FPU_NATIVE_H
#define TESTS_FPU_NATIVE_H

#if defined(__x86_64__)

#include <cpuid.h>
#include <stdbool.h>
#include <stdio.h>

/* AMD's, whose choices we follow (steps of FPREM, C1, results of FSCALE far out), with FMA and F16C. */
static inline bool native_is_reference(void)
{
    const unsigned wanted = 1u << 12 | 1u << 29; /* FMA, F16C */
    unsigned max, vendor, a, b, c = 0, d;
    bool known = __get_cpuid(0, &max, &vendor, &c, &d) && vendor == signature_AMD_ebx &&
                 __get_cpuid(1, &a, &b, &c, &d) && (c & wanted) == wanted;
    if (!known)
        puts("skipped: needs an AMD processor with FMA and F16C");
    return known;
}

#endif

#endif
