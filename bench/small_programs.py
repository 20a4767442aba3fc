"""Small programs of one construct each, as language models write them, drawn from templates and parameters by a seed.

The constructs are those on which lifting has been silently wrong: None against 0, numpy's dtypes, iterators that are used up, views
and shared rows, repeated indices, boundaries that a double decides, the last value of a loop, while loops, dictionaries that make
entries, strings, the tokenizer's and spaCy's idioms.
"""

from __future__ import annotations

import random
import re
from textwrap import indent

OPENING = """\
import numpy as np


def program(sentence, tokenizer):
    tokens = tokenizer.convert_ids_to_tokens(tokenizer(sentence)["input_ids"])
    n = len(tokens)
    out = np.zeros((n, n))
"""
ANNOTATED = """\
    doc = spacy_parse(sentence)
    align = _align_to_spacy(sentence, tokens, doc)
"""
CLOSING = '    return "small", make_row_stochastic(out)\n'

# What a template may leave open: <t:i> is a test of token i, <w> a weight, <s> a small number, <c> a comparison, and so on.
TESTS = (
    '"." in tokens[{0}]', '"," in tokens[{0}]', "len(tokens[{0}]) > 3", "tokens[{0}][:1].isupper()", 'tokens[{0}].endswith("e")',
    'tokens[{0}].strip("▁Ġ ").lower() in ("the", "a", "and")', "any(c.isupper() for c in tokens[{0}])", "tokens[{0}].isalpha()",
    "not tokens[{0}][-1:].isalnum()", '"t" in tokens[{0}]', "{0} % 3 == 1", "tokens[{0}] == tokens[0]",
)  # fmt: skip
CHOICES = {
    "w": ("0.5", "1", "2", "0.25", "0.1"),
    "f": ("0.5", "1.5", "0.7", "0.1"),
    "s": ("1", "2", "3"),
    "c": ("<", "<=", ">", ">=", "=="),
    "int": ("int", "np.int64", "np.int32", "bool", "float", "np.float32"),
    "range": ("range(n)", "range(i)", "range(i + 1)", "range(i, n)", "range(i - 1, -1, -1)", "reversed(range(i))"),
    "pos": ('"NOUN"', '"VERB"', '"PRON"', '"DET"', '"PUNCT"'),
}  # fmt: skip

