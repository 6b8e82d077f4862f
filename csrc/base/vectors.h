/* Loops that are faster with wider vectors. */
#ifndef FC_VECTORS_H
#define FC_VECTORS_H

/* Put before a function: compiles it twice, for AVX2 and for any processor; which one runs is
 * chosen when the library is loaded. With FC_NO_CLONES defined it is compiled once: sanitizers are
 * not ready yet at that time. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) \
    && !defined(FC_PORTABLE) && !defined(FC_NO_CLONES)
#define FC_WIDE_LOOP __attribute__((target_clones("avx2", "default")))
#else
#define FC_WIDE_LOOP
#endif

#endif
