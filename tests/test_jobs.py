"""Jobs side by side: all are done, the first failure is the one raised, nothing goes on after."""

import gc
import threading
import time
import weakref

import pytest

from flaccodec.jobs import run_in_any_order, run_in_order

pytestmark = pytest.mark.parametrize("n_threads", [1, 2, 3, 8])


def run_all_in_order(jobs, n_threads):
    for _ in run_in_order(jobs, n_threads):
        pass


@pytest.mark.parametrize("n_jobs", [0, 1, 2, 50])
def test_all_are_run(n_threads, n_jobs):
    done = []
    run_in_any_order((lambda i=i: done.append(i) for i in range(n_jobs)), n_threads)
    assert sorted(done) == list(range(n_jobs))
    returned = list(run_in_order((lambda i=i: i for i in range(n_jobs)), n_threads))
    assert returned == list(range(n_jobs))


def test_the_work_is_shared(n_threads):
    workers = set()
    gate = threading.Barrier(n_threads, timeout=20)

    def job():
        workers.add(threading.get_ident())
        gate.wait()

    run_in_any_order([job] * n_threads, n_threads)
    assert len(workers) == n_threads
    assert threading.get_ident() in workers


@pytest.mark.parametrize("run", [run_in_any_order, run_all_in_order])
def test_the_caller_makes_the_jobs_some_ahead(run, n_threads):
    makers, made, done = set(), [], []

    def jobs():
        for i in range(40):
            makers.add(threading.get_ident())
            made.append(i)
            assert len(made) - len(done) <= 4 * n_threads
            yield lambda: done.append(1)

    run(jobs(), n_threads)
    assert makers == {threading.get_ident()}


@pytest.mark.parametrize("run", [run_in_any_order, run_all_in_order])
@pytest.mark.parametrize("failing", [(7, 8, 9), (0,), (39,), (5, 30)])
def test_the_first_failure_is_raised(run, n_threads, failing):
    def job(i):
        time.sleep(0.0003 * (i % 3 == 1))
        if i in failing:
            raise ValueError(f"job {i}")

    with pytest.raises(ValueError, match=f"^job {failing[0]}$"):
        run((lambda i=i: job(i) for i in range(40)), n_threads)


class NoSampleError(Exception):
    """One that can be referred to weakly."""


@pytest.mark.parametrize("run", [run_in_any_order, run_all_in_order])
def test_an_error_goes_with_its_last_reader(run, n_threads):
    """Its traceback holds the arrays of those who raised it."""

    def fail():
        raise NoSampleError

    def reference():
        try:
            run([fail] * 20, n_threads)
        except NoSampleError as error:
            return weakref.ref(error)

    gc.disable()
    try:
        assert reference()() is None
    finally:
        gc.enable()


def test_a_job_that_cannot_be_made_comes_after_those_before_it(n_threads):
    def jobs(failing):
        for i in range(10):
            if i == 6:
                raise KeyError("made")
            yield lambda i=i: [][0] if i == failing else time.sleep(0.001)

    with pytest.raises(IndexError):
        run_in_any_order(jobs(failing=5), n_threads)
    with pytest.raises(KeyError, match="made"):
        run_in_any_order(jobs(failing=None), n_threads)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_nobody_works_on_after_the_end(n_threads, error):
    before = threading.active_count()
    main = threading.get_ident()

    def job():
        time.sleep(0.001)
        if threading.get_ident() == main:
            raise error

    with pytest.raises(error):
        run_in_any_order([job] * 100, n_threads)
    assert threading.active_count() == before
