/* SVM in words: VMCB fields, intercept bits, and the reference of exit codes. More of it is in svm.h. */
#ifndef SVM_DESCRIBE_H
#define SVM_DESCRIBE_H

#include "svm/vmcb.h"

struct svm_state;

/* All writers are snprintf style: they return the length that all of the text has. */

/* What a field means, e.g. "PE PG" or "interrupt 0x30"; empty where the value says it all. */
int svm_describe_field(char *text, unsigned size, const uint8_t *page, enum vmcb_field field);

/* A field's value as people read it: 0x00000001, 12, or bytes in order. */
int svm_describe_value(char *text, unsigned size, const uint8_t *page, enum vmcb_field field);

/* The name of one intercept bit, without INTERCEPT_: "CR3_WRITE", "EXCP14", "CPUID"; "reserved". */
int svm_describe_intercept(char *text, unsigned size, unsigned intercept);

/* The intercept bit behind an exit code. false: no bit asks for this exit (VMEXIT_NPF, VMEXIT_INVALID, ...). */
bool svm_exit_intercept(uint64_t code, unsigned *intercept);

/* svm/exit_codes.def as an array, in the order of codes with the negative ones last. */
struct svm_exit_row {
    uint64_t code;
    const char *name, *meaning; /* "VMEXIT_NPF", "nested page fault" */
};
extern const struct svm_exit_row svm_exit_rows[];
extern const unsigned svm_exit_count;

/* One exit code for the reference. All strings static. */
struct svm_exit_info {
    uint64_t code;
    const char *name, *meaning;
    const char *kind;          /* where the saved RIP stands */
    const char *info1, *info2; /* what EXITINFO1 and EXITINFO2 hold; empty: nothing */
    const char *section;       /* of APM vol 2 */
};

/* Exit code number `n` of the table; false behind the last. */
bool svm_exit_info(unsigned n, struct svm_exit_info *info);

/* Does the saved RIP stand at the instruction that caused the exit? `svm` has made it. */
bool svm_exit_is_fault(const struct svm_state *svm, uint64_t code, uint64_t info1);

#endif
