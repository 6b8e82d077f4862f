"""h5py's own collective write to parts of chunks, one of which is damaged: ranks wait for ever.

Run with a folder and a filter's name, on two ranks, with an h5py that is built for parallel HDF5.
Python ends it, and says where a rank waits.
"""

import faulthandler
import sys
from pathlib import Path

import h5py
from check_damaged_chunks import COMM, FILTERS, LAST, NEW, RANK, make

SECONDS = 4

if __name__ == "__main__":
    path = make((2, 500), FILTERS[sys.argv[2]], damaged=(4 * LAST, 0))
    assert Path(sys.argv[1]) == path.parent
    rows = slice(4 * RANK + 1, 4 * RANK + 4)
    with h5py.File(path, "r+", driver="mpio", comm=COMM) as file:
        x = file["x"]
        # That of rank 0 comes first: when one rank ends, mpirun ends the other.
        faulthandler.dump_traceback_later(SECONDS * (1 + 9 * RANK), exit=True)
        with x.collective:
            try:
                x[rows] = NEW[rows]
            except OSError as error:
                print(f"rank {RANK}: {error}", flush=True)
        print(f"rank {RANK} is through", flush=True)
