/* The loops that take the time in reading residuals; residual.c includes
 * this once for each kind of processor. */

#define LOOP FC_LOOPS_TARGET FC_INLINE

/* Reads codes codes from 8 bytes, of which skip bits, up to 7, have been read.
 * Returns the bits of these 8 bytes that have been read then; more than 64
 * where the codes were not all in them, and then nothing that it wrote is to
 * be believed. No shift exceeds 63: zeros are masked, and only where no bit
 * is set is that no true count. */
LOOP uint64_t FC_LOOPS(read_window)(const uint8_t *bytes, uint64_t skip, unsigned parameter,
                                    int codes, int32_t *restrict folded) {
    uint64_t window = fc_load_be64(bytes) << skip;
    uint64_t zeros_in_all = 0, seen = 0;
    for (int i = 0; i < codes; i++) {
        uint64_t zeros = FC_LEADING_ZEROS(window);
        window <<= zeros & 63;
        uint64_t code = (zeros << parameter) + FC_AFTER_ONE(window, parameter);
        window <<= parameter + 1;
        zeros_in_all += zeros;
        seen |= code;
        folded[i] = (int32_t)code;
    }
    uint64_t used = skip + zeros_in_all + (uint64_t)codes * (parameter + 1);
    /* Where two codes fit in 64 bits, neither makes more than 32. */
    return codes == 1 ? used | seen >> 32 << 7 : used;
}

/* Reads count codes, at most what is ready, from one reader. */
LOOP int FC_LOOPS(read_single)(reader *r, int codes, int64_t count) {
    unsigned parameter = r->parameter;
    int64_t i = 0, windows;
    while ((windows = ample_windows(r, (count - i) / codes)) > 0) {
        const uint8_t *bytes = r->bits.bytes + (r->bits.at >> 3);
        uint64_t skip = r->bits.at & 7, used = 0;
        int32_t *to = r->to + i;
        for (; windows > 0; windows--, i += codes, to += codes) {
            used = FC_LOOPS(read_window)(bytes, skip, parameter, codes, to);
            if (used > 63) break;
            bytes += used >> 3;
            skip = used & 7;
        }
        r->bits.at = 8 * (uint64_t)(bytes - r->bits.bytes) + skip;
        if (!windows) continue;
        if (!read_codes(&r->bits, parameter, codes, to)) return 0;
        i += codes;
    }
    if (!read_codes(&r->bits, parameter, count - i, r->to + i)) return 0;
    advance(r, count);
    return 1;
}

/* The same from two; which of them were good. Where one is not, the other
 * may be read on. */
LOOP int FC_LOOPS(read_pair)(reader *r, reader *s, int codes, int64_t count) {
    unsigned r_parameter = r->parameter, s_parameter = s->parameter;
    int64_t windows;
    while ((windows = ample_windows(s, ample_windows(r, count / codes))) > 0) {
        const uint8_t *r_bytes = r->bits.bytes + (r->bits.at >> 3);
        const uint8_t *s_bytes = s->bits.bytes + (s->bits.at >> 3);
        uint64_t r_skip = r->bits.at & 7, s_skip = s->bits.at & 7;
        int32_t *r_to = r->to, *s_to = s->to;
        int64_t left = windows;
        for (; left > 0; left--, r_to += codes, s_to += codes) {
            uint64_t r_used = FC_LOOPS(read_window)(r_bytes, r_skip, r_parameter, codes, r_to);
            uint64_t s_used = FC_LOOPS(read_window)(s_bytes, s_skip, s_parameter, codes, s_to);
            if ((r_used | s_used) > 63) break;
            r_bytes += r_used >> 3, r_skip = r_used & 7;
            s_bytes += s_used >> 3, s_skip = s_used & 7;
        }
        r->bits.at = 8 * (uint64_t)(r_bytes - r->bits.bytes) + r_skip;
        s->bits.at = 8 * (uint64_t)(s_bytes - s->bits.bytes) + s_skip;
        int64_t done = (windows - left) * codes;
        advance(r, done);
        advance(s, done);
        count -= done;
        if (!left) continue;
        int good = read_long_codes(r, codes) | read_long_codes(s, codes) << 1;
        if (good != 3) return good;
        count -= codes;
    }
    return FC_LOOPS(read_single)(r, codes, count) | FC_LOOPS(read_single)(s, codes, count) << 1;
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
