"""Which guard to add next: kernels that score all token sets and classes on both sides of a relation at once.

The cells of a relation are summed by (category of the query, category of the key); a category is a token together with its
classes, so that every set of tokens and every class is a sum of entries. Two estimates rank the sets: the gain in KL divergence
from rescaling the cells that a guard selects, and the squared slope of the IoU over the mass moved. For both, the best set among
all subsets is a prefix of the categories sorted by their ratio (Breiman et al. 1984, for two classes), which makes the choice of
a set one sort.
"""

# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import numpy as np
from numba import njit

INVALID = -999  # the label of a slot without a set
TOKENS = 0  # the label of a set of tokens; class j is j + 1, its complement -(j + 1)
OTHERS = -998  # the label of all tokens but those of a set
EVERY = 999  # the label of a side without a condition
PER_SIDE = 8  # per side: class by KL and by slope; tokens up and down by KL, by slope; all tokens but some by KL, by slope
PER_RELATION = 2 * (PER_SIDE + PER_SIDE * 2 * 3)  # sets on one side, and pairs of sets found by alternation


@njit(cache=True, fastmath=True)
def histogram(cells, query, key, q, k, target, pattern, slope, sums):  # type: ignore[no-untyped-def]
    """sums[category of q, category of k] += (target, pattern, slope, 0) over the given cells."""
    for i in range(len(cells)):
        c = cells[i]
        entry = sums[query[q[c]], key[k[c]]]
        entry[0] += target[c]
        entry[1] += pattern[c]
        entry[2] += slope[c]


@njit(cache=True, fastmath=True)
def gain(a, p, rows):  # type: ignore[no-untyped-def]
    """KL gain per row of rescaling cells of target mass a and present mass p, as if all `rows` rows were alike."""
    a = min(max(a / rows, 1e-7), 1 - 1e-7)
    p = min(max(p / rows, 1e-7), 1 - 1e-7)
    return a * np.log(a / p) + (1 - a) * np.log((1 - a) / (1 - p))


@njit(cache=True, fastmath=True)
def one_side(s, rows, classes, token, most, prior, sets, scores, labels):  # type: ignore[no-untyped-def]
    """The best sets of categories for sums s (3, V): target, pattern, slope. Fills sets (8, V), scores (8, 2), labels (8)."""
    size = s.shape[1]
    for i in range(8):
        scores[i, 0] = -1
        scores[i, 1] = -1
        labels[i] = INVALID
    total = np.zeros(3)
    for i in range(3):
        x = np.float32(0)
        for v in range(size):
            x += s[i, v]
        total[i] = x
    inside = np.zeros(3)
    for j in range(len(classes)):
        for i in range(3):
            x = np.float32(0)
            for v in range(size):
                x += classes[j, v] * s[i, v]
            inside[i] = x
        for sign in (1, -1):
            if sign < 0:
                for i in range(3):
                    inside[i] = total[i] - inside[i]
            kl = gain(inside[0], inside[1], rows)
            moved = inside[2] ** 2 / (inside[1] + prior)
            if kl > scores[0, 0]:
                scores[0, 0], scores[0, 1], labels[0] = kl, moved, (j + 1) * sign
            if moved > scores[1, 1]:
                scores[1, 0], scores[1, 1], labels[1] = kl, moved, (j + 1) * sign
    for i in range(2):
        if labels[i] != INVALID:
            j = abs(labels[i]) - 1
            for v in range(size):
                sets[i, v] = (classes[j, v] > 0) == (labels[i] > 0)
    worth = np.empty(size, np.float32)
    chosen = np.empty(most, np.int64)
    ratio = np.empty(most)
    for i in range(2, 8):
        sign = 1 if i % 2 == 0 else -1
        by_slope = i == 4 or i == 5 or i == 7
        others = i >= 6
        if others:  # leave out the tokens that pull against the rest
            sign = -1 if (total[2] if by_slope else total[0] - total[1]) > 0 else 1
        for v in range(size):
            a, p, g = s[0, v], s[1, v], s[2, v]
            sets[i, v] = False
            worth[v] = 0
            if token[v]:
                if by_slope:
                    if g * sign > 0:
                        worth[v] = g * g / (p + prior)
                elif (a - p) * sign > 0:
                    worth[v] = a * np.log((a + np.float32(0.3)) / (p + np.float32(0.3))) - (a - p)
        n = 0
        while n < most:
            b = 0
            for v in range(size):
                if worth[v] > worth[b]:
                    b = v
            if worth[b] <= 0:
                break
            worth[b] = 0
            chosen[n] = b
            ratio[n] = -sign * (s[2, b] / (s[1, b] + prior / 10) if by_slope else (s[0, b] + 0.3) / (s[1, b] + 0.3))
            n += 1
        if n == 0:
            continue
        order = np.argsort(ratio[:n])
        best, stop = -1.0, 0
        a, p, g = 0.0, 0.0, 0.0
        for t in range(n):
            b = chosen[order[t]]
            a += s[0, b]
            p += s[1, b]
            g += s[2, b]
            if others:
                kl = gain(total[0] - a, total[1] - p, rows)
                moved = (total[2] - g) ** 2 / (total[1] - p + prior)
            else:
                kl = gain(a, p, rows)
                moved = g * g / (p + prior)
            score = moved if by_slope else kl
            if score > best:
                best, stop = score, t + 1
                scores[i, 0], scores[i, 1] = kl, moved
        for t in range(stop):
            sets[i, chosen[order[t]]] = True
        labels[i] = TOKENS
        if others:
            labels[i] = OTHERS
            for v in range(size):
                sets[i, v] = not sets[i, v]


