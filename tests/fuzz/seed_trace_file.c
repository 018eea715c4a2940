/* Seeds for fuzz_trace_file: traces with every event, and what comes close to one. */
#include "tests/fuzz/seed_text.h"

#define HEAD "{\"schema\":\"pacifica-trace\",\"version\":1}\n"
#define AT(event, step) "{\"event\":\"" event "\",\"step\":" step ",\"cpu\":0,\"ns\":" step ","

int main(int argc, char **argv)
{
    static const struct seed seed[] = {
        SEED("empty", HEAD),
        SEED("other", "{\"schema\":\"pacifica-trace\",\"version\":2}\n" AT("io", "1")),
        SEED("svm",
             HEAD AT(
                 "vmrun",
                 "10") "\"insns\":9,\"asid\":1,\"cs\":\"0x0008\",\"rip\":\"0x1000\",\"np\":true,"
                       "\"tlb_control\":\"0x1\",\"eventinj\":\"0x80000b0e\",\"injects\":\"#PF\"}"
                       "\n" AT("vmexit", "20") "\"insns\":19,\"asid\":1,\"cs\":\"0x0008\",\"rip\":"
                                               "\"0x1001\",\"name\":\"VMEXIT_NPF\","
                                               "\"code\":\"0x400\",\"info1\":\"0x100000006\","
                                               "\"info2\":\"0x40000\"}\n" AT(
                                                   "vmexit_changes",
                                                   "20") "\"asid\":1,\"changes\":[{\"field\":"
                                                         "\"RIP\",\"old\":\"0x1\",\"new\":\"0x2\"}]"
                                                         "}\n" AT("npf_walk",
                                                                  "20") "\"tables\":\"nested\","
                                                                        "\"note\":"
                                                                        "\"\\u0080\\\"\\\\\"}\n"),
        SEED("msr",
             HEAD AT("vmexit", "5") "\"code\":\"0x7c\",\"msr\":\"0xc0000080\",\"cut\":true}\n" AT(
                 "vmrun",
                 "9") "\"asid\":2}\n" AT("vmexit",
                                         "11") "\"code\":\"0x7b\",\"info1\":\"0x3f80110\"}\n"),
        SEED("rest",
             HEAD AT("tlb", "1") "\"op\":\"flush\"}\n" AT(
                 "int", "2") "\"in_asid\":3,\"vector\":\"0xe\",\"cs\":\"0x0000\",\"rip\":\"0x0\"}"
                             "\n" AT("mem", "3") "\"in_rip\":\"0x7\",\"la\":\"0x8\",\"size\":4}"
                                                 "\n" AT("exec", "4") "\"rip\":\"0x7\",\"bytes\":"
                                                                      "\"90\",\"note\":\"nop\"}"
                                                                      "\n" AT("ring",
                                                                              "4") "\"kept\":4,"
                                                                                   "\"dropped\":0,"
                                                                                   "\"x\":null,"
                                                                                   "\"y\":[1],"
                                                                                   "\"z\":-1}\n"),
        SEED("cut", HEAD AT("io", "1") "\"port\":\"0x80\"}\n" AT("io", "2") "\"po"),
    };
    return write_seeds(argc, argv, seed, sizeof(seed) / sizeof(seed[0]));
}
