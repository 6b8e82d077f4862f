/* How loops are compiled that gain from wider vectors. */
#ifndef FC_VECTORS_H
#define FC_VECTORS_H

/* Compiled twice, chosen at load. FC_NO_CLONES leaves them at one: sanitizers
 * are not ready when that is done. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) \
    && !defined(FC_PORTABLE) && !defined(FC_NO_CLONES)
#define FC_WIDE_LOOP __attribute__((target_clones("avx2", "default")))
#else
#define FC_WIDE_LOOP
#endif

#endif
