"""The HDF5 filter from h5py's side: its registration, its options, its client data."""

from __future__ import annotations

import ctypes
import functools
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import h5py.h5z
from h5py._objects import phil

from flaccodec import core
from flaccodec.chunks.options import MOST_MISSING, CodecOptions, explains_options
from flaccodec.chunks.where_it_goes import SaysWhereItGoes
from flaccodec.exceptions import ConfigurationError, FlacCodecError, add_place
from flaccodec.hdf5.low_level.driver import is_parallel
from flaccodec.hdf5.low_level.library import library_function
from flaccodec.runtime import threads

if TYPE_CHECKING:
    from collections.abc import Sequence

FILTER_ID = 0xF1AC
"""The number of the filter, a private one. The same as FC_FILTER_ID in C."""

PLUGIN_PATH = str(Path(__file__).resolve().parents[1] / "hdf5_plugin")
"""The directory for HDF5_PLUGIN_PATH, with which every HDF5 program finds the filter."""

_LIBRARY = Path(PLUGIN_PATH) / "libh5flaccodec.so"

# docs/format.md, "In HDF5", has the client data.
_LAYOUT, _MARKS_LAYOUT = 1, 2
_USER_VALUES = 6
_VALUES = 11
MOST_MARKS = MOST_MISSING + 1
"""Numbers that mark missing samples of a dataset, the fill value among them."""

_LOSSLESS, _QUANTA, _PRECISION = range(3)


def register() -> None:
    """Register the filter in h5py's HDF5, which importing `flaccodec.hdf5` does.

    Raises
    ------
    ImportError
        The plugin is not where the package has it, or cannot be loaded.
    """
    library = _load()
    library.H5PLget_plugin_info.restype = ctypes.c_void_p
    h5py.h5z.register_filter(library.H5PLget_plugin_info())
    threads.tell(_set_threads)


@functools.cache
def _load() -> ctypes.CDLL:
    try:
        return ctypes.CDLL(str(_LIBRARY))
    except OSError as error:
        raise ImportError(
            f"flaccodec's HDF5 filter could not be loaded: {error}. "
            "Install flaccodec again, with pip."
        ) from error


def _set_threads(chosen: int | None) -> None:
    """Have the filter know what it cannot see: threads that were set, and whose process it is."""
    _load().flaccodec_set_threads(chosen or 0, int(threads.in_pool_process()))


def client_data(options: CodecOptions, marks: Sequence[float] = ()) -> tuple[int, ...]:
    """Return options as the client data values that users give.

    Parameters
    ----------
    options : CodecOptions
    marks : sequence of float
        Numbers that mark missing samples, besides the dataset's fill value, which the filter
        finds by itself.

    Raises
    ------
    ConfigurationError
        There are too many of them.
    """
    if len(marks) >= MOST_MARKS:
        raise ConfigurationError(
            f"there must be at most {MOST_MARKS - 1} numbers that mark missing samples, besides "
            f"the fill value. Got {len(marks)}: {tuple(marks)}."
        )
    rule, parameter = _LOSSLESS, 0.0
    if options.quanta is not None:
        rule, parameter = _QUANTA, float(options.quanta)
    elif options.precision is not None:
        rule, parameter = _PRECISION, float(options.precision)
    layout = _MARKS_LAYOUT if marks else _LAYOUT
    head = (layout, options.level, rule, *_words(parameter), options.frame_size)
    return (*head, *(word for mark in marks for word in _words(mark)))


def _words(value: float) -> tuple[int, int]:
    """Return the low and the high 32 bits of a float64."""
    low, high = struct.unpack("<II", struct.pack("<d", value))
    return low, high


