"""How many threads the HDF5 filter takes, in processes of their own: threads stay once made."""

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from flaccodec import hdf5
from flaccodec.exceptions import ConfigurationError
from flaccodec.hdf5 import Flac
from flaccodec.runtime import threads
from test_hdf5.running import WITH_PLUGIN, WITHOUT, python

SHAPE = (80, 100_000)  # one chunk, which takes more threads than any processor of ours has
VARIABLE = "FLACCODEC_NUM_THREADS"
OPENMP = "OMP_NUM_THREADS"

BEGIN = """
import multiprocessing, os, sys, threading
import h5py, numpy as np

def by_reading():
    return made(read)

def made(code):
    before = os.listdir("/proc/self/task")
    code()
    return len(set(os.listdir("/proc/self/task")) - set(before))

def read():
    with h5py.File(sys.argv[1]) as file:
        file["x"][...]

def by_reading_in_thread():
    numbers = []
    thread = threading.Thread(target=lambda: numbers.append(by_reading()))
    thread.start()
    thread.join()
    return numbers[0]
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("threads") / "x.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=samples(), chunks=SHAPE, compression=Flac(level=0))
    return path


def samples():
    return np.random.default_rng(0).integers(-99, 99, SHAPE, dtype=np.int16)


def count(program, path, **environment):
    """Return the numbers that a program prints."""
    base = WITH_PLUGIN | {VARIABLE: "", OPENMP: ""} | environment
    return [int(word) for word in python(BEGIN + program, path, environment=base).split()]


def test_all_processors_take_part(path):
    assert count("print(by_reading())", path) == [threads.available_processors() - 1]


def test_only_the_processors_of_the_process_take_part(path):
    program = "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); print(by_reading())"
    assert count(program, path) == [0]


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("code", ["by_reading", "by_reading_in_thread"])
def test_the_environment_is_heeded(path, n, code):
    assert count(f"print({code}())", path, **{VARIABLE: f" {n} "}) == [n - 1]


OPENMP_NUMBERS = {"3": 3, "1": 1, " 4,2 , 1": 4, "+3": 3}
NO_OPENMP_NUMBERS = ["0", "-3", "many", "3,", ",3", "3,0", "3 3", "3,x", "2.5"]


@pytest.mark.parametrize(("text", "n"), OPENMP_NUMBERS.items(), ids=list(OPENMP_NUMBERS))
def test_openmp_s_number_is_heeded_where_ours_says_nothing(path, text, n):
    assert count("print(by_reading())", path, **{OPENMP: text}) == [n - 1]


def test_openmp_s_number_comes_after_ours(path):
    given = {OPENMP: "4", VARIABLE: "2"}
    assert count("print(by_reading())", path, **given) == [1]
    program = """
import flaccodec, flaccodec.hdf5
with flaccodec.num_threads(3):
    print(by_reading())
"""
    assert count(program, path, **{OPENMP: "5"}) == [2]


@pytest.mark.parametrize("text", NO_OPENMP_NUMBERS)
def test_what_openmp_passes_over_is_passed_over(path, text):
    program = "print(by_reading())"
    assert count(program, path, **{OPENMP: text}) == [threads.available_processors() - 1]


def test_writing_takes_them_too_and_writes_the_same(path, tmp_path):
    program = """
samples = np.load(sys.argv[1])
def write():
    with h5py.File("x", "w", driver="core", backing_store=False) as file:
        options = dict(compression=61868, compression_opts=(1, 5, 0, 0, 0, 4096))
        x = file.create_dataset("x", data=samples, chunks=samples.shape, **options)
        file.flush()
        _, chunk = x.id.read_direct_chunk((0, 0))
        np.frombuffer(chunk, "u1").tofile(sys.argv[1] + os.environ["FLACCODEC_NUM_THREADS"])
print(made(write))
"""
    given = tmp_path / "x.npy"
    np.save(given, samples())
    assert count(program, given, **{VARIABLE: "1"}) == [0]
    assert count(program, given, **{VARIABLE: "3"}) == [2]
    assert Path(f"{given}1").read_bytes() == Path(f"{given}3").read_bytes()


def test_what_is_set_is_heeded_where_the_package_is_imported(path):
    program = """
import flaccodec, flaccodec.hdf5
with flaccodec.num_threads(1):
    print(by_reading())
flaccodec.set_num_threads(3)
print(by_reading())
with flaccodec.num_threads(4):
    print(by_reading_in_thread())
"""
    assert count(program, path, **{VARIABLE: "2"}) == [0, 2, 1]


def test_what_was_set_before_the_import_is_heeded(path):
    program = """
