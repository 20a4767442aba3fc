"""The backend that asks real models, through litellm. litellm is imported on first use: it takes seconds."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import os
import threading
import warnings
from collections.abc import Mapping
from concurrent.futures import CancelledError
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any

from search.llm.backend import Answer, BackendError, Messages, Request, ToolCall, Usage
from search.llm.parts import joining_client
from search.llm.prompt import estimate_tokens
from search.llm.scrub import hide_values
from search.llm.settings import LLMSettings, Price
from search.llm.store import message_record

_NO_KEY_NEEDED = ("ollama", "ollama_chat")  # litellm asks for OLLAMA_API_BASE, which has a default


@cache
def _litellm() -> Any:
    """litellm, made silent: no downloads at import, no advice on stdout, no logs (they show headers), no retries of its own."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    os.environ["LITELLM_LOG"] = "CRITICAL"
    os.environ.pop("OPENAI_LOG", None)
    import litellm

    silence_libraries()
    litellm.aclient_session = joining_client()  # it refuses messages whose content comes in parts
    litellm.suppress_debug_info = True
    litellm.telemetry = False
    litellm.set_verbose = False
    litellm.num_retries = 0
    litellm.disable_aiohttp_transport = True  # its sessions complain on stderr when a program ends
    litellm.disable_hf_tokenizer_download = True
    for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy", "openai", "httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return litellm


def silence_libraries() -> None:
    """No warnings of theirs: about servers that answer with fields of their own, and about each other."""
    warnings.filterwarnings("ignore", module=r"(pydantic|litellm|openai|httpx|aiohttp)\b")


def check_environment(settings: LLMSettings) -> None:
    """Raises ValueError where a model's provider is unknown or its key is missing; names the variable. Asks nobody."""
    litellm = _litellm()
    for model in settings.models:
        try:
            _, provider, _, _ = litellm.get_llm_provider(model.name, api_base=settings.base_url)
        except Exception:
            raise ValueError(
                f"{model.name!r}: no provider known to litellm; write provider/model, such as openai/gpt-4o or ollama/llama3"
            ) from None
        if provider in _NO_KEY_NEEDED:
            continue
        missing = litellm.validate_environment(model.name).get("missing_keys", [])
        if settings.base_url:
            missing = [name for name in missing if not name.endswith(("_API_BASE", "_BASE_URL"))]
        name = f"{provider.upper()}_API_KEY"
        if not missing and os.environ.get(name) == "":  # litellm takes an empty key for one
            missing = [name]
        if missing:
            hint = " (a server that needs no key takes any value)" if settings.base_url else ""
            raise ValueError(f"{model.name} needs {' and '.join(missing)} in the environment{hint}")


def price_of(model: str, prices: Mapping[str, Price]) -> Price | None:
    """US dollars per million tokens: from the settings, else from litellm's table, else None."""
    if model in prices:
        return prices[model]
    try:
        costs = _litellm().cost_per_token(model=model, prompt_tokens=1_000_000, completion_tokens=1_000_000)
    except Exception:
        return None  # litellm raises a plain Exception of several kinds for models it does not know
    return Price(*map(float, costs))


def knows_tools(model: str) -> bool:
    """Whether litellm's table says that the model takes native tools; of a model it does not know it says no."""
    try:
        return bool(_litellm().supports_function_calling(model=model))
    except Exception:  # of several kinds for names it cannot place
        return False


def count_tokens(model: str, messages: Messages) -> int:
    """Tokens of a prompt by litellm's tokenizer for the model; an approximation where it has none of its own."""
    return int(_litellm().token_counter(model=model, messages=_messages(messages)))


