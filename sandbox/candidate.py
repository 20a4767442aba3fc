"""What a locked worker does: compile one program, call it on its texts, write what came out to the result pipe.

Nothing here is trusted by the caller, who checks every byte again (see pool.py).
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import numpy as np

from sandbox import wire
from sandbox.environment import Inputs
from sandbox.lockdown import RESULT_FD
from sandbox.policy import FILENAME, Refused, compile_program, spelled
from sandbox.result import one_line


class Invalid(Exception):
    """What the program returned is no attention matrix; args[0] says why."""


def run_candidate(source: str, texts: Sequence[Inputs | Exception]) -> None:
    """Writes one MATRIX per text and DONE, or a FAILURE."""
    try:
        code, name = compile_program(source)
        for text in texts:
            if isinstance(text, Exception):
                raise ValueError(f"the text itself cannot be used: {describe(text)}")
            seconds, matrix = one_call(code, name, text)
            body = wire.SECONDS.pack(seconds) + matrix.tobytes()
            write(wire.HEAD.pack(wire.MATRIX, len(body)) + body)
        write(wire.HEAD.pack(wire.DONE, 0))
    except MemoryError:
        os._exit(wire.MEMORY_EXIT)  # there may not be enough left to build a message
    except Refused as refused:
        fail("refused", refused.line, refused.reason)
    except Invalid as invalid:
        fail("invalid", 0, invalid.args[0])
    except BaseException as error:
        fail("error", program_line(error.__traceback__), describe(error))


def one_call(code: Any, name: str, text: Inputs) -> tuple[float, np.ndarray]:
    """Seconds and the checked float64 (n, n) matrix of one call with fresh globals."""
    namespace = text.namespace()
    exec(code, namespace)
    if name not in namespace:
        raise Invalid(f"the program {spelled(name)} is gone after the file has run")
    start = time.perf_counter()
    value = namespace[name](text.sentence, text.tokenizer)
    seconds = time.perf_counter() - start
    return seconds, checked(value, len(text.tokens))


def checked(value: Any, n: int) -> np.ndarray:
    """The matrix of (name, matrix) or of a bare matrix as contiguous float64 (n, n); raises Invalid."""
    if type(value) is tuple and len(value) == 2:
        value = value[1]
    if type(value) is list:
        try:
            value = np.array(value)
        except ValueError:
            raise Invalid("returned a list that is no matrix") from None
    if type(value) is not np.ndarray:
        raise Invalid(f"returned {type(value).__name__}, expected (name, matrix)")
    if value.shape != (n, n):
        raise Invalid(f"returned a matrix of shape {value.shape}, expected ({n}, {n})")
    if value.dtype.kind not in "fiub":
        raise Invalid(f"returned a matrix of {value.dtype.name}, expected real numbers")
    matrix = np.ascontiguousarray(value, dtype="<f8")
    if not np.isfinite(matrix).all():
        raise Invalid("returned a matrix with cells that are not finite")
    return matrix


def program_line(trace: TracebackType | None) -> int:
    """Innermost line of the program's own text in a traceback, 0 without one."""
    line = 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == FILENAME:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def describe(error: BaseException) -> str:
    """Type and message, without calling str() on anything that the program made."""
    kind = type(error).__name__
    first = error.args[0] if error.args else ""
    if type(first) in (int, float, bool):
        first = repr(first) if type(first) is not int or abs(first) < 1 << 64 else "a large number"
    return spelled(f"{kind}: {first[:1000]}" if type(first) is str and first else kind)


def fail(outcome: str, line: int, reason: str) -> None:
    text = one_line(f"line {line}: {reason}" if line else reason).encode("ascii")
    body = bytes([wire.OUTCOMES.index(outcome)]) + text
    write(wire.HEAD.pack(wire.FAILURE, len(body)) + body)


def write(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(RESULT_FD, view) :]
