"""What people look at: the HTML report of a run, and figures for papers. Nothing here needs a network, then or later."""

from harness.report.document import document, write_report

__all__ = ["document", "write_report"]
