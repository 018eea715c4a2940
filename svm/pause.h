/* The filter of the PAUSE intercept. APM vol 2, 15.14.4 "Pause Intercept Filtering". */
#ifndef SVM_PAUSE_H
#define SVM_PAUSE_H

#include "svm/svm.h"

/* VMRUN with the PAUSE intercept: take PAUSE_FILTER_COUNT and PAUSE_FILTER_THRESHOLD over. */
void svm_load_pause(struct svm_state *svm, const uint8_t *vmcb);

/* The counter starts anew from what VMRUN took over: after SMM. */
void svm_reload_pause(struct svm_state *svm);

/* A PAUSE of a guest whose PAUSE intercept is set, at virtual time `now_ns`: does it exit? If not, the filter has counted
 * it. A nanosecond of virtual time is a cycle. */
bool svm_pause_exits(struct svm_state *svm, uint64_t now_ns);

#endif
