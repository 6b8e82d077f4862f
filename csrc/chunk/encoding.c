#include "chunk/encoding.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"
#include "chunk/format.h"
#include "samples/dtype.h"
#include "samples/quanta.h"

/* -- plans ---------------------------------------------------------------------- */

/* A stream's plan in a number: width, channels, care, what is stored as it is. */
#define KIND_WIDTH 7
#define KIND_TWO 8
#define KIND_CAREFUL 16
#define KIND_OTHERS 32
#define KIND_LIMITED 64
#define KIND_APART 8 /* the first of the bits for marks that stand apart */
static const uint8_t widths[] = {8, 12, 16, 20, 24, 32};

static uint32_t kind_of(int dtype, const fc_plan *plan) {
    uint32_t width = 0;
    while (widths[width] != plan->bits) width++;
    return width | (plan->channels == 2 ? KIND_TWO : 0) | (plan->careful ? KIND_CAREFUL : 0)
        | (plan->others ? KIND_OTHERS : 0)
        | (plan->limit < fc_no_limit(dtype) ? KIND_LIMITED : 0) | plan->apart << KIND_APART;
}

void fc_keep_plan(fc_encoding *e, int64_t stream, const fc_plan *plan) {
    e->offsets[stream] = plan->offset;
    e->kinds[stream] = kind_of(e->options->dtype, plan);
    if (e->quanta)
        e->quanta[stream] = plan->quanta;
    else if (e->options->quanta_rule != FC_QUANTA_NONE && !stream)
        e->header.quanta = plan->quanta;
}

fc_plan fc_plan_of(const fc_encoding *e, int64_t stream) {
    uint32_t kind = e->kinds[stream];
    int dtype = e->options->dtype;
    double quanta = e->quanta ? e->quanta[stream] : e->header.quanta;
    fc_plan plan = {
        .offset = e->offsets[stream],
        .quanta = quanta,
        .bits = widths[kind & KIND_WIDTH],
        .channels = kind & KIND_TWO ? 2 : 1,
        .careful = kind & KIND_CAREFUL,
        .others = kind & KIND_OTHERS,
        .limit = kind & KIND_LIMITED ? fc_limit_of(dtype, quanta) : fc_no_limit(dtype),
        .marks = &e->marks};
    fc_keep_apart(&plan, kind >> KIND_APART);
    return plan;
}

/* -- exceptions ----------------------------------------------------------------- */

static fc_exceptions_part *add_part(fc_encoding *e) {
    fc_exceptions_part *p = fc_map(sizeof *p);
    if (!p) return NULL;
    p->list = (fc_exceptions){p->items, 0, FC_EXCEPTIONS_A_PART};
    *(e->last_part ? &e->last_part->next : &e->first_part) = p;
    return e->last_part = p;
}

void fc_drop_part(fc_encoding *e) {
    fc_exceptions_part *p = e->first_part;
    e->first_part = p->next;
    fc_unmap(p, sizeof *p);
}

/* Exceptions for samples that quanta do not hold may take these bytes, and one part in FEW of the
 * bytes of all samples, without a look at what the chunk takes without loss. If they take one
 * part in MANY, a chunk without loss is smaller for sure. */
#define FREE_BYTES 256
#define FEW 16
#define MANY 2

static int exceeds(const fc_encoding *e, size_t part) {
    size_t bytes = (size_t)e->n_unfit * FC_EXCEPTION_SIZE;
    return bytes > FREE_BYTES + fc_samples_size(&e->header) / part;
}

int fc_has_many_unfit(const fc_encoding *e) { return exceeds(e, FEW); }

int fc_append_exception(fc_encoding *e, fc_exception run, fc_error *error) {
    fc_exceptions_part *p = e->last_part;
    if (p && fc_join_exception(&p->list, run)) return FC_OK;
    e->n_unfit += fc_is_unfit(e->options->dtype, &e->marks, run.bits);
    if (exceeds(e, MANY)) return fc_fail(error, FC_ERR_QUANTA_TOO_FINE);
    if (!p || p->list.n == FC_EXCEPTIONS_A_PART) p = add_part(e);
    if (!p) return fc_fail(error, FC_ERR_MEMORY);
    e->n_exceptions++;
    return fc_add_exception(&p->list, run, error);
}

/* -- memory --------------------------------------------------------------------- */

int fc_make_plans(fc_encoding *e) {
    const fc_encode_options *o = e->options;
    size_t n = (size_t)o->n_streams;
    e->offsets = malloc(n * sizeof *e->offsets);
    e->kinds = malloc(n * sizeof *e->kinds);
    if (e->header.flags & FC_FLAG_QUANTA) e->quanta = malloc(n * sizeof *e->quanta);
    e->scan_scratch = calloc((size_t)e->n_threads, sizeof *e->scan_scratch);
    if (!e->offsets || !e->kinds || (e->header.flags & FC_FLAG_QUANTA && !e->quanta)
        || !e->scan_scratch)
        return FC_ERR_MEMORY;
    for (int i = 0; i < e->n_threads; i++)
        if (!(e->scan_scratch[i] = malloc(2 * FC_SCAN_BLOCK * 8))) return FC_ERR_MEMORY;
    return FC_OK;
}

void fc_free_encoding(fc_encoding *e) {
    for (int i = 0; e->scan_scratch && i < e->n_threads; i++) free(e->scan_scratch[i]);
    free(e->scan_scratch);
    free(e->scans);
    free(e->offsets);
    free(e->kinds);
    free(e->quanta);
    while (e->first_part) fc_drop_part(e);
    if (e->chunk) e->allocator->release(e->allocator->context, e->chunk);
}
