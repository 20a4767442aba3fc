"""`headscript serve RUN`: the run as a live page on this machine."""

from __future__ import annotations

import secrets
import socket
import threading
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from harness import output
from harness.cli import natural
from harness.errors import UsageError, UserError
from search.llm.options import add_options, llm_settings

if TYPE_CHECKING:
    from pathlib import Path

    from harness.live.asking import Adviser
    from harness.live.workbench import Workbench


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run folder")
    parser.add_argument("--port", type=natural, default=0, help="of 127.0.0.1 (default: a free one)")
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    add_options(parser, proposals=False)


def main(args: Namespace) -> int:
    try:
        import starlette  # noqa: F401
        import uvicorn
    except ImportError:
        raise UserError("serve needs a small web server: pip install 'headscript[serve]'") from None
    from harness.live.app import application
    from harness.live.workbench import Workbench
    from harness.overview import with_time
    from harness.report.data import page_data
    from harness.report.document import document
    from harness.session import open_run, outcome_of

    session = open_run(args.run, args.device)
    outcome = outcome_of(session)
    workbench = Workbench(session, outcome, adviser(args, session.folder.path))
    listening = _listen(args.port)
    port = listening.getsockname()[1]
    token = secrets.token_urlsafe(16)

    def report() -> str:
        return document(page_data(session, with_time(session, workbench.outcome)))

    app = application(workbench, report, token, port)
    link = f"http://127.0.0.1:{port}/{token}/"
    if args.json:
        output.document({"url": link, "port": port})
    else:
        print(link, flush=True)
    output.note("loading the model; the link works now, and Ctrl-C ends it")
    threading.Thread(target=_warm, args=[workbench], daemon=True).start()
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", timeout_graceful_shutdown=1))
    try:
        server.run(sockets=[listening])
    except KeyboardInterrupt:
        pass
    finally:
        listening.close()
    output.note("ended")
    return 0


def adviser(args: Namespace, run: Path) -> Adviser | None:
    """Whom the page may ask; None without --llm. Raises UsageError for options that make no sense, a missing key among them."""
    from harness.live.asking import Adviser
    from search.llm.start import open_llm

    try:
        settings = llm_settings(args)
        opened = open_llm(settings, str(run)) if settings else None
    except ValueError as error:
        raise UsageError(str(error)) from None
    if opened is None:
        return None
    if args.llm_refresh:
        for path in (run / "serve").glob("*.json"):
            path.unlink()
    return Adviser(opened, run / "serve", output.note)


def _warm(workbench: Workbench) -> None:
    try:
        workbench.warm()
    except Exception as error:  # the page says it with its first answer, too
        output.note(" ".join(str(error).split()))
    else:
        output.note("the model is loaded")


def _listen(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", port))
    except (OSError, OverflowError) as error:
        raise UserError(f"--port {port}: {getattr(error, 'strerror', None) or error}") from None
    return listening
