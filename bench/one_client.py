"""One of many clients: what it does by chance with its account's templates and others', and what it then knows must hold.

Four clients share an account, and all of them work on its newest templates, so that they meet. What can be said at the end of each
thing, whatever the others did:

    note of a template      counts the edits that succeeded: each writes the count that it read and one, under If-Match
    share with an account   as the one client left it that this pair belongs to; likewise publications, and what is hidden
    name@version            whoever saw it, and whenever, saw the same template
"""

from __future__ import annotations

import random
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from estampe import errors
from estampe.client import client
from estampe.model import listing, visibility
from estampe.model import template as templates
from estampe.schemas import account, capture, deploy, template

CLIENTS_EACH = 4  # of an account
NAMES = ("web", "db", "ci")
_HOT = 12  # so many of the newest templates are worked on
_SERVERS_DEPLOYED = 6  # names of an account's: more are in use
_OTHERS = (visibility.Scope.SHARED, visibility.Scope.PUBLIC)
# What no client may ever hear: something did not answer, is damaged, or met a defect.
_BROKEN = (errors.Unavailable, errors.Corrupt, errors.Unsupported)


@dataclass(kw_only=True)
class Tally:
    """What a client did, saw and knows; those of all are added up."""

    seconds: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))  # of what succeeded
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)  # by action and code
    changes: Counter[str] = field(default_factory=Counter)  # that succeeded, as the audit log names them
    broken: list[str] = field(default_factory=list)
    edits: Counter[uuid.UUID] = field(default_factory=Counter)
    purged: dict[uuid.UUID, int] = field(default_factory=dict)  # the count in the note, when it went
    shares: dict[tuple[uuid.UUID, str], bool] = field(default_factory=dict)
    public: dict[uuid.UUID, bool] = field(default_factory=dict)
    hidden: dict[tuple[str, uuid.UUID], bool] = field(default_factory=dict)
    versions: defaultdict[str, set[uuid.UUID]] = field(default_factory=lambda: defaultdict(set))

    def add(self, other: Tally) -> None:
        for action, took in other.seconds.items():
            self.seconds[action] += took
        for reference, ids in other.versions.items():
            self.versions[reference] |= ids
        self.refused += other.refused
        self.changes += other.changes
        self.edits += other.edits
        self.broken += other.broken
        for name in ("purged", "shares", "public", "hidden"):
            getattr(self, name).update(getattr(other, name))

    def saw(self, seen: template.Template) -> None:
        """A number is given for good when its template is complete: that of a capture that was cancelled is given again."""
        if seen.state in templates.COMPLETE:
            self.versions[seen.full_reference].add(seen.id)


class Nothing(Exception):
    """There is nothing at the moment that this could be done to."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the client is."""

    socket: Path
    account: str
    key: str
    nth: int  # among its account's
    others: Sequence[str]  # the other accounts
    servers: Sequence[str]
    seed: int
    patience_seconds: float  # what is not answered by then counts as broken


