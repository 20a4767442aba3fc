"""The kernel's layers, without the language layer before them."""

import sys

import pytest

from sandbox import Sandbox, SandboxError, isolation_tier
from sandbox.lockdown import LAYERS, Lockdown
from sandbox.zygote import self_test

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Landlock and seccomp are Linux")
ALL = {
    "reads files", "lists folders", "writes files", "opens network sockets", "opens local sockets", "signals its parent",
    "writes to other pipes", "maps executable memory", "takes 4 GB", "runs programs", "forks",
}  # fmt: skip


def locked(*layers):
    """What a process can do with these layers alone."""
    return set(self_test(Lockdown(layers))["breaches"])


def test_the_self_test_sees_what_an_unlocked_process_can_do():
    assert locked() >= ALL - {"takes 4 GB"}


def test_each_layer_alone():
    if isolation_tier() != ("kernel", ()):
        pytest.skip("this kernel lacks a layer")
    assert locked(*LAYERS) == set()
    assert locked("seccomp") <= {"takes 4 GB"}
    assert not locked("landlock") & {"reads files", "lists folders", "writes files", "runs programs", "signals its parent"}
    assert "takes 4 GB" not in locked("rlimits") and "reads files" not in locked("rlimits", "landlock")


def test_without_the_kernel_the_sandbox_refuses_unless_told():
    with Sandbox(layers=("rlimits",)) as sandbox, pytest.raises(SandboxError, match="missing layers: landlock, seccomp"):
        sandbox.run("def program(a, b): pass", [])
    with Sandbox(layers=("rlimits",), weak=True) as sandbox:
        assert sandbox.isolation().tier == "process" and "runs programs" in sandbox.isolation().breaches
        assert sandbox.run("def program(a, b): pass", []).ok


def test_unknown_layers_and_worker_counts_are_errors():
    with pytest.raises(ValueError, match="unknown layer 'apparmor'"):
        Sandbox(layers=("apparmor",))
    with pytest.raises(ValueError, match="at least 1 worker"):
        Sandbox(workers=0)
