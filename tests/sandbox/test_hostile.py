"""Hostile programs: each ends with an expected verdict, and none leaves a trace outside its worker."""

import os
import signal
import socket
from pathlib import Path

import pytest

from sandbox import Limits, Sandbox

FOLDER = Path(__file__).parent / "hostile"
LIMITS = Limits(seconds=0.6, cpu_seconds=5.0, memory_mb=128)
HANGING = 120.0  # seconds: a run that has not ended by now never does
SECRET = "the secret of the hostile suite"
EXPANSIONS = {
    "@SUM@": "x = " + "+".join(["1"] * 25_000),
    "@PARENTHESES@": "x = " + "(" * 5000 + ")" * 5000,
    "@LISTS@": "x = " + "[" * 150 + "]" * 150 + "\nx = " + "[" * 3000,
    "@BLOCKS@": "\n".join(" " * i + "if 1:" for i in range(150)) + "\n" + " " * 150 + "x = 1",
    "@MINUS@": "x = " + "-" * 5000 + "1",
    "@NUL@": "\0",
    "@BIDI@": "\u202e",
    "@SURROGATE@": "\ud800",
    "@LONG@": "y" * 70_000,
    "@TAB@": "\t",
}


def programs():
    for file in sorted(FOLDER.glob("*.txt")):
        for section in file.read_text().split("\n=== ")[1:]:
            head, body = section.split("\n", 1)
            name, outcomes = head.split(" | ")
            for mark, text in EXPANSIONS.items():
                body = body.replace(mark, text)
            if "def program" not in body:
                lines = "".join(f"    {line}\n" for line in body.splitlines())
                body = (
                    "def program(sentence, tokenizer):\n    n = len(tokenizer(sentence)['input_ids'])\n"
                    + lines
                    + "    return 'PWNED', np.eye(n)\n"
                )
            yield pytest.param(body, set(outcomes.split()), id=f"{file.stem}: {name}")


PROGRAMS = list(programs())


@pytest.fixture(scope="module")
def listener():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


@pytest.fixture(scope="module")
def jail(tmp_path_factory):
    os.environ["HOSTILE_SECRET"] = SECRET
    with Sandbox(limits=LIMITS) as sandbox:
        yield sandbox
    del os.environ["HOSTILE_SECRET"]


def test_the_suite_is_large():
    assert len(PROGRAMS) >= 200


@pytest.mark.parametrize("source, outcomes", PROGRAMS)
def test_contained(source, outcomes, jail, text, listener, tmp_path):
    marker, secret = tmp_path / "marker", tmp_path / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o644)
    tmp_path.chmod(0o777)
    port = str(listener.getsockname()[1])
    source = source.replace("@MARKER@", str(marker)).replace("@SECRET@", str(secret)).replace("@PORT@", port)
    signals = []
    before = signal.signal(signal.SIGUSR1, lambda *_: signals.append(1))
    used = processor_time(jail)
    try:
        result = jail.run(source, [text])
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert result.outcome in outcomes, result.reason
    assert result.ok or (result.reason and result.matrices == ())
    assert len(result.reason) <= 500 and result.reason.isascii() and result.reason.isprintable()
    assert processor_time(jail) - used < LIMITS.cpu_seconds + 1  # not the clock's time, which grows with what else runs here
    if result.outcome == "time":
        assert f"limit of {LIMITS.seconds:g} seconds" in result.reason or "processor time" in result.reason
        assert result.seconds >= LIMITS.seconds or "processor time" in result.reason
    assert result.seconds < HANGING
    assert [p.name for p in tmp_path.iterdir()] == ["secret"] and secret.read_text() == SECRET
    assert SECRET not in result.reason
    assert not signals
    with pytest.raises(BlockingIOError):
        listener.accept()
    assert processes(jail) == 1
    if result.outcome == "refused" and "line" not in result.reason:
        assert "nested too deeply" in result.reason or "source" in result.reason or "cannot be" in result.reason


def processor_time(sandbox):
    """Seconds of processor time of all workers so far that have ended."""
    ticks = 0
    for zygote in sandbox._all:
        fields = (Path("/proc") / str(zygote.process.pid) / "stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[13]) + int(fields[14])  # of children that were waited for: in user mode and in the kernel
    return ticks / os.sysconf("SC_CLK_TCK")


def processes(sandbox):
    """Processes in the session of the sandbox's zygote."""
    (zygote,) = sandbox._all
    count = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            session = int((folder / "stat").read_text().rpartition(")")[2].split()[3])
        except (OSError, ValueError):
            continue
        count += session == zygote.process.pid
    return count
