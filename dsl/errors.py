"""What is wrong with a program's text, and where."""

from __future__ import annotations


class LanguageError(ValueError):
    """A program cannot be read or makes no sense; line and column count from 1 (0 where unknown)."""

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        self.message, self.line, self.column = message, line, column
        super().__init__(f"line {line}, column {column}: {message}" if line else message)
