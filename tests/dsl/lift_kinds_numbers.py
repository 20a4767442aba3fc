# ruff: noqa: E501 (a line of the table is a program)
"""More of the table in lift_kinds.py: decimals that are added up, multiplied and compared; numbers too large; infinity."""

from __future__ import annotations

from itertools import product

# How cells of row i come by sums of decimals that doubles round otherwise in another order; and which cell is looked at.
SUMS = {
    "added in a loop": "for j in range(i):\n    out[i, 0] += 0.1",
    "added eight times": "for _ in range(8):\n    out[i, 0] += 0.1",
    "added where": "for j in range(n):\n    if tokens[j] == tokens[i]:\n        out[i, 0] += 0.3",
    "two decimals": "out[i, 0] += 0.1\nout[i, 0] += 0.2",
    "three decimals": "out[i, 0] += 0.6\nif i > 1:\n    out[i, 0] += 0.3\nif i % 2:\n    out[i, 0] += 0.1",
    "taken away": "out[i, 0] = 0.3\nfor j in range(min(i, 3)):\n    out[i, 0] -= 0.1",
    "multiplied": "out[i, 0] = 1\nfor j in range(i):\n    out[i, 0] *= 0.1",
    "multiplied once": "out[i, 0] = 0.7\nout[i, 0] *= 0.1",
    "divided": "out[i, 0] = 0.9\nout[i, 0] /= 3",
    "two loops": "for j in range(i):\n    out[i, 0] += 0.1\n    out[i, j] += 0.2",
    "set only": "out[i, 0] = 0.7 if i > 2 else 0.3",
    "power of the distance": "out[i, 0] = 0.8 ** i",
    "whole numbers": "for j in range(i):\n    out[i, 0] += 1",
    "halves": "for j in range(i):\n    out[i, 0] += 0.5",
    "a row": "for j in range(i):\n    out[i, j] += 0.1",
    "a row in two steps": "for j in range(n):\n    out[i, j] += 0.1\n    if j < i:\n        out[i, j] += 0.2",
    "a row, then itself": "out[i, :i + 1] = 0.1\nout[i, i] += 0.2",
}
LIMITS = {
    "cell": "if out[i, 0] >= 0.8:  #!\n    out[i, i] += 1",
    "cell equal": "if out[i, 0] == 0.3:  #!\n    out[i, i] += 1",
    "cell over 0": "if out[i, 0] > 0:  #!\n    out[i, i] += 1",
    "cell as truth": "if out[i, 0]:  #!\n    out[i, i] += 1",
    "near": "if abs(out[i, 0] - 0.3) < 1e-9:  #!\n    out[i, i] += 1",
    "row": "if out[i].sum() >= 0.8:  #!\n    out[i, i] += 1",
    "row over 0": "if out[i].sum() > 0:  #!\n    out[i, i] += 1",
    "what is left of the row": "if 1 - out[i].sum() > 0:  #!\n    out[i, i] += 1",
    "part of the row": "if out[i, :i].sum() >= 0.8:  #!\n    out[i, i] += 1",
    "sum in turn": "if sum(out[i]) >= 0.8:  #!\n    out[i, i] += 1",
    "mean": "if out[i, :i + 1].mean() >= 0.1:  #!\n    out[i, i] += 1",
    "column": "if out[:, 0].sum() >= 0.8:  #!\n    out[i, i] += 1",
    "whole": "out[i, i] += int(out[i, 0] * 10)  #!",
    "rounded": "out[i, i] += round(float(out[i, 0]), 1) // 0.1  #!",
    "greatest": "out[i, out[i].argmax()] += 1  #!",
}
AFTERWARDS = {
    "mask": "out[out >= 0.8] = 5  #!",
    "where": "out = np.where(out > 0.3, 5, out)  #!",
    "rows by their sum": "out[out.sum(axis=1) >= 0.8] += 1  #!",
    "columns by their sum": "out[:, out.sum(axis=0) >= 0.8] += 1  #!",
    "greatest of the row": "out = np.where(out == out.max(axis=1, keepdims=True), 1, 0.1)  #!",
    "normalised": "out = out / (out.sum(axis=1, keepdims=True) + 1e-9)\nout[out >= 0.5] += 1  #!",
}
# Variables: how x is made, and what it decides.
VARIABLES = {
    "added": "x = 0\nfor j in range(i):\n    x += 0.1",
    "taken away": "x = 0.3\nfor j in range(min(i, 5)):\n    x -= 0.1",
    "added where": "x = 0.5\nfor j in range(n):\n    if tokens[j] == tokens[i]:\n        x += 0.2",
    "where i": "x = 0.9\nfor j in range(i + 1):\n    if i > 2:\n        x += 0.05",
    "of two decimals": "x = 0\nfor j in range(i):\n    x += 0.1 if tokens[j] == ',' else 0.2",
    "multiplied": "x = 1.0\nfor j in range(i):\n    x *= 0.1",
    "multiplied by nine tenths": "x = 1.0\nfor j in range(i):\n    x *= 0.9",
    "sum of a list": "x = sum([0.1] * i)",
    "sum of a generator": "x = sum(0.1 for j in range(i))",
    "numpy's sum": "x = np.sum([0.1 * (j % 2) for j in range(i)])",
    "numpy's mean": "x = np.mean([0.1 for j in range(i + 1)])",
    "running sum": "x = np.cumsum(np.full(n, 0.1))[i]",
    "a vector": "w = np.zeros(n)\nfor j in range(i):\n    w[i] += 0.1\nx = w[i]",
    "a dictionary": "d = {}\nfor t in tokens[:i]:\n    d[t] = d.get(t, 0) + 0.1\nx = d.get(tokens[i], 0)",
    "a product": "x = 0.1 * i",
    "a quotient": "x = i / 10",
    "a sum of three": "x = (0.6 if i > 2 else 0) + (0.3 if i % 2 else 0) + (0.1 if tokens[i] == ',' else 0)",
}
DECISIONS = {
    ">=": "if x >= 0.8:  #!\n    out[i, 0] += 1",
    "==": "if x == 0.3:  #!\n    out[i, 0] += 1",
    "> 0": "if x > 0:  #!\n    out[i, 0] += 1",
    "< power": "if x < 0.9 ** 5:  #!\n    out[i, 0] += 1",
    "<= thousandth": "if x <= 0.001:  #!\n    out[i, 0] += 1",
    "truth": "if x:  #!\n    out[i, 0] += 1",
    "doubled": "if 2 * x >= 1.6:  #!\n    out[i, 0] += 1",
    "int": "out[i, 0] += int(x)  #!",
    "floor": "out[i, 0] += math.floor(x)  #!",
    "ceil": "out[i, 0] += math.ceil(x * 10)  #!",
    "round": "out[i, 0] += round(x)  #!",
    "round to a decimal": "out[i, 0] += round(x, 1) // 0.1  #!",
    "//": "out[i, 0] += x // 0.1  #!",
    "%": "out[i, 0] += x % 0.5 > 0.1  #!",
}
CHOICES = {
    "argmax": "w = np.array([sum(0.1 for k in range(j % 4)) if j else 0.3 for j in range(n)])  #!\nout[:, w.argmax()] += 1  #!",
    "max by key": "k = max(range(n), key=lambda j: sum(0.1 for t in tokens[:j] if t == tokens[j]))  #!\nout[:, k] += 1  #!",
    "best so far": "best, at = 0, 0\nfor j in range(n):\n    s = sum(0.1 for t in tokens[:j] if t == tokens[j])\n    if s > best:  #!\n        best, at = s, j\nout[:, at] += 1  #!",
}
LARGE = ("1e10", "1e31", "1e200", "1e308", "float('inf')", "np.inf", "math.inf", "1e300 * 1e10", "10.0 ** 31", "np.exp(800)")
USES = {
    "a cell": "for i in range(n):\n    out[i, 0] = {0}  #!\n    out[i, i] += 1",
    "two cells": "for i in range(n):\n    out[i, 0] = {0}  #!\n    out[i, i] += {0} / 4  #!",
    "taken away": "for i in range(n):\n    out[i, 0] = -{0}  #!\n    out[i, i] += 1",
    "taken away again": "for i in range(n):\n    out[i, 0] += {0}  #!\n    out[i, 0] -= {0}  #!\n    out[i, 0] += 0.5\n    out[i, i] += 1",
    "masked scores": "s = np.full((n, n), -{0})  #!\nfor i in range(n):\n    s[i, 0] = 1.0\n    s[i, i] = 2.0\ne = np.exp(s - s.max(axis=1, keepdims=True))\nout = e / e.sum(axis=1, keepdims=True)",
    "clipped": "for i in range(n):\n    out[i, 0] = 3\n    out[i, i] = 1\nout = np.clip(out, 0, {0})  #!",
    "smallest so far": "best, at = {0}, 0  #!\nfor j in range(n):\n    if len(tokens[j]) < best:\n        best, at = len(tokens[j]), j\nout[:, at] += 1\nout += 0.1",
    "divided by": "for i in range(n):\n    out[i, 0] += 1 / {0}  #!\n    out[i, i] += 3 / {0}  #!",
    "multiplied by": "for i in range(n):\n    out[i, 0] += 3\n    out[i, i] += 1\nout *= {0}  #!",
    "compared": "for i in range(n):\n    x = {0}  #!\n    if x > 1e9:\n        out[i, 0] += 1\n    if x == {0}:  #!\n        out[i, i] += 1\n    out[i, i] += 0.3",
    "nearest": "for i in range(n):\n    d = {0}  #!\n    for j in range(i):\n        if tokens[j] == ',':\n            d = min(d, i - j)\n    out[i, 0] = 1 / (1 + d)  #!\n    out[i, i] = 0.3",
    "none found": "for i in range(n):\n    d = {0}  #!\n    for j in range(i):\n        if tokens[j] == ',':\n            d = i - j\n    if d == {0}:  #!\n        out[i, 0] = 1\n    else:\n        out[i, 0] = 1 / d  #!\n    out[i, i] = 0.3",
}
NOT_A_NUMBER = {
    "nan in a cell, overwritten": "out[:, 0] = np.nan  #!\nout[:, 0] = 1\nout += 0.1",
    "nan compared": "x = float('nan')  #!\nfor i in range(n):\n    if x == x:\n        out[i, 0] += 1\n    out[i, i] += 1",
    "large beside small": "for i in range(n):\n    for j in range(n):\n        out[i, j] -= 1e9\n    out[i, i] += 1e9  #!\n    out[i, i] += 0.3\n    out[i, 0] += 1e9 + 0.7  #!",
    "a small row": "for i in range(n):\n    out[i, 0] = 1e-40\n    out[i, i] = 3e-40",
    "a smaller row": "for i in range(n):\n    out[i, 0] = 1e-320  #!\n    out[i, i] = 3e-320  #!",
    "more than float32 keeps": "for i in range(n):\n    out[i, 0] = 16777216 + i\n    out[i, 0] -= 16777216\n    out[i, i] += 1",
    "masked with a large number": "s = np.zeros((n, n))\nfor i in range(n):\n    for j in range(n):\n        s[i, j] = -0.1 * abs(i - j) if j <= i else -1e9\nout = np.exp(s)",
    "infinity where masked": "m = np.triu(np.ones((n, n)), 1)\ns = np.where(m > 0, -np.inf, 1.0)\ne = np.exp(s)\nout = e / e.sum(axis=1, keepdims=True)",
}


def indented(*bodies: str) -> str:
    return "".join(f"    {line}\n" for body in bodies for line in body.split("\n"))


def decimals() -> dict[str, str]:
    made = {}
    for (name, sums), (use, limit) in product(SUMS.items(), LIMITS.items()):
        made[f"{name}, {use}"] = f"for i in range(n):\n{indented(sums, limit)}    out[i, i] += 0.2"
    for (name, sums), (use, after) in product(SUMS.items(), AFTERWARDS.items()):
        made[f"{name}, then {use}"] = f"for i in range(n):\n{indented(sums)}{after}\nout += 0.1"
    for (name, variable), (use, decision) in product(VARIABLES.items(), DECISIONS.items()):
        made[f"variable {name}, {use}"] = f"for i in range(n):\n{indented(variable, decision)}    out[i, i] += 0.2"
    made.update({name: f"{body}\nout += 0.1" for name, body in CHOICES.items()})
    return made


NUMBERS: dict[str, dict[str, str]] = {
    "decimals": decimals(),
    "large": {f"{use}, {x}": body.replace("{0}", x) for (use, body), x in product(USES.items(), LARGE)} | NOT_A_NUMBER,
}
