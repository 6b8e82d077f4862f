#include "encode/lpc.h"

#include <math.h>

#define MOST_ORDER 8
#define MOST_SHIFT 15     /* that a subframe has bits for */
#define MOST_PRECISION 15 /* bits of a coefficient; a subframe has bits for no more */
#define LEAST_PRECISION 5
#define MOST_BITS_NARROW 17 /* with no more of a sample, sums are kept to 32 */
#define SHIFT_MARGIN 0.5    /* what is too coarse costs more than what is too fine */

/* White noise that is taken to be in a signal, as a share of its energy. The steady
 * predictor's is about what the rounding of coefficients brings in: without it pure tones get
 * large coefficients that cancel each other. The sharp one's keeps float64 from giving way. */
static const double noise_of[] = {[FC_STEADY] = 4e-9, [FC_SHARP] = 1e-12};

void fc_make_window(float *window, int64_t samples) {
    int64_t taper = samples / 4;
    for (int64_t i = 0; i < samples; i++) window[i] = 1;
    for (int64_t i = 0; i < taper; i++) {
        double phase = 3.141592653589793 * (double)(i + 1) / (double)(taper + 1);
        window[i] = window[samples - 1 - i] = (float)(0.5 - 0.5 * cos(phase));
    }
}

/* -- orders ----------------------------------------------------------------------- */

typedef struct {
    int orders; /* that there are */
    double coefficient[MOST_ORDER][MOST_ORDER];
    double error[MOST_ORDER]; /* energy of the residual */
} recursion;

/* Levinson's and Durbin's: all orders up to the one whose error is naught. */
static void solve(const double *r, int most_order, double noise, recursion *all) {
    double a[MOST_ORDER], error = r[0] * (1 + noise);
    all->orders = 0;
    for (int m = 0; m < most_order && error > 0; m++) {
        double reflection = r[m + 1];
        for (int j = 0; j < m; j++) reflection -= a[j] * r[m - j];
        reflection /= error;
        for (int j = 0; j < m / 2; j++) {
            double low = a[j], high = a[m - 1 - j];
            a[j] = low - reflection * high;
            a[m - 1 - j] = high - reflection * low;
        }
        if (m & 1) a[m / 2] -= reflection * a[m / 2];
        a[m] = reflection;
        error *= 1 - reflection * reflection;
        if (!(error >= 0)) return; /* rounding got the better of it */
        for (int j = 0; j <= m; j++) all->coefficient[m][j] = a[j];
        all->error[m] = error;
        all->orders = m + 1;
    }
}

/* Bits of a steady predictor's coefficient at most, as libFLAC has it: more would follow
 * the loudest samples, and make the others' residuals larger. */
static int most_precision_for(int64_t samples, int bits) {
    static const int most_samples[] = {192, 384, 576, 1152, 2304, 4608};
    if (bits < 16) return bits / 2 + 2 < LEAST_PRECISION ? LEAST_PRECISION : bits / 2 + 2;
    if (bits > 16) return samples <= 384 ? 13 : samples <= 1152 ? 14 : MOST_PRECISION;
    int i = 0;
    while (i < 6 && samples > most_samples[i]) i++;
    return 7 + i;
}

/* Rounding coefficients to multiples of 2**-shift adds noise: 4**-shift / 12 of the
 * signal's energy for each. What that costs in a residual, whose energy is the
 * signal's divided by the gain, and what a longer coefficient costs are in
 * balance where 4**shift is the gain times samples / 12. */
static int shift_for(double gain, int64_t samples) {
    double shift = 0.5 * (double)log2f((float)(gain * (double)samples / 12)) + SHIFT_MARGIN;
    return shift < MOST_SHIFT ? (int)shift : MOST_SHIFT;
}

/* The order for which the residual, taken for Laplacian, and what stands
 * before it take the fewest bits. */
static int best_order(const recursion *all, double energy, int64_t samples, int width) {
    int best = 0;
    double fewest = 0;
    for (int order = 1; order <= all->orders; order++) {
        double variance = all->error[order - 1] / (double)samples;
        double each = variance > 2 ? 0.5 * (double)log2f((float)(0.5 * variance)) : 0;
        int precision = 2 + shift_for(energy / all->error[order - 1], samples);
        double bits = each * (double)(samples - order) + order * (width + precision);
        if (best && bits >= fewest) continue;
        best = order;
        fewest = bits;
    }
    return best;
}

/* -- coefficients ------------------------------------------------------------------ */

/* Whole numbers, each rounded with what the ones before it left over, of
 * most_precision bits at most. 0 where they would take a negative shift, or are
 * all naught. */
static int quantize(const double *coefficient, int order, int shift, int most_precision,
                    fc_predictor *p) {
    double largest = 0, left_over = 0;
    for (int j = 0; j < order; j++) largest = fmax(largest, fabs(coefficient[j]));
    int exponent;
    frexp(largest, &exponent);
    if (shift > most_precision - 1 - exponent) shift = most_precision - 1 - exponent;
    int32_t most = (1 << (most_precision - 1)) - 1;
    if (!(largest > 0) || shift < 0) return 0;
    *p = (fc_predictor){.order = order, .shift = shift};
    for (int j = 0; j < order; j++) {
        double exact = left_over + ldexp(coefficient[j], shift);
        int32_t whole = (int32_t)lrint(exact);
        if (whole > most) whole = most;
        if (whole < -most - 1) whole = -most - 1;
        left_over = exact - whole;
        p->coefficient[j] = whole;
        p->magnitudes += whole < 0 ? -whole : whole;
    }
    return p->magnitudes > 0;
}

static int log2_of_order(int order) { return order >= 8 ? 3 : order >= 4 ? 2 : order >= 2; }

static int most_steady_precision(int64_t samples, int bits, int order) {
    int precision = most_precision_for(samples, bits), narrow = 32 - bits - log2_of_order(order);
    return bits <= MOST_BITS_NARROW && precision > narrow ? narrow : precision;
}

int fc_find_predictor(const double *autocorrelation, int most_order, int64_t samples, int bits,
                      int width, fc_sharpness sharpness, fc_predictor *p) {
    recursion all;
    double energy = autocorrelation[0];
    if (most_order > MOST_ORDER) most_order = MOST_ORDER;
    if (most_order >= samples) most_order = (int)samples - 1;
    solve(autocorrelation, most_order, noise_of[sharpness], &all);
    int order = best_order(&all, energy, samples, width);
    if (!order) return 0;
    int precision = sharpness == FC_SHARP ? MOST_PRECISION
                                          : most_steady_precision(samples, bits, order);
    int shift = shift_for(energy / all.error[order - 1], samples);
    return quantize(all.coefficient[order - 1], order, shift, precision, p);
}

double fc_energy_left(const double *r, const fc_predictor *p) {
    double a[MOST_ORDER + 1] = {1}, energy = 0, step = ldexp(1, -p->shift);
    for (int j = 0; j < p->order; j++) a[j + 1] = -step * p->coefficient[j];
    for (int i = 0; i <= p->order; i++)
        for (int j = 0; j <= p->order; j++) energy += a[i] * a[j] * r[i < j ? j - i : i - j];
    return energy;
}