@njit(cache=True, fastmath=True)
def _restricted(sums, inside, axis, out):  # type: ignore[no-untyped-def]
    """out (3, V) <- sums over the categories of `inside` along the given axis of sums (2, 3, V, V), [1] being [0] transposed."""
    out[:] = 0
    for i in range(3):
        to = out[i]
        for u in range(len(inside)):
            if inside[u]:
                row = sums[axis, i, u]
                for v in range(len(to)):
                    to[v] += row[v]


@njit(cache=True, fastmath=True)
def both_sides(sums4, rows, classes_q, classes_k, token_q, token_k, most, prior, sums, sets, scores, labels):  # type: ignore[no-untyped-def]
    """All proposals for one relation: query sets, key sets, and pairs by alternation. Returns how many.

    sums4 (Vq, Vk, 4) as filled by `histogram`; sums (2, 3, V, V) is scratch. Fills sets (R, 2, V), scores (R, 2) and labels
    (R, 2); side 0 is the query, side 1 the key.
    """
    vq, vk = sums4.shape[0], sums4.shape[1]
    for u in range(vq):
        for v in range(vk):
            for i in range(3):
                x = sums4[u, v, i]
                sums[0, i, u, v] = x
                sums[1, i, v, u] = x
    width = sums.shape[2]
    s = np.empty((3, width), np.float32)
    first = np.zeros((8, width), np.bool_)
    second = np.zeros((8, width), np.bool_)
    third = np.zeros((8, width), np.bool_)
    scores1, scores2, scores3 = np.zeros((8, 2)), np.zeros((8, 2)), np.zeros((8, 2))
    labels1, labels2, labels3 = np.zeros(8, np.int64), np.zeros(8, np.int64), np.zeros(8, np.int64)
    every = np.ones(width, np.bool_)
    found = 0
    for side in range(2):
        classes_a, classes_b = (classes_q, classes_k) if side == 0 else (classes_k, classes_q)
        token_a, token_b = (token_q, token_k) if side == 0 else (token_k, token_q)
        _restricted(sums, every, 1 - side, s)
        one_side(s, rows, classes_a, token_a, most, prior, first, scores1, labels1)
        for i in range(8):
            if labels1[i] == INVALID:
                continue
            sets[found, side] = first[i]
            sets[found, 1 - side] = True
            labels[found, side], labels[found, 1 - side] = labels1[i], EVERY
            scores[found] = scores1[i]
            found += 1
            _restricted(sums, first[i], side, s)
            one_side(s, rows, classes_b, token_b, most, prior, second, scores2, labels2)
            for criterion in range(2):
                b = np.argmax(scores2[:, criterion])
                if labels2[b] == INVALID:
                    continue
                sets[found, side], sets[found, 1 - side] = first[i], second[b]
                labels[found, side], labels[found, 1 - side] = labels1[i], labels2[b]
                scores[found] = scores2[b]
                found += 1
                _restricted(sums, second[b], 1 - side, s)
                one_side(s, rows, classes_a, token_a, most, prior, third, scores3, labels3)
                for again in range(2):
                    e = np.argmax(scores3[:, again])
                    if labels3[e] == INVALID:
                        continue
                    sets[found, side], sets[found, 1 - side] = third[e], second[b]
                    labels[found, side], labels[found, 1 - side] = labels3[e], labels2[b]
                    scores[found] = scores3[e]
                    found += 1
    return found


