"""IoU of programs with heads, and what a program does in brief."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from dsl import evaluate
from dsl.nodes import Program
from search.distances import overlaps
from search.problem import Problem

SIGNATURE_TEXTS = 6


def score(programs: Sequence[Program], problem: Problem, heads: Sequence[int], device: str | None = None) -> np.ndarray:
    """(P, H, T) float64: IoU per program, head and text; device as in `search.distances.overlaps`."""
    patterns = np.stack([problem.pack(evaluate(p, problem.batch)) for p in programs])  # (P, C)
    return overlaps(patterns, problem, heads, device)


def signature(program: Program, problem: Problem) -> bytes:
    """Equal for programs that do the same on the first texts, up to a thousandth per cell."""
    part = _part(problem)
    rounded = np.round(part.pack(evaluate(program, part.batch)) * 1000).astype(np.int16)
    return hashlib.blake2b(rounded.tobytes(), digest_size=12).digest()


def _part(problem: Problem) -> Problem:
    known = problem.__dict__.get("_signature_part")
    if known is None:
        known = problem.__dict__["_signature_part"] = problem.part(range(min(SIGNATURE_TEXTS, len(problem))))
    return known