def read_client_data(values: Sequence[int]) -> CodecOptions:
    """Return the options that the client data values of a dataset say.

    Raises
    ------
    ConfigurationError
        They are of another layout, or too few.
    """
    _check_client_data(values)
    _, level, rule, low, high, frame_size = values[:_USER_VALUES]
    (parameter,) = struct.unpack("<d", struct.pack("<II", low, high))
    return CodecOptions(
        level=level,
        quanta=parameter if rule == _QUANTA else None,
        precision=parameter if rule == _PRECISION else None,
        frame_size=frame_size,
        missing_value=marks_of(values)[1:] or None,
    )


def marks_of(values: Sequence[int]) -> tuple[float, ...]:
    """Return the numbers that mark missing samples, as the filter knows them.

    Parameters
    ----------
    values : sequence of int
        The client data of a dataset.

    Returns
    -------
    tuple of float
        The fill value first, 0 where there is none. None at all where there are no client data.
    """
    if not values:
        return ()
    words = values[_VALUES:]
    if values[0] != _MARKS_LAYOUT or not words:
        return (0.0,)
    return struct.unpack(f"<{len(words) // 2}d", struct.pack(f"<{len(words)}I", *words))


def fill_of(values: Sequence[int]) -> float:
    """Return the fill value that the filter knows of; 0 where it stands with no client data."""
    return (*marks_of(values), 0.0)[0]


def _check_client_data(values: Sequence[int]) -> None:
    name = f"the client data of filter {FILTER_ID}"
    if values and values[0] not in (_LAYOUT, _MARKS_LAYOUT):
        raise ConfigurationError(
            f"{name} must be of layout {_LAYOUT} or {_MARKS_LAYOUT}. Got layout {values[0]}, in "
            f"{tuple(values)}: a later flaccodec may know it."
        )
    if len(values) < _USER_VALUES:
        raise ConfigurationError(
            f"{name} must be {_USER_VALUES} values or more, as the filter writes them when a "
            f"dataset is created. Got {len(values)}, {tuple(values)}: HDF5 did not ask the filter, "
            "so write the dataset anew, such as with h5repack."
        )
    if values[2] > _PRECISION:
        raise ConfigurationError(
            f"{name} must have 0 to {_PRECISION} as value 3, how quanta are given. "
            f"Got {values[2]}, in {tuple(values)}: a later flaccodec may know it."
        )


def options_of(dataset: h5py.Dataset) -> CodecOptions | None:
    """Return the options that a dataset was made with; None where it is without the filter.

    None too where it is no numbers: HDF5 lets a filter be named for strings of variable length,
    asks it nothing when it makes the dataset, and keeps them beside it.

    Raises
    ------
    ConfigurationError
        The options cannot be read; the message names the dataset.
    """
    values = client_data_of(dataset)
    return None if values is None else _read_options(dataset, values)


def client_data_of(dataset: h5py.Dataset) -> tuple[int, ...] | None:
    """Return the client data of a dataset; None where `options_of` returns None."""
    plist = dataset.id.get_create_plist()
    for index in range(plist.get_nfilters()):
        number, _, values, _ = plist.get_filter(index)
        if number == FILTER_ID and has_numbers(dataset):
            return _all_values(plist, len(values)) if len(values) > _VALUES_READ else values
    return None


_VALUES_READ = 16
"""Client data that h5py before 3.16 reads; it makes up those behind."""

_UNSIGNED = ctypes.POINTER(ctypes.c_uint)


def _all_values(plist: h5py.h5p.PropDCID, n: int) -> tuple[int, ...]:
    """Return the `n` client data values of the filter, as HDF5 itself gives them."""
    get_filter = library_function(
        "H5Pget_filter_by_id2",
        *(ctypes.c_int, _UNSIGNED, ctypes.POINTER(ctypes.c_size_t), _UNSIGNED),
        *(ctypes.c_size_t, ctypes.c_char_p, _UNSIGNED),
    )
    if get_filter is None:
        raise ConfigurationError(
            f"h5py {h5py.__version__} cannot read {n} values of client data, with numbers that "
            "mark missing samples among them: install h5py 3.16 or later."
        )
    values, count, flags = (ctypes.c_uint * n)(), ctypes.c_size_t(n), ctypes.c_uint()
    with phil:
        status = get_filter(plist.id, FILTER_ID, flags, count, values, 0, None, flags)
    if status < 0 or count.value != n:
        raise ConfigurationError(f"the client data of filter {FILTER_ID} cannot be read.")
    return tuple(values)


