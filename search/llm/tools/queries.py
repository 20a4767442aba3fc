"""`queries`: what kinds of queries do, head beside program, and which query tokens the program gets wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dsl.text import Text
from dsl.vocabulary import VOCABULARY
from search.llm.tools.desk import Arguments, Desk, domain, quote, row_sums, share

if TYPE_CHECKING:
    import numpy as np

# words of the language; the class of a token is the first that holds
CLASSES = (
    *("newline", "sentence_end", "clause_mark", "opening_bracket", "closing_bracket", "operator", "symbol", "has_digit", "article"),
    *("preposition", "conjunction", "pronoun", "auxiliary", "function_word", "not word_start", "capitalised", "content_word"),
)
OTHER = "other"
BANDS = ("start", "itself", "1 back", "2-4 back", "farther", "ahead")
FREQUENT = 8  # query tokens shown on their own, where there is no program
APART = 9  # query tokens shown for each band, of those that the program gives too little or too much
SEEN = 3  # times at least that such a token occurs
KEYS = 5  # classes of keys shown for a class of queries
LEAST = 0.01  # of all rows, below which a class is left out


def queries(desk: Desk, arguments: Arguments) -> str:
    """Per class and per frequent token of the query: where its weight goes. Then class of query by class of key."""
    import numpy as np

    name, program = desk.chosen(arguments)
    sides = [desk.head(), *([p] if (p := desk.pattern(program)) is not None else [])]
    rows = desk.row_weights.copy()
    if (d := domain(desk, arguments)) is not None:
        rows = np.where(desk.fit.domain_of[desk.text_of] == d, rows, 0.0)
        rows /= max(1e-12, rows.sum())
    bands = [_bands(desk, side) for side in sides]  # each (N, 6)
    kinds = np.array(_kinds(desk))
    counted = rows * (desk.fit.position > 0)  # the first query has no choice
    many = " | program" if len(sides) > 1 else ""
    lost = row_sums(desk, np.abs(sides[0] - sides[1])) * counted if len(sides) > 1 else np.zeros(len(kinds))
    title = f"Weight by query, head{many} ({name}): {', '.join(BANDS)}"
    lines = [f"{title}; with the part of what is lost." if len(sides) > 1 else f"{title}."]

    def line(label: str, mask: np.ndarray) -> str:
        part = counted * mask
        shown = [" ".join(share(float(v)) for v in (part @ b) / part.sum()) for b in bands]
        gone = f", {share(float((lost * mask).sum() / lost.sum()))} lost" if lost.sum() > 0 else ""
        return f"{label} ({share(float(part.sum()))} of rows{gone}): {' | '.join(shown)}"

    lines.append(line("all", np.ones(len(kinds), bool)))
    present = [c for c in (*CLASSES, OTHER) if (counted * (kinds == c)).sum() >= LEAST]
    lines += [line(c, kinds == c) for c in present]
    tokens = np.array(desk.tokens, dtype=object)
    if len(sides) > 1:
        lines += _apart(tokens, bands[0] - bands[1], counted)
    else:
        frequency = {t: float(counted[tokens == t].sum()) for t in dict.fromkeys(desk.tokens)}
        most = sorted(frequency, key=lambda t: (-frequency[t], t))[:FREQUENT]
        lines += [line(quote(t), tokens == t) for t in most if frequency[t] > 0]
    lines.append(f"From query class to key class, start and itself left out, head{many}; the largest:")
    apart = desk.fit.q != desk.fit.k
    for c in present:
        part = counted * (kinds == c)
        to: list[dict[str, float]] = []
        for side in sides:
            by_key = np.bincount(desk.fit.k, side * part[desk.fit.q] * apart * (desk.fit.position[desk.fit.k] > 0), len(kinds))
            to.append({k: float(by_key[kinds == k].sum() / part.sum()) for k in (*CLASSES, OTHER)})
        largest = sorted(to[0], key=lambda k: -max(side[k] for side in to))[:KEYS]
        shown = [f"{k} {'|'.join(share(side[k]) for side in to)}" for k in largest if max(side[k] for side in to) >= 0.02]
        lines.append(f"{c}: {', '.join(shown)}")
    return "\n".join(lines)


def _apart(tokens: np.ndarray, difference: np.ndarray, counted: np.ndarray) -> list[str]:
    """For the first bands: query tokens to which the program gives too little there, and too much; by what it sums up to.

    tokens (N), difference (N, 6) of head less program, counted (N): what each row counts.
    """
    import numpy as np

    names, place, often = np.unique(tokens.astype(str), return_inverse=True, return_counts=True)
    weight = np.bincount(place, counted, len(names))
    lines = []
    for band in range(3):
        total = np.bincount(place, difference[:, band] * counted, len(names))
        able = (often >= SEEN) & (np.abs(total) > 2e-4)
        parts = []
        for title, sign in (("more", 1), ("less", -1)):
            order = [i for i in np.argsort(-sign * total, kind="stable") if able[i] and sign * total[i] > 0][:APART]
            shown = ", ".join(f"{quote(names[i])} {share(abs(float(total[i] / weight[i])))}" for i in order)
            parts.append(f"{title} from {shown or 'none'}")
        lines.append(f"To {BANDS[band]} the head gives {'; '.join(parts)}.")
    return ["By query token, the mean difference of head and program:", *lines]


def _kinds(desk: Desk) -> list[str]:
    if "kinds" not in desk.cache:
        desk.cache["kinds"] = [name for text in desk.fit.texts_given for name in classes(text)]
    return desk.cache["kinds"]


def classes(text: Text) -> list[str]:
    """The class of each token, a word of the language that holds there."""
    return [next((name for name in CLASSES if _holds(name, text, i)), OTHER) for i in range(len(text))]


def _holds(name: str, text: Text, i: int) -> bool:
    if name == "not word_start":
        return bool(text.word_start) and not text.word_start[i]
    primitive = VOCABULARY[name]
    return bool(primitive.evaluate(text.tokens[i]) if primitive.domain == "text" else primitive.evaluate(text, i))


def _bands(desk: Desk, side: np.ndarray) -> np.ndarray:
    """(N, 6): the weight of each row at the start of the text, on itself, and by distance."""
    import numpy as np

    position = desk.fit.position
    start = position[desk.fit.k] == 0
    back = position[desk.fit.q].astype(int) - position[desk.fit.k]
    masks = [start, (back == 0), (back == 1), (back >= 2) & (back <= 4), back > 4, back < 0]
    return np.stack([row_sums(desk, side * (m if i == 0 else m & ~start)) for i, m in enumerate(masks)], axis=1)
