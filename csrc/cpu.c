#include "cpu.h"

#if FC_X86
#include <cpuid.h>
#include <stdlib.h>
#include <string.h>

static fc_cpu this_cpu;

static int has_lzcnt(void) {
    unsigned a, b, c = 0, d;
    return __get_cpuid(0x80000001u, &a, &b, &c, &d) && c >> 5 & 1;
}

static int has_avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi")
        && __builtin_cpu_supports("bmi2") && has_lzcnt();
}

static int has_avx512(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq")
        && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni")
        && __builtin_cpu_supports("avx512vbmi2");
}

/* The environment can only take away, so that each kind's code can be tried. */
static fc_cpu most_allowed(void) {
    const char *name = getenv("FLACCODEC_CPU");
    if (name && !strcmp(name, "portable")) return FC_CPU_ANY;
    if (name && !strcmp(name, "avx2")) return FC_CPU_AVX2;
    return FC_CPU_AVX512;
}

__attribute__((constructor)) static void ask_cpu(void) {
    __builtin_cpu_init();
    if (has_avx2()) this_cpu = has_avx512() ? FC_CPU_AVX512 : FC_CPU_AVX2;
    if (this_cpu > most_allowed()) this_cpu = most_allowed();
}

fc_cpu fc_this_cpu(void) { return this_cpu; }
#else
fc_cpu fc_this_cpu(void) { return FC_CPU_ANY; }
#endif
