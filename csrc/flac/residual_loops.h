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
        if (!fc_read_codes(&r->bits, parameter, codes, to)) return 0;
        i += codes;
    }
    if (!fc_read_codes(&r->bits, parameter, count - i, r->to + i)) return 0;
    advance(r, count);
    return 1;
}

/* The same from n readers, 2 or 4, side by side; a bit for each that was good.
 * Where one was not, others may have stopped short of count. */
LOOP int FC_LOOPS(read_several)(reader *r, int n, int codes, int64_t count) {
    int64_t windows;
    while ((windows = all_ample_windows(r, n, count / codes)) > 0) {
        const uint8_t *bytes[4];
        int32_t *to[4];
        uint64_t skip[4], used[4];
        unsigned parameter[4];
        for (int k = 0; k < n; k++) {
            bytes[k] = r[k].bits.bytes + (r[k].bits.at >> 3);
            skip[k] = r[k].bits.at & 7;
            to[k] = r[k].to;
            parameter[k] = r[k].parameter;
        }
        int64_t left = windows;
        for (; left > 0; left--) {
            uint64_t most = 0;
            for (int k = 0; k < n; k++) {
                used[k] = FC_LOOPS(read_window)(bytes[k], skip[k], parameter[k], codes, to[k]);
                most |= used[k];
            }
            if (most > 63) break;
            for (int k = 0; k < n; k++) {
                bytes[k] += used[k] >> 3;
                skip[k] = used[k] & 7;
                to[k] += codes;
            }
        }
        for (int k = 0; k < n; k++) {
            r[k].bits.at = 8 * (uint64_t)(bytes[k] - r[k].bits.bytes) + skip[k];
            advance(r + k, (windows - left) * codes);
        }
        count -= (windows - left) * codes;
        if (!left) continue;
        int good = 0;
        for (int k = 0; k < n; k++)
            good |= read_again(r + k, codes, used[k] - skip[k], used[k]) << k;
        if (good != (1 << n) - 1) return good;
        count -= codes;
    }
    int good = 0;
    for (int k = 0; k < n; k++) good |= FC_LOOPS(read_single)(r + k, codes, count) << k;
    return good;
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

LOOP int FC_LOOPS(read_all_ready)(reader *r, int n) {
    int64_t count = r->ready;
    int codes = codes_of_window(r->parameter);
    for (int k = 1; k < n; k++) {
        int others = codes_of_window(r[k].parameter);
        if (others < codes) codes = others;
        if (r[k].ready < count) count = r[k].ready;
    }
#define CALL(codes) FC_LOOPS(read_several)(r, n, codes, count)
    FOR_CODES(codes, CALL)
#undef CALL
}

LOOP int FC_LOOPS(read_rest)(reader *r) {
    while (r->left)
        if (!FC_LOOPS(read_ready)(r) || !find_code(r)) return 0;
    return 1;
}

/* Side by side until one has come to its end or is not good. */
LOOP void FC_LOOPS(read_side_by_side)(reader *r, int n) {
    for (int going = 1; going;) {
        for (int k = 0; k < n; k++) going &= r[k].good && r[k].left;
        if (!going) return;
        int good = FC_LOOPS(read_all_ready)(r, n);
        for (int k = 0; k < n; k++) r[k].good = good >> k & 1 && find_code(r + k);
    }
}

/* n up to 4. */
LOOP void FC_LOOPS(read_group)(fc_residual *residuals, int n) {
    reader r[4];
    for (int k = 0; k < n; k++) r[k].good = open_reader(r + k, residuals + k);
    if (n == 4 && residuals->samples >= FEWEST_FOR_FOUR) FC_LOOPS(read_side_by_side)(r, 4);
    for (int k = 0; k + 1 < n; k += 2) FC_LOOPS(read_side_by_side)(r + k, 2);
    for (int k = 0; k < n; k++) {
        residuals[k].good = r[k].good && FC_LOOPS(read_rest)(r + k);
        *residuals[k].bits = r[k].bits;
    }
}

FC_LOOPS_TARGET static void FC_LOOPS(read_residuals)(fc_residual *residuals, int n) {
    for (; n > 0; n -= 4, residuals += 4)
        FC_LOOPS(read_group)(residuals, n < 4 ? n : 4);
}

#undef LOOP
#undef FOR_CODES
