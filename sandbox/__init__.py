"""Runs Python that nobody trusts: a language policy, facades instead of real objects, and a process jail."""

from sandbox.pool import Sandbox, isolation_tier
from sandbox.result import Limits, Result, SandboxError

__all__ = ["Limits", "Result", "Sandbox", "SandboxError", "isolation_tier"]
