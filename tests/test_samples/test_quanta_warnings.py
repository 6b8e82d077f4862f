"""Samples that quanta cannot hold: one warning for each call of a door, or an error if strict."""

import warnings

import h5py
import numpy as np
import pytest
import zarr

import flaccodec
import flaccodec.numcodecs
from flaccodec import FlacArray, FlacCodec, hdf5
from flaccodec.compress import array_compress
from flaccodec.exceptions import ConfigurationError, QuantaTooFineError, QuantaWarning
from flaccodec.samples.quanta_warnings import WarnedOnce, warn

SHAPE, CHUNKS = (4, 20_000), (1, 5000)
STREAM, SAMPLE, LARGE = 2, 12_345, 1e20
QUANTA = 0.01


def data():
    """Noise, with a sample in each of two chunks that quanta cannot hold."""
    x = np.random.default_rng(0).normal(0, 1, SHAPE)
    x[STREAM, SAMPLE] = LARGE
    x[3, 7] = -LARGE / 2
    return x


class Elsewhere:
    """An array that can be sliced, and is not in memory."""

    def __init__(self, array):
        self.array, self.shape, self.dtype = array, array.shape, array.dtype

    def __getitem__(self, key):
        return self.array[key]


def in_hdf5(x, strict):
    with h5py.File("x", "w", driver="core", backing_store=False) as file:
        compression = hdf5.Flac(quanta=QUANTA)
        dataset = file.create_dataset("x", SHAPE, "f8", chunks=CHUNKS, compression=compression)
        hdf5.write(dataset, x, strict=strict)
        return dataset[...]


def assigned(x, strict, **kwargs):
    codec = FlacCodec(quanta=QUANTA, strict=strict)
    array = zarr.create_array(
        {}, shape=SHAPE, dtype="f8", serializer=codec, compressors=None, **kwargs
    )
    array[...] = x
    return array[...]


def created(x, strict, **kwargs):
    codec = FlacCodec(quanta=QUANTA, strict=strict)
    return flaccodec.create_array({}, data=x, codecs=[codec], **kwargs)[...]


def coded(x, strict):
    codec = flaccodec.numcodecs.Flac(quanta=QUANTA, strict=strict)
    return codec.decode(codec.encode(x)).reshape(x.shape)


DOORS = {
    "FlacArray": lambda x, s: FlacArray.from_array(x, quanta=QUANTA, strict=s).to_array(),
    "blocks": lambda x, s: FlacArray.from_array(Elsewhere(x), quanta=QUANTA, strict=s).to_array(),
    "create_array": lambda x, s: created(x, s, chunks=CHUNKS),
    "create_array of blocks": lambda x, s: created(Elsewhere(x), s, chunks=CHUNKS),
    "zarr": lambda x, s: assigned(x, s, chunks=CHUNKS),
    "shards": lambda x, s: assigned(x, s, chunks=CHUNKS, shards=(2, 10_000)),
    "numcodecs": coded,
    "hdf5.write": in_hdf5,
}


@pytest.fixture(params=DOORS)
def door(request):
    return DOORS[request.param]


def test_one_warning_names_the_sample_and_the_quanta(door, monkeypatch):
    monkeypatch.setattr("flaccodec.runtime.progress.BLOCK_SAMPLES", SHAPE[1])
    x = data()
    with pytest.warns(QuantaWarning, match="The smallest quanta that would do are") as caught:
        got = door(x, False)
    (one,) = caught
    warning = one.message
    assert warning.smallest == pytest.approx(LARGE / 2**63, rel=1e-6)
    assert warning.sample in (SAMPLE, SAMPLE % CHUNKS[1])
    large = np.abs(x) > 1e10
    np.testing.assert_array_equal(got[large], x[large])
    assert np.abs(got - x)[~large].max() <= QUANTA / 2 * (1 + 1e-9)


def test_strict_raises(door):
    with pytest.raises(QuantaTooFineError, match="The smallest quanta that would do are") as caught:
        door(data(), True)
    assert caught.value.smallest >= LARGE / 2 / 2**63


