"""Following an operation to its end, as every command that begins one does."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import typer

from estampe import errors
from estampe.cli import display, exits, output, summary, terminal

if TYPE_CHECKING:
    from estampe.client import client
    from estampe.schemas import operation

_POLL_SECONDS: Final = 25.0  # of one long poll; answers come earlier, with every change
_LEAST_SECONDS: Final = 0.2  # between two polls of an operation that changes all the time
_LOST_SECONDS: Final = 120.0  # how long a daemon may be away: a restart, with its recovery
_RETRY_SECONDS: Final = 1.0
MAY_HAVE_BEGUN: Final = "it may have begun: see `estampe operation list`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Follower:
    """Polls until the operation has ended. A daemon that goes away is waited for: the operation outlives it."""

    daemon: client.Client
    shown: display.Display
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def follow(self, seen: operation.Operation) -> operation.Operation:
        """The operation at its end. Raises: errors.DaemonUnavailable (too long)."""
        self.shown.update(seen)
        while not seen.state.has_ended:
            asked_at = self.clock()
            seen = self._next(seen)
            self.shown.update(seen)
            if not seen.state.has_ended:
                self.sleep(max(0.0, _LEAST_SECONDS - (self.clock() - asked_at)))
        return seen

    def _next(self, seen: operation.Operation) -> operation.Operation:
        """The next change, or the same again after a while."""
        lost_at: float | None = None
        while True:
            try:
                return self.daemon.wait_operation(str(seen.id), seen=seen.change_token, wait_seconds=_POLL_SECONDS)
            except errors.DaemonUnavailable:
                if lost_at is None:
                    lost_at = self.clock()
                    self.shown.note("the daemon does not answer; waiting for it (the operation goes on with it)")
                if self.clock() - lost_at > _LOST_SECONDS:
                    raise
                self.sleep(_RETRY_SECONDS)


def conclude(
    daemon: client.Client, begun: operation.Operation, *, form: output.Output, is_awaited: bool = True
) -> operation.Operation | None:
    """Follow `begun` to its end, print what came out and give it back; or only say that it has begun.

    Raises: the operation's error where it failed or was cancelled; typer.Exit after Ctrl-C.
    """
    if not is_awaited:
        _say_begun(begun, form)
        return None
    ended = follow(daemon, begun, form=form)
    if ended.state.value != "succeeded":
        raise failure(ended)
    if form is output.Output.JSON:
        terminal.document(ended)
    else:
        terminal.say(summary.lines(ended))
    return ended


@contextlib.contextmanager
def unanswered(form: output.Output, may: str) -> Iterator[None]:
    """Ctrl-C before the daemon has answered: what was asked for may be done all the same, which `may` says.

    Raises: typer.Exit.
    """
    try:
        yield
    except KeyboardInterrupt:
        _say_interrupted(may, [may], form=form)
        raise typer.Exit(exits.INTERRUPTED) from None


def follow(daemon: client.Client, begun: operation.Operation, *, form: output.Output) -> operation.Operation:
    """The operation at its end; shown meanwhile. Raises: typer.Exit after Ctrl-C, which leaves the operation running."""
    try:
        with display.choose(is_for_programs=form is output.Output.JSON) as shown:
            return Follower(daemon=daemon, shown=shown).follow(begun)
    except KeyboardInterrupt:
        _say_left(begun, form)
        raise typer.Exit(exits.INTERRUPTED) from None


def failure(ended: operation.Operation) -> errors.EstampeError:
    """The error of an operation that did not succeed."""
    if ended.error is not None:
        return errors.from_record(ended.error)
    return errors.EstampeError(detail=f"operation {ended.id} has {ended.state.value}")


def _say_begun(begun: operation.Operation, form: output.Output) -> None:
    if form is output.Output.JSON:
        terminal.document(begun)
    else:
        terminal.say([f"{begun.id}"])
        terminal.note(f"{begun.kind.value} has begun; follow it with `estampe operation wait {begun.id}`")


def _say_left(begun: operation.Operation, form: output.Output) -> None:
    follow_by, cancel_by = f"estampe operation wait {begun.id}", f"estampe operation cancel {begun.id}"
    detail = f"the operation goes on; follow it with `{follow_by}`, cancel it with `{cancel_by}`"
    told = [f"operation {begun.id} goes on without you", f"  follow it:  {follow_by}", f"  cancel it:  {cancel_by}"]
    _say_interrupted(detail, told, form=form, operation=str(begun.id))


def _say_interrupted(detail: str, lines: Sequence[str], *, form: output.Output, **facts: str) -> None:
    if form is output.Output.JSON:
        left = {"type": "urn:estampe:error:interrupted", "detail": detail, "code": "interrupted", "facts": facts}
        typer.echo(json.dumps(left, indent=2, ensure_ascii=True), err=True)
        return
    for line in lines:
        terminal.note(line)
