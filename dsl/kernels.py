"""The inner loops of evaluation, compiled by numba: rules applied to texts row by row, and rows normalised at the end.

Weights are float32, or float64 where a program reads them, so that it compares what Python would compare. Operands lie in three
buffers, numbers (float64, missing is NaN; texts and words are their codes), masks (uint8), values of rules (as the weights are).
An entry of the table of operands is (offset, step per text, step per query); a vector's values for keys 0, 1, … follow one another.
Rules, steps and codes are laid out in dsl/plan.py. All loops stand in one file, because numba notices changes of a file, not of
what it imports.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from dsl.batch import LARGEST, LARGEST_DOUBLE

# No loop allocates, so that arrays need no reference counts (their cost per row is that of a rule); x / 0 is inf, as in numpy.
_OPTIONS: dict[str, Any] = {"cache": True, "error_model": "numpy", "_nrt": False}
_loop: Any = njit(**_OPTIONS)

# Operations of rules; KEEP and what follows write a value down instead of changing weights.
SET, INCREASE, SCALE, RAISE, LOWER, NORMALIZE, SHARE, KEEP, KEEP_GUARD, KEEP_WEIGHT = range(10)
# How a rule's value is given: as the weights are (float32 or float64) for each row or each cell, or float64 by steps.
PER_ROW, PER_CELL, COMPUTED = range(3)
# Steps of expressions, in groups that share a loop.
ADD, SUB, MUL, DIV, LEAST, MOST, DEFAULT = range(7)
EQ, NE, LT, LE, GT, GE = range(7, 13)
AND, OR, GUARD_EQ, NOT = range(13, 17)
NEG, ABS, SQRT, FLOOR, EXP = range(17, 22)
FILL, FILL_GUARD, PICK, PICK_GUARD, EXISTS, WEIGHT, ROW_SUM, GATHER = range(22, 30)
TOTAL, LEAST_OF, MOST_OF, COUNT = range(30, 34)
# Comparisons that narrow a rule to some of a row's cells: of k, of q - k, and of |q - k| with a number of the row.
K_AT, K_FROM, K_AFTER, K_UNTIL, K_BEFORE, DIST_AT, DIST_FROM, DIST_AFTER, DIST_UNTIL, DIST_BEFORE, NEAR = range(11)

_TINY = 1e-30
BLOCK = 32  # cells; loops over whole blocks have no slow ends


@_loop
def _sum(cells):  # type: ignore[no-untyped-def]
    """The sum in double, of the terms in numpy's order: eight lanes, and halves beyond 128 terms."""
    n = len(cells)
    if n > 128:
        half = n // 2 - n // 2 % 8
        return _sum(cells[:half]) + _sum(cells[half:])
    total = 0.0
    whole = n - n % 8
    if whole:
        a, b, c, d, e, f, g, h = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for k in range(0, whole, 8):
            a += cells[k]
            b += cells[k + 1]
            c += cells[k + 2]
            d += cells[k + 3]
            e += cells[k + 4]
            f += cells[k + 5]
            g += cells[k + 6]
            h += cells[k + 7]
        total = ((a + b) + (c + d)) + ((e + f) + (g + h))
    for k in range(whole, n):
        total += cells[k]
    return total


@_loop
def row_sums(weights, lengths, out):  # type: ignore[no-untyped-def]
    """out (B, N, 1) <- the sums of the rows of weights (B, N, N), padding left out."""
    for b in range(len(lengths)):
        for q in range(out.shape[1]):
            out[b, q, 0] = _sum(weights[b, q, : lengths[b]])


@_loop
def _clip(cells, lanes):  # type: ignore[no-untyped-def]
    """Clips to [0, LARGEST], NaN to 0; returns the sum in double, taken block by block so that zeros at the end change no bit."""
    top = _top(cells)
    for i in range(BLOCK):
        lanes[i] = 0
    for start in range(0, len(cells), BLOCK):
        block = cells[start : start + BLOCK]
        for i in range(len(block)):
            x = block[i] if block[i] > 0 else cells.dtype.type(0)
            x = x if x < top else top
            block[i] = x
            lanes[i] += x
    total = 0.0
    for i in range(BLOCK):
        total += lanes[i]
    return total


