"""Small Python functions that dsl/python.py puts into the programs it writes, where they are used.

They stand inside the program's function and see `tokens`, `pieces` and `n`; missing numbers are `nan`, missing texts and words
None.
"""

from __future__ import annotations

from dsl import python_classes
from dsl.text import SPECIAL
from dsl.vocabulary import PUNCTUATION

HELPERS: dict[str, str] = {
    "exists": """
def exists(x):
    return x is not None and x == x
""",
    "default": """
def default(x, other):
    return x if exists(x) else other
""",
    "differs": """
def differs(a, b):
    return exists(a) and exists(b) and a != b
""",
    "equal": """
def equal(a, b):
    return exists(a) and exists(b) and a == b
""",
    "inside": """
def inside(p):
    return p is not None and 0 <= p < n and p == int(p)
""",
    "text": """
def text(p):
    return tokens[int(p)] if inside(p) else None
""",
    "decode": """
def decode(p):
    return decodes[int(p)] if inside(p) else None
""",
    "word_id": """
def word_id(p):
    return nan if not inside(p) or word_ids[int(p)] is None else float(word_ids[int(p)])
""",
    "decoded": """
def decoded(pieces, offsets):
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in printable]
    table = {chr(b): b for b in printable}
    table.update({chr(256 + x): b for x, b in enumerate(others)})

    def readable(values):
        text = bytes(values).decode("utf-8", "surrogateescape")
        return "".join([f"<0x{ord(c) - 0xDC00:02X}>" if 0xDC80 <= ord(c) <= 0xDCFF else c for c in text])

    def byte_of(piece):
        return len(piece) == 6 and piece[:3] == "<0x" and piece[5] == ">"

    if any([byte_of(piece) or "\u2581" in piece for piece in pieces]):  # SentencePiece
        return [readable([int(p[3:5], 16)]) if byte_of(p) else p.replace("\u2581", " ") for p in pieces]
    marked = any([any(["\u0100" <= c <= "\u0143" for c in p]) for p in pieces])
    if marked and all([all([c in table for c in p]) for p in pieces]):  # byte-level BPE
        return [readable([table[c] for c in p]) for p in pieces]
    found = []
    for piece, (start, end) in zip(pieces, offsets):  # WordPiece
        inner = piece[:2] == "##" and len(piece) > 2
        space = not inner and 0 < start < end and sentence[start - 1].isspace()
        found.append(piece[2:] if inner else " " + piece if space else piece)
    return found
""",
    "piece": """
def piece(p):
    return pieces[int(p)] if inside(p) else None
""",
    "first": """
def first(found):
    return found[0] if found else nan
""",
    "last": """
def last(found):
    return found[-1] if found else nan
""",
    "first_word": """
def first_word(found):
    return found[0] if found else None
""",
    "last_word": """
def last_word(found):
    return found[-1] if found else None
""",
    "smallest": """
def smallest(found):
    found = [x for x in found if exists(x)]
    return min(found) if found else nan
""",
    "greatest": """
def greatest(found):
    found = [x for x in found if exists(x)]
    return max(found) if found else nan
""",
    "total": """
def total(found):
    return float(sum([x for x in found if exists(x)]))
""",
    "span": """
def span(low, high):
    if not (exists(low) and exists(high)):
        return range(0)
    return range(max(0, int(np.ceil(low))), min(n - 1, int(np.floor(high))) + 1)
""",
    "divide": """
def divide(a, b):
    return a / b if exists(a) and exists(b) and b != 0 else nan
""",
    "floor_divide": """
def floor_divide(a, b):
    return a // b if exists(a) and exists(b) and b != 0 else nan
""",
    "modulo": """
def modulo(a, b):
    return a % b if exists(a) and exists(b) and b != 0 else nan
""",
    "power": """
def power(a, b):
    if not (exists(a) and exists(b)) or (a == 0 and b < 0) or (a < 0 and b != int(b)):
        return nan
    if a != 0 and b * np.log(abs(a)) > 709:
        return nan
    return float(a) ** float(b)
""",
    "exp": """
def exp(x):
    return np.exp(x) if x < 709 else nan
""",
    "log": """
def log(x):
    return np.log(x) if x > 0 else nan
""",
    "sqrt": """
def sqrt(x):
    return np.sqrt(x) if x >= 0 else nan
""",
    "cell": """
def cell(a, b):
    return before[int(a), int(b)] if inside(a) and inside(b) else nan
""",
    "shared": """
def shared(row, given, seen):
    held = np.array([j in given for j in range(n)])
    kept = np.array([max(row[j], 0.0) if j < seen else 0.0 for j in range(n)])
    if kept.sum() == 0:
        kept = np.array([float(j < seen) for j in range(n)])
    if not 0 < len(given) < seen:
        return kept / kept.sum()
    part = sum([min(max(v, 0.0), 1.0) for v in given.values()]) / len(given)
    result = np.zeros(n)
    for here, mass in ((held, part), (np.array([j < seen and j not in given for j in range(n)]), 1 - part)):
        total = kept[here].sum()
        result[here] = mass * kept[here] / total if total > 0 else mass / here.sum()
    return result
""",
    "punctuation": f"""
def punctuation(token):
    bare = token.strip()
    return bare != "" and all([c in PUNCTUATION for c in bare])

PUNCTUATION = {"".join(sorted(PUNCTUATION))!r}
""",
    "newline": """
def newline(token):
    return "\\n" in token or "\\r" in token
""",
    "char_similarity": """
def char_similarity(a, b):
    if a == "" and b == "":
        return 1.0
    common = sum([min(a.count(c), b.count(c)) for c in set(a)])
    return 2 * common / (len(a) + len(b))
""",
    "special": f"""
def special(p):
    return inside(p) and (special_tokens[int(p)] if special_tokens else tokens[int(p)] in SPECIAL)

SPECIAL = {tuple(sorted(SPECIAL))!r}
""",
    "word_start": """
def word_start(p):
    if not inside(p):
        return False
    if word_starts:
        return word_starts[int(p)]
    return p == 0 or not tokens[int(p)][:1].isalnum()
""",
    "word": """
def word(p):
    return align[int(p)][0] if inside(p) and align[int(p)] else None
""",
    "nth_word": """
def nth_word(w):
    return int(w) if exists(w) and 0 <= w < count_words and w == int(w) else None
""",
    "first_token": """
def first_token(w):
    return first([p for p in range(n) if w is not None and w in align[p]])
""",
    "last_token": """
def last_token(w):
    return last([p for p in range(n) if w is not None and w in align[p]])
""",
    "sentence": """
def sentence_of(w):
    return nan if w is None else float(sum([1 for v in range(1, w + 1) if sent_start(v)]))
""",
    "sent_end": """
def sent_end(w):
    return w is not None and (w + 1 == count_words or sent_start(w + 1))
""",
    "index": """
def index(w):
    return nan if w is None else float(w)
""",
    "words": """
def words_at(p):
    return align[int(p)] if inside(p) else []
""",
    "children": """
def children(w):
    return [v for v in range(count_words) if v != w and head(v) == w] if w is not None else []
""",
    "ancestors": """
def ancestors(w):
    found = []
    while w is not None and head(w) != w and head(w) not in found:
        w = head(w)
        found.append(w)
    return sorted(found)
""",
    "subtree": """
def subtree(w):
    return [v for v in range(count_words) if v == w or w in ancestors(v)] if w is not None else []
""",
    **python_classes.HELPERS,
}

