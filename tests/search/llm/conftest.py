"""Fixtures of the LLM tests; chat_server.py stands beside them and is imported by name."""

import sys
from collections import defaultdict
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from chat_server import KEY, ChatServer, answer


@pytest.fixture(scope="session")
def one_server():
    return ChatServer()


@pytest.fixture
def server(one_server, monkeypatch):
    """The server with nothing recorded, and a marker as key."""
    one_server.script, one_server.requests, one_server.ended = defaultdict(lambda: lambda body, number: answer()), [], []
    one_server.now = one_server.most = 0
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    return one_server
