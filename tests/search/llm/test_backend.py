"""The litellm backend against a real server: every way in which a call can fail."""

import logging
import threading
import time
import warnings
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise

import pytest
from chat_server import KEY, PROGRAM, Reply, answer, error

from search.llm.backend import BackendError, Request, with_retries
from search.llm.litellm_backend import LiteLLMBackend, check_environment, price_of, silence_libraries
from search.llm.settings import LLMSettings, Model, Price


def request(model, **parameters):
    messages = (("system", "Be short."), ("user", "A program, please."))
    return Request(f"openai/{model}", messages, tuple(sorted(parameters.items())), 0, (0, 0))


def settings(server, **changes):
    return LLMSettings((Model("openai/x"),), **{"base_url": server.url, "timeout": 20.0, **changes})


@pytest.fixture
def complete(server):
    backends = []

    def call(model, parameters=None, **changes):
        backend = LiteLLMBackend(settings(server, **changes))
        backends.append(backend)
        return backend.complete(request(model, **(parameters or {})))

    yield call
    for backend in backends:
        backend.close()


def test_an_answer_has_text_usage_and_cost(server, complete):
    got = complete("good", {"temperature": 0.5, "top_p": 0.9}, prices={"openai/good": Price(10, 100)})
    assert (got.text, got.usage.prompt_tokens, got.usage.completion_tokens) == (PROGRAM, 100, 20)
    assert got.cost_usd == pytest.approx((100 * 10 + 20 * 100) / 1e6)
    sent = server.requests[0]
    assert sent["authorization"] == f"Bearer {KEY}"
    assert (sent["temperature"], sent["top_p"], sent["messages"][1]["content"]) == (0.5, 0.9, "A program, please.")


def test_text_that_no_encoding_knows_does_no_harm(server, complete):
    server.script["odd"] = lambda body, number: answer("a \ud800 b")
    assert complete("odd").text == "a ? b"


def test_content_in_parts_is_joined_and_thoughts_are_left_out(server, complete, capfd):
    parts = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "a "}, {"type": "text", "text": "b"}]
    server.script["parts"] = lambda body, number: answer(parts)
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        silence_libraries()
        assert complete("parts").text == "a b"
    assert capfd.readouterr() == ("", "") and shown == []


def test_usage_that_the_server_does_not_report_is_estimated(server, complete):
    server.script["silent"] = lambda body, number: answer(usage=False)
    got = complete("silent")
    assert got.estimated and got.usage.prompt_tokens > 5 and got.usage.completion_tokens > 10
    assert got.cost_usd is None


FAILURES = {
    "key": (lambda: error(401, f"Incorrect API key provided: {KEY}"), "OPENAI_API_KEY"),
    "model": (lambda: error(404, "The model `m` does not exist", "model_not_found"), "no such model"),
    "quota": (lambda: error(429, "You exceeded your current quota", "insufficient_quota"), "no credit"),
    "rate": (lambda: error(429, "slow down"), "429"),
    "server": (lambda: error(503, "overloaded"), "503"),
    "html": (lambda: Reply(b"<html><body>Welcome</body></html>", headers={"content-type": "text/html"}), "HTML page"),
    "garbage": (lambda: Reply(b"\x00\x01 no json"), "does not follow the protocol"),
    "context": (
        lambda: error(400, "This model's maximum context length is 4096 tokens", "context_length_exceeded"),
        "too long",
    ),
    "empty": (lambda: Reply(b'{"id":"x","object":"chat.completion","created":1,"model":"m","choices":[]}'), "without content"),
    "refusal": (lambda: answer("", refusal="I cannot help with that."), "cannot help"),
    "request": (lambda: error(400, "temperature must be below 2"), "temperature"),
}


@pytest.mark.parametrize("kind", FAILURES)
def test_each_failure_is_one_clear_line_without_the_key(server, complete, kind):
    make, says = FAILURES[kind]
    server.script["bad"] = lambda body, number: make()
    with pytest.raises(BackendError) as caught:
        complete("bad")
    assert (caught.value.kind, server.count("bad")) == (kind, 1)  # no retries of litellm's own
    message = str(caught.value)
    assert says in message and "openai/bad" in message and "\n" not in message
    assert KEY not in message and "litellm." not in message
    assert caught.value.__cause__ is None and caught.value.__context__ is None  # what holds headers is not chained


def test_a_server_that_is_not_there(server, complete):
    with pytest.raises(BackendError, match="is it running") as caught:
        complete("x", base_url="http://127.0.0.1:9/v1")
    assert caught.value.kind == "connection"


