"""`OverRanks`: what a FlacArray tells of itself over MPI ranks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from flaccodec.chunks.packed import Packed
    from flaccodec.mpi.distribution import Distribution


class OverRanks:
    """What `FlacArray` tells of itself over MPI ranks, or in one process."""

    _packed: Packed
    _mpi: Distribution | None

    @property
    def mpi_comm(self) -> Any:
        """The MPI communicator over whose ranks the array is spread; None for one process."""
        return None if self._mpi is None else self._mpi.comm

    @property
    def mpi_dist(self) -> list[tuple[int, int]]:
        """The range of the leading axis on each rank."""
        if self._mpi is not None:
            return list(self._mpi.ranges)
        return [(0, self._packed.shape[0] if self._packed.ndim > 1 else 1)]

    @property
    def global_shape(self) -> tuple[int, ...]:
        """Shape of the array over all ranks."""
        return self._packed.shape if self._mpi is None else self._mpi.shape

    @property
    def global_leading_shape(self) -> tuple[int, ...]:
        """Shape of the leading axes over all ranks."""
        return self._packed.leading_shape if self._mpi is None else self._mpi.shape[:-1]

    @property
    def global_nbytes(self) -> int:
        """Bytes of the FLAC streams over all ranks."""
        return sum(self.global_process_nbytes)

    @property
    def global_process_nbytes(self) -> list[int]:
        """Bytes of the FLAC streams on each rank."""
        return [self._packed.nbytes] if self._mpi is None else list(self._mpi.nbytes)

    @property
    def global_nstreams(self) -> int:
        """Number of streams over all ranks."""
        return math.prod(self.global_leading_shape)

    @property
    def global_stream_starts(self) -> npt.NDArray[np.int64]:
        """Where each of this rank's streams begins in the compressed data of all ranks."""
        return self._packed.stream_starts + (0 if self._mpi is None else self._mpi.first_byte)

    @property
    def global_stream_nbytes(self) -> npt.NDArray[np.int64]:
        """Bytes of each stream over all ranks."""
        return self._packed.stream_nbytes if self._mpi is None else self._mpi.stream_nbytes.copy()
