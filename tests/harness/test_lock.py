"""One process in a run folder; what cannot be written is told in one line, and nothing half-written stays."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import UserError
from harness.lock import locked, refuse_held
from search.folder import write_atomically

HOLD = """
import sys
from pathlib import Path
from harness.lock import locked

with locked(Path(sys.argv[1])):
    print(1, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "1\n"
    yield process
    process.kill()
    process.communicate()


def test_the_second_process_is_told_who_is_at_work(tmp_path, holder):
    for take in (refuse_held, lambda p: locked(p).__enter__()):
        with pytest.raises(UserError, match=f"process {holder.pid} on .* is at work"):
            take(tmp_path)


def test_a_killed_process_gives_its_lock_back(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    refuse_held(tmp_path)
    with locked(tmp_path):
        assert json.loads((tmp_path / ".lock").read_text())["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_what_cannot_be_written_is_named():
    with pytest.raises(OSError, match="No space left") as full:
        write_atomically(Path("/dev/full"), b"x")
    assert full.value.filename == "/dev/full" and not Path("/dev/full").is_file()


def test_a_file_in_place_of_a_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError) as refused:
        write_atomically(tmp_path / "file" / "inside", b"x")
    assert str(tmp_path / "file") in str(refused.value.filename)


def check(*arguments, **options):
    return subprocess.run([sys.executable, "-m", "harness.cli", "check", *arguments], text=True, timeout=60, **options)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("extra", [[], ["--json"]])
def test_a_full_disk_behind_standard_output_is_one_line(tmp_path, extra):
    (tmp_path / "a.pattern").write_text("add 1")
    with open("/dev/full", "w") as full:
        done = check(tmp_path / "a.pattern", *extra, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["headscript: standard output: No space left on device"]


@pytest.mark.parametrize("extra", [[], ["--json"]])
def test_a_terminal_of_ascii_gets_escapes(tmp_path, extra):
    (tmp_path / "a.pattern").write_text('when text(k) == "\u25c6" add 1', encoding="utf-8")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = check(tmp_path / "a.pattern", *extra, capture_output=True, env=environment)
    assert done.returncode == 0 and done.stderr == "" and "\\u25c6" in done.stdout
    if extra:
        assert "\u25c6" in json.loads(done.stdout)["files"][0]["program"]
