"""`headscript serve RUN`: the run as a live page on this machine."""

from __future__ import annotations

import secrets
import socket
from argparse import ArgumentParser, Namespace

from harness import output
from harness.cli import natural
from harness.errors import UserError


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run folder")
    parser.add_argument("--port", type=natural, default=0, help="of 127.0.0.1 (default: a free one)")
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")


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
    workbench = Workbench(session, outcome)
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
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", timeout_graceful_shutdown=1))
    try:
        server.run(sockets=[listening])
    except KeyboardInterrupt:
        pass
    finally:
        listening.close()
    output.note("ended")
    return 0


def _listen(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", port))
    except (OSError, OverflowError) as error:
        raise UserError(f"--port {port}: {getattr(error, 'strerror', None) or error}") from None
    return listening