NEEDS: dict[str, tuple[str, ...]] = {  # helpers that a helper calls
    "default": ("exists",),
    "differs": ("exists",),
    "equal": ("exists",),
    "text": ("inside",),
    "decode": ("inside",),
    "word_id": ("inside",),
    "piece": ("inside",),
    "smallest": ("exists",),
    "greatest": ("exists",),
    "total": ("exists",),
    "span": ("exists",),
    "divide": ("exists",),
    "floor_divide": ("exists",),
    "modulo": ("exists",),
    "power": ("exists",),
    "cell": ("inside",),
    "special": ("inside",),
    "word_start": ("inside",),
    "word": ("inside",),
    "nth_word": ("exists",),
    "first_token": ("first",),
    "last_token": ("last",),
    "sentence": ("sent_start",),
    "sent_end": ("sent_start",),
    "words": ("inside",),
    "children": ("head",),
    "ancestors": ("head",),
    "subtree": ("ancestors",),
    **python_classes.NEEDS,
}

# Attributes of annotated words: (of a spaCy token, of `words[w]` in a standalone module, where it is missing)
ATTRIBUTES: dict[str, tuple[str, str, str]] = {
    "pos": ("pos_", "pos", "None"),
    "tag": ("tag_", "tag", "None"),
    "dep": ("dep_", "dep", "None"),
    "lemma": ("lemma_", "lemma", "None"),
    "entity": ("ent_type_", "ent_type", "None"),
    "morph": ("morph", "morph", "None"),
    "shape": ("shape_", "shape", "None"),
    "word_text": ("text", "text", "None"),
    "is_stop": ("is_stop", "is_stop", "False"),
    "is_punct": ("is_punct", "is_punct", "False"),
    "is_space": ("is_space", "is_space", "False"),
    "like_num": ("like_num", "like_num", "False"),
    "sent_start": ("is_sent_start", "is_sent_start", "False"),
    "head": ("head.i", "head", "None"),
}


def source(name: str, spacy: bool) -> str:
    """The definition of a helper; `spacy`: words come from `doc`, else from `words`, a list of dictionaries."""
    if name not in ATTRIBUTES:
        return HELPERS[name].strip("\n")
    attribute, field, missing = ATTRIBUTES[name]
    value = f"doc[w].{attribute}" if spacy else f'words[w]["{field}"]'
    value = f"str({value})" if name == "morph" else f"bool({value})" if missing == "False" else value
    return f"def {name}(w):\n    return {missing} if w is None else {value}"
