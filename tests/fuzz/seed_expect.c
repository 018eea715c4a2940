/* Seeds for fuzz_expect: expectations and TAP with everything that the two readers know. */
#include "tests/fuzz/seed_text.h"

int main(int argc, char **argv)
{
    static const struct seed seed[] = {
        SEED("exit",
             "exit 0\ntap 12\nmax-insns 100000\nsmp 4\ncpu max,-x2apic\nmemory 64M\nseed 1\n"),
        SEED("stop",
             "# words\n\nstop shutdown\nserial \"a \\\"\\\\\\t\\x41\"\r\nserial b\nserial\n"),
        SEED("rest",
             "stop limit\nappend \"one two\"\ndevice pc-testdev\ndebugcon 0x402\nstart firmware\n"
             "state-hash 0123456789abcdef\n"),
        SEED("disks",
             "exit 0\ndisk hda 4096\ndisk cdrom 0x10\ndisk virtio 9\ndevice pci-testdev\n"),
        SEED("tap", "TAP version 13\n1..4\nok 1 - a\nnot ok 2 - b # Todo x\nnot ok 3\n# got\n#  "
                    "want\nok # SKIP\n"),
        SEED("bail", "ok 1\r\nok 18446744073709551616\nBail out! b\n1..99999999999999999999\n1..2 "
                     "# SKIP\nnot ok\n"),
    };
    return write_seeds(argc, argv, seed, sizeof(seed) / sizeof(seed[0]));
}
