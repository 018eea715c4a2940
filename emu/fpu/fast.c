/* What the fast paths need of the workstation's FPU out of line. */
#include "emu/fpu/fast.h"

EMU_TARGET_FMA static double fused(double x, double y, double z)
{
    return fma(x, y, z);
}

bool f64_native_fma(double x, double y, double z, double *result)
{
    if (!EMU_HAS_FMA())
        return false;
    *result = fused(x, y, z);
    return true;
}
