#include "cpu.h"

#if FC_X86
#include <cpuid.h>

static fc_cpu this_cpu;

static int has_lzcnt(void) {
    unsigned a, b, c = 0, d;
    return __get_cpuid(0x80000001u, &a, &b, &c, &d) && c >> 5 & 1;
}

__attribute__((constructor)) static void ask_cpu(void) {
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi")
        && __builtin_cpu_supports("bmi2") && has_lzcnt())
        this_cpu = FC_CPU_AVX2;
}

fc_cpu fc_this_cpu(void) { return this_cpu; }
#else
fc_cpu fc_this_cpu(void) { return FC_CPU_ANY; }
#endif
