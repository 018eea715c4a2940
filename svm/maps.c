/* The permission maps of port and MSR accesses, and what is told of an intercepted port access. */
#include "svm/mistakes.h"

/* `size` bytes of a map, whose address stands in a field of the VMCB. */
static uint64_t read_map(struct vcpu *cpu, enum vmcb_field field, uint64_t spa, unsigned size)
{
    if (EMU_UNLIKELY(memory_backing(cpu->memory, spa) == UINT64_MAX))
        svm_tell_map_outside_memory(cpu, field, spa);
    return phys_read(cpu->memory, spa, size);
}

struct svm_map_bit svm_io_map_bit(const struct svm_state *svm, uint32_t port)
{
    return (struct svm_map_bit){ .spa = svm->iopm_spa + port / 8, .bit = port & 7 };
}

/* One bit a port; a wide access looks at each of its bytes' bits and does not wrap: port FFFFh reaches into the
 * third page. APM vol 2, 15.10.1 "I/O Permissions Map", 15.10.2 "IN and OUT Behavior". */
bool svm_io_intercepted(struct vcpu *cpu, uint16_t port, unsigned size)
{
    if (!svm_intercepts(cpu, INTERCEPT_IOIO_PROT))
        return false;
    struct svm_map_bit first = svm_io_map_bit(cpu->svm, port);
    uint64_t two_bytes = read_map(cpu, VMCB_IOPM_BASE_PA, first.spa, 2);
    return two_bytes >> first.bit & ((1u << size) - 1);
}

const uint32_t svm_msr_ranges[SVM_MSR_RANGES] = { 0x00000000, 0xc0000000, 0xc0010000 };

/* Two bits an MSR: the even one for reads, the odd one for writes. APM vol 2, 15.11 "MSR Intercepts". */
bool svm_msr_map_bit(const struct svm_state *svm, uint32_t msr, bool write, struct svm_map_bit *at)
{
    for (unsigned i = 0; i < SVM_MSR_RANGES; i++) {
        uint32_t index = msr - svm_msr_ranges[i];
        if (index >= SVM_MSR_RANGE)
            continue;
        *at = (struct svm_map_bit){ .spa = svm->msrpm_spa + i * 0x800 + index / 4,
                                    .bit = 2 * (index & 3) + write };
        return true;
    }
    return false;
}

bool svm_msr_intercepted(struct vcpu *cpu, uint32_t msr, bool write)
{
    struct svm_map_bit at;
    if (!svm_intercepts(cpu, INTERCEPT_MSR_PROT))
        return false;
    if (!svm_msr_map_bit(cpu->svm, msr, write, &at))
        return true;
    return read_map(cpu, VMCB_MSRPM_BASE_PA, at.spa, 1) >> at.bit & 1;
}

/* APM vol 2, 15.10.2 "IN and OUT Behavior", 15.10.3 "(REP) OUTS and INS". */
uint64_t svm_ioio_info(uint16_t port, bool in, bool string, bool rep, unsigned size,
                       unsigned addr_bytes, enum seg seg)
{
    uint64_t info = in | (uint64_t)port << 16;
    info |= size == 1 ? 1u << 4 : size == 2 ? 1u << 5 : 1u << 6;
    info |= addr_bytes == 2 ? 1u << 7 : addr_bytes == 4 ? 1u << 8 : 1u << 9;
    if (string)
        info |= 1u << 2 | (rep ? 1u << 3 : 0) | (uint64_t)(in ? SEG_ES : seg) << 10;
    return info;
}
