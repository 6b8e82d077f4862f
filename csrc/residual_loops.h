/* The loops that take the time in reading residuals; residual.c includes
 * this once for each kind of processor. */

#define LOOP FC_LOOPS_TARGET FC_INLINE

/* Reads codes codes from the window at a position, where 8 bytes may be
 * loaded. Returns the bits from the position's byte to their end, more than
 * 64 where they were not all in the window; then nothing that it wrote is to
 * be believed. No shift exceeds 63: counts are masked, and where that changes
 * one, the bits come to more than 64. */
LOOP uint64_t FC_LOOPS(read_window)(const uint8_t *bytes, uint64_t at, unsigned parameter,
                                    int codes, int32_t *restrict folded) {
    uint64_t window = fc_load_be64(bytes + (at >> 3)) << (at & 7);
    uint64_t used = at & 7, seen = 0;
    for (int i = 0; i < codes; i++) {
        uint64_t zeros = FC_LEADING_ZEROS(window);
        uint64_t length = zeros + parameter + 1;
        uint64_t low = window << (zeros & 63) >> (~parameter & 63); /* the one, then the bits */
        uint64_t code = (zeros << parameter) + FC_LOW_BITS(low, parameter);
        window <<= length & 63;
        used += length;
        seen |= code;
        folded[i] = (int32_t)code;
    }
    /* With parameters below 24, 64 zeros make no residual of over 32 bits. */
    return codes == 1 ? used | seen >> 32 << 7 : used;
}

/* Reads count codes, at most what is ready, from one reader. */
LOOP int FC_LOOPS(read_single)(reader *r, int codes, int64_t count) {
    const uint8_t *bytes = r->bits.bytes;
    uint64_t at = r->bits.at, limit = ample_limit(&r->bits);
    unsigned parameter = r->parameter;
    int32_t *to = r->to, *end = to + count;
    while (end - to >= codes && at < limit) {
        uint64_t used = FC_LOOPS(read_window)(bytes, at, parameter, codes, to);
        if (used <= 64) at = (at & ~UINT64_C(7)) + used;
        else if (!read_long_codes(&r->bits, &at, parameter, codes, to)) return 0;
        to += codes;
    }
    r->bits.at = at;
    if (!read_codes(&r->bits, parameter, end - to, to)) return 0;
    advance(r, count);
    return 1;
}

/* The same from two; which of them were good. Where one is not, the other
 * has not advanced. */
LOOP int FC_LOOPS(read_pair)(reader *r, reader *s, int codes, int64_t count) {
    const uint8_t *r_bytes = r->bits.bytes, *s_bytes = s->bits.bytes;
    uint64_t r_at = r->bits.at, r_limit = ample_limit(&r->bits);
    uint64_t s_at = s->bits.at, s_limit = ample_limit(&s->bits);
    unsigned r_parameter = r->parameter, s_parameter = s->parameter;
    int32_t *r_to = r->to, *s_to = s->to;
    int64_t i = 0;
    for (; i + codes <= count && r_at < r_limit && s_at < s_limit; i += codes) {
        uint64_t r_used = FC_LOOPS(read_window)(r_bytes, r_at, r_parameter, codes, r_to + i);
        uint64_t s_used = FC_LOOPS(read_window)(s_bytes, s_at, s_parameter, codes, s_to + i);
        int good = 3;
        if (r_used <= 64) r_at = (r_at & ~UINT64_C(7)) + r_used;
        else good &= 2 | read_long_codes(&r->bits, &r_at, r_parameter, codes, r_to + i);
        if (s_used <= 64) s_at = (s_at & ~UINT64_C(7)) + s_used;
        else good &= 1 | read_long_codes(&s->bits, &s_at, s_parameter, codes, s_to + i) << 1;
        if (good != 3) return good;
    }
    r->bits.at = r_at;
    s->bits.at = s_at;
    advance(r, i);
    advance(s, i);
    return FC_LOOPS(read_single)(r, codes, count - i)
        | FC_LOOPS(read_single)(s, codes, count - i) << 1;
}

#define FOR_CODES(codes, call) \
    switch (codes) {           \
    case 8: return call(8);    \
    case 7: return call(7);    \
    case 6: return call(6);    \
    case 5: return call(5);    \
    case 4: return call(4);    \
    case 3: return call(3);    \
    case 2: return call(2);    \
    default: return call(1);   \
    }

LOOP int FC_LOOPS(read_ready)(reader *r) {
#define CALL(codes) FC_LOOPS(read_single)(r, codes, r->ready)
    FOR_CODES(codes_of_window(r->parameter), CALL)
#undef CALL
}

LOOP int FC_LOOPS(read_both_ready)(reader *r, reader *s) {
    int64_t count = r->ready < s->ready ? r->ready : s->ready;
    int codes = codes_of_window(r->parameter), others = codes_of_window(s->parameter);
#define CALL(codes) FC_LOOPS(read_pair)(r, s, codes, count)
    FOR_CODES(codes < others ? codes : others, CALL)
#undef CALL
}

LOOP int FC_LOOPS(read_rest)(reader *r) {
    while (r->left)
        if (!FC_LOOPS(read_ready)(r) || !find_code(r)) return 0;
    return 1;
}

/* Side by side until one has come to its end or is not good; which are good. */
LOOP int FC_LOOPS(read_side_by_side)(reader *r, reader *s) {
    int good = 3;
    while (good == 3 && r->left && s->left) {
        good = FC_LOOPS(read_both_ready)(r, s);
        if (good & 1 && !find_code(r)) good &= 2;
        if (good & 2 && !find_code(s)) good &= 1;
    }
    return good;
}

FC_LOOPS_TARGET static void FC_LOOPS(read_residuals)(fc_residual *residuals, int n) {
    for (int i = 0; i < n; i += 2) {
        fc_residual *a = residuals + i, *b = i + 1 < n ? residuals + i + 1 : NULL;
        reader r, s;
        a->good = open_reader(&r, a);
        if (b) b->good = open_reader(&s, b);
        if (b && a->good && b->good) {
            int good = FC_LOOPS(read_side_by_side)(&r, &s);
            a->good = good & 1;
            b->good = good >> 1;
        }
        a->good = a->good && FC_LOOPS(read_rest)(&r);
        *a->bits = r.bits;
        if (!b) continue;
        b->good = b->good && FC_LOOPS(read_rest)(&s);
        *b->bits = s.bits;
    }
}

#undef LOOP
#undef FOR_CODES
