"""Read groups with the flacarray of this environment.

Run as ``python read_groups.py FOLDER`` where FOLDER holds ``groups.h5`` and Zarr groups
``groups*.zarr``, each with a group for each case. For each of these, ``NAME.npz`` is written
with what is read of each group: all of it, and every other stream (``CASE/keep``) where there
is more than one.
"""

import sys
from pathlib import Path

import flacarray.hdf5
import flacarray.zarr
import h5py
import numpy as np
import zarr


def read_root(root, door):
    values = {}
    for name in root:
        group = root[name]
        values[name] = door.read_array(group)
        if values[name].ndim > 1:
            keep = np.arange(group["stream_starts"].size) % 2 == 0
            keep = keep.reshape(group["stream_starts"].shape)
            values[f"{name}/keep"] = door.read_array(group, keep=keep, stream_slice=slice(5, 30))
    return values


def read_groups(folder):
    with h5py.File(folder / "groups.h5", "r") as file:
        np.savez(folder / "groups.h5.npz", **read_root(file, flacarray.hdf5))
    for path in folder.glob("groups*.zarr"):
        root = zarr.open_group(str(path), mode="r")
        np.savez(folder / f"{path.name}.npz", **read_root(root, flacarray.zarr))


if __name__ == "__main__":
    read_groups(Path(sys.argv[1]))
