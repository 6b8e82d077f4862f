#include "samples/dtype.h"

int fc_is_float(int dtype) {
    return dtype == FC_FLOAT32 || dtype == FC_FLOAT64;
}

int fc_item_size(int dtype) {
    static const int8_t sizes[] = {0, 1, 2, 4, 8, 1, 2, 4, 8, 4, 8};
    return dtype > 0 && dtype < (int)sizeof sizes ? sizes[dtype] : 0;
}
