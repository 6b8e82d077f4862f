"""zarr's own test strategies and state machine, with FlacCodec in the arrays they make."""

import hypothesis.extra.numpy as npst
import hypothesis.strategies as st
import numpy as np
import pytest
import zarr
from hypothesis import assume, given, note, settings
from hypothesis.stateful import rule, run_state_machine_as_test
from zarr.storage import LocalStore, MemoryStore, ZipStore
from zarr.testing import strategies as zst
from zarr.testing.stateful import ZarrHierarchyStateMachine

from flaccodec import FlacCodec
from support.strategies import FLOATS, INTEGERS, same_bits

pytestmark = pytest.mark.usefixtures("pipeline")
dtypes = st.sampled_from([np.dtype(d) for d in INTEGERS + FLOATS])


@st.composite
def flac_arrays(draw):
    """An array as zarr's `arrays` strategy makes them, but coded with FLAC; and its data."""
    data = draw(zst.numpy_arrays(shapes=zst.array_shapes, dtype=draw(dtypes)))
    chunks = draw(zst.chunk_shapes(shape=data.shape))
    shards = None
    if all(n >= chunk > 0 for n, chunk in zip(data.shape, chunks, strict=True)):
        shards = draw(st.none() | zst.shard_shapes(shape=data.shape, chunk_shape=chunks))
    array = zarr.create_array(
        MemoryStore(),
        shape=data.shape,
        chunks=chunks,
        shards=shards,
        dtype=data.dtype,
        fill_value=draw(st.none() | npst.from_dtype(data.dtype)),
        dimension_names=draw(zst.dimension_names(ndim=data.ndim)),
        serializer=FlacCodec(level=draw(st.integers(0, 8)), frame_size=16),
        compressors=None,
    )
    array[...] = data
    return array, data


@given(st.data())
def test_basic_indexing(data):
    array, expected = data.draw(flac_arrays())
    assert same_bits(np.asarray(array[...]), expected)
    index = data.draw(zst.basic_indices(shape=expected.shape))
    actual = array[index]
    np.testing.assert_array_equal(actual, expected[index])
    new = data.draw(zst.numpy_arrays(shapes=st.just(np.shape(actual)), dtype=expected.dtype))
    array[index] = new
    expected[index] = new
    assert same_bits(np.asarray(array[...]), expected)


@given(st.data())
def test_orthogonal_indexing(data):
    array, expected = data.draw(flac_arrays())
    zarr_index, numpy_index = data.draw(zst.orthogonal_indices(shape=expected.shape))
    np.testing.assert_array_equal(array.oindex[zarr_index], expected[numpy_index])
    assume(array.shards is None)  # as zarr's own test: writes through shards go another way
    new = data.draw(
        zst.numpy_arrays(shapes=st.just(array.oindex[zarr_index].shape), dtype=expected.dtype)
    )
    for axis, i in enumerate(zarr_index):
        if isinstance(i, np.ndarray):  # a coordinate that comes twice may keep either value
            assume(len(np.unique(i % expected.shape[axis])) == len(i))
    array.oindex[zarr_index] = new
    expected[numpy_index] = new
    np.testing.assert_array_equal(array[...], expected)


@given(st.data())
def test_coordinate_indexing(data):
    array, expected = data.draw(flac_arrays())
    assume(all(expected.shape))
    index = data.draw(
        npst.integer_array_indices(
            shape=expected.shape, result_shape=npst.array_shapes(min_side=1, max_dims=None)
        )
    )
    np.testing.assert_array_equal(array.vindex[index], expected[index])


@given(st.data())
def test_block_indexing(data):
    array, expected = data.draw(flac_arrays())
    assume(all(expected.shape) and all(array.chunks) and array.shards is None)
    index = tuple(data.draw(st.integers(0, n - 1)) for n in array.cdata_shape)
    where = tuple(slice(i * c, (i + 1) * c) for i, c in zip(index, array.chunks, strict=True))
    np.testing.assert_array_equal(array.blocks[index], expected[where])


@given(st.data())
def test_mask_indexing(data):
    array, expected = data.draw(flac_arrays())
    assume(all(array.chunks))
    mask = data.draw(npst.arrays(bool, expected.shape))
    np.testing.assert_array_equal(array.get_mask_selection(mask), expected[mask])


class FlacHierarchy(ZarrHierarchyStateMachine):
    """zarr's machine, whose model is left as it is, with FLAC in the store under test."""

    @rule(
        data=st.data(),
        name=zst.node_names,
        array_and_chunks=zst.np_array_and_chunks(
            arrays=dtypes.flatmap(lambda d: zst.numpy_arrays(dtype=d))
        ),
    )
    def add_array(self, data, name, array_and_chunks):
        array, chunks = array_and_chunks
        fill_value = data.draw(npst.from_dtype(array.dtype))
        parents = sorted(self.all_groups)
        parent = data.draw(st.sampled_from(parents)) if parents else ""
        name = name.lower() if isinstance(self.store, LocalStore) else name
        path = f"{parent}/{name}".lstrip("/")
        assume(self.can_add(path))
        names = data.draw(zst.dimension_names(ndim=array.ndim))
        note(f"adding array {path!r}, shape {array.shape}, chunks {chunks}")
        for store, codec in (
            (self.store, FlacCodec(frame_size=16)),
            (self.model, zarr.codecs.BytesCodec()),
        ):
            zarr.array(
                array,
                chunks=chunks,
                path=path,
                store=store,
                fill_value=fill_value,
                zarr_format=3,
                dimension_names=names,
                codecs=[codec],
            )
        self.all_arrays.add(path)


@pytest.fixture(params=["memory", "local"])
def store(request, tmp_path):
    return MemoryStore() if request.param == "memory" else LocalStore(tmp_path)


@pytest.mark.filterwarnings("ignore::zarr.errors.ZarrUserWarning")
@pytest.mark.filterwarnings("ignore::zarr.errors.ZarrDeprecationWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_zarrs_hierarchy_machine(store):
    run_state_machine_as_test(
        lambda: FlacHierarchy(store),
        settings=settings(max_examples=40, stateful_step_count=25),
    )


def test_a_zip_store(tmp_path):
    data = np.random.default_rng(0).integers(-99, 99, (6, 5000)).astype("int16")
    with ZipStore(tmp_path / "a.zip", mode="w") as store:
        array = zarr.create_array(
            store, shape=data.shape, chunks=(3, 5000), dtype="int16",
            serializer=FlacCodec(), compressors=None,
        )  # fmt: skip
        array[...] = data
    with ZipStore(tmp_path / "a.zip", mode="r") as store:
        array = zarr.open_array(store, mode="r")
        np.testing.assert_array_equal(array[4, 1234:1300], data[4, 1234:1300])
        np.testing.assert_array_equal(array[...], data)