@_loop
def _top(cells):  # type: ignore[no-untyped-def]
    """Weights beyond this size count as this size."""
    return cells.dtype.type(LARGEST_DOUBLE if cells.itemsize == 8 else LARGEST)


@_loop
def _as_weight(cells, x):  # type: ignore[no-untyped-def]
    """A number as weights of this precision take it."""
    top = LARGEST_DOUBLE if cells.itemsize == 8 else LARGEST
    return cells.dtype.type(min(max(x, -top), top))


@_loop
def _fill(out, x):  # type: ignore[no-untyped-def]
    for k in range(len(out)):
        out[k] = x


@_loop
def _pick(test, x, y, out):  # type: ignore[no-untyped-def]
    for k in range(len(out)):
        out[k] = x[k] if test[k] else y[k]


@_loop
def _scale(cells, x):  # type: ignore[no-untyped-def]
    for k in range(len(cells)):
        cells[k] *= x


@_loop
def _copy(out, values):  # type: ignore[no-untyped-def]
    for k in range(len(out)):
        out[k] = values[k]


@_loop
def _arithmetic(op, a, b, out):  # type: ignore[no-untyped-def]
    """out <- a op b; what is not finite becomes NaN."""
    if op == ADD:
        for k in range(len(out)):
            x = a[k] + b[k]
            out[k] = x if abs(x) < np.inf else np.nan
    elif op == SUB:
        for k in range(len(out)):
            x = a[k] - b[k]
            out[k] = x if abs(x) < np.inf else np.nan
    elif op == MUL:
        for k in range(len(out)):
            x = a[k] * b[k]
            out[k] = x if abs(x) < np.inf else np.nan
    elif op == DIV:
        for k in range(len(out)):
            x = a[k] / b[k]
            out[k] = x if abs(x) < np.inf else np.nan
    elif op == LEAST:
        for k in range(len(out)):
            x = a[k] if a[k] < b[k] or a[k] != a[k] else b[k]
            out[k] = x if abs(x) < np.inf else np.nan
    elif op == MOST:
        for k in range(len(out)):
            x = a[k] if a[k] > b[k] or a[k] != a[k] else b[k]
            out[k] = x if abs(x) < np.inf else np.nan
    else:  # DEFAULT
        for k in range(len(out)):
            out[k] = a[k] if a[k] == a[k] else b[k]


@_loop
def _function(op, a, out):  # type: ignore[no-untyped-def]
    if op == NEG:
        for k in range(len(out)):
            out[k] = -a[k]
    elif op == ABS:
        for k in range(len(out)):
            x = abs(a[k])
            out[k] = x if x < np.inf else np.nan
    elif op == SQRT:
        for k in range(len(out)):
            x = np.sqrt(a[k])
            out[k] = x if x < np.inf else np.nan
    elif op == FLOOR:
        for k in range(len(out)):
            x = np.floor(a[k])
            out[k] = x if abs(x) < np.inf else np.nan
    else:  # EXP
        for k in range(len(out)):
            x = np.exp(a[k])
            out[k] = x if x < np.inf else np.nan


@_loop
def _compare(op, a, b, out):  # type: ignore[no-untyped-def]
    """A comparison with NaN is false, != too."""
    if op == EQ:
        for k in range(len(out)):
            out[k] = a[k] == b[k]
    elif op == NE:
        for k in range(len(out)):
            out[k] = (a[k] < b[k]) | (a[k] > b[k])
    elif op == LT:
        for k in range(len(out)):
            out[k] = a[k] < b[k]
    elif op == LE:
        for k in range(len(out)):
            out[k] = a[k] <= b[k]
    elif op == GT:
        for k in range(len(out)):
            out[k] = a[k] > b[k]
    else:
        for k in range(len(out)):
            out[k] = a[k] >= b[k]


@_loop
def _logic(op, a, b, out):  # type: ignore[no-untyped-def]
    if op == AND:
        for k in range(len(out)):
            out[k] = a[k] & b[k]
    elif op == OR:
        for k in range(len(out)):
            out[k] = a[k] | b[k]
    elif op == GUARD_EQ:
        for k in range(len(out)):
            out[k] = a[k] == b[k]
    else:  # NOT
        for k in range(len(out)):
            out[k] = a[k] ^ 1


