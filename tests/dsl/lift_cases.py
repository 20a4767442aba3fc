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
    "groups": causal("""
words = []
for i, t in enumerate(tokens):
    if t.startswith("▁") or not words:
        words.append([i])
    else:
        words[-1].append(i)
for w, group in enumerate(words):
    for i in group:
        out[i, group[0]] += 0.6
        if w > 0:
            out[i, words[w - 1][-1]] += 0.3
        out[i, i] += 0.1
"""),
    "groups_current": causal("""
segments = []
current = []
for i in range(n):
    current.append(i)
    if tokens[i] in (".", "!", "?"):
        segments.append(current)
        current = []
if current:
    segments.append(current)
for seg in segments:
    for i in seg:
        for j in seg:
            if j <= i:
                out[i, j] += 1.0 / len(seg)
"""),
    "spans": causal("""
spans = []
start = 0
for i, t in enumerate(tokens):
    if t == ".":
        spans.append((start, i))
        start = i + 1
if start < n:
    spans.append((start, n - 1))
for s, e in spans:
    for i in range(s, e + 1):
        out[i, s] += 0.5
        for j in range(s, i + 1):
            out[i, j] += 0.1
"""),
    "depth_dp": causal("""
depth = [0] * n
for i in range(1, n):
    if tokens[i].startswith("▁"):
        depth[i] = 0
    else:
        depth[i] = depth[i - 1] + 1
for i in range(n):
    out[i, i - depth[i]] += 1
    out[i, i] += 0.1 * depth[i]
"""),
    "prev_same_vec": causal("""
prev = [-1] * n
last = {}
for i, t in enumerate(tokens):
    prev[i] = last.get(t, -1)
    last[t] = i
for i in range(n):
    if prev[i] >= 0:
        out[i, prev[i]] = 1.0
        if prev[i] + 1 < i:
            out[i, prev[i] + 1] = 2.0
    else:
        out[i, 0] = 1.0
"""),
    "climb": spacy("""
def root_distance(k):
    if not align[k]:
        return 0
    w = doc[align[k][0]]
    d = 0
    while w.head != w:
        w = w.head
        d += 1
    return d
for i in range(n):
    out[i, 0] += 0.1 * root_distance(i)
    out[i, i] += 0.5
"""),
    "climb_i": spacy("""
for i in range(n):
    if not align[i]:
        out[i, i] = 1
        continue
    t = doc[align[i][0]]
    steps = 0
    while t.head.i != t.i and steps < 50:
        t = t.head
        steps += 1
    for j in range(i + 1):
        if t.i in align[j]:
            out[i, j] += 1
    out[i, i] += 0.05
"""),
    "np_argsort_top": causal("""
lengths = [len(t) for t in tokens]
top = sorted(range(n), key=lambda k: lengths[k], reverse=True)[:3]
for i in range(n):
    for j in top:
        if j <= i:
            out[i, j] += 0.3
    out[i, i] += 0.2
"""),
    "sorted_neg": causal("""
cands = [k for k in range(n) if tokens[k].startswith("▁")]
cands.sort(key=lambda k: (-len(tokens[k]), k))
best = cands[0] if cands else 0
for i in range(n):
    if best <= i:
        out[i, best] += 1
    out[i, 0] += 0.1
"""),
    "next_pos_vec": both("""
nxt = np.full(n, n - 1)
for i in range(n - 2, -1, -1):
    nxt[i] = i + 1 if tokens[i + 1] in (".", ",") else nxt[i + 1]
for i in range(n):
    out[i, nxt[i]] = 1
"""),
    "argmax_np": causal("""
is_stop = np.array([1 if t == "." else 0 for t in tokens])
first = int(np.argmax(is_stop)) if is_stop.any() else -1
for i in range(n):
    if first != -1 and i >= first:
        out[i, first] = 1.0
    else:
        out[i, 0] = 1.0
count = int(np.sum(is_stop))
out[n - 1, 0] += count * 0.1
"""),
    "where_nonzero": causal("""
stops = np.where(np.array(tokens) == ".")[0]
for i in range(n):
    before = stops[stops < i]
    if len(before) > 0:
        out[i, before[-1]] = 1.0
    else:
        out[i, 0] = 1.0
"""),
    "blend": causal("""
local = np.zeros((n, n))
sink = np.zeros((n, n))
for i in range(n):
    for j in range(max(0, i - 3), i + 1):
        local[i, j] = np.exp(-(i - j))
    sink[i, 0] = 1.0
local /= local.sum(axis=1, keepdims=True)
out = 0.7 * local + 0.3 * sink
"""),
    "helper_writes": causal("""
def add(i, j, w):
    if 0 <= j <= i:
        out[i, j] += w
for i in range(n):
    add(i, i - 1, 0.5)
    add(i, i - 2, 0.2)
    for j in range(i):
        if tokens[j] == tokens[i]:
            add(i, j + 1, 0.4)
    add(i, i, 0.1)
"""),
    "row_dict": causal("""
for i in range(n):
    scores = {}
    for j in range(i + 1):
        scores[j] = 1.0 / (1 + i - j)
        if tokens[j] == ".":
            scores[j] += 0.5
    total = sum(scores.values())
    for j, s in scores.items():
        out[i, j] = s / total
"""),
    "candidates_list": causal("""
for i in range(n):
    candidates = []
    for j in range(i):
        if tokens[j] in (".", ","):
            candidates.append((j, 1.0))
        elif tokens[j].startswith("▁"):
            candidates.append((j, 0.4))
    total = sum(w for _, w in candidates)
    for j, w in candidates:
        out[i, j] += w / total
    if not candidates:
        out[i, i] = 1.0
"""),
    "last_k": causal("""
for i in range(n):
    starts = [j for j in range(i + 1) if tokens[j].startswith("▁")]
    recent = starts[-3:]
    for rank, j in enumerate(reversed(recent)):
        out[i, j] += 0.5 / (rank + 1)
    if not recent:
        out[i, 0] = 1
"""),
    "share_equal": causal("""
for i in range(n):
    same = [j for j in range(i) if tokens[j] == tokens[i]]
    if same:
        w = 0.8 / len(same)
        for j in same:
            out[i, j] += w
        out[i, i] += 0.2
    else:
        out[i, i] = 1.0
"""),
    "np_float": causal("""
for i in range(n):
    ratio = float(i) / float(max(n - 1, 1))
    out[i, 0] = 0.2 + 0.5 * ratio
    out[i, i] = 1 - ratio ** 0.5
    out[i, i // 3 * 2] += np.log(1 + i) * 0.1 + np.sqrt(i) * 0.01
"""),
    "is_sent": spacy("""
sent_of = [doc[a[0]].sent.start if a else -1 for a in align]
for i in range(n):
    for j in range(i + 1):
        if sent_of[i] == sent_of[j]:
            out[i, j] += 1
"""),
    "sents_loop": spacy("""
sentence_index = {}
for s_id, sent in enumerate(doc.sents):
    for tok in sent:
        sentence_index[tok.i] = s_id
for i in range(n):
    si = sentence_index.get(align[i][0], -1) if align[i] else -1
    for j in range(i + 1):
        sj = sentence_index.get(align[j][0], -1) if align[j] else -1
        if si == sj and si >= 0:
            out[i, j] += 1
    out[i, 0] += 0.1
"""),
    "max_key": causal("""
for i in range(n):
    prev = [j for j in range(i) if tokens[j].startswith("▁")]
    if prev:
        j = max(prev, key=lambda k: len(tokens[k]))
        out[i, j] += 1
    out[i, 0] += 0.1
"""),
    "chars": causal("""
def is_word(t):
    s = t.lstrip("▁")
    return len(s) > 0 and s[0].isalpha()
caps = [i for i, t in enumerate(tokens) if t.lstrip("▁")[:1].isupper()]
for i in range(n):
    if is_word(tokens[i]):
        for c in caps:
            if c < i:
                out[i, c] += 0.2
    elif all(ch in ".,!?" for ch in tokens[i]):
        out[i, i] += 1
    if tokens[i][-1] in "aeiou" or tokens[i].endswith(("ing", "ed")):
        out[i, 0] += 0.3
"""),
    "two_mats": causal("""
base = np.tril(np.ones((n, n)))
bonus = np.zeros((n, n))
for i in range(n):
    for j in range(i):
        if tokens[j] == ".":
            bonus[i, j] = 2.0
out = base * 0.1 + bonus
out = out * (1 + np.eye(n))
"""),
    "global_stat": causal("""
total_len = sum(len(t) for t in tokens)
avg = total_len / max(1, n)
out += 0.01
for i in range(n):
    for j in range(i + 1):
        out[i, j] += abs(len(tokens[i]) - avg) * 0.05
        out[i, j] += 0.2 if len(tokens[j]) > avg else 0.0
"""),
    "while_outer": causal("""
i = 0
while i < n:
    out[i, i] += 0.5
    if i > 0:
        out[i, i - 1] += 0.5
    i += 1
"""),
    "nested_helpers": causal("""
def find_start(i):
    j = i
    while j > 0:
        if tokens[j].startswith("▁"):
            break
        j -= 1
    return j
def before(i):
    s = find_start(i)
    return s - 1 if s > 0 else 0
starts = [find_start(i) for i in range(n)]
for i in range(n):
    out[i, starts[i]] += 0.5
    out[i, before(i)] += 0.3
    if starts[i] == i:
        out[i, i] += 0.1
"""),
    "punct_counts": causal("""
count = 0
for i in range(n):
    if tokens[i] in ",;:":
        count += 1
    if tokens[i] in ".!?":
        count = 0
    for j in range(i + 1):
        out[i, j] = np.exp(-0.1 * (i - j)) / (1 + count)
        if count >= 2 and tokens[j] == ",":
            out[i, j] += 0.3
"""),
    "continue_nested": both("""
for i in range(n):
    if tokens[i] in ("[CLS]", "[SEP]"):
        out[i, i] = 1.0
        continue
    for j in range(n):
        if j == i or tokens[j] in ("[CLS]", "[SEP]"):
            continue
        if align[i] and align[j]:
            a, b = doc[align[i][0]], doc[align[j][0]]
            if a.head == b:
                out[i, j] += 1.0
            elif b.head == a:
                out[i, j] += 0.6
            elif a.head == b.head:
                out[i, j] += 0.3
            if a.pos_ == b.pos_ and a.i != b.i:
                out[i, j] += 0.05
    if out[i].sum() == 0:
        out[i, 0] = 1.0
"""),
    "dep_dict": both("""
boost = {"nsubj": 0.9, "obj": 0.7, "det": 0.4}
for i in range(n):
    out[i, 0] += 0.1
    for s in align[i]:
        w = doc[s]
        b = boost.get(w.dep_, 0.2)
        for j, a in enumerate(align):
            if w.head.i in a:
                out[i, j] += b
                break
"""),
    "align_pairs": both("""
tok_of = {s: t for t, al in enumerate(align) for s in al}
for i in range(n):
    if align[i]:
        w = doc[align[i][0]]
        for c in w.children:
            if c.i in tok_of:
                out[i, tok_of[c.i]] += 0.5
        for anc in w.ancestors:
            if anc.i in tok_of:
                out[i, tok_of[anc.i]] += 0.2
    out[i, i] += 0.1
"""),
    "single_word_ent": both("""
ents = [i for i in range(n) if align[i] and doc[align[i][0]].ent_type_ != ""]
props = [i for i in range(n) if align[i] and doc[align[i][0]].pos_ == "PROPN"]
anchor = (ents + props + [0])[0]
for i in range(n):
    out[i, anchor] += 0.5
    out[i, i] += 0.5
"""),
    "weights_list": causal("""
kernel = [0.5, 0.25, 0.15, 0.1]
for i in range(n):
    for d, w in enumerate(kernel):
        if i - d >= 0:
            out[i, i - d] += w
    dist = min(i, len(kernel) - 1)
    out[i, 0] += kernel[dist]
"""),
    "math_mod": (
        True,
        """
import math
import numpy as np
import re
def program(sentence, tokenizer):
    tokens = tokenizer.convert_ids_to_tokens(tokenizer.encode(sentence))
    n = len(tokens)
    A = np.zeros((n, n), dtype=np.float64)
    sigma = 2.0
    for i in range(n):
        for j in range(i + 1):
            A[i, j] = math.exp(-((i - j) ** 2) / (2 * sigma ** 2)) * math.cos(0.1 * (i - j)) + 1
            A[i, j] = A[i, j] + math.floor((i - j) / 2) * 0.01 + math.ceil(j / 3) * 0.02
    return "gauss", make_row_stochastic(apply_causal_mask(A))
""",
    ),
    "swap_order": causal("""
for i in range(n):
    row = out[i]
    row[i] = 0.5
    row[:i] += 0.1
    if row.sum() > 1:
        row /= row.sum()
    row[0] += 0.3
"""),
    "vec_prev_stop": causal("""
idx = np.arange(n)
stop = np.array([t in (".", "!", "?") for t in tokens])
last_stop = np.maximum.accumulate(np.where(stop, idx, -1))
prev_stop = np.concatenate([[-1], last_stop[:-1]])
target = np.where(prev_stop >= 0, prev_stop, 0)
out[idx, target] += 0.7
out[np.arange(n), np.maximum(np.arange(n) - 1, 0)] += 0.2
"""),
    "isin_vec": both("""
toks = np.array(tokens)
func = np.isin(toks, ["the", "a", "of", "to"])
mask = func[:, None] & ~func[None, :]
out[mask] = 0.5
out[~mask] += 0.02
np.fill_diagonal(out, 0.1)
d = np.abs(np.arange(n)[:, None] - np.arange(n))
out[d > 6] *= 0.3
"""),
    "reverse_outer": causal("""
nearest_end = [n - 1] * n
end = n - 1
for i in reversed(range(n)):
    if tokens[i] in {".", "!"}:
        end = i
    nearest_end[i] = end
for i in range(n):
    for j in range(i + 1):
        if nearest_end[i] == nearest_end[j]:
            out[i, j] += 0.5
        out[i, j] += 0.01
"""),
    "const_items": causal("""
table = {".": 0.5, ",": 0.3, "▁and": 0.2}
for i in range(n):
    for tok, w in table.items():
        for j in range(i):
            if tokens[j] == tok:
                out[i, j] += w
    out[i, i] += 0.1
"""),
    "sets_ops": causal("""
stops = set(i for i, t in enumerate(tokens) if t in ".!?")
commas = {i for i, t in enumerate(tokens) if t == ","}
marks = stops | commas
others = set(range(n)) - marks
for i in sorted(marks):
    out[i, 0] += 1
for i in others:
    for j in marks:
        if j < i:
            out[i, j] += 0.3
    out[i, i] += 0.1
if stops & commas:
    out[0, 0] += 5
"""),
    "min_by_distance": both("""
verbs = [i for i in range(n) if align[i] and doc[align[i][0]].pos_ == "VERB"]
for i in range(n):
    if verbs:
        nearest = min(verbs, key=lambda v: abs(v - i))
        out[i, nearest] += 1.0
    else:
        out[i, 0] += 1.0
"""),
    "double_break": causal("""
for i in range(n):
    done = False
    for j in range(i - 1, -1, -1):
        for w in (".", ","):
            if tokens[j] == w:
                out[i, j] += 1
                done = True
                break
        if done:
            break
    if not done:
        out[i, 0] += 1
"""),
    "default_args": causal("""
def decay(d, rate=0.3, floor=0.01):
    return max(floor, np.exp(-rate * d))
def near(i, j, *, width=4):
    return 0 <= i - j < width
for i in range(n):
    for j in range(i + 1):
        out[i, j] = decay(i - j) if near(i, j) else decay(i - j, rate=0.6)
"""),
    "map_filter": causal("""
lens = list(map(len, tokens))
long = list(filter(lambda k: lens[k] > 3, range(n)))
for i in long:
    for j in long:
        if j <= i:
            out[i, j] += 0.4
for i in range(n):
    out[i, i] += 0.2
"""),
    "unpack_loop": causal("""
pairs = [(i, t) for i, t in enumerate(tokens) if t.isalpha()]
for i, t in pairs:
    for j, u in pairs:
        if j < i and t[0] == u[0]:
            out[i, j] += 1
    out[i, max(i - 1, 0)] += 0.2
for i in range(n):
    if not out[i].any():
        out[i, i] = 1
"""),
    "count_between": causal("""
for i in range(n):
    commas = 0
    for j in range(i, -1, -1):
        out[i, j] += 1.0 / (1 + commas)
        if tokens[j] == ",":
            commas += 1
        elif tokens[j] == ".":
            commas += 3
"""),
    "sum_slice": causal("""
for i in range(n):
    for j in range(i + 1):
        out[i, j] = 0.1 * (tokens[j] == ".") + 0.02
    total = sum(out[i, : i + 1])
    if total < 0.11:
        out[i, i] += 0.3
    mean = out[i, : i + 1].mean()
    out[i, 0] += mean
"""),
    "clip_rows": causal("""
for i in range(n):
    for j in range(max(0, i - 6), i + 1):
        out[i, j] += 1.0 / (i - j + 1)
out = np.clip(out, 0.0, 0.6)
out[out < 0.2] = 0.0
out = out + 1e-6
out = out / out.sum(axis=1)[:, None]
out = np.power(out, 1.5)
"""),
    "triu_mask": causal("""
mask = np.triu(np.ones((n, n)), k=1).astype(bool)
pos = np.arange(n)
scores = -np.abs(pos[:, None] - pos[None, :]) / 5.0
scores = np.where(mask, -np.inf, scores)
w = np.exp(scores)
out = w / w.sum(-1, keepdims=True)
"""),
    "gpt_style": causal("""
first_token = 0
special_words = ["▁the", "▁a", "▁an"]
for i, token in enumerate(tokens):
    if i == 0:
        out[i, i] = 1.0
        continue
    prev_token = tokens[i - 1]
    if prev_token in special_words:
        out[i, i - 1] = 0.7
        out[i, first_token] = 0.3
    elif token.strip("▁").lower() == prev_token.strip("▁").lower():
        out[i, i - 1] = 1.0
    elif i >= 2 and tokens[i - 2] == token:
        out[i, i - 2] = 0.5
        out[i, i - 1] = 0.5
    else:
        for j in range(1, i + 1):
            out[i, j] = 1.0 / i
"""),
    "while_back_two": causal("""
for i in range(n):
    j = i
    hops = 0
    while j >= 0 and hops < 2:
        if tokens[j].startswith("▁"):
            out[i, j] += 0.5
            hops += 1
        j -= 1
    if hops == 0:
        out[i, 0] = 1
"""),
    "last_two_seen": causal("""
last = -1
before_last = -1
for i in range(n):
    if last >= 0:
        out[i, last] += 0.6
    if before_last >= 0:
        out[i, before_last] += 0.3
    out[i, i] += 0.1
    if tokens[i] in (".", ","):
        before_last = last
        last = i
"""),
    "string_state_simple": causal("""
mode = "start"
for i, t in enumerate(tokens):
    if t == ".":
        mode = "stop"
    elif t.startswith("▁"):
        mode = "word"
    out[i, i if mode == "stop" else 0] = 1
    out[i, i] += 0.1
"""),
    "sentence_spans": spacy("""
sent_tokens = {}
for i in range(n):
    if align[i]:
        s = doc[align[i][0]].sent.start
        sent_tokens.setdefault(s, []).append(i)
for i in range(n):
    if align[i]:
        for j in sent_tokens[doc[align[i][0]].sent.start]:
            if j <= i:
                out[i, j] += 0.2
    out[i, i] += 0.1
"""),
    "subject_search": spacy("""
subjects = []
for tok_idx, spacy_ids in enumerate(align):
    for sid in spacy_ids:
        if doc[sid].dep_.startswith("nsubj"):
            subjects.append(tok_idx)
            break
for i in range(n):
    prior = [s for s in subjects if s < i]
    if prior:
        out[i, prior[-1]] += 0.8
        for s in prior[:-1]:
            out[i, s] += 0.1
    else:
        out[i, 0] += 0.5
    out[i, i] += 0.1
"""),
    "head_chain": spacy("""
for i in range(n):
    if not align[i]:
        continue
    w = doc[align[i][0]]
    h = w.head
    hh = h.head
    for j in range(i + 1):
        for s in align[j]:
            if s == h.i:
                out[i, j] += 0.6
            elif s == hh.i:
                out[i, j] += 0.3
    if w.dep_ == "ROOT" or h == w:
        out[i, 0] += 0.4
for i in range(n):
    if out[i].sum() < 1e-8:
        out[i, i] = 1.0
"""),
    "noun_verb_pairs": both("""
for i in range(n):
    pi = doc[align[i][0]].pos_ if align[i] else ""
    for j in range(n):
        pj = doc[align[j][0]].pos_ if align[j] else ""
        pair = (pi, pj)
        if pair == ("NOUN", "VERB"):
            out[i, j] += 0.5
        elif pair in [("ADJ", "NOUN"), ("DET", "NOUN")]:
            out[i, j] += 0.7 if 0 < j - i <= 3 else 0.1
        else:
            out[i, j] += 0.01
"""),
    "weights_dict_pairs": both("""
W = {("NOUN", "VERB"): 0.5, ("VERB", "NOUN"): 0.3}
pos = [doc[a[0]].pos_ if a else "X" for a in align]
for i in range(n):
    for j in range(n):
        out[i, j] = W.get((pos[i], pos[j]), 0.02)
"""),
    "vector_pos": both("""
pos = np.array([doc[a[0]].pos_ if a else "NONE" for a in align])
noun = pos == "NOUN"
verb = np.isin(pos, ["VERB", "AUX"])
out = np.outer(noun, verb) * 0.5 + np.outer(verb, noun) * 0.4
out += 0.05 * np.eye(n)
out[~(noun | verb)] = 1.0 / n
rows = np.where(out.sum(axis=1) == 0)[0]
for r in rows:
    out[r, r] = 1
"""),
    "cumulative": causal("""
is_stop = [1 if t in {".", "!"} else 0 for t in tokens]
cum = np.cumsum(is_stop)
sent = np.concatenate(([0], cum[:-1]))
for i in range(n):
    for j in range(i + 1):
        if sent[i] == sent[j]:
            out[i, j] += 1
        elif sent[i] - sent[j] == 1 and is_stop[j]:
            out[i, j] += 2
"""),
    "inner_prod_cond": causal("""
for q in range(n):
    for k in range(q + 1):
        d = q - k
        w = 0.0
        w += 0.4 * (d == 1) + 0.2 * (d == 2)
        w += 0.3 if tokens[k].endswith(("s", "ed")) else 0
        w *= 1.5 if k == 0 else 1.0
        if w:
            out[q, k] = w
    out[q, q] = max(out[q, q], 0.05)
    out[q, 0] = min(out[q, 0], 0.4)
"""),
    "list_index_last": causal("""
for i in range(n):
    prefix = tokens[:i]
    if tokens[i] in prefix:
        j = i - 1 - prefix[::-1].index(tokens[i])
        out[i, j] += 1
        if j + 1 < i:
            out[i, j + 1] += 0.5
    else:
        out[i, 0] += 1
"""),
    "bigram_induction": causal("""
for i in range(1, n):
    for j in range(1, i):
        if tokens[j - 1] == tokens[i - 1]:
            out[i, j] += 1.0
            if j >= 2 and i >= 2 and tokens[j - 2] == tokens[i - 2]:
                out[i, j] += 1.0
    if out[i, :i].sum() == 0:
        out[i, 0] = 1.0
out[0, 0] = 1.0
"""),
    "flag_after": causal("""
seen_verb = False
for i in range(n):
    if tokens[i] in ("▁was", "▁is", "▁had"):
        seen_verb = True
    if tokens[i] == ".":
        seen_verb = False
    if seen_verb:
        out[i, 0] += 0.2
        for j in range(i):
            if tokens[j] in ("▁was", "▁is", "▁had"):
                out[i, j] += 0.5
    out[i, i] += 0.3
"""),
    "running_weight": causal("""
for i in range(n):
    remaining = 1.0
    for j in range(i, -1, -1):
        share = 0.5 * remaining
        out[i, j] = share
        remaining -= share
"""),
    "remaining_cond": causal("""
for i in range(n):
    budget = 1.0
    if i > 0:
        out[i, i - 1] = 0.5
        budget -= 0.5
    if tokens[i].startswith("▁"):
        out[i, 0] += 0.2
        budget -= 0.2
    out[i, i] += budget
"""),
    "np_vectorize_rows": causal("""
for i in range(n):
    d = i - np.arange(n)
    row = np.where(d >= 0, np.exp(-d / 3.0), 0.0)
    row[i] = 0
    s = row.sum()
    out[i] = row / s if s > 0 else np.eye(n)[i]
"""),
    "where_assign": causal("""
a = np.array([len(t) for t in tokens])
long_idx = np.nonzero(a > 3)[0]
for i in long_idx:
    out[i, :i + 1] += 0.1
out[:, long_idx] *= 2
out[long_idx, 0] += 0.4
for i in range(n):
    out[i, i] += 0.01
"""),
    "ancestors_nearest_first": spacy("""
for i in range(n):
    if not align[i]:
        out[i, 0] += 1.0
        continue
    depth = 0
    for word in doc[align[i][0]].ancestors:
        depth += 1
        for j in range(i):
            if word.i in align[j]:
                out[i, j] += 0.9 / depth
    for rank, word in enumerate(doc[align[i][0]].ancestors):
        if word.pos_ == "VERB":
            out[i, 0] += 0.1 * (rank + 1)
            break
    top = list(doc[align[i][0]].ancestors)
    if len(top) > 1 and top[1].pos_ == "NOUN":
        out[i, i] += 0.3
"""),
    "climbing_with_a_limit": both("""
for i in range(n):
    if not align[i]:
        out[i, 0] = 1
        continue
    word, steps = doc[align[i][0]], 0
    while word.head != word and steps < 2:
        word = word.head
        steps += 1
        for j in range(n):
            if align[j] and align[j][0] == word.i:
                out[i, j] += 1.0 / steps
    out[i, i] += 0.1
"""),
    "words_by_number": both("""
for i in range(n):
    if len(align[i]) > 1 and doc[align[i][1]].pos_ == "NOUN":
        out[i, 0] += 0.5
    children = list(doc[align[i][0]].children) if align[i] else []
    if len(children) >= 2 and children[1].dep_ == "det":
        out[i, i] += 0.5
    out[i, n - 1] += 0.1
"""),
    "set_in_a_loop_over_words": both("""
for i in range(n):
    if not align[i]:
        out[i, 0] = 1.0
        continue
    sent = doc[align[i][0]].sent
    root = [t for t in doc if t.sent == sent and t.head == t][0]
    for j in range(n):
        for s in align[j]:
            if doc[s].sent == sent:
                out[i, j] = 0.1
                if s == root.i:
                    out[i, j] = 0.2
            elif doc[s].is_stop:
                out[i, j] = 0.05
    for child in doc[align[i][0]].children:
        for j in range(n):
            if child.i in align[j]:
                out[i, j] = max(out[i, j], 0.7 if child.dep_ == "det" else 0.4)
"""),
    "search_both_ways": both("""
for i in range(n):
    for d in range(1, n):
        done = False
        for j in (i - d, i + d):
            if 0 <= j < n and align[j] and doc[align[j][0]].pos_ == "VERB":
                out[i, j] = 0.7
                done = True
                break
        if done:
            break
    out[i, n - 1] += 0.25
"""),
    "open_quote": causal("""
pairs = []
begun = -1
for i in range(n):
    if tokens[i] == '"':
        if begun < 0:
            begun = i
        else:
            pairs.append((begun, i))
            begun = -1
    if begun >= 0:
        out[i, begun] += 0.4
for a, b in pairs:
    out[b, a] += 1.0
    for k in range(a + 1, b):
        out[k, a] += 0.2
for i in range(n):
    out[i, i] += 0.1
"""),
    "begun_unless_none": spacy("""
begin = None
for i in range(n):
    kind = doc[align[i][0]].pos_ if align[i] else None
    if kind in ("DET", "ADJ"):
        if begin is None:
            begin = i
    elif kind == "NOUN":
        low = begin if begin is not None else i
        for k in range(low, i + 1):
            out[i, k] += 0.5
        begin = None
    else:
        begin = None
    out[i, 0] += 0.1
"""),
    "list_under_a_flag_read_while_filled": causal("""
openers = []
after_stop = True
for i in range(n):
    if after_stop and tokens[i].strip("▁").isalpha():
        for o in openers:
            out[i, o] += 0.6
        openers.append(i)
        after_stop = False
    if tokens[i] in (".", "!", "?"):
        after_stop = True
    out[i, i] += 0.2
"""),
    "bounds_with_both_ends": causal("""
starts = [0]
for i in range(1, n):
    if tokens[i - 1] in (".", "!", "?"):
        starts.append(i)
starts.append(n)
for k in range(len(starts) - 1):
    low, high = starts[k], starts[k + 1]
    for i in range(low, high):
        for j in range(low, i + 1):
            out[i, j] = 1.0 / (1.0 + abs(j - (low + high) / 2.0))
        out[i, i] += 0.3
"""),
    "bounds_zipped": causal("""
stops = [i + 1 for i in range(n - 1) if tokens[i] == ","]
bounds = [0] + stops + [n]
for low, high in zip(bounds[:-1], bounds[1:]):
    for i in range(low, high):
        out[i, low:i + 1] += 1.0 / (high - low)
"""),
    "number_of_the_sentence_as_index": causal("""
number, current = [], 0
for t in tokens:
    number.append(current)
    if t in (".", "!", "?"):
        current += 1
starts = [0]
for k in range(1, n):
    if number[k] != number[k - 1]:
        starts.append(k)
for i in range(n):
    out[i, starts[number[i]] if number[i] < len(starts) else 0] += 0.5
    out[i, i] += 0.2
"""),
    "groups_of_pieces": causal("""
groups, where = [], []
for i, t in enumerate(tokens):
    if not t.startswith("▁") and groups:
        groups[-1].append(i)
    else:
        groups.append([i])
    where.append(len(groups) - 1)
for g in groups:
    for a in g:
        for b in g:
            out[a, b] += 0.8 / len(g) if a != b else 0.2
for i in range(n):
    if where[i] > 0:
        out[i, groups[where[i] - 1][-1]] += 0.5
"""),
    "groups_scanned": causal("""
words = []
i = 0
while i < n:
    group = [i]
    i += 1
    while i < n and not tokens[i].startswith("▁") and tokens[i].isalpha():
        group.append(i)
        i += 1
    words.append(group)
for w, group in enumerate(words):
    for k, a in enumerate(group):
        out[a, group[0]] += 1.0 / (k + 1)
        if w > 0:
            out[a, words[w - 1][-1]] += 0.5
"""),
    "stretches_scanned": causal("""
i = 0
while i < n:
    j = i + 1
    while j < n and not tokens[j].startswith("▁"):
        j += 1
    for a in range(i, j):
        out[a, i:a + 1] = 1.0 / (j - i)
    i = j
"""),
    "groups_by_token": causal("""
from collections import defaultdict
places = defaultdict(list)
for i, t in enumerate(tokens):
    if len(t) > 1:
        places[t].append(i)
for t, group in places.items():
    for a in group:
        for b in group:
            if b < a:
                out[a, b] += 1.0 / len(group)
for i in range(n):
    out[i, i] += 0.5
"""),
    "dictionary_of_dictionaries": both("""
bonus = {"VERB": {"NOUN": 1.0, "PRON": 1.4}, "NOUN": {"DET": 1.0, "ADJ": 1.5}, "PRON": {}}
for i in range(n):
    wanted = bonus.get(doc[align[i][0]].pos_ if align[i] else "X", {})
    for j in range(n):
        out[i, j] = 0.1 + wanted.get(doc[align[j][0]].pos_ if align[j] else "X", 0.0)
"""),
    "dictionary_filled_in_nested_loops": both("""
speaker = {}
verbs = [i for i in range(n) if align[i] and doc[align[i][0]].pos_ == "VERB"]
for v in verbs:
    for child in doc[align[v][0]].children:
        if child.dep_ == "nsubj":
            for k in range(n):
                if child.i in align[k]:
                    speaker[v] = k
                    break
for i in range(n):
    out[i, 0] += 0.1
    if i in speaker:
        out[i, speaker[i]] += 0.8
"""),
    "greatest_of_tuples": both("""
nouns = [i for i in range(n) if align[i] and doc[align[i][0]].pos_ == "NOUN"]
for i in range(n):
    scores = [(_char_sim(tokens[i], tokens[j]), -abs(i - j), j) for j in nouns if j != i]
    if scores:
        score, _, j = max(scores)
        out[i, j] += 0.5 + score
    if nouns:
        out[i, min(nouns, key=lambda j: (abs(i - j), -j))] += 0.3
    out[i, i] += 0.1
"""),
    "best_so_far": causal("""
for i in range(n):
    best, place = 0.2, None
    for j in range(i):
        if tokens[j] != tokens[i]:
            score = _char_sim(tokens[i], tokens[j])
            if score > best:
                best = score
                place = j
    if place is not None:
        out[i, place] += best
    near = None
    for j in range(i):
        if tokens[j].startswith("▁") and (near is None or abs(j - i // 2) <= abs(near - i // 2)):
            near = j
    if near is not None:
        out[i, near] += 0.3
    out[i, i] += 0.1
"""),
    "best_of_the_rest": causal("""
stops = [j for j in range(n) if tokens[j] in (".", ",")]
for i in range(n):
    others = [s for s in stops if s != i]
    if others:
        best = others[0]
        for s in others[1:]:
            if abs(s - i) < abs(best - i):
                best = s
        out[i, best] += 0.65
    out[i, 0] += 0.1
"""),
    "arrays_of_filtered_lists": causal("""
places = np.array([i for i, t in enumerate(tokens) if t.startswith("▁")])
for i in range(n):
    before = places[places < i]
    if len(before) > 0:
        out[i, before[-1]] += 1
        out[i, places[np.argmin(np.abs(places - i))]] += 0.5
    out[i, i] += 0.1
"""),
    "bincount": causal("""
word, number = np.zeros(n, dtype=int), -1
for i, t in enumerate(tokens):
    if t.startswith("▁"):
        number += 1
    word[i] = max(number, 0)
sizes = np.bincount(word)
for i in range(n):
    for j in range(i + 1):
        out[i, j] = 1.0 / sizes[word[j]]
"""),
    "special_ids": (
        False,
        """
import numpy as np
def program(sentence, tokenizer):
    enc = tokenizer(sentence)
    ids = enc.input_ids
    tokens = tokenizer.convert_ids_to_tokens(ids)
    n = len(ids)
    out = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            if tokens[j] == tokenizer.cls_token:
                out[i, j] = 1.0
            if ids[i] == ids[j]:
                out[i, j] += 0.5
    return "special", out
""",
    ),
    "bisect": causal("""
import bisect
stops = [i for i, t in enumerate(tokens) if t == "."]
for i in range(n):
    k = bisect.bisect_left(stops, i)
    if k > 0:
        out[i, stops[k - 1]] = 1
    out[i, i] += 0.2
"""),
    "one_of_two_lists_grows": both("""
nouns, others = [], []
for i in range(n):
    kind = doc[align[i][0]].pos_ if align[i] else "X"
    (nouns if kind == "NOUN" else others).append(i)
    nouns.append(i) if kind == "VERB" else None
for i in nouns:
    for j in others:
        out[i, j] += 1
for i in range(n):
    out[i, i] += 0.1
"""),
    "size_of_a_subtree": both("""
for i in range(n):
    out[i, i] = 0.1
    if align[i]:
        below = set(t.i for t in doc if t == doc[align[i][0]] or doc[align[i][0]] in list(t.ancestors))
        for j in range(n):
            if align[j] and align[j][0] in below:
                out[i, j] += 0.8 / len(below)
"""),
    "same_words": both("""
for i in range(n):
    for j in range(n):
        if align[i] and align[i] == align[j] and i != j:
            out[i, j] = 0.8
    out[i, i] += 0.2
"""),
    "last_of_another_round": causal("""
best = 0
for i in range(n):
    for j in range(n):
        out[i, best] = 0.3
        best = j
    out[i, i] += 0.2
"""),
    "texts_of_several_words": both("""
kind = [None] * n
tagged = ["" for _ in range(n)]
for k in range(n):
    for s in align[k]:
        if doc[s].ent_type_:
            tagged[k] = doc[s].ent_type_
        elif doc[s].pos_ == "NOUN":
            tagged[k] = "NAME"
    for name, words in {"animal": ["cat", "dog"], "thing": ["park", "the"]}.items():
        if tokens[k].lower() in words:
            kind[k] = name
number = -1
for k in range(n):
    if tagged[k]:
        if k == 0 or tagged[k - 1] != tagged[k]:
            number += 1
        out[k, 0] = number + 2
    if kind[k] is not None:
        for j in range(n):
            if kind[j] == kind[k]:
                out[k, j] += 0.4
            elif kind[j] is not None:
                out[k, j] += 0.05
    out[k, k] += 0.1
"""),
    "turned_round_by_numbers": causal("""
side, turn = 1, 0
for i in range(n):
    out[i, i] += 0.5 * side + 0.1 * turn
    if side == 0:
        out[i, i - 1] += 0.4
    if tokens[i].isalpha():
        side = 1 - side
        turn = (turn + 2) % 3
for i in range(n):
    out[i, 0] += 0.3 + side + turn
"""),
    "halves": both("""
half = n // 2
for i in range(n):
    for j in range(half) if i < half else range(half, n):
        out[i, j] += 0.3
    for j in range(n // 3, half):
        out[i, j] += 0.1
    out[i, half] += 0.2
"""),
    "neighbours_in_a_list": causal("""
ends = [k for k, t in enumerate(tokens) if t in (".", "!", "?", ",")]
words = [k for k in range(1, n) if tokens[k].isalpha()]
for a, b in zip(ends[1:], ends[:-1]):
    out[a, b] += 0.3
    out[a, b - 1] += 0.1
for a, b in zip(words[:-1], words[1:]):
    out[b, a] += 0.5
for a, b in zip(words[1:], words):
    out[a, b] += 0.25
for i in range(n):
    out[i, i] += 0.1
"""),
    "one_name_for_words_and_positions": both("""
verbs = [k for k in range(n) if align[k] and doc[align[k][0]].pos_ == "VERB"]
for i in range(n):
    if i in verbs:
        w = doc[align[i][0]]
        for j in verbs:
            if j != i and doc[align[j][0]].head.i == w.i:
                out[i, j] += 0.6
    out[i, n - 1] += 0.25
for a, v in enumerate(verbs):
    for w in verbs[a + 1:]:
        if tokens[v] == tokens[w]:
            out[v, w] += 0.2
"""),
    "rows_from_a_vector": both("""
word = np.zeros(n)
for k in range(n):
    if tokens[k].isalpha():
        word[k] = 1.0
for i in range(n):
    ramp = np.arange(n) / max(1, n - 1)
    out[i, :] = 0.1 * ramp * (1.0 - word)
    out[i] += 0.3 * word
    out[i, 0] = 0.6 if word[i] else 0.35
    row = 0.5 * word
    row[i] = 0.1
    if tokens[i].isupper():
        row = row + word
    out[i, :] += row
    if i == n - 1:
        out[i, :] *= 0.2
out[:, 0] += word
"""),
    "a_list_begun_anew_before_continue": causal("""
commas = []
for i in range(n):
    if tokens[i] in (".", "!", "?"):
        for c in commas:
            out[i, c] += 0.4 / len(commas)
        commas = []
        continue
    if tokens[i] == ",":
        if commas:
            out[i, commas[0]] += 0.5
        commas.append(i)
        continue
    if commas:
        out[i, commas[-1]] += 0.4
    out[i, 0] += 0.3
"""),
    "a_list_begun_anew_or_added_to": causal("""
names = []
for i in range(n):
    if tokens[i] == ".":
        names = []
    if tokens[i].istitle():
        names.append(i)
    if names:
        out[i, names[-1]] += 1.0
    out[i, i] += 0.2
"""),
    "sentences_put_aside_one_by_one": both("""
sentences = []
current = []
for i in range(n):
    current.append(i)
    if tokens[i] in (".", "!", "?"):
        sentences.append(current)
        current = []
if current:
    sentences.append(current)
for sentence_positions in sentences:
    for i in sentence_positions:
        for j in sentence_positions:
            out[i, j] = 1.0 / len(sentence_positions)
        out[i, sentence_positions[0]] += 0.5
        out[i, sentence_positions[-1]] += 0.25
"""),
    "clauses_cut_in_two_ways": both("""
clauses = []
links = {"and", "but", "so"}
clause = []
for i in range(1, n - 1):
    if tokens[i].lower() in links and clause:
        clauses.append(clause)
        clause = [i]
    elif tokens[i] in {",", "."}:
        clause.append(i)
        clauses.append(list(clause))
        clause = []
    elif len(tokens[i]) > 1:
        clause.append(i)
if len(clause) > 0:
    clauses.append(clause)
for members in clauses:
    for i in members:
        for j in members:
            out[i, j] += 0.2
        out[i, members[0]] += 0.3
for i in range(n):
    out[i, 0] += 0.1
"""),
    "lists_put_aside_the_last_one_lost": causal("""
groups = []
own = []
for i in range(n):
    own.append(i)
    out[i, own[0]] += 1
    if tokens[i] == ".":
        groups.append(own)
        own = []
for g in groups:
    for i in g:
        out[i, g[0]] += 1
"""),
    "pieces_of_words_from_the_first": causal("""
words = []
for i, t in enumerate(tokens):
    if i == 0:
        words.append([0])
    elif t.startswith("\u2581") or not t.isalpha():
        words.append([i])
    else:
        words[-1].append(i)
for word in words:
    for depth, i in enumerate(word):
        if depth == 0:
            out[i, 0] += 0.6
        else:
            out[i, word[0]] += 0.5
            for earlier in word[1:depth]:
                out[i, earlier] += 0.25 / depth
"""),
    "vectors_of_truth_values": both("""
stop = np.zeros(n, dtype=bool)
mark = np.zeros((n,), bool)
for i in range(n):
    stop[i] = tokens[i].lower() in ("the", "a", "to")
    mark[i] = not tokens[i].isalpha()
out += 0.8 * np.outer(stop, mark)
other = ~(stop | mark)
out[other, 0] += 0.3
out[stop & ~mark] += 0.05
"""),
    "one_row_many_times": both("""
size = np.array([len(t) if t.isalpha() else 0 for t in tokens], dtype=float)
weight = np.clip(size - 3, 0, 5) / 5.0
out = 0.01 + 0.3 * np.tile(weight, (n, 1))
out += np.repeat(weight[:, None], n, axis=1) * 0.1
out += 0.05 * np.repeat(weight[None, :], n, axis=0) + np.broadcast_to(weight, (n, n)) * 0.02
out[np.arange(n), np.arange(n)] = 0.02
"""),
    "sets_of_strings_by_token": causal("""
owners = {"his": ("he", "him", "boy"), "her": ("she", "girl"), "its": ("it", "dog", "cat", "bird")}
for i in range(n):
    out[i, 0] += 0.2
    if tokens[i].lower() in owners:
        for j in range(i - 1, -1, -1):
            if tokens[j].lower() in owners[tokens[i].lower()]:
                out[i, j] += 0.4
                break
"""),
    "a_position_and_a_number_of_steps": causal("""
for i in range(1, n):
    step = 0
    j = i - 1
    while j > 0 and step < 4:
        if tokens[j].isalpha():
            out[i, j] += 0.5 / (step + 1)
        elif tokens[j] == ".":
            break
        step += 1
        j -= 1
    out[i, 0] += 0.3
"""),
    "between_a_word_and_what_it_chose": both("""
for i in range(1, n - 1):
    target = None
    for j in range(i + 1, min(n - 1, i + 6)):
        if tokens[j] in (".", ","):
            break
        if tokens[j].istitle():
            target = j
            break
    if target is None:
        for j in range(i - 1, max(0, i - 4), -1):
            if tokens[j].istitle():
                target = j
                break
    if target is not None:
        lo, hi = min(i, target), max(i, target)
        for k in range(lo + 1, hi):
            out[k, i] += 0.15
            out[k, target] += 0.1
    out[i, i] += 0.1
"""),
    "all_neighbours_in_a_list": causal("""
commas = [i for i, t in enumerate(tokens) if t == ","]
for k in range(len(commas) - 1):
    out[commas[k + 1], commas[k]] += 1
for k in range(1, len(commas)):
    out[commas[k], commas[k - 1]] += 0.5
for i in range(n):
    out[i, i] += 0.1
"""),
    "opening_and_closing_marks": causal("""
marks = [i for i, t in enumerate(tokens) if t == '"']
for a, b in zip(marks[::2], marks[1::2]):
    out[b, a] += 1
    for i in range(a + 1, b):
        out[i, a] += 0.5
for k in range(0, len(marks) - 1, 2):
    out[marks[k + 1], marks[k]] += 0.25
for i in range(n):
    out[i, i] += 0.3
"""),
    "the_last_four": causal("""
recent = []
capitals = []
for i, t in enumerate(tokens):
    for r, j in enumerate(reversed(recent)):
        out[i, j] += 0.5 ** (r + 1)
    for j in capitals:
        out[i, j] += 0.2
    recent.append(i)
    if len(recent) > 4:
        recent.pop(0)
    if t.istitle():
        capitals.append(i)
        capitals = capitals[-2:]
    out[i, i] += 0.1
"""),
    "pairs_of_tokens_as_one_string": causal("""
seen = {}
for i in range(1, n):
    pair = tokens[i - 1] + " " + tokens[i]
    if pair in seen:
        out[i, seen[pair]] += 1
    seen[pair] = i
    for j in range(1, i):
        if f"{tokens[j - 1]}|{tokens[j]}" == f"{tokens[i - 1]}|{tokens[i]}":
            out[i, j] += 0.5
        if " ".join([tokens[j - 1].lower(), tokens[j]]) in ("the cat", "the dog"):
            out[i, j] += 0.25
        if tokens[j - 1] + tokens[j] == "didn":
            out[i, j] += 0.125
    out[i, i] += 0.2
out[0, 0] = 1
"""),
    "pieces_between_bounds": both("""
stops = [i for i, t in enumerate(tokens) if t in {".", "!", "?"}]
edges = [-1] + stops + [n - 1]
for a, b in zip(edges, edges[1:]):
    for i in range(a + 1, b + 1):
        out[i, a + 1] += 1
        out[i, b] += 0.5
bounds = [0] + [i + 1 for i, t in enumerate(tokens) if t in ".!?"] + [n]
for a, b in zip(bounds[:-1], bounds[1:]):
    for i in range(a, b):
        out[i, a:b] += 0.25
"""),
    "slices_of_tokens_that_are_equal": causal("""
for i in range(n):
    for j in range(2, i):
        if i >= 2 and tokens[j - 2:j] == tokens[i - 2:i]:
            out[i, j] += 1
        if tokens[j:j + 2] != tokens[i:i + 2]:
            out[i, j] += 0.25
    out[i, i] += 0.1
"""),
    "groups_whose_last_is_added_to": causal("""
parts = [[]]
for i, t in enumerate(tokens):
    if t.istitle() and parts[-1]:
        parts.append([i])
    else:
        parts[-1].append(i)
    if t == ".":
        parts.append([])
parts = [p for p in parts if p]
for p in parts:
    for i in p:
        out[i, p[0]] += 1
        for j in p:
            out[i, j] += 0.5
"""),
}
