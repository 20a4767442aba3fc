"""The inner loops of the search, compiled by numba: everything that touches every cell of every text.

Cells are packed: only the (query, key) pairs that the target model may attend to, row after row, text after text. `rows` (N + 1)
points to the first cell of each row, `texts` (T + 1) to the first row of each text, `q` and `k` (C) give a cell's positions,
counted through all texts. A target is a float32 array (H, C) of attention probabilities, H heads that share one program.

For row-stochastic A and P, sum(min(A, P)) / sum(max(A, P)) = (S - L1) / (S + L1) with S = 2 x rows and L1 = sum |A - P|.
"""

# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import numpy as np
from numba import njit

LOG2E = np.float32(1.4426950408889634)


@njit(cache=True, fastmath=True)
def exponential(x, power, integers):  # type: ignore[no-untyped-def]
    """x <- exp(x) in place, relative error below 1e-6, in a form that the compiler turns into vector instructions.

    power (float32) and integers (int32) are two views of one scratch array of at least len(x).
    """
    for c in range(len(x)):
        y = min(max(x[c] * LOG2E, np.float32(-120)), np.float32(120))
        whole = np.floor(y)
        f = y - whole
        integers[c] = (np.int32(whole) + np.int32(127)) << np.int32(23)
        x[c] = np.float32(0.99999994) + f * (
            np.float32(0.69315308)
            + f
            * (
                np.float32(0.24015361)
                + f * (np.float32(0.055826318) + f * (np.float32(0.0089893397) + f * np.float32(0.0018775767)))
            )
        )
    for c in range(len(x)):
        x[c] *= power[c]


@njit(cache=True, fastmath=True)
def _pattern(kinds, table, ids, phi, rows, start, stop, out, power, integers):  # type: ignore[no-untyped-def]
    """out <- attention pattern of rows start..stop of a log-linear program, given the tables per combination of rules."""
    a, z = rows[start], rows[stop]
    here = ids[a:z]
    constant = table[0]
    for c in range(len(here)):
        out[c] = constant[here[c]]
    for j in range(len(kinds)):
        values = phi[kinds[j], a:z]
        factor = table[j + 1]
        for c in range(len(here)):
            out[c] += factor[here[c]] * values[c]
    for r in range(start, stop):
        row = out[rows[r] - a : rows[r + 1] - a]
        top = np.float32(-1e30)
        for c in range(len(row)):
            top = max(top, row[c])
        for c in range(len(row)):
            row[c] -= top
    exponential(out, power, integers)
    for r in range(start, stop):
        row = out[rows[r] - a : rows[r + 1] - a]
        mass = np.float32(0)
        for c in range(len(row)):
            mass += row[c]
        mass = np.float32(1) / mass
        for c in range(len(row)):
            row[c] *= mass


@njit(cache=True, fastmath=True)
def _slope(targets, weights, p, rows, start, stop, eps, g):  # type: ignore[no-untyped-def]
    """Mean IoU of one text over the heads (weighted), and g <- its gradient with respect to the log-weights."""
    a, z = rows[start], rows[stop]
    size = np.float32(2 * (stop - start))
    result = 0.0
    for c in range(len(g)):
        g[c] = 0
    for h in range(len(targets)):
        target = targets[h, a:z]
        distance = np.float32(0)
        for c in range(len(target)):
            distance += abs(target[c] - p[c])
        result += weights[h] * (size - distance) / (size + distance)
        f = np.float32(weights[h] * 2 * size / (size + distance) ** 2)
        for c in range(len(target)):
            d = target[c] - p[c]
            g[c] += f * d / (eps + abs(d))
    for r in range(start, stop):
        share, slope = p[rows[r] - a : rows[r + 1] - a], g[rows[r] - a : rows[r + 1] - a]
        mean = np.float32(0)
        for c in range(len(share)):
            mean += share[c] * slope[c]
        for c in range(len(share)):
            slope[c] = share[c] * (slope[c] - mean)
    return result


@njit(cache=True, fastmath=True)
def loglinear(targets, weights, ids, bits, terms, theta, phi, rows, texts, shares, eps, pattern, gradient):  # type: ignore[no-untyped-def]
    """Mean IoU over heads and texts of a log-linear program, with its pattern and gradient per cell, and per parameter.

    ids (C) names the combination of rules that act on a cell, bits[combination] has bit r set where rule r acts. terms (F, 2):
    parameter f multiplies phi[terms[f, 1]] (1 where it is -1) wherever rule terms[f, 0] acts. The weight of a cell is
    exp(sum of its terms). shares (T): what each text counts; the gradient per cell is T times that of the mean.
    eps (> 0) smooths the sign of A - P in the gradient. Returns (IoU, gradient of theta).
    """
    width = 0
    for t in range(len(texts) - 1):
        width = max(width, rows[texts[t + 1]] - rows[texts[t]])
    p_all = np.empty(width, np.float32)
    g_all = np.empty(width, np.float32)
    integers = np.empty(width, np.int32)
    power = integers.view(np.float32)
    used = np.zeros(len(phi), np.int64)
    for f in range(len(terms)):
        if terms[f, 1] >= 0:
            used[terms[f, 1]] = 1
    kinds = np.nonzero(used)[0]
    slot = np.zeros(len(phi) + 1, np.int64)  # the last entry, reached by -1, is the constant's
    for j in range(len(kinds)):
        slot[kinds[j]] = j + 1
    table = np.zeros((len(kinds) + 1, len(bits)), np.float32)
    for f in range(len(terms)):
        for b in range(len(bits)):
            if bits[b] >> terms[f, 0] & 1:
                table[slot[terms[f, 1]], b] += np.float32(theta[f])
    sums = np.zeros((len(kinds) + 1, len(bits)), np.float32)
    total = 0.0
    number = len(texts) - 1
    for t in range(number):
        start, stop = texts[t], texts[t + 1]
        a, z = rows[start], rows[stop]
        p, g = p_all[: z - a], g_all[: z - a]
        _pattern(kinds, table, ids, phi, rows, start, stop, p, power, integers)
        share = np.float32(shares[t] * number)
        total += share * _slope(targets, weights, p, rows, start, stop, eps, g)
        for c in range(len(g)):
            g[c] *= share
        here = ids[a:z]
        for c in range(len(here)):
            sums[0, here[c]] += g[c]
        for j in range(len(kinds)):
            values = phi[kinds[j], a:z]
            for c in range(len(here)):
                sums[j + 1, here[c]] += g[c] * values[c]
        if len(pattern):
            pattern[a:z] = p
            gradient[a:z] = g
    slopes = np.zeros(len(terms))
    for f in range(len(terms)):
        for b in range(len(bits)):
            if bits[b] >> terms[f, 0] & 1:
                slopes[f] += sums[slot[terms[f, 1]], b]
        slopes[f] /= number
    return total / number, slopes