@_loop
def _reduce(op, mask, values):  # type: ignore[no-untyped-def]
    """Of the values that exist where the mask is set: their sum, or the least, or the greatest (missing if there are none)."""
    if op == TOTAL:
        total = 0.0
        for k in range(len(values)):
            total += values[k] if mask[k] and values[k] == values[k] else 0.0
        return total
    extreme = np.nan
    for k in range(len(values)):
        x = values[k]
        if mask[k] and x == x and (extreme != extreme or (x < extreme if op == LEAST_OF else x > extreme)):
            extreme = x
    return extreme


@_loop
def _count(mask):  # type: ignore[no-untyped-def]
    total = 0
    for k in range(len(mask)):
        total += mask[k]
    return total


@_loop
def _step(op, at, q, lo, hi, n, row, numbers, masks):  # type: ignore[no-untyped-def]
    """One step of an expression on cells lo to hi of a row; at (8): offset and step per query of the result and three operands."""
    out, first, second = at[0] + q * at[1], at[2] + q * at[3], at[4] + q * at[5]
    if op <= DEFAULT:
        _arithmetic(op, numbers[first + lo : first + hi], numbers[second + lo : second + hi], numbers[out + lo : out + hi])
    elif op <= GE:
        _compare(op, numbers[first + lo : first + hi], numbers[second + lo : second + hi], masks[out + lo : out + hi])
    elif op <= NOT:
        _logic(op, masks[first + lo : first + hi], masks[second + lo : second + hi], masks[out + lo : out + hi])
    elif op <= EXP:
        _function(op, numbers[first + lo : first + hi], numbers[out + lo : out + hi])
    elif op == FILL:
        _fill(numbers[out + lo : out + hi], numbers[first])
    elif op == FILL_GUARD:
        _fill(masks[out + lo : out + hi], masks[first])
    elif op <= PICK_GUARD:
        third = at[6] + q * at[7]
        test = masks[first + lo : first + hi]
        if op == PICK:
            _pick(test, numbers[second + lo : second + hi], numbers[third + lo : third + hi], numbers[out + lo : out + hi])
        else:
            _pick(test, masks[second + lo : second + hi], masks[third + lo : third + hi], masks[out + lo : out + hi])
    elif op == EXISTS:
        x, found = numbers[first + lo : first + hi], masks[out + lo : out + hi]
        for k in range(len(x)):
            found[k] = x[k] == x[k]
    elif op == WEIGHT:
        _copy(numbers[out + lo : out + hi], row[lo:hi])
    elif op == ROW_SUM:
        _fill(numbers[out + lo : out + hi], _sum(row[:n]))
    elif op == GATHER:
        x, result = numbers[first + lo : first + hi], numbers[out + lo : out + hi]
        for k in range(len(x)):
            inside = x[k] >= 0 and x[k] < n and x[k] == np.floor(x[k])
            result[k] = row[int(x[k])] if inside else np.nan
    elif op == COUNT:
        _fill(numbers[out + lo : out + hi], np.float64(_count(masks[first + lo : first + hi])))
    else:
        _fill(numbers[out + lo : out + hi], _reduce(op, masks[first + lo : first + hi], numbers[second + lo : second + hi]))


@_loop
def _narrowed(kind, x, lo, hi, start, stop):  # type: ignore[no-untyped-def]
    """Bounds of a rule, keys lo to hi and start to stop after the query, where k (or q - k) compares with x as a guard asks."""
    if x != x:  # missing: nowhere
        return 0, 0, 0, 0
    below = int(np.floor(min(max(x, -1e9), 1e9)))
    above = int(np.ceil(min(max(x, -1e9), 1e9)))
    if kind == K_AT:
        return max(lo, above), min(hi, below + 1), start, stop
    if kind == K_FROM:
        return max(lo, above), hi, start, stop
    if kind == K_AFTER:
        return max(lo, below + 1), hi, start, stop
    if kind == K_UNTIL:
        return lo, min(hi, below + 1), start, stop
    if kind == K_BEFORE:
        return lo, min(hi, above), start, stop
    if kind == DIST_AT:
        return lo, hi, max(start, -below), min(stop, 1 - above)
    if kind == DIST_FROM:
        return lo, hi, start, min(stop, 1 - above)
    if kind == DIST_AFTER:
        return lo, hi, start, min(stop, -below)
    if kind == DIST_UNTIL:
        return lo, hi, max(start, -below), stop
    if kind == DIST_BEFORE:
        return lo, hi, max(start, 1 - above), stop
    return lo, hi, max(start, -below), min(stop, below + 1)  # NEAR