class OneClient:
    """Works until it is told to stop."""

    def __init__(self, place: Place) -> None:
        self.place, self.tally = place, Tally()
        self.rng = random.Random(place.seed)  # noqa: S311 - no secret
        self.api = client.Client(place.socket, key=place.key, request_seconds=place.patience_seconds)

    def run(self, until: float) -> Tally:
        """Until that time (time.monotonic)."""
        actions = [action for action, weight in ACTIONS.items() for _ in range(weight)]
        with self.api:
            while time.monotonic() < until:
                self._do(self.rng.choice(actions))
        return self.tally

    def _do(self, action: Callable[[OneClient], None]) -> None:
        name, begun = action.__name__, time.monotonic()
        try:
            action(self)
        except Nothing:
            return
        except errors.EstampeError as error:
            self.tally.refused[name, error.code] += 1
            if isinstance(error, _BROKEN) or error.code == errors.EstampeError.code:
                self.tally.broken.append(f"{name}: {error.code}: {error}")
        except Exception as error:  # noqa: BLE001 - the edge of a client
            self.tally.broken.append(f"{name}: {type(error).__name__}: {error}")
        else:
            self.tally.seconds[name].append(time.monotonic() - begun)

    def _changed(self, route: str, answer: Any) -> Any:
        """A change that was answered as done."""
        self.tally.changes[route] += 1
        if isinstance(answer, template.Template):
            self.tally.saw(answer)
        return answer

    def _pick(self, *, is_mine: bool = False, **filters: Any) -> template.Template:
        """One of the newest that fit; with `is_mine`, one that this client alone of its account decides about."""
        newest = listing.TemplateSort.CREATED_DESCENDING
        found = list(self.api.list_templates(sort=newest, limit=_HOT, **filters))
        for each in found:
            self.tally.saw(each)
        fitting = [
            each
            for each in found
            if each.state is not templates.State.CAPTURING
            and (not is_mine or each.id.int % CLIENTS_EACH == self.place.nth)
        ]
        if not fitting:
            raise Nothing
        return self.rng.choice(fitting)

    # --- what it does -----------------------------------------------------------------------------------------------------

    def capture(self) -> None:
        asked = capture.CaptureRequest(
            server=self.rng.choice(self.place.servers), name=self.rng.choice(NAMES), note="0", is_sealed=False,
            tags=["bench"],
        )  # fmt: skip
        begun = self._changed("start_capture", self.api.start_capture(asked))
        if self.rng.random() < 0.1:
            self._changed("cancel_operation", self.api.cancel_operation(str(begun.id)))

    def deploy(self) -> None:
        scopes = (visibility.Scope.MINE, *_OTHERS)
        found = self._pick(scopes=[self.rng.choice(scopes)])
        name = f"{self.place.account}-new-{self.rng.randrange(_SERVERS_DEPLOYED)}"
        asked = deploy.DeployRequest(template=found.full_reference, name=name, is_started=False)
        self._changed("start_deployment", self.api.start_deployment(asked))

    def delete_server(self) -> None:
        name = f"{self.place.account}-new-{self.rng.randrange(_SERVERS_DEPLOYED)}"
        self.api.delete_server(name, is_volumes_deleted=True, is_forced=False)
        self._changed("delete_server", None)

    def edit(self) -> None:
        found = self.api.get_template(str(self._pick().id)).template
        asked = template.EditRequest(note=str(int(found.note) + 1))
        self._changed("edit_template", self.api.edit_template(str(found.id), asked, if_match=found.etag))
        self.tally.edits[found.id] += 1

    def rename(self) -> None:
        asked = template.EditRequest(name=self.rng.choice(NAMES), tags=[self.rng.choice(NAMES)])
        self._changed("edit_template", self.api.edit_template(str(self._pick().id), asked))

    def share(self) -> None:
        found, receiver = self._pick(), self._receiver()
        self._changed("share_template", self.api.share_template(str(found.id), receiver, template.ShareRequest()))
        self.tally.shares[found.id, receiver] = True

    def unshare(self) -> None:
        found, receiver = self._pick(), self._receiver()
        self._changed("unshare_template", self.api.unshare_template(str(found.id), receiver))
        self.tally.shares[found.id, receiver] = False

    def _receiver(self) -> str:
        mine = self.place.others[self.place.nth :: CLIENTS_EACH]
        if not mine:
            raise Nothing
        return self.rng.choice(mine)

    def publish(self) -> None:
        found = self._pick(is_mine=True)
        asked = template.PublishRequest(is_unsealed_accepted=True)
        self._changed("publish_template", self.api.publish_template(str(found.id), asked))
        self.tally.public[found.id] = True

    def unpublish(self) -> None:
        found = self._pick(is_mine=True)
        self._changed("unpublish_template", self.api.unpublish_template(str(found.id)))
        self.tally.public[found.id] = False

    def hide(self) -> None:
        found = self._pick(is_mine=True, scopes=_OTHERS)
        self._changed("hide_template", self.api.hide_template(str(found.id)))
        self.tally.hidden[self.place.account, found.id] = True

    def unhide(self) -> None:
        found = self._pick(is_mine=True, scopes=_OTHERS, is_hidden=True)
        self._changed("unhide_template", self.api.unhide_template(str(found.id)))
        self.tally.hidden[self.place.account, found.id] = False

    def deprecate(self) -> None:
        found, successor = self._pick(), self._pick()
        asked = template.DeprecateRequest(successor=str(successor.id))
        self._changed("deprecate_template", self.api.deprecate_template(str(found.id), asked))

    def disable(self) -> None:
        self._changed("disable_template", self.api.disable_template(str(self._pick().id)))

    def enable(self) -> None:
        self._changed("enable_template", self.api.enable_template(str(self._pick().id)))

    def protect(self) -> None:
        self._changed("protect_template", self.api.protect_template(str(self._pick().id)))

    def unprotect(self) -> None:
        self._changed("unprotect_template", self.api.unprotect_template(str(self._pick().id)))

    def delete(self) -> None:
        self._changed("delete_template", self.api.delete_template(str(self._pick().id)))

    def restore(self) -> None:
        self._changed("restore_template", self.api.restore_template(str(self._pick(is_trashed=True).id)))

    def purge(self) -> None:
        """As it was seen, so that its count is known."""
        found = self.api.get_template(str(self._pick(is_trashed=True).id)).template
        self.api.purge_template(str(found.id), if_match=found.etag)
        self._changed("purge_template", None)
        self.tally.purged[found.id] = int(found.note)

    def list(self) -> None:
        scopes = self.rng.sample(list(visibility.Scope), self.rng.randint(1, 3))
        found = list(self.api.list_templates(scopes=scopes, name=self.rng.choice((None, "w*")), limit=200))
        if len({each.id for each in found}) != len(found):
            self.tally.broken.append("list: a template came twice")
        for each in found:
            self.tally.saw(each)
            is_own = each.publisher == self.place.account
            if not is_own and (each.visibility is visibility.Visibility.PRIVATE or each.tags or each.server_name):
                self.tally.broken.append(f"list: {each.full_reference} shows what is its owner's business")

    def quota(self) -> None:
        found: account.Quota = self.api.get_quota(self.place.account)
        for name, limit in found.limits:
            used = getattr(found.used, name)
            if limit is not None and used > limit:
                self.tally.broken.append(f"quota: {used} {name} of {limit}")


# How often each is chosen.
ACTIONS = {
    OneClient.capture: 6, OneClient.deploy: 3, OneClient.delete_server: 2, OneClient.edit: 10, OneClient.rename: 2,
    OneClient.share: 4, OneClient.unshare: 3, OneClient.publish: 3, OneClient.unpublish: 2, OneClient.hide: 2,
    OneClient.unhide: 2, OneClient.deprecate: 2, OneClient.disable: 1, OneClient.enable: 3, OneClient.protect: 1,
    OneClient.unprotect: 2, OneClient.delete: 4, OneClient.restore: 2, OneClient.purge: 3, OneClient.list: 4,
    OneClient.quota: 2,
}  # fmt: skip
