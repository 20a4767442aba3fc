"""The classes of dsl/classes.py as small Python functions, for the programs that dsl/python.py writes.

Functions of a token take its string, those of a position see `tokens` around it; lists of words are written out once.
"""

from __future__ import annotations

from dsl import classes as c


def _listed(name: str) -> str:
    words = " ".join(sorted(c.WORDS[name]))
    return f"""
def {name}(token):
    return token.strip().lower() in {name.upper()}

{name.upper()} = {words!r}.split()
"""


FIRST = {"first_the": "the", "first_sign": "symbol", "first_stop": "ends", "first_comma": "clause_mark", "first_break": "breaks"}


def _first(name: str, holds: str) -> str:
    return f"""
def {name}(p):
    if not inside(p) or start(p):
        return False
    return [j for j in range(int(p) + 1) if {holds}(tokens[j]) and not start(j)][:1] == [p]
"""


HELPERS: dict[str, str] = {
    **{name: _listed(name) for name in c.WORDS if name != "function_word"},
    "function_word": f"""
def function_word(token):
    return token.strip().lower() in FUNCTION_WORD

FUNCTION_WORD = {" + ".join(name.upper() for name in c.FUNCTION)}
""",
    "content_word": """
def content_word(token):
    return token.strip().isalpha() and not function_word(token)
""",
    "breaks": """
def breaks(token):
    return "\\n" in token or "\\r" in token
""",
    "blank": """
def blank(token):
    return token.strip() == "" and not breaks(token)
""",
    "symbol": """
def symbol(token):
    return token.strip() != "" and not any([c.isalnum() for c in token])
""",
    "light": """
def light(token):
    return blank(token) or symbol(token) or function_word(token)
""",
    "digit": """
def digit(token):
    return any([c.isdigit() for c in token])
""",
    "capitalised": """
def capitalised(token):
    return token.strip()[:1].isupper()
""",
    "clause_mark": f"""
def clause_mark(token):
    return token.strip().rstrip({c.CLOSERS!r}) in (",", ";", ":")
""",
    "operator": f"""
def operator(token):
    sign = token.strip()
    return sign in ("!=", ":=") or (sign != "" and all([c in {c.OPERATORS!r} for c in sign]))
""",
    "joining": f"""
def joining(token):
    sign = token.strip()
    return sign != "" and all([c in {c.JOINING!r} for c in sign])
""",
    "depth": f"""
def depth(token):
    if any([c.isalnum() for c in token]):
        return 0
    return sum([c in {c.OPENING!r} for c in token]) - sum([c in {c.CLOSING!r} for c in token])
""",
    "opening_bracket": """
def opening_bracket(token):
    return depth(token) > 0
""",
    "closing_bracket": """
def closing_bracket(token):
    return depth(token) < 0
""",
    "ends": f"""
def ends(token):
    mark = token.strip().rstrip({c.CLOSERS!r})
    return mark != "" and mark[-1] in ".!?…" and not any([c.isdigit() for c in mark])
""",
    "boundary": """
def boundary(token):
    return ends(token) or clause_mark(token) or breaks(token)
""",
    "leaning": """
def leaning(token):
    return blank(token) or joining(token) or opening_bracket(token) or determiner(token) or copula(token)
""",
    "clause_word": f"""
def clause_word(token):
    return {" or ".join(f"{name}(token)" for name in c.CLAUSAL)}
""",
    "sentence_end": """
def sentence_end(p):
    return inside(p) and ends(tokens[int(p)])
""",
    "quote": f"""
def quote(i):
    token = tokens[i]
    if any([c.isalnum() for c in token]):
        return 0
    if any([c in {c.TRAILING!r} for c in token]):
        return -1
    if any([c in {c.LEADING!r} for c in token]):
        return 1
    straight = [at for at in range(len(token)) if token[at] in {c.STRAIGHT!r}]
    if not straight:
        return 0
    at = straight[0]
    before = token[at - 1] if at else tokens[i - 1][-1:] if i else ""
    after = token.rstrip({c.STRAIGHT!r})[at + 1 :][:1] or (tokens[i + 1][:1] if i + 1 < n else "")
    opens = before.strip() == "" or before in {c.OPENING!r} or before == "="
    if opens == after.isalnum():
        return 1 if opens else -1
    earlier = [t for t in tokens[:i] if any([c in {c.STRAIGHT!r} for c in t])]
    return 1 if len(earlier) % 2 == 0 else -1
""",
    "opening_quote": """
def opening_quote(p):
    return inside(p) and quote(int(p)) == 1
""",
    "closing_quote": """
def closing_quote(p):
    return inside(p) and quote(int(p)) == -1
""",
    "indentation": """
def indentation(p):
    if not inside(p):
        return False
    token = tokens[int(p)]
    if breaks(token):
        return token[-1] in " \\t"
    return token != "" and token.strip() == "" and (p == 0 or tokens[int(p) - 1][-1:] in ("\\n", "\\r"))
""",
    "line_start": """
def line_start(p):
    if not inside(p) or tokens[int(p)].strip() == "":
        return False
    filled = [j for j in range(int(p)) if not blank(tokens[j])]
    return not filled or special(filled[-1]) or breaks(tokens[int(p)][:1] + tokens[filled[-1]])
""",
    "line_end": """
def line_end(p):
    return inside(p) and p + 1 < n and breaks(tokens[int(p) + 1]) and tokens[int(p)].strip() != ""
""",
    "name_like": """
def name_like(p):
    if not inside(p) or not capitalised(tokens[int(p)]) or function_word(tokens[int(p)]) or line_start(p):
        return False
    filled = [j for j in range(1, int(p)) if tokens[j].strip() != "" and quote(j) != 1]
    before = filled[-1] if filled else 0
    return not (special(before) or sentence_end(before))
""",
    "continuation": """
def continuation(p):
    if not inside(p) or p == 0 or word_start(p):
        return False
    return tokens[int(p)][:1].isalpha() and tokens[int(p) - 1][-1:].isalnum()
""",
    "inner": """
def inner(p):
    return inside(p) and (digit(tokens[int(p)]) or continuation(p))
""",
    "given": """
def given(p):
    return inside(p) and content_word(tokens[int(p)]) and repeated(p)
""",
    "first_occurrence": """
def first_occurrence(p):
    return inside(p) and tokens.index(tokens[int(p)]) == p
""",
    "repeated": """
def repeated(p):
    return inside(p) and tokens.index(tokens[int(p)]) < p
""",
    "occurrence": """
def occurrence(p):
    return float(tokens[: int(p) + 1].count(tokens[int(p)])) if inside(p) else nan
""",
    "start": """
def start(p):
    if not inside(p):
        return False
    return all([t == tokens[int(p)] for t in tokens[: int(p)]]) or (p == 1 and blank(tokens[1]) and not special(0))
""",
    "anchor": """
def anchor(p):
    if not inside(p) or start(p):
        return False
    if blank(tokens[int(p)]):
        return not any([blank(t) for t in tokens[: int(p)]])
    return p > 0 and the(tokens[int(p)]) and preposition(tokens[int(p) - 1])
""",
    "the": """
def the(token):
    return token.strip() == "the"
""",
    **{name: _first(name, holds) for name, holds in FIRST.items()},
}

