"""Errors that are the user's to mend: shown as one line, without a traceback."""


class UserError(Exception):
    """Something the user gave cannot be used; the message says what is wrong and what to do. Exit code 1."""


class UsageError(UserError):
    """The command line itself is wrong. Exit code 2."""
