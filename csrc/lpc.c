#include "lpc.h"

#include <math.h>

#define MOST_ORDERS 8
#define MOST_SHIFT 15      /* that a subframe has bits for */
#define MOST_PRECISION 15  /* bits of a coefficient */
#define LEAST_PRECISION 5
/* White noise that is taken to be in every signal, as a share of its energy:
 * about what the rounding of coefficients brings in. Without it pure tones get
 * predictors of large coefficients that cancel each other. */
#define NOISE 4e-9
/* With samples of no more bits, coefficients are cut so that sums take 32. */
#define MOST_BITS_NARROW 17

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
    double coefficient[MOST_ORDERS][MOST_ORDERS];
    double error[MOST_ORDERS]; /* energy of the residual */
} recursion;

/* Levinson's and Durbin's: all orders up to the one whose error is naught. */
static void solve(const double *r, int most_orders, recursion *all) {
    double a[MOST_ORDERS], error = r[0] * (1 + NOISE);
    all->orders = 0;
    for (int m = 0; m < most_orders && error > 0; m++) {
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

static int precision_for(int64_t samples, int bits) {
    if (bits < 16) return bits / 2 + 2 < LEAST_PRECISION ? LEAST_PRECISION : bits / 2 + 2;
    if (bits > 16) return samples <= 384 ? 13 : samples <= 1152 ? 14 : MOST_PRECISION;
    int precision = 7; /* for 192 samples; one more for each doubling from 384 on */
    for (int64_t n = 192; n < samples && precision < 13; n = n == 192 ? 384 : n == 384 ? 576 : 2 * n)
        precision++;
    return precision;
}

/* The order for which the residual, taken for Laplacian, and what stands
 * before it take the fewest bits. */
static int best_order(const recursion *all, int64_t samples, int bits, int precision) {
    int best = 0;
    double fewest = 0;
    for (int order = 1; order <= all->orders; order++) {
        double variance = all->error[order - 1] / (double)samples;
        double each = variance > 2 ? 0.5 * (double)log2f((float)(0.5 * variance)) : 0;
        double all_bits = each * (double)(samples - order) + order * (bits + precision);
        if (best && all_bits >= fewest) continue;
        best = order;
        fewest = all_bits;
    }
    return best;
}

/* -- coefficients ------------------------------------------------------------------ */

/* Whole numbers of precision bits, each rounded with what the ones before it
 * left over. 0 where they would take a negative shift, or are all naught. */
static int quantize(const double *coefficient, int order, int precision, fc_predictor *p) {
    double largest = 0, left_over = 0;
    for (int j = 0; j < order; j++) largest = fmax(largest, fabs(coefficient[j]));
    int exponent;
    frexp(largest, &exponent);
    int shift = precision - 1 - exponent, most = (1 << (precision - 1)) - 1;
    if (!(largest > 0) || shift < 0) return 0;
    if (shift > MOST_SHIFT) shift = MOST_SHIFT;
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

static int log2_of(int order) { return order >= 8 ? 3 : order >= 4 ? 2 : order >= 2; }

int fc_find_predictor(const double *autocorrelation, int most_orders, int64_t samples, int bits,
                      fc_predictor *p) {
    recursion all;
    if (most_orders > MOST_ORDERS) most_orders = MOST_ORDERS;
    if (most_orders >= samples) most_orders = (int)samples - 1;
    solve(autocorrelation, most_orders, &all);
    int precision = precision_for(samples, bits);
    int order = best_order(&all, samples, bits, precision);
    if (!order) return 0;
    if (bits <= MOST_BITS_NARROW && precision > 32 - bits - log2_of(order))
        precision = 32 - bits - log2_of(order);
    return quantize(all.coefficient[order - 1], order, precision, p);
}
