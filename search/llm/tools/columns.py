"""`columns`: the key tokens that get too little or too much of the program."""

from __future__ import annotations

from collections import Counter, defaultdict

from search.llm.tools.desk import Arguments, BadArgument, Desk, domain, number, quote

MOST = 10  # tokens each way
BEFORE = 3  # tokens before a key that are named


def columns(desk: Desk, arguments: Arguments) -> str:
    """Missing and surplus weight by key token, with the tokens before it; the first token of a text stands apart."""
    import numpy as np

    name, program = desk.chosen(arguments)
    pattern = desk.pattern(program)
    if pattern is None:
        raise BadArgument("there is no program to compare with: try one first")
    weights = desk.row_weights.copy()
    names = desk.fit.domains.names
    of_row = desk.fit.domain_of[desk.text_of]
    if (d := domain(desk, arguments)) is not None:
        weights = np.where(of_row == d, weights, 0.0) / max(1e-12, weights[of_row == d].sum())
    difference = (desk.head() - pattern) * weights[desk.fit.q]  # (C), in parts of all attention
    total: dict[str, float] = defaultdict(float)
    parts: dict[str, list[float]] = defaultdict(lambda: [0.0] * len(names))
    before: dict[str, Counter[str]] = defaultdict(Counter)
    per_key = np.bincount(desk.fit.k, difference, len(desk.tokens))
    for key in np.flatnonzero(per_key):
        token = desk.tokens[key] if desk.fit.position[key] else "first token of the text"
        total[token] += per_key[key]
        parts[token][of_row[key]] += per_key[key]
        if desk.fit.position[key]:
            before[token][desk.before(int(key))] += per_key[key]
    lines = [f"Part of all attention, {name}, by key token; in brackets by domain; after: tokens before it."]
    for title, sign in (("The head gives more", 1), ("The program gives more", -1)):
        order = sorted((t for t in total if sign * total[t] > 5e-4), key=lambda t: (-sign * total[t], t))[:MOST]
        lines.append(f"{title}:")
        for token in order:
            shown = token if token == "first token of the text" else quote(token)
            split = f" [{', '.join(number(v) for v in parts[token])}]" if len(names) > 1 and d is None else ""
            most = sorted(before[token], key=lambda t: (-sign * before[token][t], t))[:BEFORE]
            after = f" after {', '.join(quote(t) for t in most)}" if len(before[token]) > 1 else ""
            lines.append(f"{shown} {number(abs(total[token]))}{split}{after}")
    return "\n".join(lines)