class LiteLLMBackend:
    """Asks through litellm. Calls run in an event loop, so that a timeout really ends a call and its connection.

    complete may be called from many threads; close ends the calls under way, whose threads get BackendError.
    """

    def __init__(self, settings: LLMSettings) -> None:
        self.settings = settings
        self._running: set[asyncio.Task[Any]] = set()
        self._closed = False

    def complete(self, request: Request) -> Answer:
        loop = _event_loop()
        if self._closed:
            raise BackendError("ended", f"{request.model}: the call was ended")
        try:
            response = asyncio.run_coroutine_threadsafe(self._ask(request), loop).result()
        except BaseException as e:
            # CancelledError is no Exception; what else is none (an interrupt) is not ours to explain
            if not isinstance(e, Exception | CancelledError | asyncio.CancelledError):
                raise
            failure = _failure(e, request.model, self.settings)
        else:
            return _answer(response, request, self.settings)
        raise failure  # outside of the handler: the provider's exception, which may hold headers, is not chained to it

    def close(self) -> None:
        self._closed = True
        asyncio.run_coroutine_threadsafe(self._end(), _event_loop()).result(timeout=10)

    async def _ask(self, request: Request) -> Any:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            call = _litellm().acompletion(
                model=request.model,
                messages=_messages(request.messages),
                api_base=self.settings.base_url,
                timeout=self.settings.timeout,
                num_retries=0,
                max_retries=0,
                **dict(request.parameters),
                **({"tools": json.loads(request.tools)} if request.tools else {}),
            )
            # litellm imports much of itself in the first call, which is not the server's time; while nothing at all arrives,
            # the client's own timeout ends the call
            limit = self.settings.timeout + (_FIRST_CALL if next(_calls) == 0 else 0.0)
            return await asyncio.wait_for(call, limit)
        finally:
            self._running.discard(task)

    async def _end(self) -> None:
        tasks = list(self._running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


_FIRST_CALL = 10.0  # seconds
_calls = itertools.count()
_STARTING = threading.Lock()


def _event_loop() -> asyncio.AbstractEventLoop:
    with _STARTING:
        _litellm()  # not within the loop, where it would hold up the timeouts of other calls
        return _new_loop()


@cache
def _new_loop() -> asyncio.AbstractEventLoop:
    """One for the whole process: litellm leaves workers of its own in a loop, and they complain about one that closes."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="llm", daemon=True).start()
    return loop


def _messages(messages: Messages) -> list[dict[str, Any]]:
    return [message_record(m) for m in messages]


def _answer(response: Any, request: Request, settings: LLMSettings) -> Answer:
    choices = getattr(response, "choices", None) or []
    if not choices:
        raise BackendError("empty", f"{request.model}: an answer without content")
    message, finish = choices[0].message, str(choices[0].finish_reason or "stop")
    text = hide_values(message.content or "").encode("utf-8", "replace").decode()  # lone surrogates cannot be sent back
    fields = getattr(message, "provider_specific_fields", None) or {}
    refusal = getattr(message, "refusal", None) or fields.get("refusal")  # where it stands depends on litellm's version
    called = tuple(
        ToolCall(str(c.id or f"call_{i}"), str(c.function.name or ""), hide_values(c.function.arguments or ""))
        for i, c in enumerate(getattr(message, "tool_calls", None) or ())
    )
    if not text.strip() and not called and (finish == "content_filter" or refusal):
        raise BackendError("refusal", f"{request.model}: {refusal or 'stopped by the content filter'}")
    usage = getattr(response, "usage", None)
    prompt, completion = (int(getattr(usage, f"{side}_tokens", 0) or 0) for side in ("prompt", "completion"))
    estimated = prompt == 0
    if estimated:  # the server reports nothing: budgets go by estimates
        prompt = sum(estimate_tokens(part) for message in request.messages for part in message[1:])
        completion = estimate_tokens(text)
    price = settings.prices.get(request.model)
    cost = price.cost(prompt, completion) if price else _cost(response, request.model, prompt, completion, estimated)
    return Answer(text, Usage(prompt, completion), cost, finish, estimated, called)


def _cost(response: Any, model: str, prompt: int, completion: int, estimated: bool) -> float | None:
    """litellm's figure, which knows discounts for cached prompts; None for a model whose price it does not know."""
    price = price_of(model, {})
    if price is None:
        return None
    try:
        return price.cost(prompt, completion) if estimated else float(_litellm().completion_cost(response, model=model))
    except Exception:  # of several kinds
        return price.cost(prompt, completion)


def _failure(error: BaseException, model: str, settings: LLMSettings) -> BackendError:
    """What a litellm exception means. litellm reports refused connections and HTML pages as internal server errors."""
    chain: list[BaseException] = []
    here: BaseException | None = error
    while here is not None and here not in chain:
        chain.append(here)
        here = here.__cause__ or here.__context__
    names = {type(e).__name__ for e in chain}
    status = next((s for e in chain if isinstance(s := getattr(e, "status_code", None), int)), None)
    text = _said(str(error))
    lower = text.lower()

    def failure(kind: str, message: str) -> BackendError:
        return BackendError(kind, f"{model}: {message}", _retry_after(chain))

    if isinstance(error, CancelledError | asyncio.CancelledError):
        return failure("ended", "the call was ended")
    if names & {"ContextWindowExceededError"} or any(sign in lower for sign in _TOO_LONG) or _code(chain) in _TOO_LONG:
        return failure("context", f"the prompt is too long for the model ({text})")
    if names & {"TimeoutError", "Timeout", "APITimeoutError", "ReadTimeout"}:
        return failure("timeout", f"no answer within {settings.timeout:g} s; the limit is `timeout` in the settings file")
    if names & {"ConnectError", "ConnectionRefusedError", "ClientConnectorError"}:
        return failure("connection", "no connection to the server; is it running, and is the base URL right?")
    if "empty or invalid response" in lower or lower.lstrip(" '\"").startswith(("<html", "<!doctype")):
        found = "an HTML page" if "<html" in lower or "<!doctype" in lower else "something else"
        kind = "html" if "HTML" in found else "garbage"
        return failure(kind, f"the server sent {found} instead of an answer; is the base URL right?")
    if status in (401, 403) or names & {"AuthenticationError", "PermissionDeniedError"}:
        return failure("key", f"the key was not accepted (HTTP {status or 401}: {text}); check {_key_variable(model)}")
    if "insufficient_quota" in lower or _code(chain) == "insufficient_quota" or status == 402:
        return failure("quota", f"no credit left ({text})")
    if "ContentPolicyViolationError" in names:
        return failure("refusal", f"refused by the provider ({text})")
    if status == 404 or "NotFoundError" in names or _code(chain) == "model_not_found":
        hint = "; or the base URL is wrong: does it lack a final /v1?" if settings.base_url else ""
        return failure("model", f"no such model (HTTP {status}: {text}){hint}")
    if status == 429 or "RateLimitError" in names:
        return failure("rate", f"rate limit (HTTP 429: {text})")
    if names & {"JSONDecodeError", "APIResponseValidationError", "ValidationError", "TypeError", "AttributeError", "KeyError"}:
        return failure("garbage", f"the server's answer does not follow the protocol ({type(error).__name__})")
    if status is not None and status >= 500:
        return failure("server", f"server error (HTTP {status}: {text})")
    return failure("request", f"request not accepted ({f'HTTP {status}: ' if status else ''}{text})")


def _said(text: str) -> str:
    """The provider's own words in a litellm message, which may wrap them in names of exceptions and in JSON."""
    text = text.split("Exception - ", 1)[-1].removeprefix("litellm.").split(". Handle with `litellm", 1)[0]
    try:
        body = json.loads(text[text.index("{") :])
        inner = body.get("error", body)
        return str(inner.get("message") if isinstance(inner, dict) else inner)
    except (ValueError, AttributeError):
        return text


_TOO_LONG = (
    "context_length_exceeded",
    "maximum context length",
    "context window",
    "context length",
    "prompt is too long",
    "input is too long",
    "too many tokens",
)


def _code(chain: list[BaseException]) -> str:
    """The provider's own error code, such as context_length_exceeded."""
    for error in chain:
        body = getattr(error, "body", None)
        code = getattr(error, "code", None) or (body.get("code") if isinstance(body, dict) else None)
        if isinstance(code, str) and not code.isdigit():  # litellm repeats the HTTP status as code
            return code
    return ""


def _key_variable(model: str) -> str:
    try:
        names = _litellm().validate_environment(model, api_key=None)
        provider = _litellm().get_llm_provider(model)[1]
        return names["missing_keys"][0] if names["missing_keys"] else f"{provider.upper()}_API_KEY"
    except Exception:  # a name that litellm cannot place
        return "the key's environment variable"


def _retry_after(chain: list[BaseException]) -> float | None:
    """Seconds from a Retry-After header, given in seconds or as a date."""
    for error in chain:
        headers = getattr(error, "litellm_response_headers", None) or getattr(getattr(error, "response", None), "headers", None)
        value = headers.get("retry-after") if headers is not None else None
        if value is None:
            continue
        try:
            return float(value)
        except ValueError:
            pass
        try:
            when = parsedate_to_datetime(value)
            return (when - datetime.now(when.tzinfo)).total_seconds()
        except (ValueError, TypeError):
            continue
    return None
