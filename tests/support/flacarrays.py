"""FlacArrays of every kind, for tests that write them and read them back."""

import numpy as np

from flaccodec import FlacArray

RNG = np.random.default_rng(0)
WALK = np.cumsum(RNG.integers(-9, 9, (4, 6, 700)), axis=-1).astype("int32")
FLOATS = RNG.normal(100, 3, (4, 6, 700))
FLOATS[1, 2, 30:60] = np.nan
FLOATS[3, 5] = -np.inf

ARRAYS = {
    "integers": FlacArray.from_array(WALK),
    "uint8": FlacArray.from_array(WALK.astype("u1")),
    "uniform quanta": FlacArray.from_array(FLOATS, quanta=1e-3),
    "quanta of each stream": FlacArray.from_array(FLOATS, precision=4),
    "lossless": FlacArray.from_array(FLOATS, lossless=True),
    "one stream": FlacArray.from_array(WALK[0, 0]),
    "a leading axis of one": FlacArray.from_array(WALK[0, :1]),
}
