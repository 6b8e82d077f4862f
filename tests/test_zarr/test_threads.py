"""What Zarr's event loop has done in threads is done once, and nothing of it goes on behind."""

import asyncio
import contextvars
import os
import signal
import threading
import time

import pytest

pytest.importorskip("zarr")

from flaccodec.runtime.stopping import Stop, Stopped, current_stop
from flaccodec.zarr.threads import in_thread, wait_for

place = contextvars.ContextVar("place", default=None)


def no_start(self):
    raise RuntimeError("can't start new thread")


async def call_in_thread(function, *arguments, start=threading.Thread.start):
    place.set("here")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        return await in_thread(function, *arguments)


def test_it_is_another_thread_with_the_same_context():
    def work(x):
        assert threading.current_thread() is not threading.main_thread()
        return x, place.get()

    assert asyncio.run(call_in_thread(work, 5)) == (5, "here")


def test_without_threads_it_is_this_one():
    def work(x):
        assert threading.current_thread() is threading.main_thread()
        return x, place.get()

    assert asyncio.run(call_in_thread(work, 5, start=no_start)) == (5, "here")


@pytest.mark.parametrize("error", [RuntimeError, KeyError, Stopped])
@pytest.mark.parametrize("start", [threading.Thread.start, no_start])
def test_errors_are_its_own(error, start):
    calls = []

    def work():
        calls.append(1)
        raise error("work")

    with pytest.raises(error, match="work"):
        asyncio.run(call_in_thread(work, start=start))
    assert calls == [1]


@pytest.mark.parametrize("taken_first", [True, False])
def test_what_is_left_in_the_queue_is_not_done_again(monkeypatch, taken_first):
    """The executor queues what it cannot make a thread for; one that ends other work takes it."""
    calls = []
    go_on = threading.Event()

    def work():
        calls.append(threading.current_thread())
        time.sleep(0.1)
        return "done"

    async def run():
        loop = asyncio.get_running_loop()
        busy = loop.run_in_executor(None, go_on.wait)
        await asyncio.sleep(0.05)
        with monkeypatch.context() as patch:
            if taken_first:

                def late_failure(self):
                    go_on.set()
                    time.sleep(0.05)
                    no_start(self)

                patch.setattr(threading.Thread, "start", late_failure)
            else:
                patch.setattr(threading.Thread, "start", no_start)
            assert await in_thread(work) == "done"
        go_on.set()
        await busy
        await asyncio.sleep(0.05)

    asyncio.run(run())
    assert len(calls) == 1
    assert (calls[0] is threading.main_thread()) != taken_first


async def slow(steps):
    try:
        for _ in range(500):
            await asyncio.sleep(0.01)
            steps.append(time.perf_counter())
    finally:
        steps.append("ended")


def test_waiting_returns_and_raises_what_the_work_does():
    async def work():
        return 5

    async def fail():
        raise KeyError("work")

    for may_be_cut in (True, False):
        assert wait_for(work(), may_be_cut=may_be_cut) == 5
        with pytest.raises(KeyError, match="work"):
            wait_for(fail(), may_be_cut=may_be_cut)


def test_an_interrupt_ends_the_work_too():
    steps = []
    sender = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    sender.start()
    with pytest.raises(KeyboardInterrupt):
        wait_for(slow(steps), may_be_cut=True)
    assert steps[-1] == "ended"
    sender.join()


def test_what_cannot_be_cut_is_waited_for():
    done = []

    async def write():
        await asyncio.sleep(0.5)
        done.append(True)

    sender = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
    sender.start()
    with pytest.raises(KeyboardInterrupt):
        wait_for(write(), may_be_cut=False)
    assert done
    sender.join()


def test_it_is_stopped_in_another_thread():
    steps, raised, stop = [], [], Stop()

    def work():
        current_stop.set(stop)
        with pytest.raises(Stopped):
            wait_for(slow(steps), may_be_cut=True)
        raised.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(0.2)
    stop.set()
    thread.join()
    assert raised
    assert steps[-1] == "ended"
