"""Jobs side by side: all are done, the first failure is the one raised, nothing goes on after."""

import contextlib
import gc
import itertools
import os
import signal
import sys
import threading
import time
import weakref

import pytest

from flaccodec.runtime import jobs as jobs_module
from flaccodec.runtime.jobs import run_in_any_order, run_in_order
from flaccodec.runtime.stopping import current_stop

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


# -- nobody is left, and all is done, whatever comes ---------------------------------------


def count_threads():
    """Return the threads of the process, Python's or not, once those that end have ended."""
    time.sleep(0.002)
    return len(os.listdir("/proc/self/task"))


def check_nobody_is_left(before):
    """A thread that was joined may take a moment to go."""
    for _ in range(500):
        if count_threads() <= before:
            return
        time.sleep(0.01)
    raise AssertionError(f"{count_threads()} threads. There were {before}")


@pytest.fixture
def start_fails(monkeypatch):
    """Have threads fail to start from the k-th on, or that one alone, as if there were no more."""
    start = threading.Thread.start
    started = itertools.count(1)

    def at(k, error, alone, after):
        def failing(self):
            n = next(started)
            if n != k and (alone or n < k):
                return start(self)
            if after:
                start(self)
            raise error

        monkeypatch.setattr(threading.Thread, "start", failing)

    return at


@pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), MemoryError()])
@pytest.mark.parametrize("k", range(1, 9))
@pytest.mark.parametrize("alone", [True, False])
def test_work_goes_on_with_the_threads_that_there_are(n_threads, start_fails, k, error, alone):
    before = count_threads()
    start_fails(k, error, alone, after=False)
    assert list(run_in_order((lambda i=i: i for i in range(40)), n_threads)) == list(range(40))
    done = []
    run_in_any_order((lambda i=i: done.append(i) for i in range(40)), n_threads)
    assert sorted(done) == list(range(40))
    check_nobody_is_left(before)


@pytest.mark.parametrize("after", [True, False])
@pytest.mark.parametrize("k", range(1, 8))
def test_an_interrupt_while_threads_are_started(n_threads, start_fails, k, after):
    before = count_threads()
    start_fails(k, KeyboardInterrupt(), True, after)
    if k < n_threads:
        with pytest.raises(KeyboardInterrupt):
            run_in_any_order((lambda: None for _ in range(40)), n_threads)
    else:
        run_in_any_order((lambda: None for _ in range(40)), n_threads)
    check_nobody_is_left(before)


def interrupted_at(line, run):
    """Run with an interrupt when jobs.py has come to a line for the n-th time; return whether."""
    seen = itertools.count(1)

    def trace(frame, event, _argument):
        if frame.f_code.co_filename != jobs_module.__file__:
            return None
        if event == "line" and next(seen) == line:
            raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        run()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_at_any_line_leaves_nobody(n_threads):
    """Where nothing else can, the crew's own end sends its helpers away."""
    before = count_threads()

    def run():
        run_in_any_order((lambda: None for _ in range(5)), n_threads)

    for line in itertools.count(1):
        if not interrupted_at(line, run):
            break
        check_nobody_is_left(before)
        assert current_stop.get() is None
    assert line > 5


def test_those_at_work_are_told_to_stop(n_threads):
    if n_threads == 1:
        return
    first, begun, stopped = threading.Event(), threading.Semaphore(0), []

    def wait():
        begun.release()
        stop = current_stop.get()
        for _ in range(2000):
            if stop.is_set():
                stopped.append(True)
                return
            time.sleep(0.01)

    def jobs():
        yield first.set
        first.wait(timeout=20)
        yield wait

    def use():
        with contextlib.closing(run_in_order(jobs(), n_threads)) as results:
            next(results)
            begun.acquire(timeout=20)
            raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        use()
    assert stopped == [True]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, RuntimeError])
def test_what_a_helper_raises_is_raised(n_threads, error):
    main = threading.get_ident()
    raised = []

    def job():
        if threading.get_ident() != main:
            raised.append(True)
            raise error
        time.sleep(0.002)

    before = count_threads()
    if n_threads > 1:
        with pytest.raises(error):
            run_in_any_order([job] * 100, n_threads)
        assert raised
    check_nobody_is_left(before)


def test_who_uses_the_results_may_fail(n_threads):
    before = count_threads()

    def use():
        results = run_in_order((lambda: time.sleep(0.001) for _ in range(100)), n_threads)
        for _ in results:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        use()
    check_nobody_is_left(before)


def test_an_interrupt_while_helpers_end_waits_for_them(n_threads):
    """Though `Thread.join` of Python 3.11 takes them for ended then."""
    if n_threads == 1:
        return
    main, first, begun, sent = threading.get_ident(), *(threading.Event() for _ in range(3))
    ended = []

    def work():
        begun.set()
        sent.wait(timeout=20)
        time.sleep(0.1)
        ended.append(True)

    def send():
        for _ in range(3):
            time.sleep(0.05)
            signal.pthread_kill(main, signal.SIGINT)
        sent.set()

    def jobs():
        yield first.set
        first.wait(timeout=20)
        yield work

    def use():
        with contextlib.closing(run_in_order(jobs(), n_threads)) as results:
            next(results)
            begun.wait(timeout=20)
            sender.start()
            raise KeyboardInterrupt

    sender = threading.Thread(target=send)
    with pytest.raises(KeyboardInterrupt):
        use()
    assert ended
    sender.join()
