"""`HDF5Door`: what groups of the flacarray package's layout are in HDF5."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flaccodec.runtime.optional import needed

with needed("flaccodec.hdf5", "hdf5", "h5py"):
    import h5py
import warnings
from typing import cast

from flaccodec.groups.write import write_group
from flaccodec.hdf5.members import check_group

with needed("flaccodec.hdf5", "hdf5", "h5py"):
    import h5py
from flaccodec.hdf5.low_level.driver import is_parallel

if TYPE_CHECKING:
    from flaccodec.groups.door import SpreadStreams, SpreadTable
    from flaccodec.groups.layout import GroupStreams
from flaccodec.hdf5.rows import write_own_rows

if TYPE_CHECKING:
    from flaccodec.groups.layout import GroupStreams


def place_of(hgrp: h5py.Group) -> str:
    """Return what to call a group in messages."""
    check_group(hgrp)
    return f"{hgrp.name} of {hgrp.file.filename}"


_said: set[str] = set()


class HDF5Door:
    """How ranks write to HDF5 groups."""

    def place(self, group: Any) -> str:
        """Return what to call a group in messages."""
        return place_of(group)

    def to_write(self, group: h5py.Group) -> h5py.Group:
        """Return the group itself."""
        return group

    def to_read(self, group: h5py.Group) -> h5py.Group:
        """Return the group itself."""
        return group

    def ranges(self, dataset: h5py.Dataset) -> None:
        """Return None: HDF5 reads what is asked for."""

    def stored_bytes(self, dataset: h5py.Dataset) -> int:
        """Return how many bytes are stored; of chunks with filters, what they hold without."""
        declared = int(dataset.shape[0]) * int(dataset.dtype.itemsize)
        if dataset.is_virtual or dataset.external:
            return declared
        stored = int(dataset.id.get_storage_size())
        if dataset.chunks and dataset.id.get_create_plist().get_nfilters():
            chunk = int(dataset.chunks[0]) * int(dataset.dtype.itemsize)
            stored = int(dataset.id.get_num_chunks()) * chunk if stored else 0
        return stored

    def all_can_write(self, group: h5py.Group) -> bool:
        """Whether the file is open in all ranks' name."""
        return is_parallel(group.file)

    def is_of_all(self, group: h5py.Group) -> bool:
        """As `all_can_write`: HDF5 has all ranks write to such a file together, or none."""
        return is_parallel(group.file)

    def create(self, group: h5py.Group, name: str, table: SpreadTable) -> h5py.Dataset:
        """Create a dataset without data."""
        return group.create_dataset(name, shape=table.shape, dtype=table.dtype)

    def rows_together(self, dataset: h5py.Dataset) -> int:
        """Return 1: the datasets have no chunks."""
        return 1

    def write_by_all(
        self, group: h5py.Group, place: str, comm: Any, streams: SpreadStreams
    ) -> None:
        """Have all ranks create the group's datasets, and each write its rows."""
        made: list[h5py.Dataset] = []

        def create(name: str, array: Any) -> h5py.Dataset:
            table = cast("SpreadTable", array)
            dataset = self.create(group, name, table)
            made.append(dataset)
            try:
                write_own_rows(comm, dataset, table.ranges[comm.rank][0], table.local)
            except BaseException:
                # HDF5 frees the room of a dataset that is deleted when it is closed. A traceback
                # would keep it open on some ranks for longer than on others, and these would
                # then give the same room to different things.
                for one in made:
                    one.id.close()
                raise
            return dataset

        write_group(group, place, cast("GroupStreams", streams), create)

    def first_writes_alone(self) -> None:
        """Warn, once in a process."""
        if _said:
            return
        _said.add("")
        mpi = "" if h5py.get_config().mpi else " This h5py is built without MPI."
        warnings.warn(
            "rank 0 writes the HDF5 file alone, with what the other ranks send. With an h5py built "
            'for parallel HDF5, and a file opened with driver="mpio" and comm= on all ranks, each '
            f"would write its own.{mpi}",
            stacklevel=2,
        )
