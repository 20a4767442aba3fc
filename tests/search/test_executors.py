"""Local worker processes: same outcome for any number of them, and after one of them was killed."""

import os
import select
import signal
from concurrent.futures import CancelledError, wait

import pytest

from search.executors import ATTEMPTS, executor
from tests.search.campaigns import Here, begun, run


def double(x):
    return 2 * x


def die_once(marker):
    """Ends its own process as the kernel does when memory runs out, the first time."""
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def hold(pipe):
    """Keeps the pipe's writing end open for as long as its process is there."""
    os.open(pipe, os.O_WRONLY)
    signal.pause()


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """What a campaign gives in one process."""
    return run(begun(tmp_path_factory.mktemp("reference")), Here(), 1)


def test_a_campaign_goes_on_when_a_worker_is_killed(reference, tmp_path):
    folder = begun(tmp_path)
    killed = []
    with executor(None, 2) as pool:

        def report(phase, done, total, figures):
            if phase == "heads" and 0 < done < total and not killed:  # some units are there, others under way
                killed.append(pool.pids()[0])
                os.kill(killed[0], signal.SIGKILL)

        assert run(folder, pool, 2, report) == reference
        assert killed
        assert killed[0] not in pool.pids()


def test_lost_work_is_done_again_and_nothing_else_is_lost(tmp_path):
    with executor(None, 1) as pool:
        futures = [pool.submit(die_once, tmp_path / "marker"), *(pool.submit(double, i) for i in range(5))]
        wait(futures, timeout=60)
        assert [f.result() for f in futures] == ["done", 0, 2, 4, 6, 8]


def test_work_that_kills_every_worker_fails_with_one_line():
    with executor(None, 1) as pool:
        failed = pool.submit(die)
        with pytest.raises(ValueError, match=f"killed {ATTEMPTS} times"):
            failed.result(timeout=60)
        assert pool.submit(double, 21).result(timeout=60) == 42


def test_errors_of_the_work_itself_come_back_as_they_are():
    with executor(None, 1) as pool, pytest.raises(TypeError):
        pool.submit(double).result(timeout=60)


def test_leaving_the_pool_ends_its_processes_and_the_work_in_them(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with executor(None, 1) as pool:
        endless = pool.submit(hold, tmp_path / "pipe")
        pipe = os.open(tmp_path / "pipe", os.O_RDONLY)  # returns when the work holds the other end
    # The pipe tells the end of the process. Its handle would not: the pool's own thread asks the system at the same time.
    readable, _, _ = select.select([pipe], [], [], 30)
    assert readable and os.read(pipe, 1) == b""
    os.close(pipe)
    with pytest.raises(CancelledError):
        endless.result(timeout=30)


@pytest.mark.parametrize("url", ["ftp://x", "127.0.0.1:8786"])
def test_an_unknown_kind_of_executor_is_refused(url):
    with pytest.raises(ValueError, match="dask://HOST:PORT"), executor(url, 1):
        pass
