#include "samples/exceptions.h"

#include <stdlib.h>

#include "base/error.h"

static int grow(fc_exceptions *list, fc_error *error) {
    int64_t room = list->room ? 2 * list->room : 64;
    fc_exception *items = realloc(list->items, (size_t)room * sizeof *items);
    if (!items) return fc_fail(error, FC_ERR_MEMORY);
    list->items = items;
    list->room = room;
    return FC_OK;
}

int fc_join_exception(fc_exceptions *list, fc_exception e) {
    fc_exception *last = list->n ? list->items + list->n - 1 : NULL;
    if (!last || last->stream != e.stream || last->start + last->length != e.start
        || last->bits != e.bits || e.length > FC_EXCEPTION_MAX_RUN - last->length)
        return 0;
    last->length += e.length;
    return 1;
}

int fc_add_exception(fc_exceptions *list, fc_exception e, fc_error *error) {
    if (fc_join_exception(list, e)) return FC_OK;
    if (list->n == list->room && grow(list, error)) return error->code;
    list->items[list->n++] = e;
    return FC_OK;
}
