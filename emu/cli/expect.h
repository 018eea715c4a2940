/* What a ROM is expected to do: the file NAME.expect beside NAME.elf. The format is described in docs/test-roms.md. */
#ifndef EMU_CLI_EXPECT_H
#define EMU_CLI_EXPECT_H

#include <pacifica/pacifica.h>

#define EXPECT_BYTES_MOST 65536u /* of a file */
#define EXPECT_LINES 256
#define EXPECT_DEBUGCONS 4
#define EXPECT_DISKS 4
#define EXPECT_CPU_BYTES 256

/* How the image of a ROM starts. */
enum expect_start { EXPECT_BY_NAME, EXPECT_KERNEL, EXPECT_FIRMWARE };

/* A disk whose 32-bit words are their own numbers, from 0 on; what is written to it is forgotten with the machine. */
struct expect_disk {
    enum pacifica_disk_interface interface;
    bool cdrom;
    unsigned index;
    uint32_t sectors; /* of 512 bytes, on a CD of 2048 */
};

/* Invariant: texts point into `words`, which expectation_free() frees; counts stay within the arrays; numbers are what
 * the library takes. */
struct expectation {
    enum expect_start start;
    enum pacifica_stop stop; /* how the run ends */
    uint32_t exit_value;     /* STOP_EXIT */
    bool tap;                /* the output is TAP, its plan is met, no point failed */
    bool tap_if_any;         /* the same, if there is any TAP in it */
    bool has_plan;
    uint32_t plan; /* has_plan: so many points */
    bool has_hash;
    uint64_t state_hash;
    uint64_t max_insns; /* 0: the caller's */
    uint64_t ram_bytes, seed;
    uint32_t cpus;
    const char *cpu, *append;
    bool pc_testdev, pci_testdev, virtio_rng;
    struct expect_disk disk[EXPECT_DISKS];
    unsigned disk_count;
    uint16_t debugcon[EXPECT_DEBUGCONS];
    unsigned debugcon_count;
    const char *line[EXPECT_LINES]; /* whole lines of the output, in this order */
    unsigned line_count;
    char *words;
};

/* What a ROM without a file is expected to do: exit 0, and no bad TAP. */
void expectation_default(struct expectation *expectation);

/* Read an expectation from the bytes of a file; they need not end with NUL. `name` is for messages.
 * PACIFICA_OK: to be freed with expectation_free(). PACIFICA_EUSAGE: `diag` has file and line; PACIFICA_ENOMEM. On
 * failure there is nothing to free. */
enum pacifica_status expectation_parse(struct expectation *expectation, const char *bytes,
                                       size_t size, const char *name, struct pacifica_diag *diag);
void expectation_free(struct expectation *expectation);

/* The word for a stop in these files; "?" for one that is none. */
const char *expect_stop_name(enum pacifica_stop stop);

#endif
