"""The numcodecs codec, for ``zarr_format=2`` arrays and for use on its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from flaccodec.runtime.optional import needed

with needed("flaccodec.numcodecs", "numcodecs"):
    from numcodecs.abc import Codec
    from numcodecs.compat import ensure_contiguous_ndarray, ensure_ndarray

from flaccodec import core
from flaccodec.chunks.options import CodecOptions, explains_options
from flaccodec.chunks.where_it_goes import SaysWhereItGoes
from flaccodec.exceptions import ConfigurationError
from flaccodec.runtime.threads import resolve_threads
from flaccodec.samples.masks import check_unmasked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

    import numpy.typing as npt

__all__ = ["Flac"]


class _Meta(SaysWhereItGoes, type(Codec)):  # type: ignore[misc]
    """That of numcodecs' codecs, with messages that help."""


@explains_options()
class Flac(Codec, metaclass=_Meta):  # type: ignore[misc]
    """FLAC compression of numeric arrays.

    The last axis of an array is the one along which FLAC predicts; of a
    Fortran-ordered array it is the first. The bytes are those that `FlacCodec` writes.

    Parameters
    ----------
    options
        Those of `flaccodec.chunks.options.Options`.

    Notes
    -----
    Codecs of numcodecs are not told an array's fill value, which `FlacCodec` sets apart: name it
    as `missing_value`, unless it is NaN. Zeros in the midst of a stream have a part in the quanta.

    A masked array is refused. Where zarr writes a part of a chunk it has dropped the mask before,
    unless `FlacCodec` was imported: fill masked arrays by yourself.

    Examples
    --------
    >>> import numpy as np
    >>> from flaccodec.numcodecs import Flac
    >>> data = np.arange(6, dtype="int32").reshape(2, 3)
    >>> chunk = Flac().encode(data)
    >>> Flac().decode(chunk).reshape(2, 3)
    array([[0, 1, 2],
           [3, 4, 5]], dtype=int32)
    """

    codec_id = "flaccodec"
    _goes = (
        "numcodecs' codec, for zarr_format=2: for zarr_format=3 use "
        "serializer=flaccodec.FlacCodec(...), for h5py compression=flaccodec.hdf5.Flac(...)"
    )

    def __init__(
        self,
        level: int = core.DEFAULT_LEVEL,
        quanta: float | None = None,
        precision: int | float | None = None,
        frame_size: int = core.DEFAULT_FRAME_SIZE,
        missing_value: float | Sequence[float] | None = None,
        strict: bool = False,
    ) -> None:
        self.__dict__.update(vars(CodecOptions.among(locals())))

    @property
    def options(self) -> CodecOptions:
        """The configuration."""
        return CodecOptions.among(vars(self))

    def get_config(self) -> dict[str, Any]:
        """Return the codec's entry in ``.zarray``, with defaults; what is rare only if given."""
        return {"id": self.codec_id, **self.options.to_dict()}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Make a codec of its entry in ``.zarray`` or a reference file."""
        options = CodecOptions.from_json(config, f"the configuration of codec {cls.codec_id!r}")
        return cls(**options.to_dict())

    def __getitem__(self, key: object) -> NoReturn:
        """Say where the codec goes: zarr goes through ``compressors=Flac()`` as through a list."""
        raise TypeError(f"{self!r} is no list of codecs, but {self._goes}.")

    def __hash__(self) -> int:
        """Say where the codec goes: h5py looks ``compression=Flac()`` up in a dictionary."""
        raise TypeError(f"{self!r} has no hash. It is {self._goes}.")

    def encode(self, buf: npt.ArrayLike) -> bytes:
        """Encode an array.

        Parameters
        ----------
        buf : array_like
            Any layout and byte order, one of the dtypes that FLAC can hold.

        Returns
        -------
        bytes
            A chunk.

        Raises
        ------
        FlacCodecError
            The array cannot be encoded, or not with these options, or it is masked.
        """
        check_unmasked(buf, "buf")
        array = ensure_ndarray(buf)
        if array.flags.f_contiguous and not array.flags.c_contiguous:
            array = array.T
        threads = resolve_threads(None, 1)
        return self.options.encode(array, keep_byte_order=True, num_threads=threads).tobytes()

    def decode(self, buf: core.Buffer, out: Any = None) -> npt.NDArray[Any]:
        """Decode a chunk.

        Parameters
        ----------
        buf : bytes-like
            A chunk.
        out : writeable buffer, optional
            Contiguous, of as many bytes as the samples take.

        Returns
        -------
        ndarray
            The samples in one axis, in the byte order of the array that was encoded; in its
            memory's order where it was contiguous, C or Fortran, else in C order. Or `out`.

        Raises
        ------
        CorruptChunkError
            The chunk is damaged.
        """
        chunk = ensure_contiguous_ndarray(buf).view(np.uint8)
        threads = resolve_threads(None, 1)
        if out is None:
            return core.decode_chunk(chunk, num_threads=threads).reshape(-1)
        header = core.read_header(chunk)
        target = ensure_contiguous_ndarray(out).view(np.uint8)
        expected = header.n_streams * header.stream_size * header.dtype.itemsize
        if target.nbytes != expected:
            raise ConfigurationError(
                f"out must have {expected:,} bytes for this chunk. Got {target.nbytes:,}."
            )
        shape = (header.n_streams, header.stream_size)
        core.decode_chunk(chunk, target.view(header.dtype).reshape(shape), num_threads=threads)
        return out  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"Flac({self.options.arguments()})"
