/* For tests: signals of all kinds, the random numbers that they are made of, and
 * how many rounds of them a test goes. */
#ifndef SIGNALS_H
#define SIGNALS_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

static uint64_t random_state = 88172645463325252u;

static uint64_t random64(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static int64_t random_below(int64_t n) { return (int64_t)(random64() >> 1) % n; }

static double uniform(void) { return (double)(random64() >> 11) * 0x1p-53; }

static double gaussian(void) {
    return sqrt(-2 * log(uniform() + 1e-300)) * cos(6.283185307179586 * uniform());
}

/* -- signals ------------------------------------------------------------------ */

enum {
    SILENCE, CONSTANT_LOW, ALTERNATING, ALTERNATING_BLOCKS, NOISE, FULL_NOISE, SINE, NOISY_SINE,
    RAMP, WALK, WASTED, SPARSE, BURSTS, TWO_SIZES, RESONANT, N_SIGNALS
};

static int32_t clip(double value, int bits) {
    double high = ldexp(1, bits - 1) - 1;
    if (value > high) value = high;
    if (value < -high - 1) value = -high - 1;
    return (int32_t)value;
}

static void make_signal(int kind, int bits, int64_t n, int32_t *x) {
    double full = ldexp(1, bits - 1), walk = 0, a = 0, b = 0;
    int wasted = 1 + (int)random_below(bits - 1);
    int quiet = 1 + (int)random_below(bits - 1);
    double step = 0.001 + uniform() * 3, rate = ldexp(1, (int)random_below(bits)) / 4;
    for (int64_t i = 0; i < n; i++) {
        double v = 0;
        switch (kind) {
        case SILENCE: break;
        case CONSTANT_LOW: v = -full; break;
        case ALTERNATING: v = i & 1 ? -full : full - 1; break;
        case ALTERNATING_BLOCKS: v = i / 7 & 1 ? -full : full - 1; break;
        case NOISE: v = gaussian() * ldexp(1, quiet - 1); break;
        case FULL_NOISE: v = (uniform() * 2 - 1) * full; break;
        case SINE: v = (full - 1) * sin((double)i * step); break;
        case NOISY_SINE: v = 0.9 * full * sin((double)i * step) + gaussian() * rate; break;
        case RAMP: v = fmod((double)i * rate, 2 * full) - full; break;
        case WALK: v = walk = 0.999 * walk + gaussian() * rate; break;
        case WASTED: v = gaussian() * ldexp(1, wasted - 1); break;
        case SPARSE: v = random_below(50) ? 0 : (uniform() * 2 - 1) * full; break;
        case BURSTS: v = gaussian() * (i / 300 % 3 == 1 ? full / 3 : 2); break;
        case TWO_SIZES: /* libFLAC's frames of it are larger than verbatim ones */
            v = full * (random_below(5) < 2 ? 0.25 : 0.5) + full / 32 * uniform();
            v = random_below(2) ? -v : v;
            break;
        default:
            v = 1.98 * cos(step) * a - 0.98 * b + gaussian() * rate;
            b = a, a = v;
        }
        x[i] = clip(v, bits);
        if (kind == WASTED) x[i] = (int32_t)((uint32_t)x[i] & ~((1u << wasted) - 1));
    }
}

/* Seeds random numbers by a program's second argument; returns its first, rounds. */
static int begin_rounds(int argc, char **argv) {
    if (argc > 2) random_state ^= (uint64_t)atoll(argv[2]) * 0x9e3779b97f4a7c15u;
    return argc > 1 ? atoi(argv[1]) : 1;
}

static const int sample_widths[6] = {8, 12, 16, 20, 24, 32};

static int random_block_size(void) {
    static const int sizes[] = {16, 17, 32, 100, 192, 255, 576, 1000, 1024, 4096, 4608, 65535};
    return random_below(3) ? sizes[random_below(12)] : 16 + (int)random_below(3000);
}

#endif
