#include "base/cpu.h"

#if FC_X86 || FC_NEON
#include <stdlib.h>
#include <string.h>

#if FC_X86
#include <cpuid.h>

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

static fc_cpu ask_kind(void) {
    __builtin_cpu_init();
    if (!has_avx2()) return FC_CPU_ANY;
    return has_avx512() ? FC_CPU_AVX512 : FC_CPU_AVX2;
}
#else
static fc_cpu ask_kind(void) { return FC_CPU_NEON; }
#endif

/* The environment can only take away, so that each kind's code can be tried. */
static fc_cpu most_allowed(void) {
    const char *name = getenv("FLACCODEC_CPU");
    if (name && !strcmp(name, "portable")) return FC_CPU_ANY;
    if (name && !strcmp(name, "avx2")) return FC_CPU_AVX2;
    return FC_CPU_AVX512;
}

static fc_cpu this_cpu;

__attribute__((constructor)) static void ask_cpu(void) {
    this_cpu = ask_kind();
    if (this_cpu > most_allowed()) this_cpu = most_allowed();
}

fc_cpu fc_this_cpu(void) { return this_cpu; }
#else
fc_cpu fc_this_cpu(void) { return FC_CPU_ANY; }
#endif
