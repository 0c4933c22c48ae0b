"""Doing the same to several things, past those where it fails."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from estampe import errors


class Attempts:
    """Attempts at several things, which all get their turn; what failed is raised in the end, together.

        with attempts.Attempts("powering off") as powering_off:
            for server in servers:
                with powering_off.of(server.name):
                    host.power_off(server.uuid)

    Raises: errors.NotInFull at its end where an attempt raised an EstampeError or OSError; anything else ends it at once.
    """

    def __init__(self, what: str) -> None:
        """`what` is in the -ing form: it begins the error's message."""
        self._what = what
        self._problems: list[str] = []

    @contextlib.contextmanager
    def of(self, name: str) -> Iterator[None]:
        """One attempt; `name` is of the thing, for people."""
        try:
            yield
        except (errors.EstampeError, OSError) as error:
            self._problems.append(f"{name}: {error}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None and self._problems:
            raise errors.NotInFull(what=self._what, problems="; ".join(self._problems))
