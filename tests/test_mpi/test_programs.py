"""Arrays over MPI ranks: programs of tests/test_mpi/programs under mpirun, on one to four ranks.

With the h5py of this environment, which is built without MPI, and with one of parallel HDF5.
"""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
import zarr

import flaccodec.mpi
import flaccodec.zarr
from flaccodec.exceptions import ConfigurationError
from flaccodec.mpi.grid import divisors, whole_streams
from support.environments.parallel_h5py import parallel_h5py
from support.mpirun import mpirun
from support.paths import DOCS

RANKS = [1, 2, 3, 4]


@pytest.mark.parametrize("ranks", RANKS)
def test_arrays(ranks):
    mpirun(ranks, "check_arrays.py")


@pytest.mark.parametrize("ranks", RANKS)
@pytest.mark.parametrize("program", ["check_groups.py", "check_distributed.py"])
def test_files(ranks, program, tmp_path):
    mpirun(ranks, program, tmp_path)


@pytest.mark.parametrize("ranks", RANKS)
@pytest.mark.parametrize("program", ["check_groups.py", "check_distributed.py"])
def test_files_with_parallel_hdf5(ranks, program, tmp_path):
    mpirun(ranks, program, tmp_path, "parallel", h5py=parallel_h5py())


@pytest.mark.parametrize("ranks", RANKS[1:])
def test_failures(ranks, tmp_path):
    mpirun(ranks, "check_failures.py", tmp_path)


@pytest.mark.parametrize("ranks", RANKS[1:3])
def test_failures_with_parallel_hdf5(ranks, tmp_path):
    mpirun(ranks, "check_failures.py", tmp_path, h5py=parallel_h5py())


@pytest.mark.parametrize("ranks", RANKS[1:3])
def test_a_full_disk_with_parallel_hdf5(ranks, tmp_path):
    """Its ranks end without taking leave, which mpirun counts as a failure."""
    said = mpirun(ranks, "check_full_disk.py", tmp_path, h5py=parallel_h5py(), code=None)
    checked = sorted(path.name for path in tmp_path.glob("checked-*"))
    assert checked == [f"checked-{rank}" for rank in range(ranks)], said


@pytest.mark.parametrize("ranks", RANKS[1:3])
def test_damaged_chunks_with_parallel_hdf5(ranks, tmp_path):
    mpirun(ranks, "check_damaged_chunks.py", tmp_path, h5py=parallel_h5py())


@pytest.mark.parametrize("name", ["flac", "gzip"])
def test_ranks_wait_for_ever_where_hdf5_alone_meets_a_damaged_chunk(name, tmp_path):
    """As docs/mpi.md says; no filter can change it."""
    said = mpirun(
        2, "check_plain_collective.py", tmp_path, name, h5py=parallel_h5py(), code=None, timeout=60
    )
    assert re.search(r"^rank 1: Can't (synchronously )?write data", said, re.MULTILINE)
    assert "rank 0" not in said
    assert re.search(r"Timeout.*\n.*\n.* in __setitem__$", said, re.MULTILINE)


def test_a_message_of_more_than_2_gib():
    available = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if available < 7 * 2**30:
        pytest.skip(f"two ranks need 5 GiB of memory, and {available / 2**30:.1f} are free")
    mpirun(2, "check_large_message.py")


def test_ranks_that_hang_fail():
    with pytest.raises(AssertionError, match="hung for 3 s"):
        mpirun(2, "-c", "from ranks import COMM, RANK; RANK or COMM.recv(source=1)", timeout=3)


# -- the self-test -----------------------------------------------------------------------


