"""What a restored catalogue no longer fits: the store and the host have gone on without it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from estampe import errors
from estampe.db import servers, templates
from estampe.model import template
from estampe.store import base as stores
from estampe.store import manifests
from estampe.virt import base as virt
from estampe.virt.domain_xml import origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Stray:
    """Something in the store or on the host that no row knows."""

    id: str  # a template's id, a domain's UUID
    name: str  # as it names itself: "web@3", a domain's name
    template: str | None = None  # of a domain: what it was deployed from


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What to look after by hand. None where the store, or the host, could not be asked; `why_not` says why."""

    without_manifest: tuple[str, ...] | None  # templates of the catalogue that cannot be deployed: "web@3 (id)"
    unknown_manifests: tuple[Stray, ...] | None  # templates of the store that the catalogue does not list
    without_domain: tuple[str, ...] | None  # servers of the catalogue that are not on the host: "web-01 (id)"
    unknown_domains: tuple[Stray, ...] | None  # servers that Estampe deployed and that the catalogue does not list
    why_not: tuple[str, ...] = ()

    @property
    def is_clean(self) -> bool:
        """Whether all was asked, and nothing is to be done."""
        found = (self.without_manifest, self.unknown_manifests, self.without_domain, self.unknown_domains)
        return not any(found) and not self.why_not


def of_both(
    template_rows: templates.Templates,
    server_rows: servers.Servers,
    *,
    open_store: Callable[[], stores.Store],
    open_host: Callable[[], AbstractContextManager[virt.Host]],
) -> Comparison:
    """The catalogue against the store and the host. What does not answer is told, and is no failure."""
    why_not: list[str] = []
    without_manifest = unknown_manifests = without_domain = unknown_domains = None
    try:
        without_manifest, unknown_manifests = _of_store(template_rows, open_store())
    except errors.EstampeError as error:
        why_not.append(str(error))
    try:
        with open_host() as host:
            without_domain, unknown_domains = _of_host(server_rows, host)
    except errors.EstampeError as error:
        why_not.append(str(error))
    return Comparison(
        without_manifest=without_manifest,
        unknown_manifests=unknown_manifests,
        without_domain=without_domain,
        unknown_domains=unknown_domains,
        why_not=tuple(why_not),
    )


def _of_store(rows: templates.Templates, store: stores.Store) -> tuple[tuple[str, ...], tuple[Stray, ...]]:
    listed = [row for state in template.State for row in rows.list_in_state(state)]
    stored = set(store.list_manifests())
    complete = [row for row in listed if row.state is not template.State.CAPTURING]
    return (
        tuple(f"{row.name}@{row.version} ({row.id})" for row in complete if row.id not in stored),
        tuple(_stray(store, each) for each in sorted(stored - {row.id for row in listed})),
    )


def _of_host(rows: servers.Servers, host: virt.Host) -> tuple[tuple[str, ...], tuple[Stray, ...]]:
    listed = rows.list()
    domains = {uuid.UUID(each.uuid): each for each in host.list_domains()}
    known = {row.domain_uuid for row in listed}
    unknown = [each for domain_uuid, each in domains.items() if domain_uuid not in known]
    deployed = [(each, _origin(host, each)) for each in unknown]
    return (
        tuple(f"{row.name} ({row.domain_uuid})" for row in listed if row.domain_uuid not in domains),
        tuple(Stray(id=each.uuid, name=each.name, template=found) for each, found in deployed if found is not None),
    )


def _stray(store: stores.Store, template_id: uuid.UUID) -> Stray:
    try:
        found = manifests.get(store, template_id)
    except errors.EstampeError as error:
        return Stray(id=str(template_id), name=f"cannot be read: {error}")
    return Stray(id=str(template_id), name=f"{found.name}@{found.version}")


def _origin(host: virt.Host, domain: virt.DomainSummary) -> str | None:
    """The template of a server that Estampe deployed, by the note it left in the domain; None for all others."""
    try:
        found = host.get_domain(domain.uuid)
    except errors.EstampeError:
        return None  # what cannot be captured was not deployed by Estampe either
    return origin.find_template(found.configuration.domain_xml)
