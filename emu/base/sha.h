/* SHA-1 and SHA-256. FIPS 180-4, 5.1.1, 6.1, 6.2. */
#ifndef EMU_BASE_SHA_H
#define EMU_BASE_SHA_H

#include <stddef.h>
#include <stdint.h>

#define SHA1_BYTES 20
#define SHA256_BYTES 32
#define SHA_BLOCK 64

enum sha_kind { SHA_1, SHA_256 };

/* A message so far. */
struct sha {
    enum sha_kind kind;
    uint32_t hash[8];
    uint64_t count; /* bytes */
    uint8_t block[SHA_BLOCK];
};

void sha_begin(struct sha *sha, enum sha_kind kind);
void sha_add(struct sha *sha, const void *bytes, size_t count);

/* digest: SHA1_BYTES or SHA256_BYTES. */
void sha_end(struct sha *sha, uint8_t *digest);

#endif
