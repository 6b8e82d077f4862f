#include "samples/dtype.h"

#include <float.h>
#include <string.h>

int fc_item_size(int dtype) {
    switch ((fc_dtype)dtype) {
    case FC_INT8:
    case FC_UINT8: return 1;
    case FC_INT16:
    case FC_UINT16: return 2;
    case FC_INT32:
    case FC_UINT32:
    case FC_FLOAT32: return 4;
    case FC_INT64:
    case FC_UINT64:
    case FC_FLOAT64: return 8;
    }
    return 0;
}

int fc_is_float(int dtype) {
    switch ((fc_dtype)dtype) {
    case FC_FLOAT32:
    case FC_FLOAT64: return 1;
    FC_CASES_OF_INTEGERS: break;
    }
    return 0;
}

static const fc_float of_float = {FLT_MANT_DIG - 1, FLT_MAX, 0x1p22, 0x1p-100, 0x1p103};
static const fc_float of_double = {DBL_MANT_DIG - 1, DBL_MAX, 0x1p50, 0x1p-900, 0x1p970};

static const fc_float *get_float(void) { return &of_float; }
static const fc_float *get_double(void) { return &of_double; }

const fc_float *fc_float_of(int dtype) { FC_RETURN_BY_FLOAT(dtype, get, ()); }

static double value_of_bits_float(uint64_t bits) {
    uint32_t low = (uint32_t)bits;
    float value;
    memcpy(&value, &low, sizeof value);
    return value;
}

static double value_of_bits_double(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

double fc_value_of_bits(int dtype, uint64_t bits) {
    FC_RETURN_BY_FLOAT(dtype, value_of_bits, (bits));
}

const char *fc_dtype_name(int64_t dtype) {
    if (dtype < 0 || dtype > INT32_MAX) return "unknown";
    switch ((fc_dtype)dtype) {
    case FC_INT8: return "int8";
    case FC_INT16: return "int16";
    case FC_INT32: return "int32";
    case FC_INT64: return "int64";
    case FC_UINT8: return "uint8";
    case FC_UINT16: return "uint16";
    case FC_UINT32: return "uint32";
    case FC_UINT64: return "uint64";
    case FC_FLOAT32: return "float32";
    case FC_FLOAT64: return "float64";
    }
    return "unknown";
}