def _read_options(dataset: h5py.Dataset, values: Sequence[int]) -> CodecOptions:
    try:
        return read_client_data(values)
    except FlacCodecError as error:
        add_place(error, name_of(dataset))
        raise


def has_numbers(dataset: h5py.Dataset) -> bool:
    """Whether a dataset's samples are integers or floats."""
    return dataset.dtype.kind in "iuf"


def name_of(dataset: h5py.Dataset) -> str:
    """Return what to call a dataset in messages."""
    if not is_parallel(dataset.file) and dataset.file.driver == "fileobj":
        return str(dataset.name)
    return f"{dataset.name} of {dataset.file.filename}"


class _Meta(SaysWhereItGoes, type(h5py.filters.FilterRefBase)):  # type: ignore[misc]
    """That of h5py's filters, with messages that help."""


@explains_options()
class Flac(h5py.filters.FilterRefBase, metaclass=_Meta):  # type: ignore[misc]
    """FLAC compression of an HDF5 dataset, for ``create_dataset(..., compression=Flac())``.

    The last axis of a chunk is the one along which FLAC predicts. What the options mean
    is what they mean for `flaccodec.FlacCodec`, and so are the bytes of the chunks.

    Parameters
    ----------
    options
        Those of `flaccodec.chunks.options.Options`.

    Raises
    ------
    ConfigurationError
        A value is out of its range, or both quanta and precision are given.
    QuantaError
        Quanta are not a positive finite number.

    Notes
    -----
    The dataset's fill value comes back exactly and has no part in the quanta, as for
    `flaccodec.FlacCodec`.

    ``create_dataset`` raises ValueError, with the reason, for dtypes and filters that FLAC
    cannot be used with. No sample makes a write fail: what quanta cannot hold is stored exactly.
    Where there is no memory to encode a chunk, it is stored as samples, which every HDF5 program
    reads (docs/hdf5.md, "When a write fails").

    HDF5 asks no filter about strings and lists of variable length when it makes a dataset, and
    h5py tells this one no dtype: they pass it by as long as the dataset stays open, and HDF5
    refuses to write more of them later. So leave ``compression=`` out for them.

    Examples
    --------
    >>> import h5py, numpy as np
    >>> from flaccodec.hdf5 import Flac
    >>> with h5py.File("x.h5", "w", driver="core", backing_store=False) as file:
    ...     x = file.create_dataset("x", data=np.arange(4000, dtype="int32").reshape(4, 1000),
    ...                             chunks=(4, 1000), compression=Flac(level=5))
    ...     x[2, 500:503]
    array([2500, 2501, 2502], dtype=int32)
    """

    filter_id = FILTER_ID
    _goes = (
        "h5py's filter, for create_dataset(..., compression=): for Zarr use "
        "serializer=flaccodec.FlacCodec(...), or, for zarr_format=2, "
        "compressors=flaccodec.numcodecs.Flac(...)"
    )

    def __init__(
        self,
        level: int = core.DEFAULT_LEVEL,
        quanta: float | None = None,
        precision: int | float | None = None,
        frame_size: int | None = None,
        missing_value: float | Sequence[float] | None = None,
    ) -> None:
        if frame_size is None:
            frame_size = core.DEFAULT_FRAME_SIZE
        self.options = CodecOptions.among(locals())
        self.filter_options = client_data(self.options, self.options.marks)

    def __repr__(self) -> str:
        return f"Flac({self.options.arguments()})"

    def __reduce__(self) -> tuple[Any, tuple[()]]:
        return functools.partial(type(self), **self.options.to_dict()), ()
