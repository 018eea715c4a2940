/* Intercept numbers: INTERCEPT_<NAME>, word * 32 + bit. Numbers of ranges are sums: INTERCEPT_CR0_READ + 3,
 * INTERCEPT_EXCP0 + vector. */
#ifndef SVM_INTERCEPTS_H
#define SVM_INTERCEPTS_H

enum intercept {
#define INTERCEPT_BITS(name, word, bit, count) INTERCEPT_##name = (word)*32 + (bit),
#include "svm/intercepts.def"
#undef INTERCEPT_BITS
    INTERCEPT_LIMIT = 6 * 32
};

#endif
