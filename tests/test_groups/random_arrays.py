"""Random arrays through every door of groups: how many come back beyond the promised error?

``python tests/test_groups/random_arrays.py SEED COUNT``; 30,000 take half an hour and more.
"""

import collections
import sys
import warnings

import h5py
import numpy as np
import zarr

import flaccodec.hdf5
import flaccodec.zarr
from flaccodec import FlacArray
from flaccodec.exceptions import FlacCodecError
from flaccodec.utils import chosen_quanta

SPACINGS = 0.5 + 1e-3
"""Of the value that came back, besides half the quanta: its own rounding to the dtype."""


def draw(rng):
    """Return an array, and how it is to be compressed."""
    dtype = rng.choice(["f4", "f8"])
    noise = rng.normal(0, 1, (3, 60)) * 10.0 ** rng.uniform(-6, 6)
    array = (noise + rng.choice([0, 1, 1e3, 1e6]) * rng.normal()).astype(dtype)
    quanta = float(np.abs(array).max() * 2.0 ** -rng.uniform(1, 30 if dtype == "f4" else 61.5))
    if rng.random() < 0.4:
        quanta = float(f"{quanta:.1g}")
    if rng.random() < 0.2:
        array = (np.rint(array / (quanta / 2)) * (quanta / 2)).astype(dtype)
    precision = rng.uniform(0, 6 if dtype == "f4" else 14)
    each = quanta * rng.choice([1, 1, 3.3, 2], 3)
    ways = [{"quanta": quanta}, {"quanta": each}, {"precision": precision}, {}]
    return array, ways[rng.integers(4)]


def is_beyond(array, back, quanta):
    error = np.abs(array.astype("f8") - back)
    spacing = np.spacing(np.abs(back)).astype("f8")
    return bool((error > quanta.reshape(-1, 1) / 2 * (1 + 1e-3) + SPACINGS * spacing).any())


def promised(fa, array, options):
    """Return the quanta of each stream by which `write_array` is to keep an array."""
    if not options:
        return quanta_of(fa)
    given = {"quanta": None, "precision": None} | options
    return np.broadcast_to(chosen_quanta(array, **given), len(array))


def quanta_of(fa):
    """Return those of a FlacArray, whose gains are rounded to its dtype."""
    return 1 / fa.stream_gains.astype("f8")


def try_doors(array, options, file, found):
    for kind, group in (("hdf5", file.create_group("x")), ("zarr", zarr.create_group({}))):
        module = getattr(flaccodec, kind)
        try:
            fa = FlacArray.from_array(array, **options)
            if fa.stream_gains is None:
                found["without quanta"] += 1
                continue
            getattr(fa, f"write_{kind}")(group)
            again = getattr(FlacArray, f"read_{kind}")(group).to_array()
            for back in (fa.to_array(), again, module.read_array(group)):
                found["read"] += 1
                found["BEYOND"] += is_beyond(array, back, quanta_of(fa))
            other = file.create_group("y") if kind == "hdf5" else zarr.create_group({})
            module.write_array(array, other, **options)
            found["read"] += 1
            found["BEYOND"] += is_beyond(
                array, module.read_array(other), promised(fa, array, options)
            )
        except FlacCodecError as error:
            found[f"refused: {type(error).__name__}"] += 1
    for name in list(file):
        del file[name]


def main(seed, count):
    warnings.simplefilter("ignore")
    rng, found = np.random.default_rng(seed), collections.Counter()
    with h5py.File("x", "w", driver="core", backing_store=False) as file:
        for _ in range(count):
            try_doors(*draw(rng), file, found)
    for name, n in sorted(found.items()):
        print(f"{name}: {n:,}")
    sys.exit(bool(found["BEYOND"]))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
