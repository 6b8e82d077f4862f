"""Store floats with a promised error: quanta.

Run it with:    python examples/promised_error.py [FOLDER]

With quanta, values are rounded to multiples of it, so that none is off by more than half
of it. Choose it well below the noise of your instrument. NaN and infinities stay.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import zarr

import flaccodec

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
quanta = 1e-3  # in the units of the data, say volts

# Noise of 0.02 V on a wave of 1 V, with a gap where the instrument was off.
rng = np.random.default_rng(seed=2)
volts = np.sin(np.linspace(0, 50, 100_000)) + rng.normal(scale=0.02, size=(4, 100_000))
volts[1, 30_000:31_000] = np.nan

array = flaccodec.create_array(
    folder / "volts.zarr",
    data=volts,
    codecs=[flaccodec.FlacCodec(quanta=quanta)],
    overwrite=True,
)
back = np.asarray(zarr.open_array(folder / "volts.zarr", mode="r")[:])

# 1. The error is at most half of quanta (and one rounding of the float itself).
error = np.nanmax(np.abs(back - volts))
assert error <= quanta / 2 + np.spacing(np.nanmax(np.abs(volts)))

# 2. NaN is where it was, and nowhere else.
assert np.array_equal(np.isnan(back), np.isnan(volts))

# 3. Writing what was read changes nothing more. That matters because zarr rewrites
#    whole chunks when a part of one is changed.
array[:] = back
array[0, :10] = 0.5
again = np.asarray(array[:])
assert np.array_equal(again[0, 10:], back[0, 10:])
assert np.array_equal(again[1:], back[1:], equal_nan=True)

print(f"largest error:      {error:.6f} (promised: {quanta / 2:.6f})")
print(f"ratio:              {volts.nbytes / array.nbytes_stored():.1f}")
print(f"NaN kept:           {np.isnan(back).sum():,} of {np.isnan(volts).sum():,}")
print("written once more:  every sample as before")