@_loop
def _one(op, old, x):  # type: ignore[no-untyped-def]
    if op == SET:
        return x
    if op == INCREASE:
        return old + x
    if op == SCALE:
        return old * x
    if op == RAISE:
        return old if old > x or old != old else x
    return old if old < x or old != old else x


@_loop
def _act(op, cells, x):  # type: ignore[no-untyped-def]
    """One number for all cells: set, add, scale, max, min."""
    if op == SET:
        for k in range(len(cells)):
            cells[k] = x
    elif op == INCREASE:
        for k in range(len(cells)):
            cells[k] = cells[k] + x
    elif op == SCALE:
        for k in range(len(cells)):
            cells[k] = cells[k] * x
    elif op == RAISE:
        for k in range(len(cells)):
            cells[k] = cells[k] if (cells[k] > x) | (cells[k] != cells[k]) else x
    else:
        for k in range(len(cells)):
            cells[k] = cells[k] if (cells[k] < x) | (cells[k] != cells[k]) else x


@_loop
def _act_where(op, cells, x, mask):  # type: ignore[no-untyped-def]
    """The same where the mask is set."""
    if op == SET:
        for k in range(len(cells)):
            cells[k] = x if mask[k] else cells[k]
    elif op == INCREASE:
        for k in range(len(cells)):
            cells[k] = cells[k] + x if mask[k] else cells[k]
    elif op == SCALE:
        for k in range(len(cells)):
            cells[k] = cells[k] * x if mask[k] else cells[k]
    elif op == RAISE:
        for k in range(len(cells)):
            cells[k] = cells[k] if (cells[k] > x) | (cells[k] != cells[k]) | (mask[k] == 0) else x
    else:
        for k in range(len(cells)):
            cells[k] = cells[k] if (cells[k] < x) | (cells[k] != cells[k]) | (mask[k] == 0) else x


@_loop
def _act_each(op, cells, values):  # type: ignore[no-untyped-def]
    """A number per cell; cells without one stay."""
    if op == SET:
        for k in range(len(cells)):
            x = _as_weight(cells, values[k])
            cells[k] = x if abs(values[k]) < np.inf else cells[k]
    elif op == INCREASE:
        for k in range(len(cells)):
            x = _as_weight(cells, values[k])
            cells[k] = cells[k] + x if abs(values[k]) < np.inf else cells[k]
    elif op == SCALE:
        for k in range(len(cells)):
            x = _as_weight(cells, values[k])
            cells[k] = cells[k] * x if abs(values[k]) < np.inf else cells[k]
    else:
        for k in range(len(cells)):
            x = _as_weight(cells, values[k])
            cells[k] = _one(op, cells[k], x) if abs(values[k]) < np.inf else cells[k]


@_loop
def _act_given(op, cells, values):  # type: ignore[no-untyped-def]
    """The same with numbers as weights take them, NaN where there is none."""
    if op == SET:
        for k in range(len(cells)):
            cells[k] = values[k] if values[k] == values[k] else cells[k]
    elif op == INCREASE:
        for k in range(len(cells)):
            cells[k] = cells[k] + values[k] if values[k] == values[k] else cells[k]
    elif op == SCALE:
        for k in range(len(cells)):
            cells[k] = cells[k] * values[k] if values[k] == values[k] else cells[k]
    else:
        for k in range(len(cells)):
            cells[k] = _one(op, cells[k], values[k]) if values[k] == values[k] else cells[k]


@_loop
def _act_given_where(op, cells, values, mask):  # type: ignore[no-untyped-def]
    for k in range(len(cells)):
        new = cells[k] + values[k] if op == INCREASE else _one(op, cells[k], values[k])
        cells[k] = new if (values[k] == values[k]) & (mask[k] != 0) else cells[k]


