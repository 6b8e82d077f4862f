"""Workers of each kind: threads, processes of dask, MPI ranks."""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from threading import Barrier, BrokenBarrierError
from typing import TYPE_CHECKING

from benchmarks.harness.processes import arguments_of
from benchmarks.measures.scaling.work import (
    ScaleError,
    Seconds,
    Work,
    one_chunk_at_a_time,
    run_in_process,
    run_rank,
    run_with_others,
    warm_up,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    RunWorkers = Callable[[list[Work], int], list[Seconds]]

MPI_ENVIRONMENT = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "OMPI_MCA_hwloc_base_binding_policy": "none",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    "PRTE_MCA_hwloc_default_binding_policy": "none",
}
"""For Open MPI 4 and 5, since containers run as root and may have fewer processors than ranks."""

MPI_STATE = ("PMIX_", "ORTE_", "OMPI_APP_", "OMPI_MCA_ess", "OMPI_MCA_orte_", "OMPI_MCA_pmix")
"""Beginnings of the variables that Open MPI sets in a process that imports mpi4py, as flacarray
does. An mpirun that inherits them takes itself for a part of that process, and ends."""

MEETING_SECONDS = 600


def _results_of(futures: Sequence[Future[list[Seconds]]]) -> list[list[Seconds]]:
    """Wait for all workers. Raise the error of one that failed, not of one that waited for it."""
    errors = [error for future in futures if (error := future.exception()) is not None]
    for error in sorted(errors, key=lambda error: isinstance(error, BrokenBarrierError)):
        raise error
    return [future.result() for future in futures]


def run_threads(works: list[Work], n_workers: int) -> list[Seconds]:
    """Return the slowest thread's seconds for each work."""
    barrier = Barrier(n_workers, timeout=MEETING_SECONDS)

    warm_up()
    with one_chunk_at_a_time(), ThreadPoolExecutor(n_workers) as pool:
        futures = [
            pool.submit(run_with_others, works, worker, n_workers, barrier)
            for worker in range(n_workers)
        ]
        return _slowest(_results_of(futures))


def run_dask(works: list[Work], n_workers: int) -> list[Seconds]:
    """Return the slowest dask process's seconds for each work."""
    from distributed import Client, LocalCluster

    with (
        tempfile.TemporaryDirectory() as scratch,
        multiprocessing.get_context("spawn").Manager() as manager,
        LocalCluster(  # type: ignore[no-untyped-call]
            n_workers=n_workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            memory_limit=0,
            local_directory=scratch,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,  # type: ignore[no-untyped-call]
    ):
        barrier = manager.Barrier(n_workers, timeout=MEETING_SECONDS)
        addresses = list(client.scheduler_info(n_workers=-1)["workers"])
        futures = [
            client.submit(
                run_in_process, works, worker, n_workers, barrier, workers=[address], pure=False
            )
            for worker, address in enumerate(addresses)
        ]
        return _slowest(_results_of(futures))


def _mpi_environment() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(MPI_STATE)}
    return kept | MPI_ENVIRONMENT


def run_mpi(works: list[Work], n_workers: int) -> list[Seconds]:
    """Return the slowest MPI rank's seconds for each work."""
    with tempfile.TemporaryDirectory() as name:
        taken = Path(name) / "seconds.json"
        rank = arguments_of(run_rank, [asdict(work) for work in works], str(taken))
        # With -m mpi4py, all ranks end when one raises.
        command = ["mpirun", "-n", str(n_workers), sys.executable, "-m", "mpi4py", *rank]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=_mpi_environment()
        )
        if done.returncode != 0:
            output = done.stdout + done.stderr
            raise ScaleError(f"mpirun ended with {done.returncode}: {output}")
        gathered: list[list[Seconds]] = json.loads(taken.read_text())
    return _slowest(gathered)


def _slowest(workers: list[list[Seconds]]) -> list[Seconds]:
    return [
        {"write": max(s["write"] for s in each), "read": max(s["read"] for s in each)}
        for each in zip(*workers, strict=True)
    ]


KINDS: dict[str, RunWorkers] = {
    "threads": run_threads,
    "dask processes": run_dask,
    "MPI ranks": run_mpi,
}


def missing(kind: str) -> str | None:
    """Return what workers of this kind need and is not installed, if anything."""
    if kind == "dask processes" and importlib.util.find_spec("distributed") is None:
        return "distributed is not installed (pip install 'dask[distributed]')"
    if kind == "MPI ranks":
        if shutil.which("mpirun") is None:
            return "mpirun is not there (on Debian: apt-get install openmpi-bin)"
        if importlib.util.find_spec("mpi4py") is None:
            return "mpi4py is not installed (pip install mpi4py)"
    return None
