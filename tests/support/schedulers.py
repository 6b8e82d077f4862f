"""dask's ways to run tasks: threads, processes, and a cluster of two processes.

Take the fixtures into a test module with ``pytest_plugins = ["support.schedulers"]``.
"""

from __future__ import annotations

import dask
import pytest


@pytest.fixture(scope="session")
def cluster():
    """Give a client of two worker processes."""
    from distributed import Client, LocalCluster

    # Ports that are free, so that pytest's own workers can have a cluster each.
    with (
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
        ) as made,
        Client(made, set_as_default=False) as client,
    ):
        yield client


@pytest.fixture(params=["threads", "processes", "distributed"])
def scheduler(request):
    """Run dask's work of a test on threads, processes, or a cluster's two processes."""
    if request.param == "distributed":
        client = request.getfixturevalue("cluster")
        with client.as_current(), dask.config.set(scheduler=client):
            yield request.param
    else:
        with dask.config.set(scheduler=request.param, num_workers=2):
            yield request.param