@njit(cache=True, fastmath=True)
def select(cells, query, key, in_query, in_key, q, k, stop):  # type: ignore[no-untyped-def]
    """The cells below `stop` whose query's and key's categories are inside the given sets; cells are ascending."""
    found = np.empty(len(cells), np.int32)
    n = 0
    for i in range(len(cells)):
        c = cells[i]
        if c >= stop:
            break
        if in_query[query[q[c]]] and in_key[key[k[c]]]:
            found[n] = c
            n += 1
    return found[:n]


@njit(cache=True, fastmath=True)
def row_distances(targets, pattern, rows, last, out):  # type: ignore[no-untyped-def]
    """out (H, N) <- L1 distance of every row below `last`."""
    for h in range(len(targets)):
        for r in range(last):
            a = targets[h, rows[r] : rows[r + 1]]
            p = pattern[rows[r] : rows[r + 1]]
            x = np.float32(0)
            for c in range(len(a)):
                x += abs(a[c] - p[c])
            out[h, r] = x


@njit(cache=True, fastmath=True)
def rescale(cells, factors, targets, weights, pattern, distances, q, rows, texts, shares):  # type: ignore[no-untyped-def]
    """Mean IoU (F) if the weights of the given cells (ascending) were multiplied by each factor and rows normalised again.

    distances (H, N) are the rows' present L1 distances: rows without a given cell keep theirs. shares (T): how much a text counts.
    """
    number = len(texts) - 1
    result = np.zeros(len(factors))
    change = np.zeros((len(targets), len(factors)))
    width = 0
    for r in range(texts[number]):
        width = max(width, rows[r + 1] - rows[r])
    scaled = np.empty(width, np.float32)
    inside = np.zeros(width, np.float32)
    i = 0
    for t in range(number):
        change[:] = 0
        end = rows[texts[t + 1]]
        while i < len(cells) and cells[i] < end:
            r = q[cells[i]]
            a, z = rows[r], rows[r + 1]
            p = pattern[a:z]
            inside[: z - a] = 0
            mass = np.float32(0)
            while i < len(cells) and cells[i] < z:
                inside[cells[i] - a] = 1
                mass += pattern[cells[i]]
                i += 1
            for j in range(len(factors)):
                f = np.float32(factors[j] - 1)
                total = np.float32(1) / (np.float32(1) + f * mass)
                for c in range(len(p)):
                    scaled[c] = p[c] * (np.float32(1) + f * inside[c]) * total
                for h in range(len(targets)):
                    target = targets[h, a:z]
                    x = np.float32(0)
                    for c in range(len(target)):
                        x += abs(target[c] - scaled[c])
                    change[h, j] += x - distances[h, r]
        size = 2.0 * (texts[t + 1] - texts[t])
        for h in range(len(targets)):
            now = 0.0
            for r in range(texts[t], texts[t + 1]):
                now += distances[h, r]
            for j in range(len(factors)):
                x = now + change[h, j]
                result[j] += weights[h] * shares[t] * (size - x) / (size + x)
    return result
