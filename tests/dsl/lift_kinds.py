# ruff: noqa: E501 (a line of the table is a program)
"""Small programs, one construct each, of the kinds in which a lift can be wrong without a word.

KINDS: kind -> name -> source. A line that ends in `#!` may be refused there (and nowhere else); a program without one is lifted.
"""

from __future__ import annotations

from itertools import product

from tests.dsl.lift_kinds_forms import FORMS
from tests.dsl.lift_kinds_numbers import NUMBERS

HEAD = """import numpy as np
import math
import itertools
from itertools import groupby, chain, accumulate
from collections import defaultdict, Counter, deque, OrderedDict
from functools import reduce


def program(sentence, tokenizer):
    tokens = tokenizer.convert_ids_to_tokens(tokenizer(sentence, return_tensors="pt").input_ids[0])
    n = len(tokens)
    out = np.zeros((n, n))
"""
TAIL = '    return "x", make_row_stochastic(out)\n'


def source(body: str) -> str:
    return HEAD + "".join(f"    {line}\n" if line.strip() else "\n" for line in body.strip("\n").split("\n")) + TAIL


def indented(body: str, by: int = 4) -> str:
    return "".join(f"{' ' * by}{line}\n" for line in body.strip("\n").split("\n"))


# --- None against 0 -------------------------------------------------------------------------------------------------

MAYBE = {
    "loop": "x = None\nfor j in range(i):\n    if tokens[j] == tokens[i]:\n        x = j",
    "nearest": "x = None\nfor j in range(i, -1, -1):\n    if tokens[j] == '.':\n        x = j\n        break",
    "next": "x = next((j for j in range(i) if tokens[j] in ('.', ',')), None)",
    "max": "x = max([j for j in range(i + 1) if tokens[j] == tokens[0]], default=None)",
    "min": "x = min((j for j in range(n) if tokens[j] in (',', '!')), default=None)",
    "get": "x = {t: j for j, t in enumerate(tokens)}.get('.')",
    "found": "found = [j for j in range(i) if tokens[j] == ',']\nx = found[0] if found else None",
    "length": "x = len(tokens[i]) - 2 if i > 1 else None",
}
OTHER = "y = next((j for j in range(n) if tokens[j] == ','), None)"
USES = {
    "if": "if x:\n    out[i, x] += 1\nelse:\n    out[i, i] += 1",
    "or": "out[i, min(x or 0, n - 1)] += 1\nout[i, i] += 0.3",
    "not": "if not x:\n    out[i, i] += 1\nout[i, 0] += 0.3",
    "==": "if x == y:\n    out[i, 0] += 1\nout[i, i] += 0.3",
    "!=": "if x != y:\n    out[i, 0] += 1\nout[i, i] += 0.3",
    "not ==": "if not x == y:\n    out[i, 0] += 1\nout[i, i] += 0.3",
    "is": "if x is None or x == 0:\n    out[i, 0] += 1\nout[i, i] += 0.3",
    "bool": "out[i, 0] += 0.5 * bool(x)\nout[i, i] += 0.3",
    "ternary": "k = x if x else i\nout[i, k] += 1\nout[i, 0] += 0.3",
    "in": "if x in (None, 0):\n    out[i, 0] += 1\nout[i, i] += 0.3",
    "not in": "if x not in (0, 2):\n    out[i, 0] += 1\nout[i, i] += 0.3",
    "and": "if x and x > 1:\n    out[i, 0] += 1\nelse:\n    out[i, i] += 0.3",
    "value and": "k = x and x - 1\nif k is None:\n    out[i, 0] += 1\nelif k == 0:\n    out[i, i] += 1\nout[i, i] += 0.3",
    "value or": "k = x or y or 0\nout[i, min(k, n - 1)] += 1\nout[i, i] += 0.3",
    "guarded": "if x is not None and x == y:\n    out[i, 0] += 1\nout[i, i] += 0.3",
    "!= 0": "if x != 0:\n    out[i, 0] += 1\nout[i, i] += 0.3",
    "== 0": "if x == 0:\n    out[i, 0] += 1\nout[i, i] += 0.3",
    "all": "if all([x, y]):\n    out[i, 0] += 1\nout[i, i] += 0.3",
    "any": "if any([x, y]):\n    out[i, 0] += 1\nout[i, i] += 0.3",
    "flag": "flag = None\nif x:\n    flag = i > 2\nif flag is None:\n    out[i, 0] += 1\nif flag:\n    out[i, i] += 1\nout[i, i] += 0.3",
    "word": "w = tokens[x] if x is not None else None\nv = tokens[y] if y is not None else None\n"
    "if w == v:\n    out[i, 0] += 1\nif w:\n    out[i, i] += 1\nout[i, i] += 0.3",
    "tuple": "if (x, i) == (y, i):\n    out[i, 0] += 1\nout[i, i] += 0.3",
}


