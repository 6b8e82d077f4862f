/* What the processor can do, asked once. */
#ifndef FC_CPU_H
#define FC_CPU_H

/* FC_PORTABLE leaves the portable C as the only code. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(FC_PORTABLE)
#define FC_X86 1
#define FC_TARGET_AVX2 __attribute__((target("avx2,bmi,bmi2,lzcnt")))
#else
#define FC_X86 0
#endif

typedef enum fc_cpu {
    FC_CPU_ANY = 0,
    FC_CPU_AVX2 = 1 /* with BMI1, BMI2 and LZCNT */
} fc_cpu;

fc_cpu fc_this_cpu(void);

#endif
