"""xarray: Zarr and netCDF, in chunks, by regions, along time, saved again."""

from __future__ import annotations

import warnings

import dask
import h5py
import numpy as np
import pytest
import xarray
import zarr
from distributed import Client, LocalCluster

import flaccodec
from flaccodec import FlacCodec, hdf5
from flaccodec.chunks.options import CodecOptions
from flaccodec.exceptions import ConfigurationError, QuantaError, UnsupportedDtypeError
from flaccodec.hdf5 import filter as hdf5_filter
from support.needs import needs

pytest_plugins = ["support.schedulers"]

STREAMS, SAMPLES = 4, 20_480
QUANTA = 1e-2
ERROR = QUANTA / 2 + 1e-4  # and the rounding of float32


def recording(dtype="float32", start=0, samples=SAMPLES):
    rng = np.random.default_rng(start)
    x = np.cumsum(rng.normal(0, 3, (STREAMS, samples)), axis=1).astype(dtype)
    if x.dtype.kind == "f":
        x[1, 5:9] = np.nan
    return xarray.Dataset(
        {"x": (("stream", "time"), x, {"units": "mV"})},
        {"time": np.arange(start, start + samples) / 128},
    )


def check(got, want, error=ERROR):
    np.testing.assert_array_equal(got.time, want.time)
    np.testing.assert_allclose(got.x.values, want.x.values, rtol=0, atol=error)
    assert got.x.attrs == want.x.attrs


def save(data, path, encoding=None, **options):
    """Write Zarr's format 3, without the consolidated metadata that it warns are no standard."""
    data.to_zarr(path, zarr_format=3, consolidated=False, encoding=encoding, **options)


def load(path, **options):
    return xarray.open_zarr(path, consolidated=False, **options)


def codecs_of(path):
    return zarr.open_array(path / "x").metadata.codecs


# -- the dictionary ------------------------------------------------------------------------


def test_encoding_for_zarr():
    made = flaccodec.encoding(quanta=0.5, level=7, frame_size=1000)
    assert made == {
        "serializer": FlacCodec(level=7, quanta=0.5, frame_size=1000),
        "compressors": None,
    }
    assert flaccodec.encoding(precision=3)["serializer"] == FlacCodec(precision=3)


def test_encoding_for_h5netcdf():
    made = flaccodec.encoding(precision=3, level=2, engine="h5netcdf")
    assert list(made) == ["compression"]
    assert made["compression"].options == CodecOptions(level=2, precision=3)


def test_engines_that_cannot():
    with pytest.raises(ConfigurationError, match=r"filters of its own only.*engine='h5netcdf'"):
        flaccodec.encoding(engine="netcdf4")
    with pytest.raises(ConfigurationError, match=r"must be 'zarr' or 'h5netcdf'. Got 'scipy'$"):
        flaccodec.encoding(engine="scipy")


@pytest.mark.parametrize("engine", ["zarr", "h5netcdf"])
def test_bad_options_are_refused_at_once(engine):
    with pytest.raises(ConfigurationError, match="level"):
        flaccodec.encoding(level=9, engine=engine)
    with pytest.raises(QuantaError, match="positive"):
        flaccodec.encoding(quanta=0, engine=engine)
    with pytest.raises(ConfigurationError, match="quanta is for float32"):
        flaccodec.encoding(recording("int16").x, quanta=1, engine=engine)
    with pytest.raises(UnsupportedDtypeError, match="float16"):
        flaccodec.encoding(recording("float16").x, engine=engine)


# -- Zarr ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_to_zarr_and_open_zarr(tmp_path, scheduler, dtype):
    data = recording(dtype)
    quanta = QUANTA if dtype.startswith("f") else None
    made = flaccodec.encoding(data.x, quanta=quanta)
    save(data.chunk(stream=2, time=10_240), tmp_path / "a", {"x": made})
    assert codecs_of(tmp_path / "a") == (FlacCodec(quanta=quanta),)
    assert zarr.open_array(tmp_path / "a" / "x").chunks == (2, 10_240)
    again = load(tmp_path / "a")
    assert again.x.dtype == dtype
    assert again.x.chunksizes["time"] == (10_240,) * 2
    check(again.compute(), data, 0 if quanta is None else ERROR)
    part = again.sel(time=slice(90, 91)).x
    np.testing.assert_allclose(part, data.sel(time=slice(90, 91)).x, rtol=0, atol=ERROR)
    mean, want = again.x.mean("time").compute(), data.x.mean("time", dtype="f8")
    np.testing.assert_allclose(mean, want, rtol=1e-3, atol=ERROR)