def none_or_zero() -> dict[str, str]:
    made = {}
    for (name, maybe), (use, body) in product(MAYBE.items(), USES.items()):
        made[f"{name}, {use}"] = source(f"for i in range(n):\n{indented(maybe)}{indented(OTHER)}{indented(body)}")
    return made


# --- dtype ----------------------------------------------------------------------------------------------------------

WHOLE_ARRAYS = {
    "zeros int": "np.zeros(n, dtype=int)",
    "zeros np.int64": "np.zeros(n, dtype=np.int64)",
    "zeros string": "np.zeros(n, dtype='int32')",
    "zeros positional": "np.zeros(n, int)",
    "full": "np.full(n, 0)",
    "full bool": "np.full(n, False)",
    "arange": "np.arange(n)",
    "ones_like": "np.ones_like(np.arange(n))",
    "zeros_like": "np.zeros_like(np.arange(n))",
    "bool": "np.zeros(n, dtype=bool)",
    "np.bool_": "np.ones(n, dtype=np.bool_)",
    "array": "np.array([0] * n)",
    "astype": "np.zeros(n).astype(int)",
    "list": "np.array([len(t) for t in tokens])",
    "compared": "np.array([t == '.' for t in tokens])",
    "copy": "np.arange(n).copy()",
    "sum": "np.arange(n) + 1",
    "where": "np.where(np.arange(n) > 2, 1, 0)",
}
FLOAT_ARRAYS = {
    "zeros": "np.zeros(n)",
    "full": "np.full(n, 0.0)",
    "float": "np.zeros(n, dtype=float)",
    "float32": "np.zeros(n, dtype=np.float64)",
    "divided": "np.arange(n) / 2",
    "astype": "np.arange(n).astype(float)",
    "list": "np.array([0.5 for _ in range(n)])",
    "where": "np.where(np.arange(n) > 2, 0.5, 0)",
}
INTO = {
    "set": "a[min(2, n - 1)] = 1.5  #!",
    "slice": "a[1:] = 0.7  #!",
    "all": "a[:] = 2.5  #!",
    "mask": "a[np.array([t == '.' for t in tokens])] = 1.5  #!",
    "loop": "for k in range(n):\n    a[k] = k / 2  #!",
    "branch": "for k, t in enumerate(tokens):\n    if t == ';':\n        a[k] = 1.5  #!",
    "whole": "for k in range(n):\n    a[k] = 2 * k",
    "truth": "for k in range(n):\n    a[k] = tokens[k] == '.'",
    "//": "for k in range(n):\n    a[k] = (3 * k) // 2",
    "int": "for k in range(n):\n    a[k] = int(k / 2)",
    "np.int": "a[0] = np.floor(2.7)\nfor k in range(1, n):\n    a[k] = round(k / 2)",
    "from whole": "a[:] = np.arange(n) * 2",
}


def dtypes() -> dict[str, str]:
    made = {}
    end = "\nout += a + 0.1\nout += 0.5 * np.eye(n)"
    for (name, array), (use, into) in product(WHOLE_ARRAYS.items(), INTO.items()):
        marked = f"a = {array}  #!\n{into}" if name in ("full bool", "bool", "np.bool_", "compared") else f"a = {array}\n{into}"
        if name in ("full bool", "bool", "np.bool_", "compared"):
            marked = "\n".join(line if line.endswith("#!") or ":" in line[-2:] else line + "  #!" for line in marked.split("\n"))
        made[f"{name}, {use}"] = source(marked + end)
    for (name, array), (use, into) in product(FLOAT_ARRAYS.items(), INTO.items()):
        made[f"{name} of floats, {use}"] = source(f"a = {array}\n{into.replace('  #!', '')}{end}")
    for kind in ("int", "np.int32", "'int64'"):
        made[f"matrix {kind}"] = source(
            f"out = np.zeros((n, n), dtype={kind})\nfor i in range(n):\n    out[i, 0] += 1\n    out[i, i] = 2.7  #!"
        )
        made[f"matrix {kind}, whole"] = source(
            f"out = np.zeros((n, n), dtype={kind})\nfor i in range(n):\n    out[i, 0] += 1\n    out[i, i] = 3"
        )
        made[f"matrix {kind}, scaled"] = source(
            f"out = np.zeros((n, n), dtype={kind})\nfor i in range(n):\n    out[i, 0] = 3\n    out[i, i] = 1\n    out[i, 0] = out[i, 0] * 0.5  #!"
        )
        made[f"matrix {kind}, then float"] = source(
            f"a = np.zeros((n, n), dtype={kind})\nfor i in range(n):\n    a[i, 0] = 3\nout = a * 0.5\nfor i in range(n):\n    out[i, i] += 0.7"
        )
    made["astype truncates"] = source("a = (np.arange(n) / 2).astype(int)\nout += a + 0.1")
    made["astype of a matrix"] = source(
        "for i in range(n):\n    for j in range(n):\n        out[i, j] = abs(i - j) / 2\nout = out.astype(int) + 0.1 * np.eye(n)"
    )
    made["floor division"] = source("a = np.arange(n) // 2\na[0] = 1\nout += a + 0.1")
    made["augmented by a fraction"] = source("a = np.arange(n)\na[0] += 1\na = a * 0.5\na[0] = 0.25\nout += a + 0.1")
    made["integers divided in place"] = source("a = np.arange(n) * 1.0\na /= 2\nout += a + 0.1")
    made["minimum of whole numbers"] = source("a = np.minimum(np.arange(n), 3)\na[0] = 2.5  #!\nout += a + 0.1")
    made["row of a whole matrix"] = source("a = np.zeros((n, n), dtype=int)\nr = a[0]\na[1:, 0] = 0.5  #!\nout += a + 0.1")
    made["bool matrix"] = source("a = np.zeros((n, n), dtype=bool)\nfor i in range(n):\n    a[i, 0] = 0.5  #!\nout += a + 0.1")
    made["a list takes all"] = source("a = [0] * n\na[0] = 1.5\nfor k in range(1, n):\n    a[k] = k / 2\nout += np.array(a) + 0.1")
    made["a list of lists"] = source(
        "a = [[0] * n for _ in range(n)]\nfor i in range(n):\n    a[i][0] = 0.5\n    a[i][i] = 1\nout = np.array(a)"
    )
    return made


