"""What must hold when many clients are done: of what they know, of what the API tells, of what the database and the disk hold."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa

import one_client
import site_of_api
from estampe import errors
from estampe.client import client
from estampe.db import schema
from estampe.model import audit, operation, visibility
from estampe.model import template as templates
from estampe.schemas import operation as operations
from estampe.schemas import store, template

_DRAIN_SECONDS = 600
_UNFINISHED = (operation.State.QUEUED, operation.State.RUNNING)
# Faults that a workflow may find only when it runs, and that are the callers' doing.
_EXPECTED_FAILURES = {
    errors.Cancelled.code, errors.TemplateNotFound.code, errors.TemplateStateForbids.code, errors.NameInUse.code,
}  # fmt: skip


@dataclass(kw_only=True)
class Found:
    """What was found; `broken` in words."""

    place: site_of_api.Site
    keys: Mapping[str, str]  # of the accounts, by name
    whole: one_client.Tally
    broken: list[str] = field(default_factory=list)
    operations: Counter[str] = field(default_factory=Counter)
    _templates: dict[uuid.UUID, template.Template] = field(default_factory=dict)

    def _check(self, holds: bool, problem: str) -> None:
        if not holds:
            self.broken.append(problem)

    # --- by the API -----------------------------------------------------------------------------------------------------

    def look_by_api(self) -> None:
        """While the daemon runs."""
        self.broken += self.whole.broken
        for action in one_client.ACTIONS:  # what was never done shows nothing
            self._check(bool(self.whole.seconds[action.__name__]), f"nobody could {action.__name__} anything")
        for name, key in self.keys.items():
            with self.place.member(key) as api:
                self._look_at_operations(name, api)
                self._look_at_templates(name, api)
        for name, key in self.keys.items():
            with self.place.member(key) as api:
                self._look_at_hidden(name, api)
        self._check_counts()
        for reference, ids in self.whole.versions.items():
            self._check(len(ids) == 1, f"{reference} was given to {len(ids)} templates")
        with self.place.operator() as operator:
            self._look_at_store(operator)

    def _look_at_operations(self, name: str, api: client.Client) -> None:
        deadline = time.monotonic() + _DRAIN_SECONDS
        while list(api.list_operations(states=_UNFINISHED, limit=1)):
            if time.monotonic() > deadline:
                self.broken.append(f"{name}: operations that do not end")
                return
            time.sleep(0.5)
        for each in api.list_operations(limit=None):
            self.operations[f"{each.kind} {each.state}"] += 1
            if each.state is operation.State.FAILED:
                self._look_at_failure(each)
            elif each.kind is operation.Kind.CAPTURE and each.result:
                self.whole.versions[f"{name}/{each.result['template']}"].add(uuid.UUID(each.result["template_id"]))

    def _look_at_failure(self, each: operations.Operation) -> None:
        error = each.error or {}
        code = error.get("code", "")
        self.operations[f"{each.kind} failed: {code}"] += 1
        is_undone = "not_undone" not in error.get("facts", {})
        self._check(code in _EXPECTED_FAILURES and is_undone, f"{each.kind} of {each.subject} failed: {error}")

    def _look_at_templates(self, name: str, api: client.Client) -> None:
        own = [*api.list_templates(limit=None), *api.list_templates(limit=None, is_trashed=True)]
        for each in own:
            self._templates[each.id] = each
            self.whole.saw(each)
            self._check(each.state in templates.COMPLETE, f"{each.full_reference} was left {each.state}")
            detail = api.get_template(str(each.id))
            self._check(detail.manifest is not None, f"{each.full_reference} has no manifest")
            self._look_at_shares(each, api)
        used = api.get_quota(name).used
        servers = len(list(api.list_servers()))
        self._check(
            (used.templates, used.servers) == (len(own), servers),
            f"{name} has {len(own)} templates and {servers} servers, and its quota counts {used}",
        )

    def _look_at_shares(self, each: template.Template, api: client.Client) -> None:
        present = {share.account for share in api.list_shares(str(each.id)).shares}
        wanted = {receiver for (of, receiver), is_shared in self.whole.shares.items() if of == each.id and is_shared}
        self._check(present == wanted, f"{each.full_reference} is shared with {present}, not with {wanted}")
        is_public = self.whole.public.get(each.id, False)
        self._check((each.publication is not None) == is_public, f"{each.full_reference} should be public: {is_public}")

    def _look_at_hidden(self, name: str, api: client.Client) -> None:
        others = (visibility.Scope.SHARED, visibility.Scope.PUBLIC)
        for is_hidden in (False, True):
            for each in api.list_templates(scopes=others, is_hidden=is_hidden, limit=None):
                wanted = self.whole.hidden.get((name, each.id), False)
                self._check(wanted == is_hidden, f"{name} should have hidden {each.full_reference}: {wanted}")

    def _check_counts(self) -> None:
        """No edit was lost, also of those that are gone."""
        notes = {each.id: int(each.note) for each in self._templates.values()} | self.whole.purged
        for template_id, count in self.whole.edits.items():
            seen = notes.get(template_id)
            self._check(seen == count, f"template {template_id} was edited {count} times, and its note counts {seen}")
        for template_id, count in notes.items():
            self._check(count == self.whole.edits[template_id], f"the note of {template_id} counts {count}")

    def _look_at_store(self, operator: client.Client) -> None:
        """Sound before and after a sweep that takes all it may."""
        *_, swept = operator.watch_operation(str(operator.start_sweep(store.SweepRequest(grace_seconds=0)).id))
        self._check(swept.state is operation.State.SUCCEEDED, f"the last sweep: {swept.error}")
        *_, checked = operator.watch_operation(str(operator.start_check(store.CheckRequest()).id))
        result = checked.result or {}
        self._check(result.get("is_sound", False), f"the store is not sound: {checked.error or result}")
        count = result.get("manifests_read")
        self._check(count == len(self._templates), f"{count} manifests of {len(self._templates)} templates")

    # --- behind it ------------------------------------------------------------------------------------------------------

    def look_behind_it(self) -> None:
        """When the daemon has stopped."""
        for what in (self._left_in_database, self._unlike_audit, self._left_on_disk, self._logged):
            self.broken += what()

    def _left_in_database(self) -> Iterator[str]:
        db = self.place.open_database()
        with db.read() as connection:
            for table in (schema.operation_locks, schema.operation_reservations):
                count = connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
                if count:
                    yield f"{count} rows are left in {table.name}"
            unended = sa.select(schema.operations.c.id).where(schema.operations.c.ended_at.is_(None))
            yield from (f"operation {row.id} has not ended" for row in connection.execute(unended))
            ids = set(connection.execute(sa.select(schema.templates.c.id)).scalars())
            yield from (f"template {each} is in the database alone" for each in ids - set(self._templates))
        db.close()

    def _unlike_audit(self) -> Iterator[str]:
        """As many entries of each change as clients were told that it was done."""
        entries = schema.audit_entries
        done = sa.select(entries.c.action, sa.func.count()).where(
            entries.c.outcome == audit.Outcome.DONE, entries.c.account.in_(tuple(self.keys))
        )
        db = self.place.open_database()
        with db.read() as connection:
            found = dict(connection.execute(done.group_by(entries.c.action)).tuples().all())
        db.close()
        for action, count in self.whole.changes.items():
            if found.get(action) != count:
                yield f"{count} times {action} was done, and the audit log has {found.get(action)}"

    def _left_on_disk(self) -> Iterator[str]:
        for directory in (self.place.folder / "state" / "work", self.place.folder / "run" / "operations"):
            yield from (f"{path} is left" for path in directory.iterdir())

    def _logged(self) -> Iterator[str]:
        """The daemon's log tells nothing that is an error."""
        lines = self.place.log.read_text().splitlines()
        found = [line for line in lines if "level=error" in line or "Traceback" in line or "database" in line]
        yield from found[:20]