def test_chunks_in_the_encoding(tmp_path):
    data = recording()
    chosen = {"x": {**flaccodec.encoding(quanta=QUANTA), "chunks": (1, 5120)}}
    save(data, tmp_path / "a", chosen)
    shards = {"x": {**chosen["x"], "shards": (4, 10_240)}}
    save(data, tmp_path / "b", shards)
    for path in (tmp_path / "a", tmp_path / "b"):
        assert zarr.open_array(path / "x").chunks == (1, 5120)
        check(load(path), data)
    assert zarr.open_array(tmp_path / "b" / "x").shards == (4, 10_240)


def test_without_the_dictionary_zstd_comes_behind(tmp_path):
    save(recording(), tmp_path / "a", {"x": {"serializer": FlacCodec()}})
    assert len(codecs_of(tmp_path / "a")) == 2


def test_regions(tmp_path, scheduler):
    data = recording().chunk(stream=2, time=5120)
    made = {"x": flaccodec.encoding(quanta=QUANTA)}
    save(data, tmp_path / "a", made, compute=False)
    for first in (5120, 0, 10_240):
        region = {"stream": slice(0, 4), "time": slice(first, first + 5120)}
        part = data.isel(time=region["time"])
        part.to_zarr(tmp_path / "a", region=region, consolidated=False)
    written, wanted = load(tmp_path / "a").compute(), data.compute()
    check(written.isel(time=slice(0, 15_360)), wanted.isel(time=slice(0, 15_360)))
    assert np.isnan(written.x[:, 15_360:]).all()  # missing chunks are NaN
    part = data.isel(time=slice(15_360, None))
    part.to_zarr(tmp_path / "a", region="auto", consolidated=False)
    check(load(tmp_path / "a").compute(), wanted)


def test_a_region_that_cuts_chunks_keeps_what_is_beside(tmp_path):
    data = recording()
    chosen = {"x": {**flaccodec.encoding(quanta=QUANTA), "chunks": (4, 5120)}}
    save(data, tmp_path / "a", chosen)
    before = load(tmp_path / "a").x.values
    other = recording(start=1).isel(time=slice(1000, 7000))
    other.x.to_dataset().drop_vars("time").to_zarr(
        tmp_path / "a", region={"time": slice(1000, 7000)}, consolidated=False
    )
    after = load(tmp_path / "a").x.values
    np.testing.assert_array_equal(after[:, :1000], before[:, :1000])
    np.testing.assert_array_equal(after[:, 7000:], before[:, 7000:])
    np.testing.assert_allclose(after[:, 1000:7000], other.x, rtol=0, atol=ERROR)


def test_appending_along_time(tmp_path, scheduler):
    parts = [recording(start=i * 10_240, samples=10_240) for i in range(3)]
    save(
        parts[0].chunk(time=5120),
        tmp_path / "a",
        {"x": flaccodec.encoding(quanta=QUANTA)},
    )
    for part in parts[1:]:
        part.chunk(time=5120).to_zarr(tmp_path / "a", append_dim="time", consolidated=False)
    assert codecs_of(tmp_path / "a") == (FlacCodec(quanta=QUANTA),)
    check(load(tmp_path / "a").compute(), xarray.concat(parts, "time"))


def test_saving_again_what_was_opened(tmp_path, scheduler):
    save(recording().chunk(time=10_240), tmp_path / "a", {"x": flaccodec.encoding(quanta=QUANTA)})
    opened = load(tmp_path / "a")
    save(opened, tmp_path / "b")
    assert codecs_of(tmp_path / "b") == (FlacCodec(quanta=QUANTA),)
    check(load(tmp_path / "b").compute(), opened.compute(), 0)
    for name in ("c/0/0", "c/0/1"):
        chunks = [(tmp_path / store / "x" / name).read_bytes() for store in "ab"]
        assert chunks[0] == chunks[1]


