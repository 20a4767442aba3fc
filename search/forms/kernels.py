"""The inner loops of the search over forms, compiled by numba: everything that touches every cell of every text.

Cells are packed as in search/problem.py: only the (query, key) pairs that the model may attend to, row after row, text after text.
A program is a list of rules in arrays (see `Compiled`): operation, cells of the guard, and a value

    exp(theta[rule, step of the query]) * exp(beta[rule] * table[feature, index of the cell])

so that every constant is the logarithm of a positive number (of the odds of a share, for `share`).
"""

# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import numpy as np
from numba import njit

SCALE, ADD, SET, SHARE = 0, 1, 2, 3
OPERATIONS = ("scale", "add", "set", "share")
SMALL = np.float32(1e-30)  # mass of a row, or of a part of it, that counts as none


@njit(cache=True, nogil=True)
def _beside(values, cells, j, e, shift, a, z):  # type: ignore[no-untyped-def]
    """Sum of values[a:z] without those of cells[j:e] (ascending, less shift): summed, not subtracted, so that none is none."""
    total = np.float32(0)
    c = a
    for x in range(j, e + 1):
        stop = cells[x] - shift if x < e else z
        while c < stop:
            total += values[c]
            c += 1
        c += 1
    return total


@njit(cache=True, fastmath=True, nogil=True)
def _apply(t, keep, single, ops, ptr, cells, steps, etheta, feats, powers, index, q, a0, w, old, vals, snap, totals, rows, r0, r1):  # type: ignore[no-untyped-def]
    """Runs the rules on text t; w (cells of the text) ends as the weights. Keeps what the way back needs."""
    w[:] = 0
    for i in range(len(ops)):
        lo, hi = ptr[i, t], ptr[i, t + 1]
        op = ops[i]
        f = feats[i]
        if op == SHARE:
            for r in range(r0, r1):  # the row's distribution; an empty row is uniform
                a, z = rows[r] - a0, rows[r + 1] - a0
                total = np.float32(0)
                for c in range(a, z):
                    total += w[c]
                if total <= 0:
                    for c in range(a, z):
                        w[c] = np.float32(1) / np.float32(z - a)
                    totals[i, r - r0] = np.float32(1)
                else:
                    for c in range(a, z):
                        w[c] /= total
                    totals[i, r - r0] = total
            snap[i, : len(w)] = w
            j = lo
            while j < hi:
                row = q[cells[j]]
                e = j
                inside = np.float32(0)
                while e < hi and q[cells[e]] == row:
                    inside += w[cells[e] - a0]
                    e += 1
                a, z = rows[row] - a0, rows[row + 1] - a0
                if e - j < z - a:
                    v = etheta[i, steps[i, row]]
                    v = v / (np.float32(1) + v)
                    others = _beside(w, cells, j, e, a0, a, z)
                    if others > SMALL:
                        outer = (np.float32(1) - v) / others
                        for c in range(a, z):
                            w[c] *= outer
                    else:
                        for c in range(a, z):
                            w[c] = (np.float32(1) - v) / np.float32(z - a - (e - j))
                    if inside > SMALL:
                        for x in range(j, e):
                            w[cells[x] - a0] = snap[i, cells[x] - a0] * v / inside
                    else:
                        for x in range(j, e):
                            w[cells[x] - a0] = v / np.float32(e - j)
                j = e
            continue
        keep_old = keep and op == SCALE
        if f < 0 and single[i]:  # one constant for all cells
            v = etheta[i, 0]
            if hi - lo == len(w):
                if keep_old:
                    old[i, : hi - lo] = w
                if op == SCALE:
                    w *= v
                elif op == ADD:
                    w += v
                else:
                    w[:] = v
                continue
            if keep_old:
                for j in range(lo, hi):
                    old[i, j - lo] = w[cells[j] - a0]
            if op == SCALE:
                for j in range(lo, hi):
                    w[cells[j] - a0] *= v
            elif op == ADD:
                for j in range(lo, hi):
                    w[cells[j] - a0] += v
            else:
                for j in range(lo, hi):
                    w[cells[j] - a0] = v
            continue
        if f >= 0 and single[i] and hi - lo == len(w):  # a function of all cells
            factor = powers[i]
            places = index[f, a0 : a0 + len(w)]
            value = vals[i, : len(w)]
            for c in range(len(w)):
                value[c] = etheta[i, 0] * factor[places[c]]
            if keep_old:
                old[i, : len(w)] = w
            if op == SCALE:
                w *= value
            elif op == ADD:
                w += value
            else:
                w[:] = value
            continue
        for j in range(lo, hi):
            c = cells[j]
            v = etheta[i, steps[i, q[c]]]
            if f >= 0:
                v *= powers[i, index[f, c]]
            o = w[c - a0]
            if keep:
                old[i, j - lo] = o
                vals[i, j - lo] = v
            if op == SCALE:
                w[c - a0] = o * v
            elif op == ADD:
                w[c - a0] = o + v
            else:
                w[c - a0] = v


