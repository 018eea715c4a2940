/* A VMCB that was saved from anywhere, told to people: its fields, how two differ, which rules of VMRUN it breaks. */
#ifndef EMU_DEBUG_VMCB_REPORT_H
#define EMU_DEBUG_VMCB_REPORT_H

#include <pacifica/pacifica.h>

#include "svm/svm.h"

/* Write every field with its offset, value and meaning, and the reserved bytes that are not zero. `page` has
 * VMCB_PAGE_BYTES bytes, as below. */
void vmcb_dump(const uint8_t *page, const struct pacifica_output *output);

/* Write the fields that differ, as diff does. Returns how many, runs of reserved bytes included. */
unsigned vmcb_diff(const uint8_t *from, const uint8_t *to, const struct pacifica_output *output);

/* Write each rule of VMRUN that is broken on a processor model, and what could not be looked at. Returns how many. */
unsigned vmcb_check(const uint8_t *page, const struct svm_model *model,
                    const struct pacifica_output *output);

/* Write the reference of exit codes: all of them in a line each, or what is known of one. `which`: a number, or a name
 * with or without VMEXIT_; NULL: all. false: there is no such code, and nothing was written. */
bool exits_write(const char *which, const struct pacifica_output *output);

#endif