# --- used up or shared ----------------------------------------------------------------------------------------------

SOURCES = {
    "zip": "zip(range(n), tokens)",
    "map": "map(lambda k: (k, tokens[k]), range(n))",
    "filter": "filter(lambda p: p[0] != 1, [(k, tokens[k]) for k in range(n)])",
    "generator": "((k, tokens[k]) for k in range(n) if tokens[k] != ',')",
    "enumerate": "enumerate(tokens)",
    "reversed": "reversed([(k, tokens[k]) for k in range(n)])",
    "iter": "iter([(k, tokens[k]) for k in range(n)])",
    "chain": "itertools.chain([(0, 'a')], [(k, tokens[k]) for k in range(1, n)])",
}
TWICE = {
    "two loops": "for k, t in it:\n    out[k, 0] += 1\nfor k, t in it:  #!\n    out[k, k] += 1\nout += 0.1",
    "inner loop": "for i in range(n):\n    for k, t in it:  #!\n        out[i, k] += 1\n    out[i, i] += 0.2",
    "list twice": "a = list(it)\nb = list(it)  #!\nfor k, t in a:\n    out[k, 0] += 1\nfor k, t in b:\n    out[k, k] += 1\nout += 0.1",
    "any then loop": "if any(t == '.' for k, t in it):\n    out[:, 0] += 1\nfor k, t in it:  #!\n    out[k, k] += 1\nout += 0.1",
    "next": "first = next(it, None)  #!\nsecond = next(it, None)  #!\nif second is not None:\n    out[:, second[0]] += 1\nout += 0.1",
    "next then loop": "first = next(it, None)  #!\nfor k, t in it:  #!\n    out[k, k] += 1\nout += 0.1",
    "in": "if any(t == ',' for k, t in it) and any(t == '.' for k, t in it):  #!\n    out[:, 0] += 1\nout += 0.1",
    "helper": "def total(pairs):\n    return sum(1 for k, t in pairs)  #!\na = total(it)\nb = total(it)  #!\nout[:, 0] += a\nout[0] += b\nout += 0.1",
    "once": "for k, t in it:\n    out[k, 0] += 1\nout += 0.1",
    "once as list": "a = list(it)\nfor k, t in a:\n    out[k, 0] += 1\nfor k, t in a:\n    out[k, k] += 1\nout += 0.1",
}
VIEWS = {
    "column": "c = out[:, 0]\nc += 0.7  #!",
    "column by loop": "c = out[:, 0]\nfor i in range(n):\n    c[i] += 0.7  #!",
    "column set": "c = out[:, 0]\nc[:] = 0.7  #!",
    "part": "upper = out[:, 1:]\nupper += 0.1  #!",
    "rows": "lower = out[1:]\nlower += 0.1  #!",
    "rows by loop": "lower = out[1:]\nfor i in range(n - 1):\n    lower[i, 0] = 0.5  #!",
    "transposed": "t = out.T\nt[0] += 0.7  #!",
    "transposed method": "t = out.transpose()\nt[0, :] = 0.7  #!",
    "transposed function": "t = np.transpose(out)\nt += 0.7 * np.arange(n)  #!",
    "reshaped": "flat = out.reshape(-1)  #!\nflat[0] = 1",
    "ravel": "flat = out.ravel()  #!\nflat[0] = 1",
    "row": "for i in range(n):\n    r = out[i]\n    r[0] += 0.7\n    r[i] += 0.1",
    "row augmented": "for i in range(n):\n    r = out[i]\n    r += 0.1\n    r[i] += 1",
    "row part": "for i in range(n):\n    r = out[i, :i + 1]  #!\n    r += 0.1  #!",
    "row part set": "for i in range(n):\n    r = out[i][:i + 1]  #!\n    r[:] = 0.5  #!",
    "same array": "a = out\na[:, 0] += 0.7",
    "same vector": "w = np.zeros(n)\nv = w\nv[0] = 1\nout += w + 0.1",
    "copy": "a = out.copy()\na[:, 0] += 0.7\nout += 0.1 * a",
    "copied column": "c = out[:, 0].copy()\nc += 0.7\nout += c + 0.1",
    "computed": "c = out[:, 0] + 0.3\nc += 0.7\nout += c[:, None]",
    "vector part": "w = np.zeros(n)\nv = w[1:]\nv += 1  #!\nout += w + 0.1",
    "vector part first": "w = np.zeros(n)\nv = w[:1]\nv[0] = 1  #!\nout += w + 0.1",
    "vector reversed": "w = np.zeros(n)\nv = w[::-1]\nv[0] = 1  #!\nout += w + 0.1",
    "column axis": "w = np.zeros(n)\nv = w[:, None]\nv += 1  #!\nout += w + 0.1",
    "reshaped vector": "w = np.zeros(n)\nv = w.reshape(-1, 1)\nv += 1  #!\nout += w + 0.1",
    "flattened vector": "w = np.zeros(n)\nv = w.ravel()\nv += 1  #!\nout += w + 0.1",
    "expanded": "w = np.zeros(n)\nv = np.expand_dims(w, 0)\nv += 1  #!\nout += w + 0.1",
    "squeezed": "w = np.zeros(n)\nv = w.squeeze()\nv += 1  #!\nout += w + 0.1",
    "asarray": "w = np.zeros(n)\nv = np.asarray(w)\nv += 1\nout += w + 0.1",
    "array copies": "w = np.zeros(n)\nv = np.array(w)\nv += 1\nout += v + 0.1",
    "base changed": "c = out[:, 0]\nout[:, 0] += 0.7\nout += c[:, None] + 0.1  #!",
    "part of the base changed": "w = np.zeros(n)\nv = w[1:]\nw[1:] = 1\nout[:, 1:] += v + 0.1  #!\nout[:, 0] += 1",
    "row read after a change": "r = out[0]\nout[0, 0] = 1\nout += r + 0.1  #!",
    "diagonal": "d = np.diag(out)\nout += 0.1 + d",
    "in a helper": "def add(c):\n    c += 0.7  #!\nadd(out[:, 0])\nout += 0.1",
    "row in a helper": "def add(r, k):\n    r[k] += 0.7\nfor i in range(n):\n    add(out[i], i)\nout += 0.1",
    "matrix in a helper": "def add(m):\n    m[:, 0] += 0.7\nadd(out)\nout += 0.1",
    "triangle is a copy": "t = np.tril(out)\nt += 0.5\nout += 0.1 * t",
    "in a list": "rows = [out[0], out[n - 1]]  #!\nrows[0][0] = 1  #!\nout += 0.1",
    "loop over rows": "for row in out:\n    row[0] += 0.7\nout += 0.1",
    "enumerated rows": "for i, row in enumerate(out):\n    row[i] += 0.7\n    row += 0.1",
    "swapped": "a, b = out[:, 0], out[:, n - 1]\na += 0.5  #!\nb += 0.25  #!\nout += 0.1",
}
CARRIED = {
    "decayed": "w = np.zeros(n)\nfor i in range(n):\n    w *= 0.8\n    w[i] = 1\n    out[i] = w  #!\nout[:, 0] += 0.3",
    "grown": "w = np.zeros(n)\nfor i in range(n):\n    w[i] += 1\n    out[i] = w  #!\nout[:, 0] += 0.3",
    "added to": "w = np.zeros(n)\nfor i in range(n):\n    w += 0.1\n    out[i] += w  #!\nout[:, 0] += 0.3",
    "fresh": "for i in range(n):\n    w = np.zeros(n)\n    w[i] = 1\n    w *= 0.8\n    w[0] += 0.5\n    out[i] = w",
    "previous row": "prev = np.zeros(n)\nfor i in range(n):\n    row = 0.5 * prev  #!\n    row[i] = 1\n    out[i] = row  #!\n    prev = row",
    "previous row of the matrix": "out[0, 0] = 1\nfor i in range(1, n):\n    out[i] = 0.5 * out[i - 1]  #!\n    out[i, i] = 1",
    "row above": "out[0, 0] = 1\nfor i in range(1, n):\n    out[i, :] += 0.5 * out[i - 1, :]  #!\n    out[i, i] += 1",
    "counter": "seen = np.zeros(n)\nfor i in range(n):\n    for j in range(i):\n        if tokens[j] == tokens[i]:\n            seen[j] += 1\n    out[i] += seen  #!\n    out[i, i] += 1",
    "a list": "w = [0.0] * n\nfor i in range(n):\n    w[i] = 1.0\n    out[i] = w  #!\nout[:, 0] += 0.3",
    "a list decayed": "w = [0.0] * n\nfor i in range(n):\n    w = [0.8 * x for x in w]  #!\n    w[i] = 1.0\n    out[i] = w  #!\nout[:, 0] += 0.3",
    "copied": "w = np.zeros(n)\nfor i in range(n):\n    v = w.copy()\n    v[i] = 1\n    out[i] = v  #!\nout[:, 0] += 0.3",
    "rebound": "w = np.zeros(n)\nfor i in range(n):\n    w = w * 0.8  #!\n    w[i] = 1\n    out[i] = w  #!\nout[:, 0] += 0.3",
    "kept in a branch": "w = np.zeros(n)\nfor i in range(n):\n    if tokens[i] == '.':\n        w[i] = 1\n    out[i] = w + 0.1  #!",
    "cleared in a branch": "w = np.zeros(n)\nfor i in range(n):\n    if tokens[i] == '.':\n        w[:] = 0  #!\n    w[i] = 1\n    out[i] = w + 0.1  #!",
    "scaled in a branch": "w = np.ones(n)\nfor i in range(n):\n    if tokens[i] == '.':\n        w *= 0.5  #!\n    out[i] = w  #!",
}
REPEATED = {
    "list of one": "out[:, [0, 0, 0]] += 1  #!\nout += 0.1",
    "vector": "w = np.zeros(n)\nw[[0, 0]] += 1  #!\nout += w + 0.1",
    "computed list": "w = np.zeros(n)\nw[[0 for t in tokens]] += 1  #!\nout += w + 0.1",
    "array of indices": "w = np.zeros(n)\nw[np.zeros(n, dtype=int)] += 1  #!\nout += w + 0.1",
    "last one wins": "w = np.zeros(n)\nw[[0, 0]] = [1, 2]  #!\nout += w + 0.1",
    "different": "out[:, [0, n - 1]] += 1  #!\nout += 0.1",
    "nearest": "last = [max([0] + [j for j in range(i) if tokens[j] == '.']) for i in range(n)]\nout[np.arange(n), last] += 1\nout += 0.1",
    "columns repeated": "last = [max([0] + [j for j in range(i) if tokens[j] == '.']) for i in range(n)]\nw = np.zeros(n)\nw[last] += 1  #!\nout += w + 0.1",
    "scaled": "out += 1\nout[:, [0, 0]] *= 2  #!",
    "mask": "m = np.array([t == '.' for t in tokens])\nout[:, m] += 1\nout += 0.1",
    "np.add.at": "w = np.zeros(n)\nnp.add.at(w, [0, 0], 1)  #!\nout += w + 0.1",
    "np.add.at, words": "w = np.zeros(n)\nnp.add.at(w, [min(len(t), n - 1) for t in tokens], 1)  #!\nout += w + 0.1",
    "np.add.at, matrix": "np.add.at(out, (np.arange(n), np.zeros(n, dtype=int)), 1)  #!\nout += 0.1",
    "np.maximum.at": "w = np.zeros(n)\nnp.maximum.at(w, [0, 0], [1, 2])  #!\nout += w + 0.1",
    "np.minimum.at": "w = np.ones(n)\nnp.minimum.at(w, [0], 0.5)  #!\nout += w + 0.1",
    "np.multiply.at": "w = np.ones(n)\nnp.multiply.at(w, [0, 0], 0.5)  #!\nout += w + 0.1",
    "clip out": "out += np.arange(n)\nnp.clip(out, 0, 2, out=out)  #!\nout += 0.1",
    "clip out of another": "a = np.arange(n) * 1.0\nb = np.zeros(n)\nnp.clip(a, 0, 2, out=b)  #!\nout += b + 0.1",
    "maximum out": "out += np.arange(n)\nnp.maximum(out, 1, out=out)  #!\nout += 0.1",
    "multiply out": "out += 1 + np.arange(n)\nnp.multiply(out, 0.5, out=out)  #!\nout += 0.1",
    "exp out": "out += 0.1 * np.arange(n)\nnp.exp(out, out=out)  #!",
    "putmask": "np.putmask(out, out == 0, 0.5)  #!\nout[:, 0] += 1",
    "put": "np.put(out, [0, 1], 1)  #!\nout += 0.1",
    "copyto": "np.copyto(out, 0.5)  #!\nout[:, 0] += 1",
    "where in a ufunc": "np.add(out, 1, out=out, where=np.eye(n) > 0)  #!\nout += 0.1",
}
NEGATIVE = {
    "difference": "for i in range(n):\n    out[i, i - 2] += 1",
    "read": "for i in range(n):\n    if tokens[i - 1] == '.':\n        out[i, 0] += 1\n    out[i, i] += 0.3",
    "length": "for i in range(n):\n    out[i, i - len(tokens[i])] += 1  #!\n    out[i, i] += 0.3",
    "clipped": "for i in range(n):\n    out[i, max(i - 3, -1)] += 1\n    out[i, i] += 0.3",
    "minus one": "for i in range(n):\n    k = -1\n    for j in range(i):\n        if tokens[j] == '.':\n            k = j\n    out[i, k] += 1\n    out[i, i] += 0.3",
    "minus one for none": "for i in range(n):\n    k = max([j for j in range(i) if tokens[j] == ','], default=-1)\n    out[i, k] += 1\n    out[i, i] += 0.3",
    "of a list": "ends = [j for j in range(n) if tokens[j] in ('.', ',')]\nfor i in range(n):\n    m = sum(1 for e in ends if e < i)\n    if ends:\n        out[i, ends[m - 1]] += 1\n    out[i, i] += 0.3",
    "row": "for i in range(n):\n    out[i - 1, i] += 1\nout += 0.1",
    "slice": "for i in range(n):\n    out[i, i - 2:] += 1\nout += 0.1",
    "slice end": "for i in range(n):\n    out[i, :i - 2] += 1\nout += 0.1",
    "list slice": "for i in range(n):\n    out[i, 0] += len(tokens[i - 2:i])\n    out[i, i] += 0.3",
    "list slice end": "for i in range(n):\n    out[i, 0] += len(tokens[:i - 2])\n    out[i, i] += 0.3",
    "string": "for i in range(n):\n    if tokens[i][-1:] == 'e' or tokens[i][i - 3:] == 'e':  #!\n        out[i, 0] += 1\n    out[i, i] += 0.3",
    "range": "for i in range(n):\n    for j in range(i - 3, i):\n        out[i, j] += 1  #!\n    out[i, i] += 0.3",
    "modulo": "for i in range(n):\n    out[i, (i - 3) % n] += 1\n    out[i, i] += 0.3",
    "tilde": "for i in range(n):\n    out[i, ~i] += 1\n    out[i, i] += 0.3",
    "minus": "for i in range(n):\n    out[i, -i] += 1\n    out[i, i] += 0.3",
    "array index": "idx = np.arange(n) - 1\nout[np.arange(n), idx] += 1\nout += 0.1",
    "vector": "w = np.zeros(n)\nfor i in range(n):\n    w[i - 1] = i\nout += w + 0.1",
    "shifted read": "w = np.arange(n) * 0.5\nfor i in range(n):\n    out[i, 0] = w[i - 1]\nout += 0.1",
    "whole minus": "for i in range(n):\n    out[i, -1] += 1\n    out[i, -min(i + 1, 2)] += 0.5\nout += 0.1",
}
DICTIONARIES = {
    "read makes an entry": "seen = defaultdict(list)\nfor i, t in enumerate(tokens):\n    if not seen[t]:\n        out[i, 0] += 0.5\n    out[i, i] += 0.2\n    seen[t].append(i)",
    "in after a read": "seen = defaultdict(list)\nfor i, t in enumerate(tokens):\n    for j in seen[tokens[0]]:  #!\n        out[i, j] += 0.5\n    if t in seen:  #!\n        out[i, i] += 0.2\n    seen[t].append(i)\nout += 0.1",
    "len after a read": "count = defaultdict(int)\nfor i, t in enumerate(tokens):\n    if count[t] > 0:\n        out[i, 0] += 0.5\n    out[i, i] += 0.1 * len(count)  #!\n    count[t] += 1\nout += 0.1",
    "in after a count": "count = defaultdict(int)\nfor i, t in enumerate(tokens):\n    if count['.'] > 0:\n        out[i, 0] += 0.5\n    if '.' in count:  #!\n        out[i, i] += 0.2\n    count[t] += 1\nout += 0.1",
    "counter is not changed by a read": "count = Counter()\nfor i, t in enumerate(tokens):\n    if count['.'] > 0:\n        out[i, 0] += 0.5\n    if '.' in count:\n        out[i, i] += 0.2\n    count[t] += 1\nout += 0.1",
    "values after a read": "groups = defaultdict(list)\nfor i, t in enumerate(tokens):\n    groups[t].append(i)\nx = groups['nothing']  #!\nout[:, 0] += 0.1 * len(groups)  #!\nout += 0.1",
    "get makes none": "groups = defaultdict(list)\nfor i, t in enumerate(tokens):\n    if not groups.get(t):\n        out[i, 0] += 0.5\n    if t in groups:\n        out[i, i] += 0.2\n    groups[t].append(i)\nout += 0.1",
    "counted": "count = defaultdict(int)\nfor i, t in enumerate(tokens):\n    out[i, 0] += 0.1 * count[t]\n    count[t] += 1\n    out[i, i] += 0.2",
    "nearest": "last = defaultdict(lambda: -1)\nfor i, t in enumerate(tokens):\n    j = last[t]\n    if j >= 0:\n        out[i, j] += 1\n    last[t] = i\n    out[i, i] += 0.2",
    "in after lambda": "last = defaultdict(lambda: -1)\nfor i, t in enumerate(tokens):\n    j = last[t]\n    if t in last:  #!\n        out[i, 0] += 1\n    last[t] = i\n    out[i, i] += 0.2",
    "setdefault": "first = {}\nfor i, t in enumerate(tokens):\n    j = first.setdefault(t, i)\n    out[i, j] += 1\n    out[i, i] += 0.2",
    "grouped": "groups = defaultdict(list)\nfor i, t in enumerate(tokens):\n    groups[t].append(i)\nfor i, t in enumerate(tokens):\n    for j in groups[t]:\n        out[i, j] += 1",
}
UNKNOWN = {
    "isinstance of a token": "for i in range(n):\n    if isinstance(tokens[i], str):\n        out[i, 0] += 1\n    out[i, i] += 0.3",
    "isinstance of a number": "for i in range(n):\n    if isinstance(i, str):\n        out[i, 0] += 1\n    out[i, i] += 0.3",
    "isinstance of a float": "for i in range(n):\n    x = i / 2\n    if isinstance(x, int):\n        out[i, 0] += 1\n    out[i, i] += 0.3",
    "isinstance of None": "for i in range(n):\n    x = None if i < 2 else i\n    if isinstance(x, int):  #!\n        out[i, 0] += 1\n    out[i, i] += 0.3",
    "isinstance of two": "for i in range(n):\n    if isinstance(tokens[i], (int, float)):\n        out[i, 0] += 1\n    out[i, i] += 0.3",
    "isinstance of a list": "if isinstance(tokens, list):\n    out[:, 0] += 1\nout += 0.1",
    "isinstance of an array": "if isinstance(out, list):  #!\n    out[:, 0] += 1\nout += 0.1",
    "isinstance of a numpy number": "for i in range(n):\n    if isinstance(out[i, 0], int):  #!\n        out[i, 0] += 1\n    out[i, i] += 0.3",
    "isinstance of a truth value": "for i in range(n):\n    if isinstance(tokens[i] == '.', int):  #!\n        out[i, 0] += 1\n    out[i, i] += 0.3",
    "hasattr of a token": "for i in range(n):\n    if hasattr(tokens[i], 'pos_'):  #!\n        out[i, 0] += 1\n    out[i, i] += 0.3",
    "hasattr of a string method": "for i in range(n):\n    if hasattr(tokens[i], 'startswith'):  #!\n        out[i, 0] += 1\n    out[i, i] += 0.3",
    "hasattr of a word": "doc = spacy_parse(sentence)\nif len(doc) and hasattr(doc[0], 'nothing'):  #!\n    out[:, 0] += 1\nout += 0.1",
    "type": "for i in range(n):\n    if type(tokens[i]) == int:  #!\n        out[i, 0] += 1\n    out[i, i] += 0.3",
    "type is": "for i in range(n):\n    if type(i) is str:  #!\n        out[i, 0] += 1\n    out[i, i] += 0.3",
    "callable": "if callable(tokens):  #!\n    out[:, 0] += 1\nout += 0.1",
    "isnan of what is divided by zero": "out[:, 0] = 1\nw = np.zeros(n) / 0.0  #!\nif np.isnan(w[0]):  #!\n    out[:, 0] += 1\nout += 0.1",
    "isnan of a row": "for i in range(n):\n    out[i, :i] = 1\n    r = out[i] / out[i].sum()\n    if np.isnan(r).any():  #!\n        out[i, i] = 1\nout += 0.1",
    "isnan of nan": "x = np.nan  #!\nif np.isnan(x):  #!\n    out[:, 0] += 1\nout += 0.1",
    "nan_to_num of a row": "for i in range(n):\n    out[i, :i] = 1\nout = np.nan_to_num(out / out.sum(axis=1, keepdims=True))  #!\nout += 0.1",
    "nan_to_num of what is sure": "for i in range(n):\n    out[i, :i + 1] = 1\nout = np.nan_to_num(out)  #!\nout += 0.1",
    "nan_to_num with a value": "out = np.nan_to_num(np.log(out), nan=0.5)  #!\nout += 0.1",
    "isinf": "w = 1 / np.arange(n)\nif np.isinf(w[0]):  #!\n    out[:, 0] += 1\nout += 0.1",
    "isfinite": "w = 1 / np.arange(n)\nif np.isfinite(w[0]):  #!\n    out[:, 0] += 1\nout += 0.1",
    "math.isnan": "if math.isnan(out[0, 0]):  #!\n    out[:, 0] += 1\nout += 0.1",
    "getattr": "for i in range(n):\n    if getattr(tokens[i], 'pos_', None) is None:  #!\n        out[i, 0] += 1\n    out[i, i] += 0.3",
    "infinity": "w = np.full(n, -np.inf)\nw[0] = 1\nout += np.exp(w) + 0.1",
    "float inf": "best = float('inf')\nfor j in range(n):\n    if tokens[j] == '.' and j < best:\n        best = j\nif best == float('inf'):\n    out[:, 0] += 1\nout += 0.1",
    "minus infinity": "best, at = -float('inf'), 0\nfor j in range(n):\n    if len(tokens[j]) > best:\n        best, at = len(tokens[j]), j\nout[:, at] += 1\nout += 0.1",
}
SOME = {
    "variable of some iterations": "for i in range(n):\n    if tokens[i] == '.':\n        k = i\n    if i > 0 and '.' in tokens[:i + 1]:\n        out[i, k] += 1\n    out[i, i] += 0.3",
    "variable never reset": "k = 0\nfor i in range(n):\n    for j in range(i):\n        if tokens[j] == tokens[i]:\n            k = j\n    out[i, k] += 1\n    out[i, i] += 0.3",
    "set in a branch, used in another": "x = 0.1\nfor i in range(n):\n    if tokens[i] == ',':\n        x = 0.5\n    elif tokens[i] == '.':\n        out[i, 0] += x\n    out[i, i] += 0.3",
    "set last, used first": "for i in range(n):\n    if i > 0:\n        out[i, 0] += x  #!\n    x = len(tokens[i])\n    out[i, i] += 0.3",
    "set in some inner loops": "for i in range(n):\n    for j in range(i):\n        if tokens[j] == '.':\n            w = j\n    if '.' in tokens[:i]:\n        out[i, w] += 1\n    out[i, i] += 0.3",
    "loop variable after its loop": "for i in range(n):\n    for j in range(i + 1):\n        pass\n    out[i, j] += 1\n    out[i, 0] += 0.3",
    "loop variable after a break": "for i in range(n):\n    for j in range(i + 1):\n        if tokens[j] == '.':\n            break\n    out[i, j] += 1\n    out[i, i] += 0.3",
    "a new axis": "x = 0.1 * np.arange(n)\nfor i in range(n):\n    out[i, None] += x  #!\nout += 0.1",
    "a new axis read": "for i in range(n):\n    out[i, i] += 1\n    x = out[i, None]  #!\n    out[i] += 0.5 * x[0]  #!\nout += 0.1",
    "a new axis of a column": "out[:, 0] += 1\nout += 0.1 * np.arange(n)[None, :]\nout += 0.01 * np.arange(n)[:, None]",
    "a new axis and a slice": "x = 0.1 * np.arange(n)\nfor i in range(n):\n    out[i, None, :] += x  #!\nout += 0.1",
    "a new axis in a mask": "m = np.array([t == '.' for t in tokens])\nout += 1.0 * (m[:, None] & m[None, :])\nout += 0.1",
    "np.newaxis": "x = 0.1 * np.arange(n)\nfor i in range(n):\n    out[i, np.newaxis] = x  #!\nout += 0.1",
    "ellipsis": "for i in range(n):\n    out[i, ...] += 0.5  #!\n    out[..., 0] += 0.1  #!",
}
KINDS: dict[str, dict[str, str]] = {
    "none or zero": none_or_zero(),
    "dtype": dtypes(),
    "used up": {
        f"{name}, {use}": source(f"it = {made}\n{body}") for (name, made), (use, body) in product(SOURCES.items(), TWICE.items())
    },
    "views": {name: source(body if "out +=" in body else body + "\nout += 0.2 * np.eye(n)") for name, body in VIEWS.items()},
    "carried rows": {name: source(body) for name, body in CARRIED.items()},
    "repeated and in place": {name: source(body) for name, body in REPEATED.items()},
    "negative indices": {name: source(body) for name, body in NEGATIVE.items()},
    "dictionaries": {name: source(body) for name, body in DICTIONARIES.items()},
    "not known": {name: source(body) for name, body in UNKNOWN.items()},
    "some iterations": {name: source(body) for name, body in SOME.items()},
    **{kind: {name: source(body) for name, body in table.items()} for kind, table in (NUMBERS | FORMS).items()},
}
