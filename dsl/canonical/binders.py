"""Names of range variables: p, r, s, t for positions and w, v, u for words, by depth. The sort of a variable shows in its name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dsl.nodes import Aggregate, Find, Name, rebuild

POSITIONS = ("p", "r", "s", "t")
WORDS = ("w", "v", "u")


def is_position(name: str) -> bool:
    return name[:1] in POSITIONS and (len(name) == 1 or name[1:].isdigit())


def is_word(name: str) -> bool:
    return name[:1] in WORDS and (len(name) == 1 or name[1:].isdigit())


def depth(name: str) -> int:
    """How many position variables stand outside of this one; -1 where the name is no position variable."""
    return POSITIONS.index(name[0]) + len(POSITIONS) * int(name[1:] or 0) if is_position(name) else -1


def rename(node: Any, names: dict[str, str] | None = None, depths: tuple[int, int] = (0, 0)) -> Any:
    """The node with the variables of all ranges named by their depth; `names` says how outer variables are called now."""
    names = names or {}
    if isinstance(node, Name):
        new = names.get(node.name)
        return node if new is None or new == node.name else Name(new)
    if isinstance(node, Find | Aggregate):
        over = node.range
        words = over.domain is not None
        depth = depths[words]
        choices = WORDS if words else POSITIONS
        var = choices[depth % len(choices)] + (str(depth // len(choices)) if depth >= len(choices) else "")
        inner = {**names, over.var: var}
        below = (depths[0], depth + 1) if words else (depth + 1, depths[1])
        parts = {f: rename(getattr(over, f), names, depths) for f in ("low", "high", "domain") if getattr(over, f) is not None}
        new_range = (
            over if over.var == var and all(parts[f] is getattr(over, f) for f in parts) else replace(over, var=var, **parts)
        )
        changes: dict[str, Any] = {}
        if new_range is not over:
            changes["range"] = new_range
        for part in ("guard", "value"):
            old = getattr(node, part, None)
            if old is not None:
                new = rename(old, inner, below)
                if new is not old:
                    changes[part] = new
        return replace(node, **changes) if changes else node
    return rebuild(node, lambda x: rename(x, names, depths))
