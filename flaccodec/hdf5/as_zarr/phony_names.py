"""Names for the dimensions of HDF5 datasets that have none, of which xarray wants all named."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from flaccodec.hdf5.as_zarr.attributes import dimension_names

if TYPE_CHECKING:
    from collections.abc import Iterable

    import h5py


@dataclass(frozen=True)
class PhonyNames:
    """Names made up for dimensions, as readers of netCDF make them up.

    They are ``phony_dim_0`` and so on: the same where dimensions are as long, but for several in
    one dataset. A name that a dimension has in the file is passed over.

    Attributes
    ----------
    by_size : dict
        The names so far, by length and how many of it came before in the dataset.
    taken : set of str
        The names that dimensions have.
    """

    by_size: dict[tuple[int, int], str] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)

    def below(self, datasets: Iterable[h5py.Dataset]) -> PhonyNames:
        """Return the names for the datasets of a group below, which has those of its own, too."""
        given = {name for dataset in datasets for name in dimension_names(dataset) or () if name}
        return PhonyNames(dict(self.by_size), self.taken | given)

    def complete(self, dataset: h5py.Dataset) -> tuple[str, ...]:
        """Return names for all of a dataset's dimensions, making up those that it has not."""
        before: Counter[int] = Counter()
        names = []
        found = dimension_names(dataset) or (None,) * dataset.ndim
        for size, name in zip(dataset.shape or (), found, strict=True):
            if name is None:
                name = self._of(size, before[size])
                before[size] += 1
            names.append(name)
        return tuple(names)

    def _of(self, size: int, before: int) -> str:
        known = self.by_size.get((size, before))
        if known in self.taken or known is None:
            used = self.taken.union(self.by_size.values())
            known = next(name for name in map("phony_dim_{}".format, count()) if name not in used)
            self.by_size[size, before] = known
        return known
