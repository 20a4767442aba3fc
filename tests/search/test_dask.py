"""A campaign on a real Dask scheduler with two worker processes, one of them killed: the outcome of one local process."""

import os
import signal
import socket

import pytest

from search.executors import executor, slots
from tests.search.campaigns import Here, begun, run

distributed = pytest.importorskip("distributed", reason="the extra headscript[dask] is not installed")


@pytest.fixture
def cluster():
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None, protocol="tcp://"
    ) as found:
        yield found


def test_a_killed_dask_worker_does_not_change_the_outcome(cluster, tmp_path):
    (tmp_path / "local").mkdir()
    reference = run(begun(tmp_path / "local"), Here(), 1)
    (tmp_path / "dask").mkdir()
    folder = begun(tmp_path / "dask")
    killed = []
    with executor(cluster.scheduler_address.replace("tcp://", "dask://"), 1) as pool:
        assert slots(pool, 1) == 2
        workers = list(pool._client.run(os.getpid).values())

        def report(phase, done, total, figures):
            if phase == "heads" and 0 < done < total and not killed:  # some units are there, others under way
                killed.append(workers[0])
                os.kill(killed[0], signal.SIGKILL)

        outcome = run(folder, pool, 2, report)
        assert killed[0] not in pool._client.run(os.getpid).values()
    assert outcome == reference


def test_an_absent_scheduler_is_one_line():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]  # bound and not listening: connections are refused
        with pytest.raises(ValueError, match="no Dask scheduler answers there"), executor(f"dask://127.0.0.1:{port}", 1):
            pass
