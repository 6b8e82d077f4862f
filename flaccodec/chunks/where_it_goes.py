"""What Zarr, numcodecs and h5py say of a FLAC codec that was given to the wrong one of them."""

from __future__ import annotations


class SaysWhereItGoes(type):
    """Makes messages for a codec in the wrong place say which is the right one.

    zarr and numcodecs say of which class a codec is that they cannot take. That is where the
    class can say more, as its attribute `_goes`.
    """

    _goes: str

    def __repr__(cls) -> str:
        return f"<class '{cls.__module__}.{cls.__qualname__}'> ({cls._goes})"