@needs("xarray", "2026.9")
def test_saving_again_what_has_shards_needs_chunks_of_whole_shards(tmp_path):
    chosen = {**flaccodec.encoding(quanta=QUANTA), "chunks": (1, 5120), "shards": (4, 10_240)}
    save(recording(), tmp_path / "a", {"x": chosen})
    opened = load(tmp_path / "a")
    with pytest.raises(ValueError, match="overlap multiple Dask chunks"):
        save(opened, tmp_path / "b")
    for number, whole in enumerate(
        (opened.chunk(stream=4, time=10_240), load(tmp_path / "a", chunks=None))
    ):
        save(whole, tmp_path / f"c{number}")
        array = zarr.open_array(tmp_path / f"c{number}" / "x")
        assert (array.shards, array.chunks) == ((4, 10_240), (1, 5120))
        check(load(tmp_path / f"c{number}").compute(), opened.compute(), 0)


def test_computed_data_need_the_encoding_anew(tmp_path):
    save(recording(), tmp_path / "a", {"x": flaccodec.encoding(quanta=QUANTA)})
    doubled = load(tmp_path / "a") * 2
    assert doubled.x.encoding == {}
    made = {"x": flaccodec.encoding(doubled.x, quanta=2 * QUANTA)}
    save(doubled, tmp_path / "b", made)
    check(load(tmp_path / "b").drop_attrs(), (recording() * 2).drop_attrs(), 2 * ERROR)


TIMES = np.datetime64("2024-01-01", "ns") + np.arange(3000) * np.timedelta64(10, "ms")
NO_INTEGERS = {
    "times": np.where(np.arange(3000) == 5, np.datetime64("NaT", "ns"), TIMES),
    "spans": TIMES - TIMES[0],
    "truth values": np.arange(3000) % 3 == 0,
}


@pytest.mark.parametrize("kind", ["times", "spans", "truth values"])
@pytest.mark.parametrize("engine", ["zarr", "h5netcdf"])
def test_what_xarray_writes_as_integers(tmp_path, engine, kind):
    data = xarray.Dataset({"x": ("time", NO_INTEGERS[kind])})
    if engine == "zarr" and kind == "truth values":  # Zarr has them itself
        with pytest.raises(UnsupportedDtypeError, match="Got bool: convert it"):
            flaccodec.encoding(data.x, engine=engine)
        return
    made = {"x": flaccodec.encoding(data.x, engine=engine)}
    if engine == "zarr":
        save(data, tmp_path / "x", made)
        got = load(tmp_path / "x").load()
        assert codecs_of(tmp_path / "x") == (FlacCodec(),)
    else:
        data.to_netcdf(tmp_path / "x", engine=engine, encoding=made)
        got = xarray.load_dataset(tmp_path / "x", engine=engine)
        assert options_in(tmp_path / "x") == CodecOptions()
    assert got.x.dtype == data.x.dtype
    np.testing.assert_array_equal(got.x, data.x)
    with pytest.raises(ConfigurationError, match="quanta is for float32"):
        flaccodec.encoding(data.x, quanta=1, engine=engine)


# -- integer encodings and floats ---------------------------------------------------------


@pytest.fixture
def carried(tmp_path):
    """Floats whose encoding is that of the integers that were read."""
    save(recording("int16"), tmp_path / "integers", {"x": flaccodec.encoding()})
    opened = load(tmp_path / "integers", chunks=None)
    changed = opened.copy(data={"x": opened.x.values * 1.5 + 0.25})
    assert changed.x.dtype == "float64"
    assert changed.x.encoding["dtype"] == "int16"
    return changed


@pytest.mark.parametrize("engine", ["zarr", "h5netcdf"])
@pytest.mark.parametrize("options", [{}, {"quanta": 0.25}, {"precision": 3}])
def test_an_integer_encoding_on_floats_is_refused(carried, engine, options):
    message = r"'x' has data of float64, but its encoding.* says int16.*drop_encoding"
    with pytest.raises(ConfigurationError, match=message):
        flaccodec.encoding(carried.x, engine=engine, **options)
    flaccodec.encoding(carried.x.drop_encoding(), engine=engine, **options)
    flaccodec.encoding(carried.x.astype("int16"), engine=engine)


