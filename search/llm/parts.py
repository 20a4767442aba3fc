"""Messages whose content comes in parts: their texts are joined before a client that expects one string sees them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx


def joined(body: bytes) -> bytes:
    """A chat completion with the content of each message as one string; thoughts are left out. Anything else as it is."""
    try:
        data = json.loads(body)
        messages = [choice["message"] for choice in data["choices"]]
    except (ValueError, KeyError, TypeError):
        return body
    apart = [m for m in messages if isinstance(m, dict) and isinstance(m.get("content"), list)]
    for message in apart:
        message["content"] = "".join(_text(part) for part in message["content"])
    return json.dumps(data).encode() if apart else body


def _text(part: Any) -> str:
    if not isinstance(part, dict):
        return str(part)
    return str(part.get("text") or "") if part.get("type", "text") in ("text", "output_text") else ""


def joining_client() -> httpx.AsyncClient:
    """A client that joins parts. Timeouts are those of each request."""
    import httpx

    async def join(response: httpx.Response) -> None:
        if response.headers.get("content-type", "").startswith("application/json"):
            response._content = joined(await response.aread())  # httpx has no way to say it

    return httpx.AsyncClient(event_hooks={"response": [join]}, follow_redirects=True, timeout=None)