@pytest.mark.parametrize("ranks", [1, 4])
def test_selftest_passes(ranks, tmp_path):
    output = mpirun(ranks, "-m", "flaccodec.mpi", "--selftest", "--folder", tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert re.search(rf"^All is well on {ranks} ranks?\.$", output, re.MULTILINE)
    assert "FAILED" not in output


def test_selftest_passes_with_parallel_hdf5(tmp_path):
    command = "-m", "flaccodec.mpi", "--selftest", "--folder", tmp_path
    output = mpirun(2, *command, h5py=parallel_h5py())
    assert "parallel HDF5" in output
    assert "All is well on 2 ranks." in output


def test_selftest_says_that_there_is_no_such_folder(tmp_path):
    command = "-m", "flaccodec.mpi", "--selftest", "--folder", tmp_path / "none"
    output = mpirun(2, *command, code=1, timeout=30)
    assert "No files can be written to --folder: rank 0: FileNotFoundError: " in output
    assert "Traceback" not in output


def test_selftest_fails_with_a_verdict(tmp_path):
    spoiled = "import flaccodec.mpi.__main__ as s; s.SAMPLES = -1; s.main()"
    output = mpirun(2, "-c", spoiled, "--selftest", "--folder", tmp_path, code=1)
    assert "FAILED" in output
    assert re.search(r"^\d of \d checks failed\.$", output, re.MULTILINE)


@pytest.mark.parametrize("ranks", [1, 3])
def test_examples_of_the_documentation(ranks, tmp_path):
    text = (DOCS / "mpi.md").read_text()
    program = tmp_path / "examples.py"
    program.write_text("\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL)))
    output = mpirun(ranks, program, folder=tmp_path)
    assert f"({3 * ranks}, 10000) [(0, 3)" in output
    whole = zarr.open_array(tmp_path / "y.zarr")
    read = flaccodec.zarr.read_array(zarr.open_group(tmp_path / "x.zarr"))
    np.testing.assert_allclose(whole[...], read, rtol=0, atol=0.0101)


# -- what needs no ranks -----------------------------------------------------------------


def test_names_of_flacarray_in_one_process():
    from flacarray import mpi as theirs

    for shape in ((50,), (3, 50), (2, 3, 50)):
        here, there = (
            m.global_array_properties(shape, np.float64, None) for m in (flaccodec.mpi, theirs)
        )
        assert here == there
    starts = np.array([0, 7])
    for one, other in zip(
        flaccodec.mpi.global_bytes(9, starts, None),
        theirs.global_bytes(9, starts, None),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)
    for dist in (None, [(0, 5)]):
        here, there = (m.distribute_and_verify(None, 5, dist) for m in (flaccodec.mpi, theirs))
        assert here == there
    with pytest.raises(ConfigurationError, match="mpi_dist must be 1 pairs"):
        flaccodec.mpi.distribute_and_verify(None, 5, [(0, 4)])
    for dist in ([(0, 5.7)], [(0, "5")]):  # nothing is rounded
        with pytest.raises(ConfigurationError, match="mpi_dist must be 1 pairs"):
            flaccodec.mpi.distribute_and_verify(None, 5, dist)
    assert flaccodec.mpi.use_mpi
    assert flaccodec.mpi.MPI is theirs.MPI


def test_importing_does_not_initialize_mpi():
    program = "import sys, flaccodec.mpi, flaccodec.hdf5, flaccodec.zarr; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "mpi4py" not in done.stdout.split()


@pytest.mark.parametrize(
    ("shape", "chunks"),
    [
        ((6, 2**18), (3, 2**18)),
        ((6, 2**22), (1, 2**22)),
        ((4, 6, 2**17), (1, 6, 2**17)),
        ((1000,), (1000,)),
        ((2**22,), (2**20,)),
        ((2 * 1048583,), (1048583,)),
    ],
)
def test_chunks_that_are_chosen_divide_rows(shape, chunks):
    assert whole_streams(shape) == chunks
    assert all(n % c == 0 for n, c in zip(shape, chunks, strict=True))


def test_divisors():
    for n in (1, 2, 12, 49, 97, 360):
        assert divisors(n) == [d for d in range(1, n + 1) if n % d == 0]
