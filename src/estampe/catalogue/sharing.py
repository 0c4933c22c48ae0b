"""Letting others see templates: share, publish, and back; and on the other side, hide them and choose whose are taken.

What an account then sees is `db.visible_templates`' to say. Taking back is one row or four columns, so it holds for every
deploy that has not begun; servers that were deployed stay as they are.
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from estampe import errors
from estampe.db import accounts as account_rows
from estampe.db import sharing as sharing_rows
from estampe.db import templates as template_rows
from estampe.jobs import dispatch
from estampe.model import access, account, sight, visibility


@dataclass(frozen=True, slots=True, kw_only=True)
class SharingService:
    """Shares and publications of one installation. Where an `actor` is asked for, it acts for its account."""

    rows: template_rows.Templates
    shares: sharing_rows.Shares
    hidden: sharing_rows.Hidden
    publishing: sharing_rows.Publishing
    accounts: account_rows.Accounts
    now: Callable[[], datetime.datetime] = dispatch.utc_now

    def share(
        self,
        actor: access.Actor,
        reference: str,
        receiver: str,
        terms: visibility.Terms,
        *,
        expires_at: datetime.datetime | None,
    ) -> visibility.Share:
        """Let an account see a template of the actor's; again, on other terms, is fine.

        Raises: errors.TemplateNotFound, errors.TemplateNotOwned, errors.TemplateStateForbids, errors.AccountNotFound,
        errors.InvalidRequest.
        """
        found = self.rows.resolve(actor.account_id, reference)
        with_whom = self._account(receiver)
        at = self.now()
        if with_whom.id == actor.account_id:
            raise errors.InvalidRequest(field="account", problem="a template is its own account's anyway")
        if expires_at is not None and expires_at <= at:
            raise errors.InvalidRequest(field="expires_at", problem="must lie in the future")
        return self.shares.set(found.id, with_whom.id, terms, expires_at=expires_at, at=at, by=actor.name)

    def unshare(self, actor: access.Actor, reference: str, receiver: str) -> None:
        """Take it back, for every deploy from now on.

        Raises: errors.TemplateNotFound, errors.TemplateNotOwned, errors.AccountNotFound, errors.ShareNotFound.
        """
        found = self.rows.resolve(actor.account_id, reference)
        if not self.shares.remove(found.id, self._account(receiver).id):
            raise errors.ShareNotFound(template=found.reference, account=receiver)

    def list_shares(self, account_id: uuid.UUID, reference: str) -> Sequence[visibility.Share]:
        """Whom a template of the account's is shared with, by name; those that have expired as well.

        Raises: errors.TemplateNotFound, errors.TemplateNotOwned.
        """
        return self.shares.list(self.rows.resolve(account_id, reference).id)

    def publish(
        self,
        actor: access.Actor,
        reference: str,
        terms: visibility.Terms,
        *,
        is_unsealed_accepted: bool,
        etags: Collection[str] | None = None,
    ) -> sight.Seen:
        """Let everybody see a template of the actor's; again, on other terms, is fine.

        The cloud operator may, for any account; others where the cloud operator allows it, and never under the cloud's own name.

        Raises: errors.TemplateNotFound, errors.TemplateNotOwned, errors.TemplateStateForbids, errors.TemplateNotSealed,
        errors.PublishingNotAllowed, errors.TemplateChanged.
        """
        found = self.rows.resolve(actor.account_id, reference)
        if actor.account_id == account.DEFAULT_ACCOUNT_ID and not actor.is_cloud_operator:
            raise errors.CloudOperatorOnly
        publication = visibility.Publication(at=self.now(), by=actor.name, terms=terms)
        self.rows.make_public(
            found.id, publication, needs_permission=not actor.is_cloud_operator,
            is_unsealed_accepted=is_unsealed_accepted, etags=etags,
        )  # fmt: skip
        return self.rows.visible.resolve(actor.account_id, str(found.id))

    def unpublish(self, actor: access.Actor, reference: str, *, etags: Collection[str] | None = None) -> sight.Seen:
        """Public no longer; those it is shared with see it still. Not public already is fine.

        Raises: errors.TemplateNotFound, errors.TemplateNotOwned, errors.TemplateChanged.
        """
        found = self.rows.resolve(actor.account_id, reference)
        self.rows.make_private(found.id, etags=etags)
        return self.rows.visible.resolve(actor.account_id, str(found.id))

    def hide(self, account_id: uuid.UUID, reference: str, *, is_hidden: bool) -> sight.Seen:
        """Leave another's template out of the account's lists, or no longer; by name it is found all the same.

        Raises: errors.TemplateNotFound, errors.InvalidRequest where it is the account's own.
        """
        found = self.rows.visible.resolve(account_id, reference)
        if found.is_own:
            raise errors.InvalidRequest(field="template", problem=f"{found.reference} is your own: delete it instead")
        self.hidden.set(account_id, found.template.id, is_hidden=is_hidden)
        return self.rows.visible.resolve(account_id, str(found.template.id))

    def get_publishing(self, account_id: uuid.UUID) -> visibility.Publishing:
        """What an account may publish, and whose templates it takes. Raises: errors.AccountNotFound."""
        return self.publishing.get(account_id)

    def allow_publishing(self, account_id: uuid.UUID, *, may_publish: bool) -> visibility.Publishing:
        """Let an account publish, or no longer; what is public stays so. Raises: errors.AccountNotFound."""
        return self.publishing.allow(account_id, may_publish=may_publish)

    def limit_publishers(
        self, account_id: uuid.UUID, *, is_limited: bool, publishers: Sequence[str] | None
    ) -> visibility.Publishing:
        """Let an account see the templates of those publishers alone, shared or public, or everybody's; None keeps the list.

        Raises: errors.AccountNotFound.
        """
        ids = None if publishers is None else [self._account(name).id for name in publishers]
        return self.publishing.limit(account_id, is_limited=is_limited, publisher_ids=ids)

    def _account(self, reference: str) -> account.Account:
        """By the name it publishes under, or its own, or its id."""
        return self.accounts.get_default() if reference == account.CLOUD else self.accounts.resolve(reference)
