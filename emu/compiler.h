/* Compiler extensions: the only file that may use them. */
#ifndef EMU_COMPILER_H
#define EMU_COMPILER_H

#include <assert.h>
#include <stdint.h>

#define EMU_MUST_USE __attribute__((warn_unused_result))
#define EMU_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define EMU_LIKELY(x) __builtin_expect(!!(x), 1)
#define EMU_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define EMU_NOINLINE __attribute__((noinline))
#define EMU_INLINE static inline __attribute__((always_inline))
#define EMU_COLD __attribute__((cold, noinline))
#define EMU_CTZ64(x) ((unsigned)__builtin_ctzll(x)) /* x is not 0 */
#define EMU_CLZ64(x) ((unsigned)__builtin_clzll(x)) /* x is not 0 */

/* An x86-64 workstation may have FMA, an ARM64 one has. A function that uses it without more ado: EMU_TARGET_FMA. */
#if defined(__x86_64__)
#define EMU_TARGET_FMA __attribute__((target("fma")))
#define EMU_HAS_FMA() __builtin_cpu_supports("fma")
#else
#define EMU_TARGET_FMA
#define EMU_HAS_FMA() 1
#endif

/* A tail call that must not grow the stack. gcc 12 makes one at -O2 by itself (CI proves it). */
#if defined(__clang__)
#define EMU_TAIL __attribute__((musttail)) return
#else
#define EMU_TAIL return
#endif

typedef unsigned __int128 emu_u128;
typedef __int128 emu_s128;

/* Words that are computed apart and stored as one: memory that was written in parts is slow to read as a whole. */
typedef uint32_t emu_u32x4 __attribute__((vector_size(16)));
typedef uint64_t emu_u64x2 __attribute__((vector_size(16)));

static_assert(sizeof(void *) == 8, "Pacifica needs a 64-bit workstation");
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
              "Pacifica needs a little-endian workstation");

#endif
