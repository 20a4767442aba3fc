"""The server of the live page: only this machine, only who has the link, only pages that it sent itself."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from functools import partial
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from dsl import LanguageError
from harness.errors import UserError
from harness.report.document import composed

if TYPE_CHECKING:
    from harness.live.workbench import Workbench

MOST_BYTES = 200_000  # of a request


class Guarded:
    """Lets through what asks for /TOKEN/…, from this machine's own address, and was not sent by a foreign page."""

    def __init__(self, app: Any, token: str, port: int) -> None:
        self.app, self.token = app, token
        self.hosts = {f"127.0.0.1:{port}".encode(), f"localhost:{port}".encode()}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        origin = headers.get(b"origin")
        first = scope["path"].split("/")[1] if scope["path"].count("/") > 1 else ""
        allowed = (
            headers.get(b"host") in self.hosts
            and (origin is None or origin.removeprefix(b"http://") in self.hosts)
            and secrets.compare_digest(first.encode(), self.token.encode())
        )
        app = self.app if allowed else PlainTextResponse("403: open the link that headscript serve printed\n", 403)
        await app(scope, receive, send)


def application(workbench: Workbench, report: Callable[[], str], token: str, port: int) -> Guarded:
    """The application under /TOKEN/: the live page, the report, and what the page asks for."""
    page = live_document(workbench.page())

    async def live(_: Request) -> Response:
        return HTMLResponse(page, headers=HEADERS)

    async def whole_report(_: Request) -> Response:
        return HTMLResponse(await run_in_threadpool(report), headers=HEADERS)

    async def answer(work: Callable[..., dict[str, Any]], request: Request) -> Response:
        if int(request.headers.get("content-length") or MOST_BYTES + 1) > MOST_BYTES:
            return JSONResponse({"error": "the request is too long"}, 413)
        try:
            given = json.loads(await request.body())
            return JSONResponse(await run_in_threadpool(work, **given), headers=HEADERS)
        except LanguageError as error:
            return JSONResponse({"error": str(error), "line": error.line, "column": error.column}, 422)
        except (UserError, ValueError, TypeError) as error:
            return JSONResponse({"error": " ".join(str(error).split())}, 422)

    works = (
        workbench.look,
        workbench.fit,
        workbench.simplify,
        workbench.save,
        workbench.replace,
        workbench.examples,
        workbench.shorter,
    )
    routes = [
        Route(f"/{token}/", live),
        Route(f"/{token}/report", whole_report),
        *(Route(f"/{token}/{work.__name__}", partial(answer, work), methods=["POST"]) for work in works),
    ]
    return Guarded(Starlette(routes=routes), token, port)


HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"}


def live_document(data: dict[str, Any]) -> str:
    """The live page; it asks its own server and nobody else."""
    own = files("harness.live") / "page"
    shared = files("harness.report") / "page"
    style = "\n".join((folder / name).read_text(encoding="utf-8") for folder, name in ((shared, "page.css"), (own, "live.css")))
    scripts = (
        (shared, "base.js"),
        (shared, "program.js"),
        (shared, "matrix.js"),
        (shared, "shaded.js"),
        (shared, "examples.js"),
        (own, "live.js"),
    )
    script = "\n".join((folder / name).read_text(encoding="utf-8") for folder, name in scripts)
    markup = (own / "live.html").read_text(encoding="utf-8")
    return composed(markup, f"{data['target']}: live", style, script, data, "connect-src 'self'; ")
