"""Operands of plans in a batch's buffers: computed once, found again by every program that reads the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dsl.batch import LARGEST, LARGEST_DOUBLE, MISSING, Batch
from dsl.kernels import run_rules
from dsl.nodes import Num
from dsl.plan import Stage, stage
from dsl.steps import OFFSET, Operand, kept
from dsl.values import State

Place = tuple[int, int, int]  # offset in the buffer, step per text, step per query


def run(stage: Stage, table: np.ndarray, weights: np.ndarray, batch: Batch, whole: bool) -> None:
    """One call of the inner loops: the rules of a stage change the weights (B, N, N), float32 or float64."""
    room = np.empty((len(stage.steps) + 2, 8), np.int64)
    values = batch.doubles if weights.dtype == np.float64 else batch.weights
    buffers = (batch.numbers.cells, batch.guards.cells, values.cells)
    code = (stage.rules, stage.narrows, stage.steps)
    run_rules(weights, batch.lengths, batch.reach, whole, *code, table, room, *buffers)


def table_of(stage: Stage, batch: Batch, state: State, whole: bool) -> np.ndarray:
    """(operands, 3) int64: where the batch keeps each operand of the stage. What it lacks is computed."""
    _compute_cells(stage.operands, batch, state, whole)
    places = [_locate(operand, batch, state, whole) for operand in stage.operands]
    return np.array(places, np.int64).reshape(-1, 3)


def _compute_cells(operands: Sequence[Operand], batch: Batch, state: State, whole: bool) -> None:
    """New operands with a value for every cell, if there are steps for them, in one call of the inner loops."""
    size = batch.size
    fragments = []
    precision: type = np.float64 if any(o.form == "double" for o in operands) else np.float32
    for operand in operands:
        places = batch.buffers[operand.form].places
        if operand.axis != "cell" or operand.known_by is None or (operand.known_by, whole) in places:
            continue
        written = kept(operand.known_by[1], operand, ())
        if written is not None:
            buffer = batch.buffers[operand.form]
            places[operand.known_by, whole] = buffer.reserve(len(batch) * size * size), size * size, size
            fragments.append(written)
    if fragments:
        part = stage((), fragments)
        run(part, table_of(part, batch, state, whole), np.empty((len(batch), size, 0), precision), batch, whole)


def _locate(operand: Operand, batch: Batch, state: State, whole: bool) -> Place:
    """Where an operand lies; puts it there first if the batch does not have it."""
    size = batch.size
    buffer = batch.buffers[operand.form]
    if operand.kind == "register":
        return operand.number * size, 0, 0
    if operand.kind == "kept":
        return buffer.slot(("kept", operand.number), size * size), 0, size
    key = (operand.known_by, operand.axis == "cell" and whole)
    place = buffer.places.get(key)
    if place is None:
        place = _by_numpy(operand, batch, state)
        if operand.known_by is not None:
            buffer.places[key] = place
    offset, per_text, _ = place
    return (offset, per_text, 1) if operand.axis == "query" else place


def _by_numpy(operand: Operand, batch: Batch, state: State) -> Place:
    size = batch.size
    buffer = batch.buffers[operand.form]
    expression = operand.expression
    assert expression is not None
    top = {"weight": LARGEST, "double": LARGEST_DOUBLE}.get(operand.form, np.inf)
    if isinstance(expression, Num) and abs(expression.value) <= top:
        width = 1 if operand.axis == "text" else size
        offset = buffer.reserve(width)
        buffer.cells[offset : offset + width] = expression.value
        return offset, 0, 0
    if operand.axis == "offset":
        dist = np.arange(size - 1.0, -size, -1).reshape(1, 1, -1)  # at k - q + size - 1
        found = State(batch).bind(OFFSET.name, "number", dist).value(expression)
        found = np.broadcast_to(found, (found.shape[0], 1, 2 * size - 1))
    else:
        found = state.value(expression)
        if operand.axis != "text" and found.shape[2] != size:
            found = np.broadcast_to(found, (*found.shape[:2], size))
    if found.dtype == np.int32:
        found = np.where(found == MISSING, np.nan, found)
    if operand.form in ("weight", "double") and not (abs(found) <= top).all():
        found = np.where(np.isfinite(found), np.clip(found, -top, top), np.nan)
    lasting = operand.known_by is not None
    offset = buffer.reserve(found.size) if lasting else buffer.slot((str(expression), found.shape), found.size)
    buffer.cells[offset : offset + found.size].reshape(found.shape)[...] = found
    texts, queries, keys = found.shape
    per_text = queries * keys if texts > 1 else 0
    if operand.axis == "offset":
        return offset + size - 1, per_text, -1
    return offset, per_text, keys if queries > 1 else 0
