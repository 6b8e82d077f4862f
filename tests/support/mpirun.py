"""Programs of tests/test_mpi/programs under mpirun."""

import os
import signal
import subprocess
import sys

from support.paths import TESTS

FOLDER = TESTS / "test_mpi" / "programs"

OPTIONS = ["--allow-run-as-root", "--oversubscribe"]
VARIABLES = {
    # Ranks on one machine, in containers too: no network, and no ptrace of other ranks.
    "OMPI_MCA_btl": "self,vader",
    "OMPI_MCA_btl_vader_single_copy_mechanism": "none",
    "OMPI_MCA_mpi_yield_when_idle": "1",  # more ranks than processors
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


def mpirun(ranks, *command, h5py=None, timeout=120, code=0, folder=FOLDER):
    """Run Python with a command line on so many ranks; return what was printed.

    Parameters
    ----------
    h5py : Path, optional
        A folder with an h5py to import in place of the environment's.
    timeout : float
        Seconds after which ranks that hang are ended, and the test fails.
    code : int or None
        What the exit code must be; None for any but 0.
    folder : Path
        Where to run.
    """
    # A process that has imported mpi4py.MPI, as importing flacarray does, would pass on that it
    # is a rank itself.
    outer = {k: v for k, v in os.environ.items() if not k.startswith(("OMPI_", "PMIX_", "ORTE_"))}
    variables = {**outer, **VARIABLES}
    if h5py is not None:
        given = outer.get("PYTHONPATH")  # where the tests look for flaccodec
        variables["PYTHONPATH"] = os.pathsep.join([str(h5py), *([given] if given else [])])
    line = ["mpirun", "-n", str(ranks), *OPTIONS, sys.executable, "-W", "error", *map(str, command)]
    process = subprocess.Popen(
        line,
        cwd=folder,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGTERM)
        output, _ = process.communicate()
        raise AssertionError(f"{line} hung for {timeout} s:\n{output}") from None
    right = process.returncode == code if code is not None else process.returncode
    assert right, f"{line} ended with {process.returncode}:\n{output}"
    return output
