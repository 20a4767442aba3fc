"""Keeps keys out of everything that is shown or written.

Keys are read by litellm alone. Providers, however, repeat parts of them in error messages, so every text that comes from
litellm passes through `scrub` before it reaches a log, a file or a traceback.
"""

from __future__ import annotations

import os
import re

_NAME = re.compile(
    r"(?i)(^|[_\-.])(api[_-]?key|key|token|secret|password|passwd|credentials?|authorization|headers?|auth)([_\-.]|$)"
)
_SHAPES = re.compile(
    r"(?i)(\bbearer\s+)[^\s'\",;)}\]]+"
    r"|(\b(?:x-)?api[-_]?key['\"]?\s*[:=]\s*['\"]?)[^\s'\",;)}\]&]+"
    r"|([?&](?:key|token|api_key|access_token)=)[^\s'\"&]+"
    r"|(://)[^\s/@:]+:[^\s/@]+(?=@)"
    r"|\b(?:sk|pk|rk|xai|pplx)-[A-Za-z0-9_\-*.]{6,}|\b(?:gsk|hf)_[A-Za-z0-9]{16,}"
    r"|\bAIza[0-9A-Za-z_\-]{20,}|\bAKIA[0-9A-Z]{12,}"
)
_SHORTEST = 8  # shorter values of environment variables occur in ordinary words
HIDDEN = "[hidden]"


def sounds_secret(name: str) -> bool:
    """Whether a parameter or variable of this name holds a key rather than a number of tokens."""
    return bool(_NAME.search(name)) and not name.lower().endswith(("max_tokens", "_tokens"))


def hide_values(text: str) -> str:
    """The text without the values of secret environment variables; safe for programs, which may hold key-like names."""
    values = {v for name, v in os.environ.items() if sounds_secret(name) and len(v) >= _SHORTEST}
    for value in sorted(values, key=len, reverse=True):  # longer first: one may contain another
        text = text.replace(value, HIDDEN)
    return text


def scrub(text: str) -> str:
    """The text without the values of secret environment variables and without anything shaped like a key."""
    return _SHAPES.sub(lambda m: "".join(g or "" for g in m.groups()) + HIDDEN, hide_values(text))


def one_line(text: str, limit: int = 240) -> str:
    """A scrubbed text on one line, cut to `limit` characters."""
    flat = " ".join(scrub(text).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
