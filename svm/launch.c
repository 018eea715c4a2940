/* What SKINIT measured. */
#include "svm/launch.h"

#include <stdio.h>

const char *svm_digest_text(const uint8_t *digest, unsigned bytes, char text[SVM_DIGEST_TEXT])
{
    for (unsigned i = 0; i < bytes; i++)
        (void)snprintf(text + (size_t)2 * i, 3, "%02x", digest[i]);
    return text;
}

void svm_launch_pcr17(const struct svm_launch *launch, enum sha_kind bank, uint8_t *pcr)
{
    static const uint8_t zeros[SHA256_BYTES] = { 0 };
    unsigned bytes = bank == SHA_1 ? SHA1_BYTES : SHA256_BYTES;
    struct sha sha;
    sha_begin(&sha, bank);
    sha_add(&sha, zeros, bytes);
    sha_add(&sha, bank == SHA_1 ? launch->sha1 : launch->sha256, bytes);
    sha_end(&sha, pcr);
}