TEMPLATES = {
    "if best": """
best = None
for i in range(n):
    if <t:i>:
        best = i
    if best:
        out[i, best] += <w>
    out[i, i] += 1""",
    "x or 0": """
for i in range(n):
    last = None
    for j in <range>:
        if <t:j>:
            last = j
    k = last or <s>
    if k < n:
        out[i, k] += <w>
    out[i, 0] += 1""",
    "not first": """
first = next((k for k in range(n) if <t:k>), None)
for i in range(n):
    out[i, i] = 1
    if not first:
        out[i, 0] += <w>
    else:
        out[i, first] += <w>""",
    "both missing": """
a = next((k for k in range(n) if <t:k>), None)
b = next((k for k in range(n) if <t:k>), None)
for i in range(n):
    out[i, i] = 1
    if a == b:
        out[i, 0] += <w>""",
    "bool of a position": """
k = min((k for k in range(n) if <t:k>), default=None)
for i in range(n):
    out[i, i] = 1 + <w> * bool(k)
    out[i, 0] += 1""",
    "min with default": """
for i in range(n):
    k = max((j for j in range(i) if <t:j>), default=None) or 0
    out[i, k] += <w>
    out[i, i] += 1""",
    "None compared": """
seen = None
for i in range(n):
    out[i, i] = 1
    if seen is not None and seen != i - 1:
        out[i, seen] += <w>
    if <t:i>:
        seen = i""",
    "zero as a position": """
start = 0
for i in range(n):
    if <t:i>:
        start = i
    out[i, start if start else i] += <w>
    out[i, i] += 1""",
    "missing in a list": """
found = [k if <t:k> else None for k in range(n)]
for i in range(n):
    for j in range(n):
        out[i, j] = <w> if found[i] == found[j] else 1""",
    "get from a dictionary": """
where = {}
for i in range(n):
    before = where.get(tokens[i])
    if before:
        out[i, before] += <w>
    out[i, i] += 1
    where[tokens[i]] = i""",
    "get with or": """
where = {}
for i in range(n):
    out[i, where.get(tokens[i]) or i] += <w>
    out[i, 0] += 1
    where[tokens[i]] = i""",
    "integer zeros": """
score = np.zeros(n, dtype=<int>)
for j in range(n):
    score[j] = <f> if <t:j> else 1
for i in range(n):
    out[i] = score + 1""",
    "integer full": """
score = np.full(n, <s>)
for j in range(n):
    if <t:j>:
        score[j] += 1
        score[j] = score[j] * <f>
for i in range(n):
    out[i] = score + 1""",
    "arange in place": """
score = np.arange(n)
for j in range(n):
    if <t:j>:
        score[j] = j / 2
for i in range(n):
    out[i] = score + 1""",
    "array of bools": """
mask = np.array([<t:k> for k in range(n)])
out += 1
out[:, mask] += <w>
out[mask] *= 2""",
    "bools counted": """
mask = np.array([<t:k> for k in range(n)])
for i in range(n):
    out[i, i] = 1 + mask[: i + 1].sum() * <w> - mask[:i].mean() if i else 1
    out[i, 0] += mask.any() + 1""",
    "bool array minus": """
mask = np.array([<t:k> for k in range(n)], dtype=bool)
out += 1
for i in range(n):
    out[i] += <w> * (~mask)""",
    "astype": """
score = (np.arange(n) / <s>).astype(<int>)
for i in range(n):
    out[i] = score + 1""",
    "list to integers": """
score = np.array([<s>, 2] * n)[:n]
for j in range(n):
    if <t:j>:
        score[j] = <f>
for i in range(n):
    out[i] = score + 1""",
    "integer matrix": """
m = np.ones((n, n), dtype=int)
for i in range(n):
    for j in range(i + 1):
        if <t:j>:
            m[i, j] = <f> * 3
out = m + 1""",
    "eye of integers": """
m = np.eye(n, dtype=int)
for i in range(n):
    m[i, 0] = <f>
out = m * 2 + 1""",
    "floor and true division": """
for i in range(n):
    for j in range(i + 1):
        out[i, j] = 1 + (i - j) // <s> + (i - j) / 4 + (j - i) // 2 + (j - i) % 3""",
    "zeros like": """
base = np.arange(n)
copy = np.zeros_like(base)
for j in range(n):
    copy[j] = j * <f>
for i in range(n):
    out[i] = copy + 1""",
    "map used up": """
marks = map(lambda k: <t:k>, range(n))
total = sum(marks)
again = sum(marks)
for i in range(n):
    out[i, i] = 1 + total
    out[i, 0] += 1 + again""",
    "generator used up": """
marked = (k for k in range(n) if <t:k>)
for i in range(n):
    out[i, i] = 1
    for j in marked:
        out[i, j] += <w>""",
    "generator in": """
marked = (k for k in range(n) if <t:k>)
for i in range(n):
    out[i, 0] = 1
    if i in marked:
        out[i, i] += <w>""",
    "zip used up": """
pairs = zip(range(n), range(1, n))
for a, b in pairs:
    out[b, a] += <w>
for a, b in pairs:
    out[a, a] += 5
out += 0.1""",
    "filter used up": """
marked = filter(lambda k: <t:k>, range(n))
first = next(marked, 0)
out += 1
for j in marked:
    out[:, j] += <w>
out[:, first] += 0.5""",
    "next twice": """
marked = iter([k for k in range(n) if <t:k>])
a = next(marked, 0)
b = next(marked, 0)
out += 1
out[:, a] += <w>
out[:, b] += 2""",
    "enumerate used up": """
numbered = enumerate(tokens)
first = next(numbered)
out += 1
for k, t in numbered:
    out[k, first[0]] += <w>""",
    "reversed once": """
back = reversed(range(n))
out += 1
for i in range(n):
    for j in back:
        if <t:j>:
            out[i, j] += <w>
            break""",
    "view of a column": """
c = out[:, 0]
c += <w>
out += np.eye(n)""",
    "view of a slice": """
part = out[1:]
part += <w>
out += 1""",
    "view of a row": """
for i in range(n):
    row = out[i]
    for j in range(i + 1):
        if <t:j>:
            row[j] += <w>
    row += 0.1""",
    "view transposed": """
t = out.T
for i in range(n):
    for j in range(i + 1):
        t[j, i] = <w> if <t:j> else 1""",
    "view reshaped": """
flat = out.reshape(-1)
flat[:: n + 1] = <w>
flat += 0.1""",
    "view by ravel": """
flat = out.ravel()
flat[::2] += <w>
out += 0.5""",
    "copy is none": """
out += 1
c = out[:, 0].copy()
c += <w>
d = out.copy()
d[0, 0] = 7""",
    "fancy index is a copy": """
out += 1
marked = [k for k in range(n) if <t:k>]
part = out[marked]
part += <w>""",
    "a shared row": """
row = np.ones(n)
for i in range(n):
    if <t:i>:
        row[i] += <w>
    out[i] = row""",
    "a shared row kept": """
rows = []
row = np.ones(n)
for i in range(n):
    if <t:i>:
        row[i] += <w>
    rows.append(row)
out = np.array(rows)""",
    "lists times n": """
m = [[1.0] * n] * n
for i in range(n):
    m[i][i] += <w>
out = np.array(m)""",
    "chained names": """
a = b = np.ones(n)
for i in range(n):
    if <t:i>:
        a[i] += <w>
out += b""",
    "in place through a name": """
other = out
other += 1
other = other * 2
other[0, 0] = 9""",
    "a default argument shared": """
def noted(k, seen=[]):
    seen.append(k)
    return len(seen)
for i in range(n):
    out[i, i] = 1
    if <t:i>:
        out[i, 0] += noted(i)""",
    "np.add.at": """
index = [k // 2 for k in range(n)]
out += 0.1
for i in range(n):
    np.add.at(out[i], index, <w>)""",
    "np.maximum.at": """
index = [k // <s> for k in range(n)]
out += 0.1
for i in range(n):
    np.maximum.at(out[i], index, <w>)""",
    "index repeated": """
out += 1
out[:, [0, 0, min(1, n - 1)]] += <w>""",
    "index repeated by list": """
out += 1
index = np.array([k // 2 for k in range(n)])
out[:, index] += <w>""",
    "fancy pairs": """
out += 0.5
rows = np.arange(n)
out[rows, rows // <s>] += <w>""",
    "fancy by where": """
marked = np.where([<t:k> for k in range(n)])[0]
out += 0.5
if len(marked):
    out[:, marked] = <w>
    out[marked, marked[0]] += 1""",
    "np.ix_": """
marked = [k for k in range(n) if <t:k>]
out += 0.5
out[np.ix_(marked, marked)] += <w>""",
    "negative index": """
for i in range(n):
    out[i, i - <s> if n > 3 else 0] += <w>
    out[i, 0] += 0.5""",
    "negative index by search": """
for i in range(n):
    k = i - 1
    while k >= 0 and not (<t:k>):
        k -= 1
    out[i, k] += <w>
    out[i, i] += 1""",
    "clip out": """
for i in range(n):
    for j in range(i + 1):
        out[i, j] = (i - j) * <f>
np.clip(out, 0.2, 1.5, out=out)""",
    "fill diagonal": """
out += 0.5
np.fill_diagonal(out, <w>)""",
    "put along": """
out += 0.5
best = np.array([max(0, i - <s>) for i in range(n)])
np.put_along_axis(out, best[:, None], 3.0, axis=1)""",
    "triangles": """
out += np.tril(np.ones((n, n)), -<s>) * <w>
out += np.triu(np.ones((n, n)), <s>) * 0.5
out += np.eye(n, k=1) + 0.1""",
    "power boundary": """
for i in range(n):
    for j in range(i + 1):
        out[i, j] = 0.8 ** (i - j)
out[out < 0.8 ** <s>] = 0.01""",
    "sum boundary": """
for i in range(n):
    out[i, i] = 0.6
    if i > 0:
        out[i, i - 1] += 0.3
    out[i, 0] += 0.1
    if out[i].sum() >= 1.0:
        out[i, i] += <w>""",
    "tenths": """
for i in range(n):
    x = 0.0
    for j in range(i + 1):
        x += 0.1
    out[i, 0] = 1
    if x <c> 0.1 * (i + 1):
        out[i, i] += <w>""",
    "tenths in an array": """
score = np.zeros(n)
for i in range(n):
    for j in range(i + 1):
        score[i] += 0.1
out += 1
for i in range(n):
    if score[i] <c> 0.8:
        out[i, 0] += <w>""",
    "tenths and a limit": """
for i in range(n):
    x = 0.0
    for j in range(i):
        if <t:j>:
            x += 0.1
    out[i, i] = 1
    if x <c> 0.8:
        out[i, 0] += <w>""",
    "tenths on the way": """
x = 0.0
for i in range(n):
    x += 0.1
    out[i, i] = 1
    if x <c> 0.8:
        out[i, 0] += <w>""",
    "tenths summed": """
for i in range(n):
    out[i, i] = 1
    if sum(0.1 for j in range(i)) <c> 0.8:
        out[i, 0] += <w>""",
    "quotients": """
for i in range(n):
    for j in range(i + 1):
        out[i, j] = 1
        if (j + 1) / (i + 1) <c> 1 / <s>:
            out[i, j] += <w>""",
    "threshold of a mean": """
for i in range(n):
    out[i, : i + 1] = 1 / (np.arange(i + 1) + 1)
    m = out[i].mean()
    out[i][out[i] < m] = 0
    out[i, 0] += 0.1""",
    "huge and clipped": """
for i in range(n):
    out[i, i] = 1
    out[i, 0] += min(1e30, 10.0 ** (i + 1)) / 1e30 + <w>""",
    "exponent limits": """
for i in range(n):
    for j in range(i + 1):
        out[i, j] = np.exp(-<f> * (i - j))
out[out < np.exp(-<f> * 4)] = 0
out[:, 0] += 0.01""",
    "rounded": """
for i in range(n):
    for j in range(i + 1):
        out[i, j] = round((i - j) / 2) + int(-(i - j) / <s>) + 20 + round(0.125 * (i - j), 1)""",
    "isnan": """
ratio = np.array([k / k if k else np.nan for k in range(n)])
out += 1
for j in range(n):
    if np.isnan(ratio[j]):
        out[:, j] += <w>""",
    "nan to num": """
counts = np.array([1.0 if <t:k> else 0.0 for k in range(n)])
score = np.nan_to_num(counts / counts.sum())
for i in range(n):
    out[i] = score + <w>""",
    "isinstance": """
for i in range(n):
    k = i if <t:i> else None
    out[i, i] = 1
    if isinstance(k, int):
        out[i, 0] += <w>""",
    "isinstance of a string": """
out += 1
for j in range(n):
    if isinstance(tokens[j], str) and not isinstance(j, str):
        out[:, j] += <w> * j""",
    "hasattr": """
out += 1
if hasattr(tokenizer, "nothing_of_the_kind"):
    out[:, 0] += 5
if hasattr(tokens, "append"):
    out[:, 0] += <w>""",
    "isfinite": """
score = np.array([np.log(k) if k else -np.inf for k in range(n)])
out += 1
for j in range(n):
    if np.isfinite(score[j]):
        out[:, j] += <w>""",
    "last value of a loop": """
for j in range(n):
    if <t:j>:
        break
for i in range(n):
    out[i, j] += <w>
    out[i, i] += 1""",
    "last value after all": """
for j in range(0, n, <s>):
    pass
out += 0.5
out[:, j] += <w>""",
    "for else": """
for i in range(n):
    for j in range(i - 1, -1, -1):
        if <t:j>:
            out[i, j] += <w>
            break
    else:
        out[i, 0] += 2
    out[i, i] += 1""",
    "last match": """
for i in range(n):
    k = i
    for j in range(i):
        if <t:j>:
            k = j
    out[i, k] += <w>
    out[i, 0] += 1""",
    "overwritten in a loop": """
w = 1
for i in range(n):
    w = <w> if <t:i> else w
    out[i, i] = w
    out[i, 0] += 1""",
    "while backwards": """
for i in range(n):
    k = i
    while k > 0 and not (<t:k>):
        k -= 1
    out[i, k] += <w>
    out[i, i] += 1""",
    "while forwards": """
for i in range(n):
    k = i
    while k < n - 1 and not (<t:k>):
        k += 1
    out[i, k] += <w>
    out[i, i] += 1""",
    "while as a for": """
i = 0
while i < n:
    out[i, i] = 1
    if <t:i>:
        out[i, 0] += <w>
    i += 1""",
    "while in steps": """
i = 0
out += 0.5
while i < n:
    out[i, max(0, i - 1)] += <w>
    i += <s>""",
    "while with two": """
a, b = 0, n - 1
out += 1
while a < b:
    out[a, b] += <w>
    out[b, a] += 2
    a += 1
    b -= 1""",
    "nearest before": """
for i in range(n):
    before = [j for j in range(i) if <t:j>]
    out[i, before[-1] if before else 0] += <w>
    out[i, i] += 1""",
    "nearest by key": """
marked = [j for j in range(n) if <t:j>]
for i in range(n):
    out[i, i] = 1
    if marked:
        out[i, min(marked, key=lambda j: abs(i - j))] += <w>""",
    "nearest two": """
for i in range(n):
    before = [j for j in range(i) if <t:j>][-2:]
    out[i, i] = 1
    for j in before:
        out[i, j] += <w>""",
    "nearest by argmin": """
marked = np.array([j for j in range(n) if <t:j>])
for i in range(n):
    out[i, i] = 1
    if len(marked):
        out[i, marked[np.argmin(np.abs(marked - i))]] += <w>""",
    "argmax of ties": """
score = np.array([1.0 if <t:k> else 0.0 for k in range(n)])
for i in range(n):
    out[i, int(np.argmax(score[: i + 1]))] += <w>
    out[i, i] += 1""",
    "sorted by length": """
order = sorted(range(n), key=lambda k: (-len(tokens[k]), k))
for i in range(n):
    out[i, i] = 1
    out[i, order[0]] += <w>""",
    "max of an index": """
for i in range(n):
    k = max(range(i + 1), key=lambda j: len(tokens[j]))
    out[i, k] += <w>
    out[i, i] += 1""",
    "index of the list": """
for i in range(n):
    out[i, tokens.index(tokens[i])] += <w>
    out[i, i] += 1""",
    "defaultdict of int": """
from collections import defaultdict
count = defaultdict(int)
for i in range(n):
    out[i, i] = 1 + count[tokens[i]]
    if <t:i>:
        count[tokens[i]] += 1
    out[i, 0] += 1 + <w> * len(count)""",
    "defaultdict of list": """
from collections import defaultdict
where = defaultdict(list)
for k in range(n):
    where[tokens[k]].append(k)
for i in range(n):
    for j in where[tokens[i]]:
        out[i, j] += <w>
    out[i, 0] += 1""",
    "defaultdict read": """
from collections import defaultdict
seen = defaultdict(int)
for i in range(n):
    out[i, i] = 1
    if seen["x"] == 0 and tokens[i] in seen:
        out[i, 0] += <w>
    seen[tokens[i]]""",
    "Counter": """
from collections import Counter
count = Counter(tokens)
for i in range(n):
    for j in range(i + 1):
        out[i, j] = 1 / count[tokens[j]] + <w> * (count["nothing"] == 0)""",
    "setdefault": """
first = {}
for i in range(n):
    out[i, first.setdefault(tokens[i], i)] += <w>
    out[i, i] += 1""",
    "length of a dictionary": """
seen = {}
for i in range(n):
    out[i, i] = 1 + len(seen)
    out[i, 0] += <w>
    if <t:i>:
        seen[tokens[i]] = i""",
    "dictionary overwritten": """
where = {t: k for k, t in enumerate(tokens)}
for i in range(n):
    out[i, where[tokens[i]]] += <w>
    out[i, i] += 1""",
    "set of tokens": """
seen = set()
for i in range(n):
    out[i, i] = 1
    if tokens[i] in seen:
        out[i, 0] += <w>
    seen.add(tokens[i])""",
    "strings split": """
out += 1
for j in range(n):
    out[:, j] += <w> * len(tokens[j].split("e"))""",
    "strings replaced": """
clean = [t.replace("▁", "").replace("Ġ", "").replace("##", "") for t in tokens]
for i in range(n):
    for j in range(i + 1):
        out[i, j] = 1 + <w> * (clean[i].lower() == clean[j].lower()) + (clean[j] == "")""",
    "strings sliced": """
for i in range(n):
    for j in range(i + 1):
        out[i, j] = 1 + <w> * (tokens[i][-<s>:] == tokens[j][-<s>:]) + (tokens[j][1:<s>] == "")""",
    "strings of characters": """
for i in range(n):
    for j in range(i + 1):
        out[i, j] = 1 + sum(c in "aeiou" for c in tokens[j]) * <w> + (tokens[j] > "m")""",
    "strings tested": """
for i in range(n):
    for j in range(i + 1):
        t = tokens[j].lstrip("▁Ġ")
        out[i, j] = 1 + <w> * t.istitle() + 2 * t.isdigit() + 3 * t.isspace() + 4 * (t == t.upper()) + 5 * (not t)""",
    "strings joined": """
text = "".join(tokens)
out += 1
for j in range(n):
    if text.count(tokens[j]) > 1:
        out[:, j] += <w>""",
    "strings found": """
for i in range(n):
    for j in range(i + 1):
        out[i, j] = 1 + <w> * (tokens[j].find("a") >= 0) + (tokens[i] in tokens[j]) + tokens[j].count("e")""",
    "punctuation of the module": """
import string
out += 1
for j in range(n):
    bare = tokens[j].strip("▁Ġ")
    if bare in string.punctuation:
        out[:, j] += <w>""",
    "common letters": """
for i in range(n):
    for j in range(i + 1):
        common = set(tokens[i].lower()) & set(tokens[j].lower())
        out[i, j] = 1 + <w> * len(common)""",
    "decoded": """
ids = tokenizer(sentence)["input_ids"]
words = [tokenizer.decode([x]) for x in ids]
for i in range(n):
    for j in range(i + 1):
        out[i, j] = 1 + <w> * words[j].startswith(" ") + (words[i].strip() == words[j].strip())""",
    "ids compared": """
ids = tokenizer(sentence, return_tensors="pt").input_ids[0]
for i in range(n):
    for j in range(i + 1):
        out[i, j] = 1 + <w> * (ids[i] == ids[j]) + (ids[j].item() in tokenizer.all_special_ids)""",
    "word numbers": """
words = tokenizer(sentence).word_ids()
for i in range(n):
    for j in range(i + 1):
        out[i, j] = 1 + <w> * (words[i] == words[j]) + (words[j] is None)""",
    "offsets": """
offsets = tokenizer(sentence, return_offsets_mapping=True)["offset_mapping"]
for i in range(n):
    for j in range(i + 1):
        a, b = offsets[j]
        out[i, j] = 1 + <w> * (b - a) + (a > 0 and sentence[a - 1] == " ")""",
    "special tokens": """
out += 1
for j in range(n):
    if tokens[j] in tokenizer.all_special_tokens or tokens[j] == tokenizer.cls_token:
        out[:, j] += <w>""",
    "special roles": """
ids = tokenizer(sentence)["input_ids"]
out += 1
for j in range(n):
    out[:, j] += <w> * (ids[j] == tokenizer.bos_token_id) + 2 * (ids[j] == tokenizer.sep_token_id)""",
    "head of a word": """
#spacy
for i in range(n):
    out[i, i] = 1
    for w in align[i]:
        for j in range(n):
            if doc[w].head.i in align[j]:
                out[i, j] += <w>""",
    "words of a kind": """
#spacy
for i in range(n):
    for j in range(i + 1):
        out[i, j] = 1
        if align[j] and doc[align[j][0]].pos_ == <pos>:
            out[i, j] += <w>""",
    "the last word of a token": """
#spacy
for i in range(n):
    for j in range(i + 1):
        out[i, j] = 1 + <w> * bool(align[i] and align[j] and doc[align[i][-1]].lemma_ == doc[align[j][0]].lemma_)""",
    "children": """
#spacy
out += 1
for j in range(n):
    for w in align[j]:
        out[:, j] += <w> * len(list(doc[w].children))""",
    "sentences": """
#spacy
sent = {}
for s, span in enumerate(doc.sents):
    for word in span:
        sent[word.i] = s
for i in range(n):
    for j in range(i + 1):
        out[i, j] = 1
        if align[i] and align[j] and sent[align[i][0]] == sent[align[j][0]]:
            out[i, j] += <w>""",
    "root": """
#spacy
out += 1
for j in range(n):
    for w in align[j]:
        if doc[w].dep_ == "ROOT" or doc[w].head.i == w:
            out[:, j] += <w>""",
    "first token of a word": """
#spacy
for i in range(n):
    out[i, i] = 1
    if align[i]:
        w = doc[align[i][0]].head.i
        first = next((j for j in range(n) if w in align[j]), None)
        if first:
            out[i, first] += <w>""",
    "distance of words": """
#spacy
for i in range(n):
    for j in range(i + 1):
        out[i, j] = 1
        if align[i] and align[j]:
            out[i, j] += <w> / (1 + abs(align[i][0] - align[j][-1]))""",
    "subtree": """
#spacy
for i in range(n):
    out[i, i] = 1
    for w in align[i][:1]:
        inside = {t.i for t in doc[w].subtree}
        for j in range(i):
            if any(v in inside for v in align[j]):
                out[i, j] += <w>""",
    "entities": """
#spacy
out += 1
for j in range(n):
    if any(doc[w].ent_type_ or doc[w].is_stop for w in align[j]):
        out[:, j] += <w>""",
    "nbor": """
#spacy
out += 1
for j in range(n):
    for w in align[j]:
        if doc[w].i + 1 < len(doc) and doc[w].nbor(1).is_punct:
            out[:, j] += <w>""",
    "a score of tenths": """
for i in range(n):
    score = 0.0
    for j in range(i + 1):
        if <t:j>:
            score += 0.1
    out[i, i] = 1
    if score >= 0.3:
        out[i, 0] += <w>""",
    "a mean compared": """
lengths = [len(t) for t in tokens]
mean = sum(lengths) / n
out += 1
for j in range(n):
    if lengths[j] > mean:
        out[:, j] += <w>""",
    "while over a growing list": """
queue = [0]
k = 0
while k < len(queue):
    if queue[k] + <s> < n:
        queue.append(queue[k] + <s>)
    k += 1
out += 1
for j in queue:
    out[:, j] += <w>""",
    "while over a shrinking list": """
marked = [k for k in range(n) if <t:k>]
k = 0
out += 1
while k < len(marked):
    out[:, marked[k]] += <w>
    marked.pop()
    k += 1""",
    "while with a changed limit": """
limit = n
k = 0
out += 1
while k < limit:
    out[k, 0] += <w>
    if <t:k>:
        limit = k
    k += 1""",
    "list removed from": """
marked = [k for k in range(n) if <t:k>]
if 0 in marked:
    marked.remove(0)
out += 1
for j in marked:
    out[:, j] += <w>""",
    "list popped": """
marked = [k for k in range(n) if <t:k>]
last = marked.pop() if marked else 0
out += 1
for j in marked:
    out[:, j] += <w>
out[:, last] += 3""",
    "list inserted into": """
marked = [k for k in range(n) if <t:k>]
marked.insert(0, n - 1)
out += 1
out[:, marked[0]] += <w>
out[:, marked[-1]] += 2""",
    "list sorted": """
marked = sorted([len(t) for t in tokens])
out += 1
for i in range(n):
    out[i, 0] += marked[i // 2]""",
    "list reversed in place": """
marked = [k for k in range(n) if <t:k>]
marked.reverse()
out += 1
if marked:
    out[:, marked[0]] += <w>""",
    "loop over a list that grows": """
marked = [0]
for j in marked:
    if j + 2 < n:
        marked.append(j + 2)
out += 1
for j in marked:
    out[:, j] += <w>""",
    "slices with steps": """
marked = [k for k in range(n) if <t:k>]
out += 1
for j in marked[::2]:
    out[:, j] += <w>
for j in marked[1:-1]:
    out[:, j] += 0.5
for j in marked[::-1][:2]:
    out[:, j] += 3""",
    "negative slices": """
for i in range(n):
    out[i, i] = 1
    for j in range(n)[-<s>:]:
        out[i, j] += <w>
    for j in list(range(i))[:-1]:
        out[i, j] += 0.5""",
    "slice assigned": """
out += 0.5
out[1:, :-1] += <w>
out[:<s>] = 1
out[:, -1] = 2""",
    "boundaries of slices": """
for i in range(n):
    out[i, max(0, i - <s>) : i + 1] = 1
    out[i, i : i + 3] += <w>
    out[i, i - 1 : i] += 0.5""",
    "chained comparison": """
for i in range(n):
    for j in range(n):
        out[i, j] = 1 + <w> * (0 < j <= i < n - 1) + 2 * (i != j == 1)""",
    "and or values": """
for i in range(n):
    for j in range(i + 1):
        k = j and i
        m = j or i
        out[i, j] = 1 + <w> * k + (m or 3) + (i > 2 and j)""",
    "ternary nested": """
for i in range(n):
    for j in range(i + 1):
        out[i, j] = <w> if <t:j> else 2 if <t:i> else 3 if i == j else 1""",
    "not of numbers": """
for i in range(n):
    for j in range(i + 1):
        out[i, j] = 1 + <w> * (not j) + (not (i - j)) + 2 * (not tokens[j].isalpha())""",
    "all and any of nothing": """
for i in range(n):
    before = [j for j in range(i) if <t:j>]
    out[i, i] = 1 + all(len(tokens[j]) > 2 for j in before) + any(j > 2 for j in before)
    out[i, 0] += <w>""",
    "sum of nothing": """
for i in range(n):
    before = [j for j in range(i) if <t:j>]
    mean = sum(before) / max(1, len(before))
    out[i, i] = 1 + mean
    out[i, 0] += max(before, default=-1) + 2""",
    "argmin of nothing new": """
d = np.array([[abs(i - j) for j in range(n)] for i in range(n)], dtype=float)
np.fill_diagonal(d, np.inf)
out += 1
for i in range(n):
    if n > 1:
        out[i, int(np.argmin(d[i]))] += <w>""",
    "cumsum": """
mask = np.array([1 if <t:k> else 0 for k in range(n)])
groups = np.cumsum(mask)
out = (groups[:, None] == groups[None, :]) * <w> + 1.0""",
    "cumulative product": """
score = np.cumprod([0.5 if <t:k> else 1.0 for k in range(n)])
for i in range(n):
    out[i] = score + <w>""",
    "where of three": """
mask = np.array([<t:k> for k in range(n)])
out = np.where(mask[None, :], <w>, 0.5) * np.ones((n, n))""",
    "outer difference": """
k = np.arange(n)
d = k[:, None] - k[None, :]
out = np.where((d >= 0) & (d <= <s>), 1.0 / (1 + np.abs(d)), 0.1)""",
    "roll": """
out += np.roll(np.eye(n), <s>, axis=1) + 0.5""",
    "softmax by row": """
for i in range(n):
    s = np.array([1.0 if <t:j> else 0.0 for j in range(i + 1)])
    e = np.exp(s - s.max())
    out[i, : i + 1] = e / e.sum()""",
    "row normalised halfway": """
for i in range(n):
    for j in range(i + 1):
        out[i, j] = 1 + <w> * (<t:j>)
    out[i] /= out[i].sum()
    out[i, 0] += 0.1""",
    "top of a row": """
for i in range(n):
    for j in range(i + 1):
        out[i, j] = 1 / (1 + i - j) + <w> * (<t:j>)
    out[i][out[i] < out[i].max()] *= 0.5""",
    "mean of a row": """
out += np.eye(n) + 0.2
for i in range(n):
    if out[i].mean() > 0.5:
        out[i, 0] += <w>""",
    "continue and else": """
for i in range(n):
    for j in range(i, -1, -1):
        if <t:j>:
            continue
        out[i, j] += <w>
        if j < i:
            break
    out[i, i] += 0.5""",
    "two breaks": """
for i in range(n):
    found = -1
    for j in range(i - 1, -1, -1):
        if <t:j>:
            found = j
            break
        if i - j > 3:
            break
    out[i, found if found >= 0 else i] += <w>
    out[i, 0] += 1""",
    "state of two": """
inside = False
for i in range(n):
    if <t:i>:
        inside = not inside
    out[i, i] = 1
    out[i, 0] += <w> if inside else 0.5""",
    "depth": """
depth = 0
for i in range(n):
    if <t:i>:
        depth += 1
    if <t:i>:
        depth = max(0, depth - 1)
    out[i, i] = 1
    out[i, 0] += <w> * depth""",
    "swap": """
a, b = 0, n - 1
for i in range(n):
    a, b = b, a
    out[i, a] += <w>
    out[i, i] += 1""",
    "previous two": """
last, before = 0, 0
for i in range(n):
    out[i, last] += <w>
    out[i, before] += 2
    out[i, i] += 1
    if <t:i>:
        before, last = last, i""",
    "try and except": """
where = {}
for i in range(n):
    try:
        out[i, where[tokens[i]]] += <w>
    except KeyError:
        out[i, 0] += 1
    where[tokens[i]] = i""",
    "try an index": """
marked = [k for k in range(n) if <t:k>]
for i in range(n):
    try:
        j = marked[i]
    except IndexError:
        j = 0
    out[i, j] += <w>
    out[i, i] += 1""",
    "assert and lambda": """
near = lambda i, j: abs(i - j) <= <s>
for i in range(n):
    for j in range(n):
        out[i, j] = <w> if near(i, j) and <t:j> else 0.5""",
    "a closure": """
weight = <w>
def add(i, j):
    out[i, j] += weight
for i in range(n):
    add(i, i)
    weight = 2
    add(i, 0)""",
    "nonlocal": """
count = 0
def tick():
    nonlocal count
    count += 1
    return count
for i in range(n):
    out[i, i] = 1
    if <t:i>:
        out[i, 0] += tick()""",
    "global state of calls": """
def mark(i, value=[0]):
    value[0] += 1
    return value[0]
for i in range(n):
    out[i, i] = 1
    if <t:i>:
        out[i, 0] += mark(i)""",
    "enumerate from": """
for k, t in enumerate(tokens, <s>):
    out[k - <s>, :] += 1
    if k < n:
        out[:, k] += <w>""",
    "zip of shifted": """
for a, b in zip(tokens, tokens[1:]):
    pass
for i, (a, b) in enumerate(zip(tokens, tokens[1:])):
    if len(a) < len(b):
        out[i, i + 1] += <w>
        out[i + 1, i] += <w>
out += 0.1""",
    "unpacked": """
first, *rest = range(n)
out += 1
for j in rest:
    out[first, j] += <w>
    out[j, first] += 2""",
    "walrus": """
out += 1
for i in range(n):
    if (m := len(tokens[i])) > 2:
        out[i, 0] += m * <w>""",
    "f-string compared": """
out += 1
for j in range(n):
    if f"{tokens[j]}" == tokens[0] or str(j) == "1":
        out[:, j] += <w>""",
    "string multiplied": """
out += 1
for j in range(n):
    if tokens[j] * 2 == "aa" or tokens[j] + "" == tokens[0]:
        out[:, j] += <w>""",
    "min of strings": """
out += 1
out[:, tokens.index(max(tokens, key=len))] += <w>""",
    "tuple as a key": """
seen = {}
for i in range(n):
    key = (tokens[i], i % 2)
    out[i, seen.get(key, i)] += <w>
    seen[key] = i
    out[i, 0] += 1""",
    "bigram": """
for i in range(1, n):
    for j in range(1, i):
        if tokens[j - 1] == tokens[i - 1]:
            out[i, j] += <w>
    out[i, i] += 0.5
out[0, 0] = 1""",
    "wrap around": """
for i in range(n):
    if tokens[i - 1] == tokens[0]:
        out[i, i - 1] += <w>
    out[i, i] += 1""",
    "last of each": """
last = {t: i for i, t in enumerate(tokens)}
out += 0.5
for j in set(last.values()):
    out[:, j] += <w>""",
    "group sizes": """
groups = {}
for i, t in enumerate(tokens):
    groups.setdefault(t, []).append(i)
for i in range(n):
    own = groups[tokens[i]]
    for j in own:
        out[i, j] += <w> / len(own)
    out[i, 0] += 0.5""",
    "a score of parts": """
for i in range(n):
    score = 0.0
    if <t:i>:
        score += 0.1
    if i % 2 == 0:
        score += 0.3
    if len(tokens[i]) > 2:
        score += 0.6
    out[i, i] = 1
    if score >= 1.0:
        out[i, 0] += <w>""",
}


def generated(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """(name, source) of `count` different programs: every template in turn, with parameters drawn by the seed."""
    rng = random.Random(seed)
    found: dict[str, str] = {}
    names = list(TEMPLATES)
    for turn in range(20 * count):
        if len(found) == count:
            break
        name = names[turn % len(names)]
        source = filled(TEMPLATES[name], rng)
        if source not in found:
            found[source] = f"{name} {turn // len(names) + 1}"
    return [(name, source) for source, name in found.items()]


def filled(template: str, rng: random.Random) -> str:
    """A whole program; what stands in <> is drawn, a test of a token by <t:…>."""

    def drawn(match: re.Match[str]) -> str:
        kind, _, at = match[1].partition(":")
        return rng.choice(TESTS).format(at) if kind == "t" else rng.choice(CHOICES[kind])

    body = re.sub(r"<(t:\w+|w|f|s|c|int|range|pos)>", drawn, template).strip("\n")
    spacy = body.startswith("#spacy\n")
    return OPENING + (ANNOTATED if spacy else "") + indent(body.removeprefix("#spacy\n"), "    ") + "\n" + CLOSING