@njit(cache=True, fastmath=True, nogil=True)
def evaluate(
    target,
    omega,
    single,
    ops,
    ptr,
    cells,
    steps,
    theta,
    feats,
    beta,
    table,
    index,
    q,
    rows,
    texts,
    eps,
    gtheta,
    gbeta,
    grow,
    keep,
    W,
    G,
    P,
):  # type: ignore[no-untyped-def]
    """Mean IoU, weighted by omega (T), of a program with the attention (H, C) of one or more heads, and its derivatives.

    gtheta (rules, steps), gbeta (rules): derivatives, filled if gtheta is not empty. grow (rules, N): derivative of the first
    constant by row, if not empty. keep: also weights W, their derivatives G and the pattern P (C). Returns (mean, IoU per text).
    """
    count, number, heads = len(ops), len(texts) - 1, len(target)
    width, most = 0, 1
    for t in range(number):
        width = max(width, rows[texts[t + 1]] - rows[texts[t]])
        for i in range(count):
            most = max(most, ptr[i, t + 1] - ptr[i, t])
    old = np.empty((count, most), np.float32)
    vals = np.empty((count, most), np.float32)
    shares = 0
    for i in range(count):
        shares += ops[i] == SHARE
    snap = np.empty((count if shares else 0, width), np.float32)
    longest = 0  # rows of a text, cells of a row
    for t in range(number):
        longest = max(longest, texts[t + 1] - texts[t])
    for r in range(len(rows) - 1):
        longest = max(longest, rows[r + 1] - rows[r])
    totals = np.empty((count if shares else 0, longest), np.float32)
    inner = np.empty(longest, np.float32)
    w_all = np.empty(width, np.float32)
    p_all = np.empty(width, np.float32)
    g_all = np.empty(width, np.float32)
    etheta = np.exp(theta).astype(np.float32)
    powers = np.ones((count, table.shape[1]), np.float32)
    for i in range(count):
        if feats[i] >= 0:
            for x in range(table.shape[1]):
                powers[i, x] = np.exp(min(max(beta[i] * table[feats[i], x], -60.0), 60.0))
    result = 0.0
    ious = np.zeros(number)
    gtheta[:] = 0
    gbeta[:] = 0
    back = gtheta.shape[0] > 0
    for t in range(number):
        r0, r1 = texts[t], texts[t + 1]
        a0, z0 = rows[r0], rows[r1]
        w, p, g = w_all[: z0 - a0], p_all[: z0 - a0], g_all[: z0 - a0]
        _apply(
            t, back, single, ops, ptr, cells, steps, etheta, feats, powers, index, q, a0, w, old, vals, snap, totals, rows, r0, r1
        )
        for r in range(r0, r1):
            a, z = rows[r] - a0, rows[r + 1] - a0
            total = np.float32(0)
            for c in range(a, z):
                total += w[c]
            scale = np.float32(1) / total if total > 0 else np.float32(0)
            for c in range(a, z):
                p[c] = w[c] * scale
        g[:] = 0
        for h in range(heads):
            common = np.float32(0)
            mass = np.float32(0)
            for c in range(z0 - a0):
                common += min(p[c], target[h, a0 + c])
                mass += p[c] + target[h, a0 + c]
            union = mass - common
            ious[t] += common / union / heads
            if back or keep:
                up = np.float32(omega[t] / union / heads)
                down = np.float32(omega[t] * common / union**2 / heads)
                for c in range(z0 - a0):
                    d = target[h, a0 + c] - p[c]
                    below = np.float32(0.5) * (np.float32(1) + d / (abs(d) + eps))
                    g[c] += below * up - (np.float32(1) - below) * down
        result += omega[t] * ious[t]
        if not (back or keep):
            continue
        for r in range(r0, r1):
            a, z = rows[r] - a0, rows[r + 1] - a0
            total = np.float32(0)
            mean = np.float32(0)
            for c in range(a, z):
                total += w[c]
                mean += g[c] * p[c]
            scale = np.float32(1) / total if total > 0 else np.float32(0)
            for c in range(a, z):
                g[c] = (g[c] - mean) * scale
        if keep:
            W[a0:z0] = w
            P[a0:z0] = p
            G[a0:z0] = g
        if not back:
            continue
        for back_i in range(count):
            i = count - 1 - back_i
            lo, hi = ptr[i, t], ptr[i, t + 1]
            op, f = ops[i], feats[i]
            if op == SHARE:
                j = lo
                while j < hi:
                    row = q[cells[j]]
                    e = j
                    while e < hi and q[cells[e]] == row:
                        e += 1
                    a, z = rows[row] - a0, rows[row + 1] - a0
                    if e - j < z - a:
                        s = steps[i, row]
                        v = etheta[i, s]
                        v = v / (np.float32(1) + v)
                        whole = np.float32(0)
                        flat = np.float32(0)
                        for c in range(a, z):
                            whole += snap[i, c] * g[c]
                            flat += g[c]
                        inside = np.float32(0)
                        dot = np.float32(0)
                        plain = np.float32(0)
                        for x in range(j, e):
                            inside += snap[i, cells[x] - a0]
                            dot += snap[i, cells[x] - a0] * g[cells[x] - a0]
                            plain += g[cells[x] - a0]
                        others = _beside(snap[i], cells, j, e, a0, a, z)
                        spread = others > SMALL
                        # mean slope outside
                        rest = (whole - dot) / others if spread else (flat - plain) / np.float32(z - a - (e - j))
                        present = inside > SMALL
                        dot = dot / inside if present else plain / np.float32(e - j)  # mean slope inside
                        d = (dot - rest) * v * (np.float32(1) - v)
                        gtheta[i, s] += d
                        if grow.shape[0]:
                            grow[i, row] += d
                        keep_scale = (np.float32(1) - v) / others if spread else np.float32(0)
                        in_scale = v / inside if present else np.float32(0)
                        for x in range(j, e):
                            c = cells[x] - a0
                            inner[x - j] = (g[c] - dot) * in_scale
                        for c in range(a, z):
                            g[c] = (g[c] - rest) * keep_scale
                        for x in range(j, e):
                            g[cells[x] - a0] = inner[x - j]
                    j = e
                for r in range(r0, r1):
                    a, z = rows[r] - a0, rows[r + 1] - a0
                    mean = np.float32(0)
                    for c in range(a, z):
                        mean += g[c] * snap[i, c]
                    for c in range(a, z):
                        g[c] = (g[c] - mean) / totals[i, r - r0]
                continue
            if single[i] and (f < 0 or hi - lo == z0 - a0) and grow.shape[0] == 0:
                sum_theta = np.float32(0)
                sum_beta = np.float32(0)
                if f < 0:
                    v = etheta[i, 0]
                    if hi - lo == z0 - a0:
                        if op == SCALE:
                            o = old[i]
                            for c in range(z0 - a0):
                                sum_theta += g[c] * o[c]
                                g[c] *= v
                        else:
                            for c in range(z0 - a0):
                                sum_theta += g[c]
                            if op == SET:
                                g[:] = 0
                    elif op == SCALE:
                        for j in range(lo, hi):
                            c = cells[j] - a0
                            sum_theta += g[c] * old[i, j - lo]
                            g[c] *= v
                    else:
                        for j in range(lo, hi):
                            sum_theta += g[cells[j] - a0]
                        if op == SET:
                            for j in range(lo, hi):
                                g[cells[j] - a0] = 0
                    sum_theta *= v
                else:
                    value = vals[i]
                    places = index[f, a0:z0]
                    base = table[f]
                    for c in range(z0 - a0):
                        d = g[c] * value[c]
                        if op == SCALE:
                            g[c] = d
                            d *= old[i, c]
                        elif op == SET:
                            g[c] = 0
                        sum_theta += d
                        sum_beta += d * base[places[c]]
                gtheta[i, 0] += sum_theta
                gbeta[i] += sum_beta
                continue
            constant = f < 0 and single[i]
            for j in range(lo, hi):
                c = cells[j]
                row = q[c]
                v = etheta[i, 0] if constant else vals[i, j - lo]
                d = g[c - a0] * v
                if op == SCALE:
                    g[c - a0] = d
                    d *= old[i, j - lo]
                elif op == SET:
                    g[c - a0] = 0
                gtheta[i, steps[i, row]] += d
                if f >= 0:
                    gbeta[i] += d * table[f, index[f, c]]
                if grow.shape[0]:
                    grow[i, row] += d
    return result, ious


