/* What the fast paths need of the workstation's FPU out of line. */
#include "emu/fpu/fast.h"

bool fp_native_usable(void)
{
    volatile double one = 1, eighth_ulp = 0x1p-55, most_of_ulp = 0x1.8p-53, smallest = DBL_MIN;
    bool nearest = one + eighth_ulp == 1 && -one - eighth_ulp == -1 && one + most_of_ulp > 1;
    volatile double denormal = smallest / 2; /* kept by the result... */
    volatile double again = denormal * 2;    /* and read as an operand */
    return nearest && denormal > 0 && again == DBL_MIN;
}

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
