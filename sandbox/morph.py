"""Morphological features of a word, like spaCy's MorphAnalysis."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


class Morph:
    """Morphological features, as `Number=Plur|Case=Nom`."""

    __slots__ = ("_features", "_text")

    def __init__(self, text: str):
        pairs = (part.partition("=") for part in text.split("|") if part)
        self._text, self._features = text, {name: value.split(",") for name, _, value in pairs}

    def get(self, field: str, default: Any = None) -> list[str]:
        return list(self._features.get(field, [] if default is None else default))

    def to_dict(self) -> dict[str, str]:
        return {name: ",".join(values) for name, values in self._features.items()}

    def __str__(self) -> str:
        return self._text

    __repr__ = __str__

    def __contains__(self, feature: object) -> bool:
        return feature in self._text.split("|")

    def __iter__(self) -> Iterator[str]:
        return iter(self._text.split("|") if self._text else ())

    def __len__(self) -> int:
        return len(self._features)

    def __eq__(self, other: object) -> bool:
        return str(other) == self._text if type(other) in (Morph, str) else False

    def __hash__(self) -> int:
        return hash(self._text)
