"""Write the cases with the flacarray of this environment, and what it reads back itself.

Run as ``python write_groups.py FOLDER`` in an environment that has flacarray, h5py and zarr.
FOLDER then holds ``groups.h5``, ``groups.zarr`` and ``values.npz``; names of cases that this
flacarray cannot write are printed and left out.
"""

import sys
from pathlib import Path

import flacarray
import flacarray.hdf5
import flacarray.zarr
import h5py
import numpy as np
import zarr
from cases import cases


def write_case(name, array, options, file, root):
    """Write one case to both, and return what both read back."""
    hgrp, zgrp = file.create_group(name), root.create_group(name)
    flacarray.hdf5.write_array(array, hgrp, **options)
    flacarray.zarr.write_array(array, zgrp, **options)
    values = flacarray.hdf5.read_array(hgrp)
    if values.tobytes() != flacarray.zarr.read_array(zgrp).tobytes():
        raise AssertionError(f"{name}: HDF5 and Zarr differ")
    if array.dtype.kind == "i" and values.tobytes() != array.tobytes():
        raise AssertionError(f"{name}: flacarray does not restore its integers")
    return values


def write_groups(folder):
    is_format_0 = flacarray.__version__.startswith("0.2.")
    values = {}
    root = zarr.open_group(str(folder / "groups.zarr"), mode="w")
    with h5py.File(folder / "groups.h5", "w") as file:
        for name, (array, options) in cases(wide_int64=not is_format_0).items():
            if is_format_0 and array.ndim == 1 and array.dtype != np.int32:
                # 0.2.2 fails where it would write offsets of a single stream
                print(name)
                continue
            values[name] = write_case(name, array, options, file, root)
    np.savez(folder / "values.npz", **values)


if __name__ == "__main__":
    write_groups(Path(sys.argv[1]))