import flaccodec
flaccodec.set_num_threads(3)
import flaccodec.hdf5
print(by_reading())
"""
    assert count(program, path) == [2]


def test_threads_of_a_pool_make_no_more(path):
    assert count("print(by_reading_in_thread())", path) == [0]


@pytest.mark.parametrize("importing", ["", "import flaccodec.hdf5"])
def test_children_make_no_more(path, importing):
    """Children that have seen the filter before they were forked, as pools of processes have."""
    program = f"""
{importing}
with h5py.File("x", "w", driver="core", backing_store=False) as file:
    x = file.create_dataset("x", data=np.arange(99), chunks=(99,), compression=61868,
                            compression_opts=(1, 5, 0, 0, 0, 4096))
if not (child := os.fork()):
    print(by_reading(), flush=True)
    os._exit(0)
os.waitpid(child, 0)
"""
    assert count(program, path) == [0]
    assert count(program, path, **{VARIABLE: "3"}) == [2]


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_workers_make_no_more(path, tmp_path, method):
    program = tmp_path / "program.py"
    program.write_text(
        f"{BEGIN}\n"
        "import flaccodec.hdf5\n"
        "if __name__ == '__main__':\n"
        f"    with multiprocessing.get_context('{method}').Pool(1) as pool:\n"
        "        print(pool.apply(by_reading))\n"
    )
    command = [sys.executable, program, path]
    environment = WITHOUT | {VARIABLE: "", OPENMP: ""}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_a_forked_child_that_sets_threads_is_still_of_a_pool(path):
    program = """
import flaccodec, flaccodec.hdf5
if not (child := os.fork()):
    with flaccodec.num_threads(1):
        pass
    print(by_reading(), flush=True)
    os._exit(0)
os.waitpid(child, 0)
"""
    assert count(program, path) == [0]


def test_children_forked_while_threads_are_set_can_set_them():
    program = """
import os, threading, flaccodec, flaccodec.hdf5
going = True
def set_again_and_again():
    while going:
        flaccodec.set_num_threads(2)
thread = threading.Thread(target=set_again_and_again)
thread.start()
for _ in range(20):
    if not (child := os.fork()):
        flaccodec.set_num_threads(1)
        os._exit(0)
    os.waitpid(child, 0)
going = False
thread.join()
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


BAD = {"0": "0", "many": "many", "-2": "-2", "1.5": "1.5", "3 3": "3 3", "a\u00e9": "a??"}


@pytest.mark.parametrize(("text", "shown"), BAD.items(), ids=list(BAD.values()))
def test_a_bad_environment_is_named_at_once(tmp_path, text, shown):
    """Where a dataset is created, written to, or read: not when a file is closed."""
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=np.arange(9), chunks=(9,), compression=Flac())
    program = """
import sys, h5py, numpy as np, flaccodec.hdf5
def create(file):
    file.create_dataset("y", (9,), "i2", compression=61868)
def write(file):
    file["x"][...] = 1
def read(file):
    return file["x"][...]
with h5py.File(sys.argv[1], "r+") as file:
    for act in create, write, read:
        try:
            act(file)
        except (OSError, ValueError) as error:
            print(error)
"""
    said = python(program, path, environment=WITH_PLUGIN | {VARIABLE: text})
    reason = f"{VARIABLE} must be an integer of at least 1. Got '{shown}'"
    assert [reason in line for line in said.splitlines()] == [True, True, True], said
    with h5py.File(path) as file:
        assert list(file) == ["x"]
        np.testing.assert_array_equal(file["x"][...], np.arange(9))


@pytest.mark.parametrize("text", [" +3\n", "99999999999999999999", "1_0", "\uff13", "0x4", "-0"])
def test_both_languages_read_the_same_numbers(path, monkeypatch, text):
    monkeypatch.setenv(VARIABLE, text)
    try:
        wanted = f"{min(threads.get_num_threads(), 18) - 1}\n"
    except ConfigurationError:
        wanted = "refused\n"
    program = """
try:
    print(min(by_reading(), 17))
except OSError:
    print("refused")
"""
    assert python(BEGIN + program, path, environment=WITH_PLUGIN | {VARIABLE: text}) == wanted


def test_the_plugin_stays_where_its_threads_are():
    plugin = Path(hdf5.PLUGIN_PATH) / "libh5flaccodec.so"
    done = subprocess.run(["readelf", "-d", plugin], capture_output=True, text=True, check=True)
    assert "NODELETE" in done.stdout