@njit(cache=True, fastmath=True, nogil=True)
def rowwise(target, W, q, rows, total, common):  # type: ignore[no-untyped-def]
    """Per row: sum of the weights and sum of min(target, pattern)."""
    for r in range(len(rows) - 1):
        s = np.float32(0)
        for c in range(rows[r], rows[r + 1]):
            s += W[c]
        total[r] = s
        scale = np.float32(1) / s if s > 0 else np.float32(0)
        m = np.float32(0)
        for c in range(rows[r], rows[r + 1]):
            m += min(target[c], W[c] * scale)
        common[r] = m


@njit(cache=True, fastmath=True, nogil=True)
def trial(op, cells, values, target, W, total, common, mass, omega, q, rows, texts, result):  # type: ignore[no-untyped-def]
    """Mean IoU after one more rule with each of the given values; cells: where its guard holds, ascending.

    total, common (N) as `rowwise` gives them, mass (T): sum of target and pattern. result (values) is filled.
    """
    revived = np.zeros(len(texts) - 1)  # rows that were empty and are not
    number = len(texts) - 1
    count = len(values)
    gains = np.zeros((number, count))
    if op == SHARE:  # which makes empty rows uniform
        for t in range(number):
            for r in range(texts[t], texts[t + 1]):
                if total[r] <= 0:
                    revived[t] += 1
                    even = np.float32(1) / np.float32(rows[r + 1] - rows[r])
                    for c in range(rows[r], rows[r + 1]):
                        gains[t] += min(target[c], even)
    j = 0
    t = 0
    while j < len(cells):
        row = q[cells[j]]
        while row >= texts[t + 1]:
            t += 1
        e = j
        inside = np.float32(0)
        while e < len(cells) and q[cells[e]] == row:
            inside += W[cells[e]]
            e += 1
        a, z = rows[row], rows[row + 1]
        all_in = e - j == z - a
        empty = total[row] <= 0
        before = common[row]
        others = np.float32(0)
        if op == SHARE and not all_in:
            others = _beside(W, cells, j, e, 0, a, z)
            if empty:
                before = np.float32(0)
                for c in range(a, z):
                    before += min(target[c], np.float32(1) / np.float32(z - a))
        elif empty and op != SHARE and op != SCALE:
            revived[t] += 1
        for v in range(count):
            x = values[v]
            outer, spread = np.float32(1), np.float32(0)
            if op == SCALE:
                new = total[row] + (x - np.float32(1)) * inside
                scale = np.float32(1) / new if new > 0 else np.float32(0)
                outer, factor, more = scale, x * scale, np.float32(0)
            elif op == ADD:
                new = total[row] + x * (e - j)
                scale = np.float32(1) / new
                outer, factor, more = scale, scale, x * scale
            elif op == SET:
                new = total[row] - inside + x * (e - j)
                scale = np.float32(1) / new
                outer, factor, more = scale, np.float32(0), x * scale
            else:
                if all_in:
                    continue
                if inside > SMALL * total[row]:
                    factor, more = x / inside, np.float32(0)
                else:
                    factor, more = np.float32(0), x / np.float32(e - j)
                if others > SMALL * total[row]:
                    outer = (np.float32(1) - x) / others
                else:
                    outer, spread = np.float32(0), (np.float32(1) - x) / np.float32(z - a - (e - j))
            m = np.float32(0)
            for c in range(a, z):
                m += min(target[c], W[c] * outer + spread)
            for i in range(j, e):
                c = cells[i]
                m += min(target[c], W[c] * factor + more) - min(target[c], W[c] * outer + spread)
            gains[t, v] += m - before
        j = e
    for v in range(count):
        result[v] = 0
    for t in range(number):
        base = 0.0
        for r in range(texts[t], texts[t + 1]):
            base += common[r]
        for v in range(count):
            m = base + gains[t, v]
            result[v] += omega[t] * m / (mass[t] + revived[t] - m)


@njit(cache=True, nogil=True)
def select(side_q, side_k, relation, base, q, k, out):  # type: ignore[no-untyped-def]
    """out <- those of the cells `base` (all C if empty) where all given conditions hold; returns how many.

    side_q, side_k (N) uint8 or empty; relation (C) uint8 or empty.
    """
    n = 0
    count = len(base) if len(base) else len(q)
    for i in range(count):
        c = base[i] if len(base) else i
        if len(side_q) and not side_q[q[c]]:
            continue
        if len(side_k) and not side_k[k[c]]:
            continue
        if len(relation) and not relation[c]:
            continue
        out[n] = c
        n += 1
    return n
