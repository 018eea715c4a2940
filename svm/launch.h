/* What SKINIT measured: a model of the TPM's part. APM vol 2, 15.27 "Secure Startup with SKINIT".
 *
 * There is no TPM in the machine. Its dynamic register, PCR 17, would be set to zeros when the transfer of the secure loader
 * begins, and extended by the digest of all bytes when it ends: PCR 17 = H(zeros || H(image)), in the bank of each H. */
#ifndef SVM_LAUNCH_H
#define SVM_LAUNCH_H

#include <stdbool.h>
#include <stdint.h>

#define SHA1_BYTES 20
#define SHA256_BYTES 32

struct svm_launch {
    bool done;    /* SKINIT has been executed since RESET; the rest describes the last one */
    uint32_t slb; /* the secure loader block */
    uint16_t entry, length;
    const char *failure; /* static: why the TPM would refuse it; NULL: it would not */
    uint8_t sha1[SHA1_BYTES], sha256[SHA256_BYTES]; /* of the image */
};

/* Why the TPM would refuse a launch. */
enum svm_launch_failure {
    SVM_LAUNCH_GOOD,
    SVM_LAUNCH_NOT_BOOT, /* the processor is not the boot processor */
    SVM_LAUNCH_NO_INIT,  /* another one is not in the INIT state */
    SVM_LAUNCH_FAILURES
};
/* As svm_launch.failure has it; and back. */
const char *svm_launch_failure_text(enum svm_launch_failure failure);
enum svm_launch_failure svm_launch_failure_of(const struct svm_launch *launch);

/* A digest for people, in hexadecimal. Returns `text`. */
#define SVM_DIGEST_TEXT (2 * SHA256_BYTES + 1)
const char *svm_digest_text(const uint8_t *digest, unsigned bytes, char text[SVM_DIGEST_TEXT]);

/* PCR 17 of either bank behind a launch that did not fail. */
void svm_launch_pcr17_sha1(const struct svm_launch *launch, uint8_t pcr[SHA1_BYTES]);
void svm_launch_pcr17_sha256(const struct svm_launch *launch, uint8_t pcr[SHA256_BYTES]);

#endif
