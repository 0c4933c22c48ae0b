"""The one table from families of errors to exit codes; documented in docs/reference/exit-codes.md."""

from __future__ import annotations

from typing import Final

from estampe import errors

SUCCESS: Final = 0
FAILURE: Final = 1  # a defect, a `no` at the prompt, or checks of `doctor` that fail
INTERRUPTED: Final = 130  # Ctrl-C: 128 + SIGINT, as shells have it

CODES: Final[dict[type[errors.EstampeError], int]] = {
    errors.Invalid: 2,  # as a command line that is not understood
    errors.NotFound: 3,
    errors.Denied: 4,
    errors.Conflict: 5,
    errors.Unsupported: 6,
    errors.Unavailable: 7,
    errors.Corrupt: 8,
    errors.Cancelled: 9,
    errors.EstampeError: FAILURE,
}


def code_of(error: errors.EstampeError) -> int:
    """The exit code of the error's family."""
    return next(CODES[family] for family in type(error).__mro__ if family in CODES)
