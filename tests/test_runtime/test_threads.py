import numpy as np
import pytest

import flaccodec
from flaccodec.exceptions import ConfigurationError
from flaccodec.numcodecs import Flac
from flaccodec.runtime import threads
from flaccodec.runtime.threads import choose_threads


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    monkeypatch.delenv("FLACCODEC_NUM_THREADS", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


def test_the_argument_comes_before_the_setting_before_the_environment(monkeypatch):
    assert threads.resolve_threads(None, 7) == 7
    monkeypatch.setenv("FLACCODEC_NUM_THREADS", "5")
    assert threads.resolve_threads(None, 7) == 5
    assert flaccodec.get_num_threads() == 5
    with flaccodec.num_threads(3):
        assert threads.resolve_threads(None, 7) == 3
        with flaccodec.num_threads(2):
            assert flaccodec.get_num_threads() == 2
        assert threads.resolve_threads(4, 7) == 4
    flaccodec.set_num_threads(None)
    assert threads.resolve_threads(None, 7) == 5


@pytest.mark.parametrize(
    ("text", "n"), [("5", 5), (" 3 ,2,1", 3), ("+4", 4), ("9" * 30, 2**31 - 1)]
)
def test_openmp_s_number_comes_last(monkeypatch, text, n):
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    assert threads.resolve_threads(None, 7) == n
    assert flaccodec.get_num_threads() == n
    assert choose_threads(None) == n
    assert threads.resolve_threads(6, 7) == 6
    with flaccodec.num_threads(2):
        assert threads.resolve_threads(None, 7) == 2
    monkeypatch.setenv("FLACCODEC_NUM_THREADS", "8")
    assert threads.resolve_threads(None, 7) == 8
    monkeypatch.setenv("FLACCODEC_NUM_THREADS", " ")
    assert threads.resolve_threads(None, 7) == n


@pytest.mark.parametrize("text", ["", "0", "-3", "many", "3,", ",3", "3,0", "3 3", "3,x", "2.5"])
def test_what_openmp_passes_over_is_passed_over(monkeypatch, text):
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    assert threads.resolve_threads(None, 7) == 7
    assert flaccodec.get_num_threads() is None


@pytest.mark.parametrize("n", [0, -1, 1.5, "2", True])
def test_numbers_that_are_none_are_refused(n):
    with pytest.raises(ConfigurationError, match=r"num_threads must be an integer of at least 1"):
        flaccodec.set_num_threads(n)


@pytest.mark.parametrize("text", ["0", "many", "-2", "1.5"])
def test_a_bad_environment_is_named(monkeypatch, text):
    monkeypatch.setenv("FLACCODEC_NUM_THREADS", text)
    with pytest.raises(ConfigurationError, match="FLACCODEC_NUM_THREADS"):
        Flac().encode(np.arange(5))


def test_an_empty_environment_counts_as_none(monkeypatch):
    monkeypatch.setenv("FLACCODEC_NUM_THREADS", " ")
    assert flaccodec.get_num_threads() is None


def test_a_context_ends_with_an_exception_too():
    with pytest.raises(RuntimeError), flaccodec.num_threads(3):
        raise RuntimeError
    assert flaccodec.get_num_threads() is None


def test_the_setting_does_not_change_bytes():
    array = np.random.default_rng(0).integers(-99, 99, (30, 20_000))
    plain = Flac().encode(array)
    with flaccodec.num_threads(4):
        assert Flac().encode(array) == plain
        np.testing.assert_array_equal(Flac().decode(plain).reshape(array.shape), array)


def test_available_processors_are_those_of_the_process():
    assert threads.available_processors() >= 1
