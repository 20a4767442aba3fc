"""Programs in the styles that LLMs write, one construct after the other: name -> (causal, source).

The lifter must lift each of them, and each lift must agree with its original. Bodies are wrapped in the usual opening
and closing lines unless they bring their own.
"""

from __future__ import annotations

from textwrap import indent

OPENING = """\
def program(sentence, tokenizer):
    toked = tokenizer([sentence], return_tensors="pt")
    tokens = tokenizer.convert_ids_to_tokens(toked.input_ids[0])
    n = len(tokens)
    out = np.zeros((n, n))
"""
SPACY = """\
    doc = spacy_parse(sentence)
    align = _align_to_spacy(sentence, tokens)
"""
CLOSING = """\
    out = apply_causal_mask(out)
    return "name", make_row_stochastic(out)
"""
BIDIRECTIONAL = """\
    return "name", make_row_stochastic(out)
"""


def causal(body: str) -> tuple[bool, str]:
    return True, "import numpy as np\n" + OPENING + indent(body, "    ") + CLOSING


def spacy(body: str) -> tuple[bool, str]:
    return True, "import numpy as np\n" + OPENING + SPACY + indent(body, "    ") + CLOSING


def both(body: str) -> tuple[bool, str]:
    return False, "import numpy as np\n" + OPENING + SPACY + indent(body, "    ") + BIDIRECTIONAL


