/* #VMEXIT codes by name. */
#ifndef EMU_TRACE_EXIT_WORDS_H
#define EMU_TRACE_EXIT_WORDS_H

#include <stdbool.h>
#include <stdint.h>

/* The number that stands for VMRUN among exit codes in a filter. */
#define EXIT_WORD_VMRUN UINT64_C(0x10000)

/* An exit code by its name in the manual, with or without VMEXIT_ and in any case; or vmrun. false: there is none. */
bool exit_word_find(const char *word, uint64_t *code);

/* Its name in the manual, without VMEXIT_; NULL: there is none. */
const char *exit_word_name(uint64_t code);

/* The name that ftrace has for an exit code in kvm_exit; NULL: none, and it writes the number. */
const char *exit_word_kvm(uint64_t code);

#endif