NEEDS: dict[str, tuple[str, ...]] = {  # helpers that a helper calls
    "function_word": c.FUNCTION,
    "content_word": ("function_word",),
    "blank": ("breaks",),
    "light": ("blank", "symbol", "function_word"),
    "opening_bracket": ("depth",),
    "closing_bracket": ("depth",),
    "boundary": ("ends", "clause_mark", "breaks"),
    "leaning": ("blank", "joining", "opening_bracket", "determiner", "copula"),
    "clause_word": c.CLAUSAL,
    "inner": ("inside", "digit", "continuation"),
    "given": ("inside", "content_word", "repeated"),
    "sentence_end": ("inside", "ends"),
    "opening_quote": ("inside", "quote"),
    "closing_quote": ("inside", "quote"),
    "indentation": ("inside", "breaks"),
    "line_start": ("inside", "blank", "breaks", "special"),
    "line_end": ("inside", "breaks"),
    "name_like": ("inside", "capitalised", "function_word", "line_start", "quote", "special", "sentence_end"),
    "continuation": ("inside", "word_start"),
    "first_occurrence": ("inside",),
    "repeated": ("inside",),
    "occurrence": ("inside",),
    "start": ("inside", "blank", "special"),
    "anchor": ("inside", "start", "blank", "preposition", "the"),
    **{name: ("inside", "start", holds) for name, holds in FIRST.items()},
}
