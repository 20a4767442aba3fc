"""What a run may use and how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np

Outcome = Literal["ok", "refused", "error", "time", "memory", "invalid"]
REASON_CHARS = 500


class SandboxError(ValueError):
    """The sandbox itself cannot do its work (not the program in it): one line that says what to do."""


@dataclass(frozen=True)
class Limits:
    """What one program may use for all its texts together."""

    seconds: float = 10.0  # wall clock, from the request to the last matrix
    cpu_seconds: float = 10.0  # processor time of the worker
    memory_mb: int = 512  # address space beyond what the warm worker has
    source_chars: int = 60_000  # length of the source
    cells: int = 1 << 22  # cells of one matrix: n * n of the longest text

    def __post_init__(self) -> None:
        for name in ("seconds", "cpu_seconds", "memory_mb", "source_chars", "cells"):
            if not getattr(self, name) > 0:
                raise ValueError(f"limit {name} must be above 0, not {getattr(self, name)}")


@dataclass(frozen=True, eq=False)
class Result:
    """How a program ended.

    outcome: "ok", "refused" (at compile time), "error" (an exception, or the worker's death), "time", "memory", or
    "invalid" (what it returned is no finite real (n, n) matrix). reason: one line of ASCII, with the program's line
    where it is known; "" when ok. matrices: one float64 (n, n) per text when ok, else (). seconds: wall clock as the
    caller waited; seconds_call: inside the jail, the calls of the program alone.
    """

    outcome: Outcome
    reason: str = ""
    matrices: tuple[np.ndarray, ...] = field(default=(), repr=False)
    seconds: float = 0.0
    seconds_call: float = 0.0

    @property
    def ok(self) -> bool:
        return self.outcome == "ok"


def one_line(text: str) -> str:
    """text as one line of printable ASCII, at most REASON_CHARS long."""
    plain = text[:REASON_CHARS].encode("ascii", "backslashreplace").decode("ascii")
    return "".join(c if " " <= c <= "~" else " " for c in plain)[:REASON_CHARS]