@pytest.mark.parametrize("options", [{"quanta": 0.25}, {"precision": 3}])
def test_the_codec_refuses_integers_for_what_is_meant_for_floats(tmp_path, carried, options):
    mixed = {"x": {**carried.x.encoding, **flaccodec.encoding(**options)}}
    del mixed["x"]["preferred_chunks"]
    # xarray itself only warns that it rounds.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", xarray.SerializationWarning)
        with pytest.raises(ConfigurationError, match=r"int16 .*if the data are floats"):
            save(carried, tmp_path / "a", mixed)


def test_xarray_says_so_where_flaccodec_is_not_asked(tmp_path, carried):
    with pytest.raises(xarray.SerializationWarning, match="as an integer dtype"):
        save(carried, tmp_path / "a")


def test_an_encoding_that_is_given_replaces_the_carried_one(tmp_path, carried):
    save(carried, tmp_path / "a", {"x": flaccodec.encoding(quanta=0.25)})
    assert zarr.open_array(tmp_path / "a" / "x").dtype == "float64"
    check(load(tmp_path / "a"), carried, 0)


@pytest.mark.parametrize("options", [{"precision": 4}, {"quanta": 0.7}, {"quanta": 1e-3}])
@pytest.mark.parametrize("fill_value", [-9999.0, 1e20])
@pytest.mark.parametrize("engine", ["zarr", "h5netcdf"])
def test_missing_samples_as_a_number(tmp_path, engine, fill_value, options):
    x = np.random.default_rng(0).normal(size=(2, 1000)).astype("float32")
    x[0, :5] = np.nan
    data = xarray.Dataset({"x": (("channel", "time"), x)})
    chosen = flaccodec.encoding(data.x, fill_value=fill_value, engine=engine, **options)
    chunks = {"chunks": (2, 600)} if engine == "zarr" else {"chunksizes": (2, 600)}
    path = tmp_path / "x"
    if engine == "zarr":
        data.to_zarr(path, encoding={"x": chosen | chunks}, zarr_format=3, consolidated=False)
    else:
        data.to_netcdf(path, engine=engine, encoding={"x": chosen | chunks})
    how = {"consolidated": False} if engine == "zarr" else {}
    with xarray.open_dataset(path, engine=engine, **how) as again:
        got = again.x.values
        assert again.x.encoding["_FillValue"] == np.float32(fill_value)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(x))
    assert np.nanmax(np.abs(got - x)) <= 0.36


@pytest.mark.parametrize("engine", ["zarr", "h5netcdf"])
@pytest.mark.parametrize(
    ("dtype", "fill_value", "limits"),
    [
        ("int16", 3.5, "a whole number from -32768 to 32767"),
        ("int16", np.nan, "a whole number"),
        ("int16", np.inf, "a whole number"),
        ("uint8", -9999, "a whole number from 0 to 255"),
        ("int64", 2**63, "a whole number"),
        ("int16", "3", "a whole number"),
        ("float32", 1e300, r"a number of at most 3.4e\+38, NaN or infinite"),
        ("float32", -1e300, "a number of at most"),
        pytest.param("float64", 10**400, "a number of at most", id="10**400"),
        ("float64", [1], "a number of at most"),
        ("float64", True, "a number of at most"),
    ],
)
def test_fill_values_that_the_dtype_cannot_hold(dtype, fill_value, limits, engine):
    data = xarray.Dataset({"x": ("time", np.arange(4).astype(dtype))})
    message = rf"fill_value must be {limits}.* for variable 'x': choose another"
    with pytest.raises(ConfigurationError, match=message):
        flaccodec.encoding(data.x, fill_value=fill_value, engine=engine)


@pytest.mark.parametrize("engine", ["zarr", "h5netcdf"])
@pytest.mark.parametrize(
    ("dtype", "fill_value"),
    [
        ("int16", -3.0),
        ("uint64", 2**64 - 1),
        ("int16", np.int8(-3)),
        ("float32", 0.1),
        ("float32", np.nan),
        ("float64", -np.inf),
        ("float32", np.float64(9.969209968386869e36)),
        ("datetime64[ns]", -1),
    ],
)
def test_fill_values_that_the_dtype_holds(dtype, fill_value, engine):
    data = xarray.Dataset({"x": ("time", np.arange(4).astype(dtype))})
    made = flaccodec.encoding(data.x, fill_value=fill_value, engine=engine)
    assert made["_FillValue"] is fill_value


