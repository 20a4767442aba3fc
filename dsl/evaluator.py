"""The vectorised evaluator: program x batch of texts -> attention patterns. tests/dsl/oracle.py is its specification.

dsl/plan.py prepares a program, dsl/values.py computes what its rules read, dsl/kernels.py applies them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dsl.batch import LARGEST, Batch
from dsl.nodes import Program
from dsl.values import State, value

if TYPE_CHECKING:
    from dsl.plan import Plan

__all__ = ["LARGEST", "evaluate", "value", "weights_of"]


def evaluate(program: Program, batch: Batch) -> np.ndarray:
    """(B, Q, K) float32: the program's attention pattern on every text, each row summing to 1 or 0, zero where masked."""
    from dsl.kernels import BLOCK, finish
    from dsl.plan import plan

    settled = program in batch.met  # met again: what the texts alone decide about cells is worth keeping
    batch.met.add(program)
    prepared = plan(program, settled)
    weights = _run(prepared, batch, prepared.whole)
    finish(weights, batch.lengths, batch.reach, prepared.whole, np.empty(BLOCK))
    return weights.astype(np.float32, copy=False)


def weights_of(program: Program, batch: Batch) -> np.ndarray:
    """(B, Q, K) float32: the weights after the last rule, before masking and normalising; zero beyond a text's end."""
    from dsl.plan import plan

    weights = _run(plan(program), batch, True)
    return weights if weights.dtype == np.float32 else np.clip(weights, -LARGEST, LARGEST).astype(np.float32)


def _run(prepared: Plan, batch: Batch, whole: bool) -> np.ndarray:
    """The weights after the last rule, float64 if the program reads them."""
    from dsl.operands import run, table_of

    weights = np.zeros((len(batch), batch.size, batch.size), np.float64 if prepared.double else np.float32)
    state = State(batch, weights)
    for stage in prepared.stages:
        table = batch.bound.get((stage, whole))
        if table is None or stage.before:
            with np.errstate(all="ignore"):
                for name, expression in stage.before:
                    # The name stands for the weights as they are here, so later rules must not change the array.
                    state = state.bind(name, prepared.scope[name], np.array(state.value(expression)))
                batch.make_room()
                table = batch.bound[stage, whole] = table_of(stage, batch, state, whole)
        run(stage, table, weights, batch, whole)
    return weights
