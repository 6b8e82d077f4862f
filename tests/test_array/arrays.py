"""Arrays that FlacArrays are made of, and what they must give back."""

import numpy as np

WALK = np.cumsum(np.random.default_rng(0).integers(-9, 9, (4, 3, 500)), axis=-1)
