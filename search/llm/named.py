"""What a program that could not be used speaks of: the lists of tokens in its guards, as conditions that the search may try."""

from __future__ import annotations

import re

from dsl.nodes import Str

MOST = 6  # lists of one program
LONGEST = 40  # strings of one list
_LIST = re.compile(r"\bin\s*[\[({]\s*((?:[rub]?(?:\"[^\"\\\n]*\"|'[^'\\\n]*')\s*,?\s*)+)[\])}]")
_STRING = re.compile(r"\"([^\"\\\n]*)\"|'([^'\\\n]*)'")
_MARKS = "Ġ▁#Ċ "  # of tokenizers, where a word begins or goes on


def conditions(source: str) -> list[str]:
    """Conditions such as `lower(strip({})) in {"of", "in"}` for each list that `in` is asked of, each once."""
    found: dict[str, None] = {}
    for match in _LIST.finditer(source):
        strings = sorted({(a or b).strip(_MARKS).lower() for a, b in _STRING.findall(match[1])} - {""})
        if strings and len(strings) <= LONGEST:
            members = ", ".join(str(Str(s)) for s in strings)
            found[f"lower(strip({{}})) in {{{members}}}"] = None
    return list(found)[:MOST]