@_loop
def _act_each_where(op, cells, values, mask):  # type: ignore[no-untyped-def]
    for k in range(len(cells)):
        x = _as_weight(cells, values[k])
        new = cells[k] + x if op == INCREASE else _one(op, cells[k], x)
        cells[k] = new if (abs(values[k]) < np.inf) & (mask[k] != 0) else cells[k]


@_loop
def _positive(cells):  # type: ignore[no-untyped-def]
    top = _top(cells)
    for k in range(len(cells)):
        x = cells[k] if cells[k] > 0 else cells.dtype.type(0)
        cells[k] = x if x < top else top


@_loop
def _sums(cells, mask):  # type: ignore[no-untyped-def]
    """The sums of the cells where the mask is set, and of the others."""
    inside, outside = 0.0, 0.0
    for k in range(len(cells)):
        inside += cells[k] if mask[k] else 0.0
        outside += 0.0 if mask[k] else cells[k]
    return inside, outside


@_loop
def _fill_where(cells, mask, wanted, x):  # type: ignore[no-untyped-def]
    for k in range(len(cells)):
        cells[k] = x if (mask[k] != 0) == wanted else cells[k]


@_loop
def _scale_where(cells, mask, x, y):  # type: ignore[no-untyped-def]
    """Cells times x where the mask is set, times y elsewhere."""
    for k in range(len(cells)):
        cells[k] *= x if mask[k] else y


@_loop
def _share_row(row, left, right, first, last, mask, share, masks):  # type: ignore[no-untyped-def]
    """Divides a row up as `_share` does, with one share for all its cells (NaN: none), in whole loops over the parts of the row."""
    _positive(row[left:right])
    if first >= last or share != share:
        first, last, mask = left, left, -1
    before, inner, after = row[left:first], row[first:last], row[last:right]
    held = masks[mask + first : mask + last] if mask >= 0 else masks[:0]
    if mask >= 0:
        chosen = _count(held)
        inside, outside = _sums(inner, held)
        outside += _sum(before) + _sum(after)
    else:
        chosen = last - first
        inside, outside = _sum(inner), _sum(before) + _sum(after)
    others = right - left - chosen
    one = row.dtype.type(1)
    if chosen == 0 or others == 0:
        if inside + outside == 0:
            _fill(row[left:right], one)
            inside = np.float64(right - left)
        _scale(row[left:right], 1 / (inside + outside))
        return
    if inside == 0:
        if mask >= 0:
            _fill_where(inner, held, True, one)
        else:
            _fill(inner, one)
        inside = np.float64(chosen)
    if outside == 0:
        _fill(before, one)
        _fill(after, one)
        if mask >= 0:
            _fill_where(inner, held, False, one)
        outside = np.float64(others)
    share = min(max(np.float64(share), 0.0), 1.0)
    here, there = share / inside, (1 - share) / outside
    _scale(before, there)
    _scale(after, there)
    if mask >= 0:
        _scale_where(inner, held, here, there)
    else:
        _scale(inner, here)


@_loop
def _share(row, left, right, first, last, mask, given, masks, values, numbers):  # type: ignore[no-untyped-def]
    """Divides the cells left to right of a row up: those of first to last where the mask is set (offset; -1: all) get their share.

    given: (how the value is given, its offset), as run_rules has them.
    """
    how, v = given
    inside, outside, share, chosen = 0.0, 0.0, 0.0, 0
    for k in range(left, right):
        row[k] = min(max(row[k], row.dtype.type(0)), _top(row)) if row[k] == row[k] else row.dtype.type(0)
        x = np.float64(row[k])
        if first <= k and k < last and (mask < 0 or masks[mask + k]):
            y = numbers[v + k] if how == COMPUTED else np.float64(values[v + k])
            if abs(y) < np.inf:
                chosen += 1
                share += np.float64(row.dtype.type(min(max(y, 0.0), 1.0)))
                inside += x
                continue
        outside += x
    others = right - left - chosen
    empty = inside + outside == 0
    if empty:
        inside, outside = np.float64(chosen), np.float64(others)
    if chosen == 0 or others == 0:
        here = there = 1 / (inside + outside)
    else:
        share /= chosen
        here = share / inside if inside > 0 else share / chosen
        there = (1 - share) / outside if outside > 0 else (1 - share) / others
    for k in range(left, right):
        held = first <= k and k < last and (mask < 0 or masks[mask + k])
        if held:
            y = numbers[v + k] if how == COMPUTED else np.float64(values[v + k])
            held = abs(y) < np.inf
        even = empty or ((inside if held else outside) == 0 and 0 < chosen < right - left)
        row[k] = (1.0 if even else np.float64(row[k])) * (here if held else there)