def test_scale_and_fill_value_of_cf_stay_possible(tmp_path):
    packed = {"dtype": "int16", "scale_factor": 0.05, "_FillValue": -32768}
    data = recording()
    save(data, tmp_path / "a", {"x": {**flaccodec.encoding(), **packed}})
    assert zarr.open_array(tmp_path / "a" / "x").dtype == "int16"
    opened = load(tmp_path / "a")
    check(opened, data, 0.0251)
    save(opened, tmp_path / "b")
    check(load(tmp_path / "b"), opened, 0)
    with pytest.raises(ConfigurationError, match="says int16"):
        flaccodec.encoding(opened.x, quanta=0.05)


# -- netCDF ------------------------------------------------------------------------------------


def save_netcdf(data, path, **options):
    made = flaccodec.encoding(data.x, engine="h5netcdf", **options)
    chosen = {"x": {**made, "chunksizes": (2, 5120)}}
    data.to_netcdf(path, engine="h5netcdf", encoding=chosen)


def options_in(path):
    with h5py.File(path) as file:
        return hdf5_filter.options_of(file["x"])


@pytest.fixture
def with_filter(request, monkeypatch, scheduler):
    """Have workers, which never import flaccodec, find the filter."""
    if scheduler == "distributed":
        request.getfixturevalue("cluster").run(__import__, "flaccodec.hdf5")
    monkeypatch.setenv("HDF5_PLUGIN_PATH", hdf5.PLUGIN_PATH)
    return scheduler


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_to_netcdf_and_open_dataset(tmp_path, with_filter, dtype):
    data = recording(dtype)
    quanta = QUANTA if dtype.startswith("f") else None
    # xarray's locks of files that are written cannot go to dask's processes, and HDF5's lock
    # fails now and then in a cluster of processes.
    with dask.config.set(scheduler="threads"):
        save_netcdf(data.chunk(stream=2, time=10_240), tmp_path / "a.nc", quanta=quanta)
    assert options_in(tmp_path / "a.nc") == CodecOptions(quanta=quanta)
    with xarray.open_dataset(tmp_path / "a.nc", engine="h5netcdf", chunks={}) as got:
        assert got.x.chunksizes["time"] == (5120,) * 4
        check(got.compute(), data, 0 if quanta is None else ERROR)
        part = got.sel(time=slice(90, 91)).x
        np.testing.assert_allclose(part, data.sel(time=slice(90, 91)).x, rtol=0, atol=ERROR)


def test_to_netcdf_on_a_cluster_without_processes(tmp_path):
    data = recording()
    with (
        LocalCluster(n_workers=2, processes=False, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster),
    ):
        save_netcdf(data.chunk(stream=2, time=10_240), tmp_path / "a.nc", quanta=QUANTA)
    with xarray.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as got:
        check(got, data)


@needs("xarray", "2026.9")
def test_saving_again_a_netcdf_needs_the_encoding_anew(tmp_path):
    data = recording()
    save_netcdf(data, tmp_path / "a.nc", quanta=QUANTA)
    with xarray.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as opened:
        with pytest.raises(ValueError, match='"unknown" is unavailable'):
            opened.to_netcdf(tmp_path / "b.nc", engine="h5netcdf")
        save_netcdf(opened, tmp_path / "c.nc", quanta=QUANTA)
        with xarray.open_dataset(tmp_path / "c.nc", engine="h5netcdf") as got:
            check(got, opened, 0)
    assert options_in(tmp_path / "c.nc") == CodecOptions(quanta=QUANTA)


def test_netcdf_to_zarr_and_back(tmp_path):
    data = recording()
    save_netcdf(data, tmp_path / "a.nc", quanta=QUANTA)
    with xarray.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as opened:
        save(opened, tmp_path / "z", {"x": flaccodec.encoding(opened.x, quanta=QUANTA)})
        again = load(tmp_path / "z")
        check(again, opened, 0)
        save_netcdf(again.drop_encoding(), tmp_path / "b.nc", quanta=QUANTA)
        with xarray.open_dataset(tmp_path / "b.nc", engine="h5netcdf") as got:
            check(got, opened, 0)
