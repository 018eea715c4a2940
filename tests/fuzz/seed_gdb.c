/* Seeds for fuzz_gdb: each packet that the stub knows, as lines, and bytes of a line as GDB sends them. */
#include "tests/fuzz/seed_text.h"

int main(int argc, char **argv)
{
    static const struct seed seed[] = {
        SEED("start", "+$qSupported:multiprocess+;swbreak+;hwbreak+;vContSupported+#08"
                      "$QStartNoAckMode#b0$?#3f$g#67\x03$c#63\x03"),
        SEED("damaged", "$?#00-$?#3f--$m0,$m0,4#fd}}$X}\x03#d8$D#44"),
        SEED(
            "query",
            "pqSupported:swbreak+;hwbreak+\n?\nqC\nqfThreadInfo\nqsThreadInfo\nqThreadExtraInfo,2\n"
            "qAttached\nqOffsets\nqSymbol::\nvMustReplyEmpty\nvCont?\nT1\nHg2\nHc-1\nHg0"),
        SEED("transfer",
             "pqXfer:features:read:target.xml:0,ffb\nqXfer:features:read:target.xml:ffb,ffb\n"
             "qXfer:memory-map:read::0,ffb\nqXfer:threads:read::0,ffb\nqXfer:threads:read::10,3"),
        SEED("registers",
             "pg\np0\np10\np50\nP1=8877665544332211\nP10=f0ff000000000000\nP3e=0000000000000000\n"
             "P11=02000000\np1\ng\nG0011223344556677"),
        SEED("memory", "pm0,10\nm1000,4\nmffffffff,1\nM1000,4:01020304\nX2000,0:\nX2000,4:ab}\x03"
                       "c\n"
                       "x1000,20\nm0,fffff"),
        SEED("breaks",
             "pqSupported:swbreak+;hwbreak+\nZ0,fffffff0,1\nZ1,1000,2\nZ2,2000,4\nZ3,2000,1\n"
             "Z4,2000,8\nZ5,0,0\nc\nz0,fffffff0,1\nz2,2000,4\nvCont;c\nz9,1,1"),
        SEED("going",
             "pvCont;s:1\nvCont;s:1;c\nvCont;r0,ffff:1\nvCont;c:-1\nvCont;C05:1\nvCont;t\ns\nS05\n"
             "C05\ncf000\nbs\nbc\nvCtrlC\nD"),
        SEED("commands",
             "pqRcmd,696e666f20737461747573\nqRcmd,68656c70\nqRcmd,00\nR00\n!\nvKill;1"),
    };
    return write_seeds(argc, argv, seed, sizeof(seed) / sizeof(seed[0]));
}
