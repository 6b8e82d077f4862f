"""Filters in front of FlacCodec: what is read is what zarr's BytesCodec gives behind the same."""

import numpy as np
import pytest
import zarr
from zarr.codecs import BytesCodec, TransposeCodec

from flaccodec import FlacCodec
from flaccodec.exceptions import ConfigurationError
from support.strategies import same_bits

pytestmark = [
    pytest.mark.usefixtures("pipeline"),
    pytest.mark.filterwarnings("ignore:Numcodecs codecs are not in the Zarr version 3"),
]
RNG = np.random.default_rng(0)
WALK = np.cumsum(RNG.integers(-50, 50, (6, 400)), axis=1).astype("int32")
FLOATS = (WALK / 7).astype("float32")


def numcodec(name, **configuration):
    """Name a filter, since making one outside of a test is a warning that is an error."""
    return {"name": f"numcodecs.{name}", "configuration": configuration}


SCALE = {"offset": 1, "scale": 10, "dtype": "<f4"}
FILTERS = {
    "delta": (WALK, [numcodec("delta", dtype="<i4")]),
    "wider delta": (WALK, [numcodec("delta", dtype="<i4", astype="<i8")]),
    "scaled": (FLOATS, [numcodec("fixedscaleoffset", **SCALE)]),
    "scaled to integers": (FLOATS, [numcodec("fixedscaleoffset", **SCALE, astype="<i4")]),
    "rounded bits": (FLOATS, [numcodec("bitround", keepbits=9)]),
    "rounded bits of float64": (FLOATS.astype("float64"), [numcodec("bitround", keepbits=20)]),
    "all bits": (FLOATS, [numcodec("bitround", keepbits=23)]),
    "quantized": (FLOATS, [numcodec("quantize", digits=1, dtype="<f4")]),
    "another dtype": (FLOATS, [numcodec("astype", encode_dtype="<f8", decode_dtype="<f4")]),
    "transposed": (WALK, [TransposeCodec(order=(1, 0))]),
    "transposed, rounded bits": (
        FLOATS,
        [TransposeCodec(order=(1, 0)), numcodec("bitround", keepbits=9)],
    ),
}


def create(data, serializer, filters, **options):
    options = {"chunks": (4, 200)} | options
    return zarr.create_array(
        {}, shape=data.shape, dtype=data.dtype, serializer=serializer, filters=filters,
        compressors=None, **options,
    )  # fmt: skip


def write_and_read(data, serializer, filters, order, **options):
    """Write all, then a part, and read all."""
    array = create(data, serializer, filters, config={"order": order}, **options)
    array[...] = data
    array[1:5, 30:300] = data[:4, 10:280]
    return array[...]


@pytest.mark.parametrize("written", ["C", "F"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("name", FILTERS)
def test_any_filter_gives_what_it_gives_before_bytes(name, order, written, pipeline):
    data, filters = FILTERS[name]
    laid_out = np.asarray(data, order=written)
    got = write_and_read(laid_out, FlacCodec(frame_size=64), filters, order)
    if pipeline.endswith(".BatchedCodecPipeline"):
        wanted = write_and_read(laid_out, BytesCodec(), filters, order)
    else:  # where order is F, zarr's own mixes up what filters have flattened
        wanted = write_and_read(data, BytesCodec(), filters, "C")
    assert same_bits(got, wanted)


@pytest.mark.parametrize("written", ["C", "F"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shards", [None, (4, 400)])
def test_differences_along_a_transposed_axis(order, written, shards, pipeline):
    filters = [TransposeCodec(order=(1, 0)), numcodec("delta", dtype="<i4")]
    laid_out = np.asarray(WALK, order=written)
    got = write_and_read(laid_out, FlacCodec(), filters, order, shards=shards)
    if pipeline.endswith(".BatchedCodecPipeline"):
        wanted = write_and_read(laid_out, BytesCodec(), filters, order, shards=shards)
    else:  # zarr's own mixes them up where a part is written
        wanted = WALK.copy()
        wanted[1:5, 30:300] = WALK[:4, 10:280]
    np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("shards", [None, (6, 400)])
def test_differences_come_back(shards):
    array = create(
        WALK, FlacCodec(), [numcodec("delta", dtype="<i4")], chunks=(3, 200), shards=shards
    )
    array[...] = WALK
    np.testing.assert_array_equal(array[...], WALK)
    np.testing.assert_array_equal(array[2:4, 150:250], WALK[2:4, 150:250])


def test_quanta_are_those_of_floats_whose_bits_were_rounded():
    array = create(FLOATS, FlacCodec(quanta=0.5), [numcodec("bitround", keepbits=20)])
    array[...] = FLOATS
    np.testing.assert_allclose(array[...], FLOATS, rtol=0, atol=0.2501)


@pytest.mark.parametrize(
    ("dtype", "filters", "message"),
    [
        (
            "f8",
            numcodec("quantize", digits=1, dtype="<f8", astype="<f4"),
            r"float64 and .*Got float32",
        ),
        ("i4", numcodec("delta", dtype="<i2"), r"int32 and \(4, 200\)\. Got int16 and \(1600,\)"),
    ],
)
def test_what_could_not_be_read_is_not_written(dtype, filters, message):
    array = create(WALK.astype(dtype), FlacCodec(), [filters])
    with pytest.raises(ConfigurationError, match=message):
        array[...] = WALK
    assert array.nchunks_initialized == 0
