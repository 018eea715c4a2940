/* What SKINIT measured. */
#include "svm/launch.h"

#include <nettle/sha1.h>
#include <nettle/sha2.h>
#include <stdio.h>

static const char *const failures[SVM_LAUNCH_FAILURES] = {
    [SVM_LAUNCH_NOT_BOOT] = "the processor is not the boot processor",
    [SVM_LAUNCH_NO_INIT] = "an application processor is not in the INIT state",
};

const char *svm_launch_failure_text(enum svm_launch_failure failure)
{
    return failures[failure];
}

enum svm_launch_failure svm_launch_failure_of(const struct svm_launch *launch)
{
    unsigned failure = SVM_LAUNCH_GOOD;
    while (failure + 1 < SVM_LAUNCH_FAILURES && failures[failure] != launch->failure)
        failure++;
    return (enum svm_launch_failure)failure;
}

const char *svm_digest_text(const uint8_t *digest, unsigned bytes, char text[SVM_DIGEST_TEXT])
{
    for (unsigned i = 0; i < bytes; i++)
        (void)snprintf(text + (size_t)2 * i, 3, "%02x", digest[i]);
    return text;
}

static const uint8_t zeros[SHA256_BYTES];

void svm_launch_pcr17_sha1(const struct svm_launch *launch, uint8_t pcr[SHA1_BYTES])
{
    struct sha1_ctx sha;
    sha1_init(&sha);
    sha1_update(&sha, SHA1_BYTES, zeros);
    sha1_update(&sha, SHA1_BYTES, launch->sha1);
    sha1_digest(&sha, SHA1_BYTES, pcr);
}

void svm_launch_pcr17_sha256(const struct svm_launch *launch, uint8_t pcr[SHA256_BYTES])
{
    struct sha256_ctx sha;
    sha256_init(&sha);
    sha256_update(&sha, SHA256_BYTES, zeros);
    sha256_update(&sha, SHA256_BYTES, launch->sha256);
    sha256_digest(&sha, SHA256_BYTES, pcr);
}
