#include "hdf5/reason.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "samples/dtype.h"

int fc_refuse(fc_reason *reason, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason->text, sizeof reason->text, format, arguments);
    va_end(arguments);
    return 0;
}

__attribute__((format(printf, 2, 3))) static void add(fc_reason *reason, const char *format, ...) {
    size_t n = strlen(reason->text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason->text + n, sizeof reason->text - n, format, arguments);
    va_end(arguments);
}

static void add_place(fc_reason *reason, const fc_error *e) {
    const char *separator = " (at ";
    const struct {
        const char *name;
        int64_t value;
    } parts[] = {{"stream", e->stream}, {"frame", e->frame}, {"sample", e->sample}};
    for (int i = 0; i < 3; i++) {
        if (parts[i].value < 0) continue;
        add(reason, "%s%s %" PRId64, separator, parts[i].name, parts[i].value);
        separator = ", ";
    }
    if (*separator == ',') add(reason, ")");
}

static void add_details(fc_reason *reason, const fc_error *e) {
    if (e->code == FC_ERR_QUANTA)
        add(reason, ". Got %.17g", e->value);
    else if (e->code == FC_ERR_QUANTA_TOO_FINE)
        add(reason, "; the smallest quanta that would do are %.17g", e->value);
    else if (e->code == FC_ERR_HEAD_CHECKSUM || e->code == FC_ERR_STREAMS_CHECKSUM)
        add(reason, ": expected CRC-32C 0x%08" PRIx64 ". Got 0x%08" PRIx64, e->want, e->got);
    else if (e->code != FC_ERR_EXCEPTIONS && e->got >= 0 && e->want >= 0)
        add(reason, ": expected %" PRId64 ". Got %" PRId64, e->want, e->got);
}

int fc_refuse_chunk(fc_reason *reason, const fc_error *e, const fc_expect *expect) {
    fc_refuse(reason, "%s", fc_code_text(e->code));
    if (e->code == FC_ERR_DTYPE) {
        add(reason, ": expected %s. Got %s", fc_dtype_name(e->want), fc_dtype_name(e->got));
    } else if (e->code == FC_ERR_SHAPE) {
        add(reason, ": expected %" PRId64 " streams of %" PRId64 " samples. Got %" PRId64
            " streams of %" PRId64, expect->n_streams, expect->stream_size, e->got, e->sample);
    } else {
        add_place(reason, e);
        add_details(reason, e);
    }
    return 0;
}

/* First on the error stack, where programs look for the cause. HDF5 2 drops
 * what is pushed while it calls a filter, but takes a whole stack. What is
 * made here lives as long as the stack refers to it. */
void fc_push(const fc_h5 *h5, const char *function, const fc_reason *reason) {
    if (!h5->Epush2) return;
    hid_t class = h5->Eregister_class("flaccodec", "flaccodec", "1");
    hid_t major = h5->Ecreate_msg(class, H5E_MAJOR, "FLAC filter");
    hid_t minor = h5->Ecreate_msg(class, H5E_MINOR, "Refused");
    hid_t stack = h5->Ecreate_stack();
    h5->Epush2(stack, "csrc/hdf5", function, 0, class, major, minor, "flaccodec: %s",
               reason->text);
    h5->Eclose_msg(minor);
    h5->Eclose_msg(major);
    h5->Eunregister_class(class);
    h5->Eset_current_stack(stack);
}