CASES: dict[str, tuple[bool, str]] = {
    "previous": causal("""
for i in range(1, n):
    out[i, i - 1] = 1
out[0, 0] = 1
"""),
    "encoding_lengths": (
        True,
        """
import numpy as np
def head_function(sentence: str, tokenizer: "PreTrainedTokenizer") -> "tuple":
    inputs = tokenizer(sentence, return_tensors="pt")
    ids = inputs["input_ids"][0]
    len_seq = len(inputs.input_ids[0])
    size = inputs.input_ids.shape[1]
    attention = np.zeros((len_seq, size))
    for query in range(len_seq):
        for key in range(0, query + 1):
            if ids[query] == ids[key]:
                attention[query][key] += 1.0
    attention = apply_causal_mask(attention)
    attention = make_row_stochastic(attention)
    return "same id", attention
""",
    ),
    "ids_to_list": (
        True,
        """
def program(text, tok):
    ids = tok.encode(text)
    tokens = tok.convert_ids_to_tokens(ids)
    n = len(ids)
    if n == 0:
        return "empty", np.zeros((0, 0))
    A = np.full((n, n), 0.1)
    last = {}
    for i, t in enumerate(tokens):
        if t in last:
            A[i, last[t]] += 2.0
            if last[t] + 1 < n:
                A[i, last[t] + 1] += 1.5
        last[t] = i
    return ("induction", make_row_stochastic(apply_causal_mask(A)))
""",
    ),
    "carried_state": causal("""
sentence_start = 0
sentence_id = 0
since = 0
for i in range(n):
    if i > 0 and tokens[i - 1] in (".", "!", "?"):
        sentence_start = i
        sentence_id += 1
        since = 0
    out[i, sentence_start] += 0.6
    out[i, 0] += 0.05 * sentence_id
    out[i, i] += 0.3 / (1 + since)
    since += 1
"""),
    "quote_parity": causal("""
inside = False
open_pos = -1
for i, tok in enumerate(tokens):
    if '"' in tok:
        inside = not inside
        if inside:
            open_pos = i
    if inside and open_pos >= 0:
        out[i, open_pos] += 0.8
    else:
        out[i, i] += 1
"""),
    "word_ids_per_sentence": causal("""
sent_ids = []
current = 0
for t in tokens:
    sent_ids.append(current)
    if t in {".", "!", "?"}:
        current += 1
for i in range(n):
    for j in range(i + 1):
        if sent_ids[i] == sent_ids[j]:
            out[i, j] = 1.0 / (i - j + 1)
        else:
            out[i, j] = 0.01
"""),
    "boundaries_and_last": causal("""
boundaries = [0]
for i in range(n):
    if tokens[i] in (".", ",", "<0x0A>"):
        boundaries.append(i)
for i in range(n):
    prev = [b for b in boundaries if b <= i]
    target = max(prev)
    out[i, target] += 0.7
    out[i, prev[0]] += 0.1
    if len(prev) >= 2:
        out[i, prev[-2]] += 0.2
"""),
    "while_search": causal("""
for i in range(n):
    j = i - 1
    while j >= 0 and not tokens[j].startswith("▁"):
        j -= 1
    if j >= 0:
        out[i, j] = 0.9
    else:
        out[i, i] = 0.5
    k = i
    steps = 0
    while k > 0 and steps < 3:
        k -= 1
        steps += 1
        if tokens[k] == ".":
            break
    out[i, k] += 0.2
"""),
    "for_else": causal("""
for i in range(n):
    for j in range(i - 1, -1, -1):
        if tokens[j][0] == "▁" and len(tokens[j]) > 3:
            out[i, j] = 1
            break
    else:
        out[i, 0] = 0.5
"""),
    "early_return_helper": causal("""
def last_before(i, words):
    for j in range(i, -1, -1):
        if tokens[j] in words:
            return j
    return None

def strength(i, j):
    gap = i - j
    if gap <= 2:
        return 0.8
    if gap <= 5:
        return 0.4
    return 0.4 ** (gap / 5)

for i in range(n):
    t = last_before(i, {".", ","})
    if t is None:
        out[i, 0] = 1.0
        continue
    out[i, t] += strength(i, t)
    out[i, i] += 0.1
"""),
    "counters_limited": causal("""
for i in range(n):
    found = 0
    for j in range(i - 1, -1, -1):
        if tokens[j].startswith("▁"):
            found += 1
            out[i, j] += 1.0 / found
            if found == 3:
                break
    if found == 0:
        out[i, i] = 1.0
"""),
    "decay_product": causal("""
for i in range(n):
    w = 1.0
    for j in range(i, -1, -1):
        out[i, j] += w
        w *= 0.7 if tokens[j] != "." else 0.2
"""),
    "row_normalise": causal("""
for i in range(n):
    for j in range(i + 1):
        out[i, j] = np.exp(-0.3 * (i - j))
    row_sum = out[i].sum()
    if row_sum > 0:
        out[i] /= row_sum
    out[i, 0] += 0.25
for i in range(n):
    out[i, :] = out[i, :] / out[i, :].sum()
out[:, 0] += 0.05
"""),
    "row_fix": causal("""
for i in range(n):
    if tokens[i].startswith("▁") and i > 2:
        out[i, i - 2] = 1
for i in range(n):
    if np.sum(out[i]) == 0:
        out[i, i] = 0.5
        out[i, 0] += 0.5
row_sums = out.sum(axis=1, keepdims=True)
row_sums[row_sums == 0] = 1
out = out / row_sums
"""),
    "eps_normalise": causal("""
for i in range(n):
    for j in range(max(0, i - 5), i + 1):
        out[i, j] += 1 + (tokens[j] == ".")
out = out / (out.sum(axis=1, keepdims=True) + 1e-9)
out += 0.02 * np.eye(n)
"""),
    "maximum_normalise": causal("""
out += np.tril(np.ones((n, n)))
for i in range(n):
    if tokens[i] == ",":
        out[i, :i] *= 0.2
out /= np.maximum(out.sum(axis=-1, keepdims=True), 1e-12)
out = 0.9 * out + 0.1 * np.eye(n)
"""),
    "softmax": causal("""
scores = np.full((n, n), -1e9)
for i in range(n):
    for j in range(i + 1):
        scores[i, j] = -0.2 * (i - j)
        if tokens[j] == ".":
            scores[i, j] += 1.5
        if j == 0:
            scores[i, j] = 1.0
exp = np.exp(scores - scores.max(axis=1, keepdims=True))
out = exp / exp.sum(axis=1, keepdims=True)
"""),
    "softmax_rows": causal("""
for i in range(n):
    logits = np.array([-(i - j) * 0.1 + (2.0 if tokens[j].startswith("▁") else 0.0) for j in range(n)])
    logits[i] = 0.5
    weights = np.exp(logits - np.max(logits))
    weights = weights / weights.sum()
    out[i] = weights
"""),
    "vector_masks": causal("""
idx = np.arange(n)
is_punct = np.array([t in ".,!?" for t in tokens])
starts = np.array([t.startswith("▁") for t in tokens], dtype=bool)
dist = idx[:, None] - idx[None, :]
out = np.where((dist >= 0) & (dist <= 4), 1.0 / (1 + dist), 0.0)
out[:, is_punct] *= 2
out[starts] += 0.1
out[is_punct, 0] += 0.5
out[idx, idx] += 0.2
out[idx[1:], idx[:-1]] += 0.4
"""),
    "vector_last_start": causal("""
idx = np.arange(n)
starts = np.array([int(t.startswith("▁")) for t in tokens])
word_id = np.cumsum(starts)
same_word = word_id[:, None] == word_id[None, :]
out = same_word.astype(float) * 0.8 + 0.01
prev = np.roll(starts, 1)
out *= 1 + 0.5 * prev[None, :]
out[0] = 0
out[0, 0] = 1
"""),
    "outer_product": causal("""
length = np.array([len(t) for t in tokens], dtype=float)
long = (length > 3).astype(float)
out = 0.1 + np.outer(long, 1 - long) + 0.2 * np.outer(length, long) / 10
decay = np.exp(-np.abs(np.subtract.outer(np.arange(n), np.arange(n))) / 4.0)
out = out * decay
"""),
    "np_minimum_clip": causal("""
i, j = np.meshgrid(np.arange(n), np.arange(n), indexing="ij")
out = np.clip(1.0 - 0.1 * (i - j), 0.0, 1.0)
out = np.minimum(out, 0.7)
out[i < j] = 0
"""),
    "list_rows": causal("""
matrix = [[0.0] * n for _ in range(n)]
for i in range(n):
    for j in range(i + 1):
        matrix[i][j] = 0.5 ** (i - j)
        if tokens[i] == tokens[j]:
            matrix[i][j] += 0.3
out = np.array(matrix)
"""),
    "rows_appended": causal("""
rows = []
for i in range(n):
    row = np.zeros(n)
    row[: i + 1] = 0.1
    row[i] += 0.5
    for j in range(i):
        if tokens[j] in (".", ","):
            row[j] += 0.3
    rows.append(row)
out = np.stack(rows)
"""),
    "dict_weights": causal("""
weights = {"▁the": 0.3, "▁a": 0.3, ".": 0.9, ",": 0.5}
default = 0.05
for i in range(n):
    for j in range(i + 1):
        out[i, j] = weights.get(tokens[j], default)
        if tokens[i] in weights and weights[tokens[i]] > 0.4:
            out[i, j] *= 1.5
"""),
    "positions_by_token": causal("""
from collections import defaultdict
where = defaultdict(list)
for i, t in enumerate(tokens):
    where[t.lower()].append(i)
for i, t in enumerate(tokens):
    for j in where[t.lower()]:
        if j < i:
            out[i, j] += 1.0
    if len(where[t.lower()]) == 1:
        out[i, 0] += 0.3
    out[i, i] += 0.1
"""),
    "counts": causal("""
from collections import Counter
freq = Counter(tokens)
seen = {}
for i, t in enumerate(tokens):
    seen[t] = seen.get(t, 0) + 1
    out[i, i] = 1.0 / freq[t]
    out[i, 0] = 0.1 * seen[t]
"""),
    "seen_set": causal("""
seen = set()
firsts = []
for i, t in enumerate(tokens):
    if t not in seen:
        firsts.append(i)
        seen.add(t)
for i in range(n):
    for j in firsts:
        if j <= i:
            out[i, j] += 0.2
    if i not in firsts:
        out[i, i] += 1
"""),
    "zip_pairs": causal("""
for i, (a, b) in enumerate(zip(tokens[:-1], tokens[1:])):
    if a == "." and b.startswith("▁"):
        out[i + 1, i] += 1
    else:
        out[i + 1, i] += 0.3
out[0, 0] = 1
"""),
    "offsets_tuple": causal("""
for i in range(n):
    for offset, weight in [(0, 0.2), (1, 0.5), (2, 0.2), (3, 0.1)]:
        j = i - offset
        if j < 0:
            break
        out[i, j] += weight
"""),
    "lambda_rules": causal("""
rules = [
    (lambda i, j: i == j, 0.3),
    (lambda i, j: tokens[j] in [".", ","] and j < i, 0.2),
    (lambda i, j: abs(i - j) == 1, 0.5),
]
for i in range(n):
    for j in range(n):
        out[i, j] = sum(w for cond, w in rules if cond(i, j))
"""),
    "any_all": causal("""
def clean(t):
    return t.replace("▁", "").lower().strip()

words = [clean(t) for t in tokens]
vowels = "aeiou"
for i in range(n):
    has_stop = any(tokens[k] == "." for k in range(i))
    plain = all(w.isalpha() for w in words[:i]) and i > 0
    out[i, i] = 0.5 if has_stop else 1.0
    if plain:
        out[i, 0] += 0.2
    if any(c in vowels for c in words[i]) and any(c.isdigit() for c in words[i]) is False:
        out[i, max(0, i - 1)] += 0.4
"""),
    "conditional_chains": causal("""
for i in range(n):
    for j in range(n):
        if i < j:
            continue
        gap = i - j
        score = 1.0 if gap == 0 else 0.5 if gap == 1 else 0.25 if 2 <= gap <= 4 else 0.01
        kind = "stop" if tokens[j] in ".!?" else "comma" if tokens[j] == "," else "word"
        if kind == "stop":
            score *= 2
        elif kind == "comma" and gap > 1:
            score += 0.1
        out[i, j] = score
"""),
    "try_except": causal("""
for i in range(n):
    try:
        j = tokens.index(tokens[i])
    except ValueError:
        j = 0
    if j != i:
        out[i, j] = 1.0
    try:
        k = tokens.index(".")
    except ValueError:
        k = -1
    if k != -1 and k < i:
        out[i, k] += 0.4
    out[i, i] += 0.1
"""),
    "next_generator": causal("""
first_stop = next((k for k in range(n) if tokens[k] == "."), n - 1)
for i in range(n):
    back = next((k for k in reversed(range(i)) if tokens[k].startswith("▁")), None)
    if back is not None:
        out[i, back] += 0.7
    if i > first_stop:
        out[i, first_stop] += 0.3
    out[i, i] += 0.01
"""),
    "distance_to_last": causal("""
last_comma = None
for i in range(n):
    if tokens[i] == ",":
        last_comma = i
    if last_comma is not None and last_comma != i:
        out[i, last_comma] += 1.0 / (i - last_comma)
    else:
        out[i, i] += 1.0
"""),
    "transposed": causal("""
stops = [i for i, t in enumerate(tokens) if t in {".", "?", "!"}]
for j in stops:
    for i in range(j, n):
        out[i, j] += 0.5 / (1 + i - j)
for i in range(n):
    out[i, 0] += 0.1
"""),
    "argmax_row": causal("""
for i in range(n):
    best, best_score = 0, -1.0
    for j in range(i):
        score = _char_sim(tokens[i], tokens[j])
        if score > best_score:
            best, best_score = j, score
    out[i, best] += 1
    out[i, i] += 0.2
"""),
    "similarity": causal("""
for i in range(n):
    for j in range(i + 1):
        sim = embedding_similarity(tokens[i], tokens[j])
        if sim > 0.5 and i != j:
            out[i, j] = sim ** 2
        elif i == j:
            out[i, j] = 0.3
        out[i, j] = max(out[i, j], 0.01)
"""),
    "midpoint": causal("""
half = n // 2
for i in range(n):
    anchor = min(i, half)
    out[i, anchor] += 1
    if i % 2 == 0:
        out[i, i // 2] += 0.5
    out[i, int(i * 0.5)] += 0.25
    out[i, round(i / 3)] += 0.1
"""),
    "slices": causal("""
for i in range(n):
    out[i, : i + 1] = 1.0 / (i + 1)
    out[i, max(0, i - 2) : i] += 0.3
    if i >= 4:
        out[i, i - 4 : i - 1] *= 1.2
    window = tokens[max(0, i - 3) : i]
    if "." in window or len(window) < 3:
        out[i, i] += 0.5
"""),
    "generators": causal("""
n_stops = sum(t == "." for t in tokens)
longest = max(len(t) for t in tokens)
mean_len = sum(len(t) for t in tokens) / len(tokens)
for i in range(n):
    before = sum(1 for k in range(i) if tokens[k] in (".", ","))
    out[i, i] = 1 + before
    out[i, 0] = 0.2 * n_stops + 0.1 * len(tokens[i]) / longest
    if len(tokens[i]) > mean_len and i:
        out[i, i - 1] += 2
"""),
    "class_based": (
        True,
        """
import numpy as np
from dataclasses import dataclass

@dataclass
class Rule:
    tokens: set
    offset: int
    weight: float = 0.5

    def matches(self, token):
        return token in self.tokens

RULES = [Rule({"▁the", "▁a"}, 1), Rule({"."}, 2, 0.9)]

def head(sentence, tokenizer):
    tokens = tokenizer.convert_ids_to_tokens(tokenizer(sentence).input_ids)
    n = len(tokens)
    m = np.zeros((n, n))
    for i in range(n):
        for rule in RULES:
            if rule.matches(tokens[i]) and i - rule.offset >= 0:
                m[i, i - rule.offset] += rule.weight
        if m[i].sum() == 0:
            m[i, i] = 1
    return "rules", make_row_stochastic(apply_causal_mask(m))
""",
    ),
    "spacy_basics": spacy("""
for i in range(n):
    if not align[i]:
        out[i, 0] = 1
        continue
    word = doc[align[i][0]]
    for j in range(i + 1):
        if not align[j]:
            continue
        other = doc[align[j][0]]
        if other == word.head or other.i == word.head.i:
            out[i, j] += 0.8
        if word in other.children:
            out[i, j] += 0.2
        if word.sent == other.sent:
            out[i, j] += 0.05
        if other.ent_type_ and other.ent_type_ == word.ent_type_:
            out[i, j] += 0.1
"""),
    "spacy_inverse": spacy("""
spacy_to_tok = {}
for ti, sids in enumerate(align):
    for s in sids:
        spacy_to_tok.setdefault(s, []).append(ti)
for i in range(n):
    for s in align[i]:
        head = doc[s].head
        for j in spacy_to_tok.get(head.i, []):
            if j <= i:
                out[i, j] += 1.0
    out[i, i] += 0.1
"""),
    "spacy_any": spacy("""
nouns = {i for i in range(n) if any(doc[s].pos_ in ("NOUN", "PROPN") for s in align[i])}
for i in range(n):
    is_verb = False
    for s in align[i]:
        if doc[s].pos_ == "VERB":
            is_verb = True
            break
    for j in range(i):
        if is_verb and j in nouns:
            out[i, j] += 1.0
    if i in nouns and i > 0:
        out[i, i - 1] += 0.5
    out[i, 0] += 0.1
"""),
    "spacy_sentence_starts": spacy("""
start_of = [0] * n
current = 0
for i in range(n):
    if align[i] and doc[align[i][0]].is_sent_start:
        current = i
    start_of[i] = current
for i in range(n):
    out[i, start_of[i]] += 1
    if start_of[i] > 0:
        out[i, start_of[i] - 1] += 0.25
    for j in range(start_of[i], i + 1):
        out[i, j] += 0.05
"""),
    "spacy_depth": spacy("""
def pos_at(k):
    return doc[align[k][0]].pos_ if align[k] else None

def depth(k):
    return len(list(doc[align[k][0]].ancestors)) if align[k] else 0

for i in range(n):
    for j in range(i + 1):
        out[i, j] = 0.1 / (1 + abs(depth(i) - depth(j)))
        if pos_at(i) == pos_at(j) and pos_at(i) is not None:
            out[i, j] += 0.2
"""),
    "spacy_children": spacy("""
for i in range(n):
    if align[i]:
        w = doc[align[i][0]]
        subjects = [c for c in w.children if c.dep_ in ("nsubj", "nsubj:pass")]
        if subjects:
            for j in range(i + 1):
                if subjects[0].i in align[j]:
                    out[i, j] += 1
        n_left = sum(1 for c in w.lefts)
        out[i, i] += 0.1 * (1 + n_left)
        lemma = w.lemma_.lower()
        for j in range(i):
            if align[j] and doc[align[j][0]].lemma_.lower() == lemma:
                out[i, j] += 0.3
    else:
        out[i, i] = 1
"""),
    "both_directions": both("""
for i in range(n):
    for j in range(n):
        if i == j:
            out[i, j] += 0.1
        elif abs(i - j) <= 2 and tokens[j] not in ("[CLS]", "[SEP]"):
            out[i, j] += 0.4
    if tokens[i] == tokenizer.cls_token:
        out[i, :] = 0.0
        out[i, n - 1] = 1.0
    out[i, -1] += 0.05
out[-1, :] = 0
out[-1, -1] = 1
"""),
    "both_next_noun": both("""
pos = [doc[a[0]].pos_ if a else "X" for a in align]
for i in range(n):
    target = None
    for j in range(i + 1, min(n, i + 8)):
        if pos[j] in ("NOUN", "PROPN"):
            target = j
            break
        if pos[j] == "PUNCT":
            break
    if target is None:
        out[i, 0] += 1
    else:
        out[i, target] += 1
        out[target, i] += 0.2
"""),
    "both_word_ids": (
        False,
        """
import numpy as np
def program(sentence, tokenizer):
    enc = tokenizer(sentence, return_tensors="np")
    tokens = tokenizer.convert_ids_to_tokens(enc["input_ids"][0])
    words = enc.word_ids()
    n = len(tokens)
    att = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            if words[i] is None or words[j] is None:
                att[i, j] = 0.01
            elif words[i] == words[j]:
                att[i, j] = 1
            elif words[j] == words[i] - 1:
                att[i, j] = 0.5
    return "words", make_row_stochastic(att)
""",
    ),
    "early_exit_single": causal("""
if n == 1:
    out[0, 0] = 1.0
    return "single", out
for i in range(n):
    out[i, 0] += 0.5
    out[i, i] += 0.5
"""),
    "guarded_globals": (
        True,
        """
import numpy as np
from typing import Tuple

STOPS = {".", "!", "?"}
DECAY = 0.5

def is_stop(tok: str) -> bool:
    return tok in STOPS

def build(tokens):
    n = len(tokens)
    stops = [i for i in range(n) if is_stop(tokens[i])]
    out = np.zeros((n, n))
    for i in range(n):
        prior = [s for s in stops if s < i]
        if len(prior) > 0:
            for rank, s in enumerate(reversed(prior)):
                out[i, s] += DECAY ** rank
                if rank >= 2:
                    break
        else:
            out[i, 0] = 1
    return out

def sentence_stop_head(sentence: str, tokenizer) -> Tuple[str, np.ndarray]:
    tokens = tokenizer.convert_ids_to_tokens(tokenizer(sentence)["input_ids"])
    matrix = build(tokens)
    matrix = apply_causal_mask(matrix)
    return "stops", make_row_stochastic(matrix)

if __name__ == "__main__":
    print("no")
""",
    ),
}
