/* Pacifica: an instruction-level AMD-V emulator. The public interface of libpacifica.
 *
 * A machine is made from options, given an image, and run until it stops. Nothing here is global:
 * several machines may live in one process, each used by one thread at a time. */
#ifndef PACIFICA_PACIFICA_H
#define PACIFICA_PACIFICA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define PACIFICA_API __attribute__((visibility("default")))
#else
#define PACIFICA_API
#endif

#define PACIFICA_VERSION "0.1.0"

/* What a call of the library came to. */
enum pacifica_status {
    PACIFICA_OK = 0,
    PACIFICA_EUSAGE,  /* an option or argument makes no sense */
    PACIFICA_EIO,     /* a file cannot be read or written */
    PACIFICA_EFORMAT, /* an image is malformed, truncated or of an unknown kind */
    PACIFICA_ERANGE,  /* something does not fit into guest memory */
    PACIFICA_ENOMEM,  /* the workstation has no memory left */
    PACIFICA_EUNSUPPORTED /* known, but not there yet */
};

/* Why: filled by calls that fail. All strings end with NUL. */
struct pacifica_diag {
    char what[256];
    char where[256]; /* file, field or option; may be empty */
    char hint[256];  /* what the user can do; may be empty */
};

/* Why a machine stopped running. */
enum pacifica_stop {
    PACIFICA_STOP_NONE = 0,
    PACIFICA_STOP_EXIT,        /* the guest wrote to isa-debug-exit: value in exit_value */
    PACIFICA_STOP_RESET,       /* the guest asked for a reset */
    PACIFICA_STOP_LIMIT_INSNS, /* --max-insns */
    PACIFICA_STOP_LIMIT_TIME,  /* --max-time */
    PACIFICA_STOP_UNIMPLEMENTED,
    PACIFICA_STOP_SHUTDOWN,    /* triple fault or shutdown of the host */
    PACIFICA_STOP_HALTED,      /* halted, and nothing can wake it */
    PACIFICA_STOP_REQUEST      /* pacifica_machine_stop() */
};

/* What pacifica_machine_run() tells. */
struct pacifica_result {
    enum pacifica_stop stop;
    uint32_t exit_value;       /* STOP_EXIT: the value written */
    uint64_t steps;            /* instructions, string iterations, deliveries, #VMEXITs */
    uint64_t instructions;
    struct pacifica_diag diag; /* explains every stop that is not EXIT, RESET or REQUEST */
};

#ifdef __cplusplus
}
#endif

#endif
