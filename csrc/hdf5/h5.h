/* What the filter needs of HDF5: types and functions of its public interface. They are declared
 * here, so that no headers of HDF5 are needed to build, and found at run time, so that the
 * filter is linked to no HDF5. One process may have several (h5py's, netCDF4's, the system's);
 * the filter calls the one that called it. */
#ifndef FC_H5_H
#define FC_H5_H

#include <stddef.h>
#include <stdint.h>

typedef int64_t hid_t; /* of HDF5 1.10 and later */
typedef int herr_t;
typedef int htri_t;
typedef uint64_t hsize_t;

#define FC_EXPORT __attribute__((visibility("default")))

#define H5D_FILL_TIME_NEVER 1
#define H5D_FILL_VALUE_USER_DEFINED 2
#define H5E_MAJOR 0
#define H5E_MINOR 1
#define H5PL_TYPE_FILTER 0
#define H5S_MAX_RANK 32
#define H5T_INTEGER 0
#define H5T_FLOAT 1
#define H5T_NORM_IMPLIED 0
#define H5T_ORDER_LE 0
#define H5T_ORDER_BE 1
#define H5T_SGN_NONE 0
#define H5Z_CLASS_T_VERS 1
#define H5Z_FLAG_OPTIONAL 0x0001u
#define H5Z_FLAG_REVERSE 0x0100u

typedef struct {
    int version;
    int id;
    unsigned encoder_present, decoder_present;
    const char *name;
    htri_t (*can_apply)(hid_t dcpl, hid_t type, hid_t space);
    herr_t (*set_local)(hid_t dcpl, hid_t type, hid_t space);
    size_t (*filter)(unsigned flags, size_t cd_nelmts, const unsigned cd_values[],
                     size_t nbytes, size_t *buf_size, void **buf);
} H5Z_class2_t;

/* The functions of one HDF5, by the ends of their names. Either all are set or all are NULL; but
 * the allocators are never NULL, they may be the system's.
 *
 * Variables such as H5T_STD_I32LE_g or H5E_PLINE_g are not used: if a program uses one, its linker
 * moves the variable into the program, and the one that dlsym() finds is never set. */
typedef struct {
    void *(*allocate)(size_t size, int clear);     /* H5allocate_memory */
    void *(*resize)(void *memory, size_t size);    /* H5resize_memory */
    herr_t (*free)(void *memory);                  /* H5free_memory */
    hid_t (*Eregister_class)(const char *class, const char *library, const char *version);
    hid_t (*Ecreate_msg)(hid_t class, int type, const char *text);
    hid_t (*Ecreate_stack)(void);
    herr_t (*Epush2)(hid_t stack, const char *file, const char *function, unsigned line,
                     hid_t class, hid_t major, hid_t minor, const char *format, ...);
    herr_t (*Eset_current_stack)(hid_t stack); /* and closes it */
    herr_t (*Eclose_msg)(hid_t message);
    herr_t (*Eunregister_class)(hid_t class);
    int (*Pget_nfilters)(hid_t plist);
    int (*Pget_filter2)(hid_t plist, unsigned index, unsigned *flags, size_t *cd_nelmts,
                        unsigned cd_values[], size_t name_size, char name[], unsigned *config);
    herr_t (*Pmodify_filter)(hid_t plist, int filter, unsigned flags, size_t cd_nelmts,
                             const unsigned cd_values[]);
    herr_t (*Pfill_value_defined)(hid_t plist, int *status);
    herr_t (*Pget_fill_value)(hid_t plist, hid_t type, void *value);
    herr_t (*Pget_fill_time)(hid_t plist, int *when);
    int (*Sget_simple_extent_dims)(hid_t space, hsize_t dims[], hsize_t max_dims[]);
    int (*Tget_class)(hid_t type);
    size_t (*Tget_size)(hid_t type);
    int (*Tget_order)(hid_t type);
    int (*Tget_sign)(hid_t type);
    size_t (*Tget_precision)(hid_t type);
    herr_t (*Tget_fields)(hid_t type, size_t *sign_at, size_t *exponent_at, size_t *exponent_size,
                          size_t *mantissa_at, size_t *mantissa_size);
    size_t (*Tget_ebias)(hid_t type);
    int (*Tget_norm)(hid_t type);
} fc_h5;

/* Returns the HDF5 that contains `address`, the return address of a callback. Never NULL: if an
 * HDF5 shows no names, such as one linked into a program, all but the allocators are NULL. */
const fc_h5 *fc_h5_of(const void *address);

#endif
