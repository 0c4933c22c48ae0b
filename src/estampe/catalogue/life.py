"""The life of templates: deprecate, disable, enable, protect; delete to the trash, restore, purge.

What is purged goes in three moves, in reverse order of writing: the row becomes DELETING, the manifest goes, the row goes.
"""

from __future__ import annotations

import contextlib
import datetime
import logging
import uuid
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from estampe import errors
from estampe.catalogue import unasked
from estampe.db import operations as operation_rows
from estampe.db import template_moves
from estampe.db import templates as template_rows
from estampe.jobs import dispatch, locks
from estampe.model import operation
from estampe.model import template as templates
from estampe.store import base as stores

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LifeService:
    """Moves of templates. Each is one transaction: of two at once, the second sees what the first has made of it.

    Where `etags` are given, a template whose own is none of them stays as it is: errors.TemplateChanged.
    """

    store: stores.Store
    rows: template_rows.Templates
    operations: operation_rows.Operations
    record: unasked.Recorder
    trash_days: int  # 0: there is no trash, what is deleted is purged at once
    now: Callable[[], datetime.datetime] = dispatch.utc_now

    def deprecate(
        self, owner_id: uuid.UUID, reference: str, *, successor: str | None, etags: Collection[str] | None = None
    ) -> templates.Template:
        """It still deploys, with a warning that names the successor, if one is given.

        Raises: errors.TemplateNotFound (of the successor too), errors.TemplateStateForbids, errors.InvalidRequest.
        """
        found = self.rows.resolve(owner_id, reference)
        successor_id = None if successor is None else self.rows.resolve(owner_id, successor).id
        return self.rows.deprecate(found.id, successor_id=successor_id, etags=etags)

    def disable(
        self, owner_id: uuid.UUID, reference: str, *, etags: Collection[str] | None = None
    ) -> templates.Template:
        """Nothing is deployed from it any more. Raises: errors.TemplateNotFound, errors.TemplateStateForbids."""
        return self.rows.disable(self.rows.resolve(owner_id, reference).id, etags=etags)

    def enable(
        self, owner_id: uuid.UUID, reference: str, *, etags: Collection[str] | None = None
    ) -> templates.Template:
        """Neither deprecated nor disabled any more. Raises: errors.TemplateNotFound, errors.TemplateStateForbids."""
        return self.rows.enable(self.rows.resolve(owner_id, reference).id, etags=etags)

    def protect(
        self, owner_id: uuid.UUID, reference: str, *, is_protected: bool, etags: Collection[str] | None = None
    ) -> templates.Template:
        """Keep it from deletion, purge and retention rules, or no longer.

        Raises: errors.TemplateNotFound, errors.TemplateStateForbids.
        """
        return self.rows.protect(self.rows.resolve(owner_id, reference).id, is_protected=is_protected, etags=etags)

    def delete(
        self, owner_id: uuid.UUID, reference: str, *, by: str, etags: Collection[str] | None = None
    ) -> templates.Template:
        """To the trash, or where there is none, away; `by` is who asked, in words.

        One that was left behind in CAPTURING, by a capture that could not undo all, goes away.

        Raises: errors.TemplateNotFound, errors.TemplateProtected, errors.TemplateInUse, errors.TemplateStateForbids.
        """
        found = self.rows.resolve(owner_id, reference)
        if found.state is templates.State.CAPTURING and not self._is_being_captured(found.id):
            return self._purge(found, template_moves.Purge(states={templates.State.CAPTURING}), etags=etags)
        return self.discard(found, by=by, etags=etags)

    def discard(
        self, found: templates.Template, *, by: str, etags: Collection[str] | None = None
    ) -> templates.Template:
        """As `delete`, for a template that is known already."""
        if self.trash_days == 0:
            return self._purge(found, template_moves.Purge(states=templates.KEPT), etags=etags)
        at = self.now()
        until = at + datetime.timedelta(days=self.trash_days)
        with self._refused_in_use(found):
            return self.rows.trash(
                found.id, by=by, at=at, until=until, unless_locked=locks.template(found.id), etags=etags
            )

    def restore(
        self, owner_id: uuid.UUID, reference: str, *, etags: Collection[str] | None = None
    ) -> templates.Template:
        """Out of the trash, into the state it had. Raises: errors.TemplateNotFound, errors.TemplateStateForbids."""
        return self.rows.restore(self.rows.resolve(owner_id, reference).id, etags=etags)

    def purge(self, owner_id: uuid.UUID, reference: str, *, etags: Collection[str] | None = None) -> None:
        """Out of the trash, for ever; its chunks go with the next sweep.

        Raises: errors.TemplateNotFound, errors.TemplateProtected, errors.TemplateInUse, errors.TemplateStateForbids.
        """
        trashed = template_moves.Purge(states={templates.State.TRASHED})
        self._purge(self.rows.resolve(owner_id, reference), trashed, etags=etags)

    def purge_due(self) -> None:
        """Purge what has been in the trash long enough; what cannot go now is left to the next time.

        Suspended accounts are left as they are.
        """
        at = self.now()
        due = template_moves.Purge(states={templates.State.TRASHED}, due_at=at)
        for found in self.rows.list_due(at):
            try:
                self._purge(found, due)
            except errors.EstampeError as error:
                _log.warning("template %s (%s) was not purged: %s", found.reference, found.id, error)
            else:
                _log.info("purged template %s (%s) out of the trash", found.reference, found.id)
                self.record(found.owner_id, action="purge_template", subject=f"{found.reference} ({found.id})")

    def finish_purges(self) -> None:
        """End the purges that the daemon was cut off in, or that the store did not answer to; twice is fine."""
        for found in self.rows.list_in_state(templates.State.DELETING):
            self._remove(found)

    def _is_being_captured(self, template_id: uuid.UUID) -> bool:
        unfinished = self.operations.list_unfinished()
        return any(
            each.request.get("template_id") == str(template_id)
            for each in unfinished
            if each.kind is operation.Kind.CAPTURE
        )

    def _purge(
        self, found: templates.Template, purge: template_moves.Purge, *, etags: Collection[str] | None = None
    ) -> templates.Template:
        with self._refused_in_use(found):
            doomed = self.rows.begin_purge(found.id, purge, unless_locked=locks.template(found.id), etags=etags)
        self._remove(doomed)
        return doomed

    def _remove(self, doomed: templates.Template) -> None:
        self.store.delete_manifest(doomed.id)
        self.rows.remove(doomed.id)

    @contextlib.contextmanager
    def _refused_in_use(self, found: templates.Template) -> Iterator[None]:
        try:
            yield
        except operation_rows.LockHeld as held:
            if self.operations.get(held.operation_id).owner_id != found.owner_id:
                raise errors.TemplateInUseElsewhere(template=found.reference) from held
            raise errors.TemplateInUse(template=found.reference, operation=str(held.operation_id)) from held