@pytest.mark.parametrize("way", ["silent", "dripping"])
def test_a_timeout_ends_the_call(server, complete, way):
    complete("good")  # what the first call imports is not the server's time
    released = threading.Event()

    def stall(body, number):
        released.wait(20)
        return answer()

    server.script["slow"] = stall if way == "silent" else lambda body, number: Reply(b"{}", drip=True)
    begin = time.monotonic()
    with pytest.raises(BackendError, match=r"no answer within 0\.3 s") as caught:
        complete("slow", timeout=0.3)
    released.set()
    assert caught.value.kind == "timeout" and time.monotonic() - begin < 5
    if way == "dripping":  # the connection is closed, not merely forgotten
        while not server.ended and time.monotonic() - begin < 10:
            time.sleep(0.01)
        assert server.ended == ["slow"]


def test_close_ends_the_calls_under_way(server):
    backend = LiteLLMBackend(settings(server))
    arrived, released = threading.Event(), threading.Event()

    def stall(body, number):
        arrived.set()
        released.wait(20)
        return answer()

    server.script["slow"] = stall
    caught = []

    def call():
        try:
            backend.complete(request("slow"))
        except BackendError as e:
            caught.append(e.kind)

    thread = threading.Thread(target=call)
    thread.start()
    assert arrived.wait(10)
    backend.close()
    thread.join(5)
    released.set()
    assert caught == ["ended"]


def test_retry_after_is_honoured(server):
    backend, pauses = LiteLLMBackend(settings(server)), []
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    replies = [
        error(429, "slow", headers={"Retry-After": "7"}),
        error(500, "oops"),
        error(503, "x", headers={"Retry-After": later}),
    ]
    server.script["busy"] = lambda body, number: replies[number] if number < len(replies) else answer()
    try:
        assert with_retries(backend, request("busy"), 4, pauses.append).text == PROGRAM
    finally:
        backend.close()
    assert pauses[0] == 7 and 2 <= pauses[1] <= 2.5 and 20 < pauses[2] <= 30 and len(pauses) == 3


class Failing:
    """A backend that fails in one way."""

    def __init__(self, kind, retry_after=None):
        self.kind, self.retry_after, self.calls = kind, retry_after, 0

    def complete(self, request):
        self.calls += 1
        raise BackendError(self.kind, "no", self.retry_after)


def test_pauses_double_and_retries_end():
    backend, pauses = Failing("server"), []
    with pytest.raises(BackendError):
        with_retries(backend, request("x"), 3, pauses.append)
    assert backend.calls == 4 and [b / a for a, b in pairwise(pauses)] == [2, 2]


@pytest.mark.parametrize("kind", ["key", "model", "quota", "timeout", "html", "context", "request"])
def test_what_another_try_cannot_mend_is_not_tried_again(kind):
    backend = Failing(kind)
    with pytest.raises(BackendError):
        with_retries(backend, request("x"), 3, pytest.fail)
    assert backend.calls == 1


def test_a_server_that_asks_to_wait_an_hour_is_given_up():
    with pytest.raises(BackendError, match="wait 3600 s"):
        with_retries(Failing("rate", 3600), request("x"), 3, pytest.fail)


def test_a_missing_key_is_named_before_any_call(server, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(ValueError, match=r"openai/gpt-4o needs OPENAI_API_KEY in the environment$"):
        check_environment(LLMSettings((Model("openai/gpt-4o"),)))
    with pytest.raises(ValueError, match=r"OPENAI_API_KEY.*takes any value"):
        check_environment(settings(server))
    with pytest.raises(ValueError, match="ANTHROPIC_API_KEY"):
        check_environment(LLMSettings((Model("anthropic/claude-sonnet-4-5"),)))
    monkeypatch.setenv("OPENAI_API_KEY", "")
    with pytest.raises(ValueError, match="OPENAI_API_KEY"):
        check_environment(settings(server))
    check_environment(LLMSettings((Model("ollama/llama3"),)))  # needs none
    with pytest.raises(ValueError, match="no provider known"):
        check_environment(LLMSettings((Model("nonsense"),)))
    assert server.requests == []


def test_prices_come_from_the_settings_else_from_the_table():
    assert price_of("openai/mine", {"openai/mine": Price(1, 2)}) == Price(1, 2)
    known = price_of("openai/gpt-4o", {})
    assert known is not None and 0 < known.input < known.output
    assert price_of("openai/never-heard-of", {}) is None


def test_nothing_is_printed_or_logged(server, complete, capfd, caplog):
    server.script["bad"] = lambda body, number: error(401, f"wrong {KEY}")
    with caplog.at_level(logging.DEBUG), pytest.raises(BackendError):
        complete("bad")
    complete("good")
    out, err = capfd.readouterr()
    assert out == "" and err == ""
    assert KEY not in caplog.text
