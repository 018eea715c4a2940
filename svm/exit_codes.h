/* #VMEXIT codes: VMEXIT_<NAME>, 64 bits wide in the VMCB. */
#ifndef SVM_EXIT_CODES_H
#define SVM_EXIT_CODES_H

#include <stdint.h>

enum vmexit_code {
#define VMEXIT_CODE(code, name, what) VMEXIT_##name = (code),
#define VMEXIT_NEGATIVE(code, name, what)
#include "svm/exit_codes.def"
#undef VMEXIT_CODE
#undef VMEXIT_NEGATIVE
};

/* Enumerators are ints, and these must compare with 64-bit values. */
#define VMEXIT_INVALID UINT64_MAX
#define VMEXIT_BUSY (UINT64_MAX - 1)
#define VMEXIT_IDLE_REQUIRED (UINT64_MAX - 2)
#define VMEXIT_INVALID_PMC (UINT64_MAX - 3)

#endif
