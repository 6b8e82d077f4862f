/* What the processor can do. */
#ifndef FC_CPU_H
#define FC_CPU_H

/* FC_X86 and FC_NEON: whether code for x86-64 or for NEON is compiled. With FC_PORTABLE defined,
 * neither is. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(FC_PORTABLE)
#define FC_X86 1
#define FC_TARGET_AVX2 __attribute__((target("avx2,bmi,bmi2,lzcnt")))
#define FC_TARGET_AVX512 \
    __attribute__((                                                                     \
        target("avx2,bmi,bmi2,lzcnt,avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx512vnni,"  \
               "avx512vbmi2")))
#else
#define FC_X86 0
#endif

#if defined(__AARCH64EL__) && defined(__ARM_NEON) && defined(__GNUC__) && !defined(FC_PORTABLE)
#define FC_NEON 1
#else
#define FC_NEON 0
#endif

typedef enum fc_cpu {
    FC_CPU_ANY = 0,
    FC_CPU_NEON = 1,  /* any aarch64 */
    FC_CPU_AVX2 = 2,  /* x86-64 with AVX2, BMI1, BMI2 and LZCNT */
    FC_CPU_AVX512 = 3 /* that, with AVX-512F, BW, CD, DQ, VL, VBMI2 and VNNI */
} fc_cpu;

/* Returns what this processor has, or less if FLACCODEC_CPU says so. It is found out once, when the
 * library is loaded. A higher value has all that a lower one of its architecture has. */
fc_cpu fc_this_cpu(void);

#endif
