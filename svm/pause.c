/* The filter of the PAUSE intercept. */
#include "svm/pause.h"

#include "svm/vmcb.h"

void svm_reload_pause(struct svm_state *svm)
{
    svm->pause.left = svm->pause.count;
    svm->pause.seen = false;
}

void svm_load_pause(struct svm_state *svm, const uint8_t *vmcb)
{
    uint32_t features = svm->model.features;
    struct svm_pause *pause = &svm->pause;
    pause->count = 0;
    pause->threshold = 0;
    if (features & SVM_FEATURE_PAUSE_FILTER)
        pause->count = (uint16_t)VMCB_GET(vmcb, PAUSE_FILTER_COUNT);
    if (features & SVM_FEATURE_PAUSE_THRESHOLD)
        pause->threshold = (uint16_t)VMCB_GET(vmcb, PAUSE_FILTER_THRESHOLD);
    svm_reload_pause(svm);
}

/* Has the loop that executes PAUSE made a break that is longer than the threshold? CHOICE: the first PAUSE after VMRUN comes after
 * a long break, whatever the host or another guest has executed. */
static bool is_apart(const struct svm_pause *pause, uint64_t now_ns)
{
    return !pause->seen || now_ns - pause->last_ns > pause->threshold;
}

/* CHOICE: the manual says in one place that the counter reaches zero, in another that it would go below: the PAUSE that finds
 * it at 0 exits, so that PAUSE_FILTER_COUNT of them pass. One exactly PAUSE_FILTER_THRESHOLD cycles after the last counts. */
bool svm_pause_exits(struct svm_state *svm, uint64_t now_ns)
{
    struct svm_pause *pause = &svm->pause;
    if (pause->count == 0) /* no filter: every PAUSE exits, whatever the threshold */
        return true;
    bool apart = pause->threshold != 0 && is_apart(pause, now_ns);
    pause->seen = true;
    pause->last_ns = now_ns;
    if (apart) {
        pause->left = pause->count;
        return false;
    }
    if (pause->left == 0)
        return true;
    pause->left--;
    return false;
}
