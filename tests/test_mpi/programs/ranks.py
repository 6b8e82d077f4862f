"""What programs for several ranks share: running checks, and raising on all ranks."""

import sys
import traceback

import numpy as np
from mpi4py import MPI

COMM = MPI.COMM_WORLD
RANK, SIZE = COMM.rank, COMM.size

# Rows of ranks, by how many ranks there are: alike, uneven, and none on the first or others.
ROWS = {
    1: [[3]],
    2: [[2, 2], [1, 4], [0, 3], [3, 0]],
    3: [[1, 1, 1], [4, 0, 1], [0, 2, 0]],
    4: [[2, 2, 2, 2], [1, 0, 3, 2], [0, 0, 1, 0], [0, 3, 1, 0]],
}[SIZE]


def run(*checks):
    """Run checks one by one; the first that fails on a rank ends all ranks."""
    for check in checks:
        try:
            check()
        except BaseException:
            text = traceback.format_exc()
            print(f"rank {RANK} of {SIZE}, {check.__name__}:\n{text}", file=sys.stderr, flush=True)
            COMM.Abort(1)
        COMM.Barrier()


def waves(shape, dtype, seed=1):
    """Return an array of slow waves with noise, the same on each rank."""
    rng = np.random.default_rng(seed)
    walk = rng.normal(0, 300, shape).cumsum(axis=-1) + rng.uniform(-1e6, 1e6, (*shape[:-1], 1))
    return walk.astype(dtype)


def ranges(rows):
    """Return the first row of each rank, and that after its last."""
    stops = np.cumsum(rows).tolist()
    return [(stop - n, stop) for n, stop in zip(rows, stops, strict=True)]


def part(array, rows, rank=RANK):
    """Return a rank's rows of an array."""
    first, stop = ranges(rows)[rank]
    return array[first:stop]


def shared_folder():
    """Return the folder that the program was given."""
    return sys.argv[1]
