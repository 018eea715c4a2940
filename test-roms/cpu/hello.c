#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"
#include "test-roms/lib/trap.h"
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/svm.h"
static void ud(void *x) { (void)x; __asm__ volatile("ud2"); }
static uint8_t stack[4096] __attribute__((aligned(16)));
extern char gg[]; __asm__("gg: movl $0x1234, %ebx; vmmcall");
int rom_main(void) {
  struct trap_result r = trap_try(ud, 0);
  tap_eq(r.vector, EXC_UD, "ud");
  tap_eq(rom_arg("foo", 7), 0x12, "arg");
  tap_ok(svm_enable(), "svm");
  static struct svm_guest g;
  svm_guest_init(&g, (uintptr_t)gg, (uintptr_t)stack + 4096, 1);
  tap_eq(svm_run(&g), VMEXIT_VMMCALL, "run");
  tap_eq(g.rbx, 0x1234, "rbx");
  tap_done();
}
