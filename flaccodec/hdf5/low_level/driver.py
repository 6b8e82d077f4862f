"""How an HDF5 file is open: by one process, or by MPI ranks together."""

from __future__ import annotations

import h5py


def is_parallel(file: h5py.File) -> bool:
    """Whether a file is open with ``driver="mpio"``.

    One rank may ask alone. ``file.driver`` may be asked for by all at once only: HDF5 copies the
    communicator for it, for which each rank waits for the others.
    """
    if not h5py.get_config().mpi:
        return False
    try:
        file.id.get_mpi_atomicity()
    except (ValueError, RuntimeError, OSError):  # h5py's for what HDF5 refuses
        return False  # of another driver
    return True