@pytest.mark.parametrize("strict", [False, True])
def test_nothing_is_said_where_quanta_will_do(door, strict):
    x = np.random.default_rng(0).normal(0, 1, SHAPE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.abs(door(x, strict) - x).max() <= QUANTA / 2 * (1 + 1e-9)


def test_a_warning_names_the_chunk():
    place = r"\(0, 0\)|chunk .*c/2/2: quanta"
    with pytest.warns(QuantaWarning, match=rf"in 2 parts.*({place})"):
        assigned(data(), False, chunks=CHUNKS)
    with pytest.warns(QuantaWarning, match=r"in 2 parts.*/x of x, chunk at \(2, 10000\): quanta"):
        in_hdf5(data(), False)


@pytest.mark.parametrize("door", ["FlacArray", "blocks"])
def test_streams_are_counted_among_all(door, monkeypatch):
    monkeypatch.setattr("flaccodec.runtime.progress.BLOCK_SAMPLES", SHAPE[1])
    with pytest.warns(QuantaWarning) as caught:
        DOORS[door](data(), False)
    assert (caught[0].message.stream, caught[0].message.sample) == (STREAM, SAMPLE)


def test_a_warning_names_the_line_that_called():
    with pytest.warns(QuantaWarning) as caught:
        FlacArray.from_array(data(), quanta=QUANTA)
    assert caught[0].filename == __file__


# -- many such samples ------------------------------------------------------------------------


@pytest.mark.parametrize("strict", [False])
def test_blocks_that_are_stored_without_loss_beside_others(monkeypatch, strict):
    """Streams of a chunk are all quantized, or none is."""
    monkeypatch.setattr("flaccodec.runtime.progress.BLOCK_SAMPLES", SHAPE[1])
    x = data()
    x[1] *= 1e30
    with pytest.warns(QuantaWarning):
        got = FlacArray.from_array(Elsewhere(x), quanta=QUANTA, strict=strict).to_array()
    np.testing.assert_array_equal(got, x)


def test_chunks_that_are_stored_without_loss_beside_others(tmp_path):
    x = data()
    x[1] *= 1e30
    for chunks in ((1, 20_000), CHUNKS):
        codec = FlacCodec(quanta=QUANTA)
        with pytest.warns(QuantaWarning):
            array = flaccodec.create_array({}, data=x, chunks=chunks, codecs=[codec])
        np.testing.assert_array_equal(array[1], x[1])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", QuantaWarning)
            fa = FlacArray.from_zarr(array)
        np.testing.assert_array_equal(fa.to_array(), array[...])
        again = fa.to_zarr({}, chunks=(2, 3000))
        np.testing.assert_array_equal(again[...], array[...])
        with h5py.File(tmp_path / "x.h5", "w") as file:
            dataset = hdf5.from_zarr(array, file, "x")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", QuantaWarning)
                np.testing.assert_array_equal(FlacArray.read_hdf5(dataset)[...], array[...])


# -- what strict is, and is not ------------------------------------------------------------------


def test_strict_is_not_stored():
    codec = FlacCodec(quanta=1, strict=True)
    assert "strict" not in codec.to_dict()["configuration"]
    assert codec == FlacCodec.from_dict(codec.to_dict())
    assert "strict=True" in repr(codec)
    old = flaccodec.numcodecs.Flac(quanta=1, strict=True)
    assert "strict" not in old.get_config()
    assert old == flaccodec.numcodecs.Flac(quanta=1)
    assert flaccodec.encoding(quanta=1, strict=True)["serializer"].strict
    with pytest.raises(ConfigurationError, match="strict is for engine 'zarr'"):
        flaccodec.encoding(quanta=1, strict=True, engine="h5netcdf")


def test_strict_where_h5py_writes(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        dataset = file.create_dataset(
            "x", SHAPE, "f4", chunks=CHUNKS, compression=hdf5.Flac(quanta=1)
        )
        with pytest.raises(ConfigurationError, match="leaves to h5py"):
            hdf5.write(dataset, data(), strict=True)  # float64, which HDF5 is to convert
        file.create_dataset("y", SHAPE, "f4")
        hdf5.write(file["y"], data(), strict=True)


def test_the_group_layout_is_strict_always():
    with pytest.raises(QuantaTooFineError):
        array_compress(data(), quanta=QUANTA)


def test_warnings_are_joined_by_the_outer_block():
    def tell(smallest):
        warn(QuantaWarning(f"needs {smallest}", 0, 0, smallest, False))

    def tell_of_three():
        with WarnedOnce():
            tell(1.0)
            with WarnedOnce():
                tell(3.0)
                tell(2.0)

    def fail():
        with WarnedOnce():
            tell(1.0)
            raise KeyError

    with pytest.warns(QuantaWarning) as caught:
        tell_of_three()
    assert str(caught[0].message) == "in 3 parts, of which this one needs the coarsest: needs 3.0"
    assert len(caught) == 1
    with pytest.warns(QuantaWarning, match=r"^needs 1\.0$"):
        tell(1.0)
    with pytest.raises(KeyError):  # what goes wrong is told alone
        fail()
