/* `info skinit`: the last secure launch of a processor. */
#include "emu/debug/info_priv.h"

#include "svm/launch.h"

static void put_digest(const char *name, const uint8_t *digest, unsigned bytes,
                       const struct pacifica_output *output)
{
    char text[SVM_DIGEST_TEXT];
    output_put(output, "%s %s\n", name, svm_digest_text(digest, bytes, text));
}

static void put_pcr17(const struct svm_launch *launch, const struct pacifica_output *output)
{
    uint8_t pcr[SHA256_BYTES];
    svm_launch_pcr17_sha1(launch, pcr);
    put_digest("PCR 17, SHA-1  ", pcr, SHA1_BYTES, output);
    svm_launch_pcr17_sha256(launch, pcr);
    put_digest("PCR 17, SHA-256", pcr, SHA256_BYTES, output);
}

enum pacifica_status info_skinit(struct vcpu *cpu, const char *argument,
                                 const struct pacifica_output *output, struct pacifica_diag *diag)
{
    const struct svm_launch *launch = &cpu->svm->launch;
    (void)argument;
    (void)diag;
    if (!launch->done) {
        output_put(output, "no SKINIT since reset\n");
        return PACIFICA_OK;
    }
    output_put(output, "SLB %08x-%08x  entry %04x  image %u bytes\n", launch->slb,
               launch->slb + (MEMORY_SLB_BYTES - 1), launch->entry, launch->length);
    put_digest("image, SHA-1   ", launch->sha1, SHA1_BYTES, output);
    put_digest("image, SHA-256 ", launch->sha256, SHA256_BYTES, output);
    if (launch->failure)
        output_put(output, "no secure launch: %s\n", launch->failure);
    else
        put_pcr17(launch, output);
    output_put(output, "devices %s the SLB\n",
               memory_slb(cpu->memory) == launch->slb ? "do not reach" : "reach");
    return PACIFICA_OK;
}