@_loop
def run_rules(  # type: ignore[no-untyped-def]
    weights, lengths, reach, whole, rules, narrows, steps, table, at, numbers, masks, values
):
    """Applies rules to weights (B, N, N) in place, text by text.

    reach (2): keys further than reach[0] before and reach[1] after the query are masked; unless `whole` they may be left out.
    at: room for the places of one rule's operands (2 + most steps of a rule, 8).
    """
    for b in range(len(lengths)):
        n = lengths[b]
        for r in range(len(rules)):
            op, gate, mask, given = rules[r, 0], rules[r, 1], rules[r, 2], rules[r, 4]
            moving, last_narrow, first_step, last_step = rules[r, 6], rules[r, 7], rules[r, 8], rules[r, 9]
            lo, hi, start, stop = 0, n, -n, n
            for i in range(rules[r, 5], moving):  # the same for all rows
                x = numbers[table[narrows[i, 1], 0] + b * table[narrows[i, 1], 1]]
                lo, hi, start, stop = _narrowed(narrows[i, 0], x, lo, hi, start, stop)
            for i in range(first_step, last_step):
                for j in range(4):
                    o = steps[i, 1 + j]
                    at[2 + i - first_step, 2 * j] = table[o, 0] + b * table[o, 1]
                    at[2 + i - first_step, 2 * j + 1] = table[o, 2]
            for j in range(4):
                o = rules[r, 1 + j]
                if o >= 0 and (j < 3 or op >= KEEP):
                    at[0, 2 * j] = table[o, 0] + b * table[o, 1]
                    at[0, 2 * j + 1] = table[o, 2]
            if op == SHARE:  # changes every row
                for q in range(n):
                    row = weights[b, q]
                    left, right = max(0, q - reach[0]), min(n, q + reach[1] + 1)
                    first, last = max(lo, q + start, left), min(hi, q + stop, right)
                    if gate >= 0 and masks[at[0, 0] + q * at[0, 1]] == 0:
                        last = first
                    if moving < last_narrow and first < last:
                        down, up = start, stop
                        for i in range(moving, last_narrow):
                            o = narrows[i, 1]
                            x = numbers[table[o, 0] + b * table[o, 1] + q * table[o, 2]]
                            first, last, down, up = _narrowed(narrows[i, 0], x, first, last, down, up)
                        first, last = max(first, q + down), min(last, q + up)
                    if first < last:
                        for i in range(last_step - first_step):
                            wide = steps[first_step + i, 5]
                            down, up = (0, n) if wide else (first, last)
                            _step(steps[first_step + i, 0], at[2 + i], q, down, up, n, row, numbers, masks)
                    m = at[0, 2] + q * at[0, 3] if mask >= 0 else -1
                    v = at[0, 4] + q * at[0, 5]
                    if given == PER_ROW:
                        _share_row(row, left, right, first, last, m, values[v], masks)
                    else:
                        _share(row, left, right, first, last, m, (given, v), masks, values, numbers)
                    if whole:
                        _fill(row[:left], row.dtype.type(0))
                        _fill(row[right:n], row.dtype.type(0))
                continue
            begin, end = max(0, lo - stop + 1), min(n, hi - start)
            one_key, one_dist = hi - lo == 1, stop - start == 1
            if (one_key or one_dist) and moving == last_narrow and first_step == last_step and given == PER_ROW:
                if not whole and one_key:  # one cell of each row at most, by far the most frequent case
                    begin, end = max(begin, lo - reach[1]), min(end, lo + reach[0] + 1)
                elif not whole and (start < -reach[0] or start > reach[1]):
                    continue
                for q in range(begin, end):
                    if gate < 0 or masks[at[0, 0] + q * at[0, 1]]:
                        k = lo if one_key else q + start
                        x = values[at[0, 4] + q * at[0, 5]]
                        if x == x and (mask < 0 or masks[at[0, 2] + q * at[0, 3] + k]):
                            weights[b, q, k] = _one(op, weights[b, q, k], x)
                continue
            for q in range(begin, end):
                if gate >= 0 and masks[at[0, 0] + q * at[0, 1]] == 0:
                    continue
                first, last = max(lo, q + start), min(hi, q + stop)
                if not whole:  # what is done to masked cells does not count
                    first = max(first, q - reach[0])
                    last = min(last, q + reach[1] + 1)
                if moving < last_narrow:
                    left, right = start, stop
                    for i in range(moving, last_narrow):
                        o = narrows[i, 1]
                        x = numbers[table[o, 0] + b * table[o, 1] + q * table[o, 2]]
                        first, last, left, right = _narrowed(narrows[i, 0], x, first, last, left, right)
                    first, last = max(first, q + left), min(last, q + right)
                if first >= last:
                    continue
                row = weights[b, q]
                for i in range(last_step - first_step):
                    wide = steps[first_step + i, 5]
                    left, right = (0, n) if wide else (first, last)
                    _step(steps[first_step + i, 0], at[2 + i], q, left, right, n, row, numbers, masks)
                m = at[0, 2] + q * at[0, 3]
                if mask >= 0 and last - first == 1 and masks[m + first] == 0:
                    continue
                v = at[0, 4] + q * at[0, 5]
                if op < NORMALIZE:
                    if given == PER_ROW or last - first == 1:
                        if given == COMPUTED:
                            x = _as_weight(row, numbers[v + first]) if abs(numbers[v + first]) < np.inf else row.dtype.type(np.nan)
                        else:
                            x = values[v] if given == PER_ROW else values[v + first]
                        if x == x:
                            if last - first == 1:
                                row[first] = _one(op, row[first], x)
                            elif mask < 0:
                                _act(op, row[first:last], x)
                            else:
                                _act_where(op, row[first:last], x, masks[m + first : m + last])
                    elif given == PER_CELL:
                        if mask < 0:
                            _act_given(op, row[first:last], values[v + first : v + last])
                        else:
                            _act_given_where(op, row[first:last], values[v + first : v + last], masks[m + first : m + last])
                    elif mask < 0:
                        _act_each(op, row[first:last], numbers[v + first : v + last])
                    else:
                        _act_each_where(op, row[first:last], numbers[v + first : v + last], masks[m + first : m + last])
                elif op == NORMALIZE:
                    total = _sum(row[:n])
                    if total != 0:
                        for k in range(first, last):
                            if mask < 0 or masks[m + k]:
                                row[k] /= row.dtype.type(total)
                else:
                    to = at[0, 6] + q * at[0, 7]
                    if op == KEEP:
                        _copy(numbers[to + first : to + last], numbers[v + first : v + last])
                    elif op == KEEP_GUARD:
                        _copy(masks[to + first : to + last], masks[v + first : v + last])
                    else:
                        _fill(values[to + first : to + last], np.nan)
                        _act_each(SET, values[to + first : to + last], numbers[v + first : v + last])


@_loop
def finish(weights, lengths, reach, whole, lanes):  # type: ignore[no-untyped-def]
    """Masked cells become 0, others are clipped to [0, LARGEST] (NaN to 0), and each row is divided by its sum; in place.

    lanes: room for BLOCK float64.
    """
    for b in range(len(lengths)):
        n = lengths[b]
        for q in range(n):
            row = weights[b, q]
            lo, hi = max(0, q - reach[0]), min(n, q + reach[1] + 1)
            start, stop = lo // BLOCK * BLOCK, min(len(row), -(-hi // BLOCK) * BLOCK)
            if whole:
                start, stop = 0, len(row)
            for k in range(start, lo):
                row[k] = 0
            for k in range(hi, stop):
                row[k] = 0
            cells = row[start:stop]
            total = _clip(cells, lanes)
            if total > _TINY:
                _scale(cells, cells.dtype.type(1 / total))
            elif total > 0:
                for k in range(len(cells)):
                    cells[k] /= total
