"""How long lists, searches and shows take among 100,000 templates of 1,000 accounts: the queries alone, and what clients see.

    script/bench catalogue [--plans] [--database sqlite] [--clients 16] [--seconds 10] [--rate 16] [--at-once]

On SQLite and on PostgreSQL (a server of its own, durable, with the settings it is installed with), one after the other. *Queries* are
the catalogue's, one after the other. *Requests* go to the real daemon on its unix socket, each client with an API key of
another account, in four processes; all clients together ask `--rate` times a second. With `--at-once` every client then asks again as
soon as it has an answer, which shows all that the machine can do. `--plans` prints how the database goes about each query instead.
"""

from __future__ import annotations

import argparse
import dataclasses
import random
import time
import urllib.parse
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

import catalogue_data
import load
import machine
import site_of_api
from estampe.db import database, schema, visible_templates
from estampe.model import listing, sight, visibility
from estampe.store import local

MINE, SHARED, PUBLIC = visibility.Scope.MINE, visibility.Scope.SHARED, visibility.Scope.PUBLIC
SHOWN_EACH = 12  # templates of a kind that a client asks for one by one
DEEP_PAGE = 51


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """A question of one account, as a query and as the path of a request; where it is about single templates, several."""

    name: str
    queries: Sequence[Callable[[], Any]]
    paths: Sequence[str]


class Viewer:
    """An account that looks."""

    def __init__(self, visible: visible_templates.VisibleTemplates, account_id: uuid.UUID, name: str) -> None:
        self.name = name
        self._visible, self._id = visible, account_id

    def seen(self, scope: visibility.Scope, *, after: str | None = None) -> listing.Page[sight.Seen]:
        query = listing.TemplateQuery(scopes=(scope,), after=after)
        return self._visible.list(self._id, query)

    def shown(self) -> list[sight.Seen]:
        """What it asks for one by one: its own, others' that are shared with it, and public ones."""
        return [each for scope in visibility.Scope for each in self.seen(scope).items[:SHOWN_EACH]]

    def cases(self) -> list[Case]:
        deep = None
        for _ in range(DEEP_PAGE - 1):
            deep = self.seen(PUBLIC, after=deep).next
        return [
            self._list("list, own", MINE),
            self._list("list, shared with it", SHARED),
            self._list("list, public", PUBLIC),
            self._list(f"list, public, page {DEEP_PAGE}", PUBLIC, after=deep),
            self._list("list, public, newest first", PUBLIC, sort=listing.TemplateSort.CREATED_DESCENDING),
            self._list("list, public, by size", PUBLIC, sort=listing.TemplateSort.SIZE),
            self._list("list, all three", MINE, SHARED, PUBLIC),
            self._list("search web* in all three", MINE, SHARED, PUBLIC, name_glob="web*"),
            self._list("search by tag", MINE, tag=catalogue_data.TAGS[0]),
            self._list("search for what is not there", MINE, SHARED, PUBLIC, name_glob="*nothing*"),
            self._show("show by name", lambda each: each.full_reference),
            self._show("show by id", lambda each: str(each.template.id)),
        ]

    def _list(self, name: str, *scopes: visibility.Scope, **wishes: Any) -> Case:
        query = listing.TemplateQuery(scopes=scopes, **wishes)
        asked = [("scope", scope.value) for scope in scopes]
        asked += [({"name_glob": "name"}.get(key, key), value) for key, value in wishes.items()]
        path = f"/v1/templates?{urllib.parse.urlencode(asked)}"
        return Case(name=name, queries=[lambda: self._visible.list(self._id, query)], paths=[path])

    def _show(self, name: str, reference: Callable[[sight.Seen], str]) -> Case:
        references = [reference(each) for each in self.shown()]
        return Case(
            name=name,
            queries=[lambda each=each: self._visible.resolve(self._id, each) for each in references],  # type: ignore[misc]
            paths=[f"/v1/templates/{urllib.parse.quote(each, safe='')}" for each in references],
        )


def prepare(place: site_of_api.Site, db: database.Database, clients: int) -> list[Viewer]:
    """The rows, the accounts that look, and the manifests of what they look at."""
    rng = random.Random(1)  # noqa: S311 - no secret
    db.upgrade()
    catalogue_data.fill(db, rng)
    if place.kind == "postgresql":
        with _engine(db).connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("ANALYZE")  # as its autovacuum does by itself after a while
    visible = visible_templates.VisibleTemplates(db, clock=lambda: catalogue_data.NOW)
    accounts = schema.accounts
    some = sa.select(accounts.c.id, accounts.c.name).where(accounts.c.name.like("account-%")).order_by(accounts.c.name)
    with db.read() as connection:
        viewers = [Viewer(visible, row.id, row.name) for row in connection.execute(some.limit(clients))]
    shown = {each.template.id: each.template for viewer in viewers for each in viewer.shown()}
    catalogue_data.put_manifests(local.LocalStore.ensure(place.store), shown.values(), rng)
    return viewers


def _engine(db: database.Database) -> sa.Engine:
    return db._engine  # noqa: SLF001 - to hear what is sent, and to do what the product leaves to the server


def measure_queries(cases: Sequence[Case], *, times: int) -> dict[str, list[float]]:
    """Seconds of each, sorted."""
    took: dict[str, list[float]] = {}
    for case in cases:
        case.queries[0]()  # a connection is made, the statement compiled
        for nth in range(times):
            begin = time.perf_counter()
            case.queries[nth % len(case.queries)]()
            took.setdefault(case.name, []).append(time.perf_counter() - begin)
    return {name: sorted(seconds) for name, seconds in took.items()}


def measure_requests(
    place: site_of_api.Site, viewers: Sequence[Viewer], pace: load.Pace, *, only: str
) -> dict[str, list[float]]:
    """Seconds of each, sorted; at last of all kinds in turn."""
    keys = [place.add_key(viewer.name) for viewer in viewers]
    of_viewers = [viewer.cases() for viewer in viewers]
    took = {}
    for nth, case in enumerate(of_viewers[0]):
        if only in case.name:
            callers = [
                load.Caller(key=key, paths=cases[nth].paths) for key, cases in zip(keys, of_viewers, strict=True)
            ]
            took[case.name] = load.measure(place.socket, callers, pace)
    if not only:
        took["all of these in turn"] = load.measure(
            place.socket, [_mixed(*each) for each in zip(keys, of_viewers, strict=True)], pace
        )
    return took


def _mixed(key: str, cases: Sequence[Case]) -> load.Caller:
    rng = random.Random(key)  # noqa: S311 - no secret
    paths = [path for case in cases for path in (case.paths * SHOWN_EACH * 3)[: SHOWN_EACH * 3]]
    rng.shuffle(paths)
    return load.Caller(key=key, paths=paths)


def print_plans(db: database.Database, cases: Sequence[Case]) -> None:
    """How the database goes about each query that looks for templates."""
    engine, said = _engine(db), []

    def hear(_connection: Any, _cursor: Any, text: str, values: Any, *_: Any) -> None:
        said.append((text, values))

    explain = "EXPLAIN QUERY PLAN " if engine.dialect.name == "sqlite" else "EXPLAIN (ANALYZE, COSTS OFF) "
    for case in cases:
        said.clear()
        sa.event.listen(engine, "before_cursor_execute", hear)
        case.queries[0]()
        sa.event.remove(engine, "before_cursor_execute", hear)
        print(f"\n{case.name}:")
        with db.read() as connection:
            for text, values in said:
                if "templates.published_at" in text or "FROM template_shares" in text:
                    for row in connection.exec_driver_sql(explain + text, values):
                        print("    ", row[-1][:160])


def print_figures(title: str, took: dict[str, list[float]], *, seconds: float | None = None) -> None:
    rate = "" if seconds is None else " requests/s"
    print(f"\n{title:44} {'median':>8} {'99th percentile':>16}{rate:>12}")
    for name, sorted_seconds in took.items():
        middle, late = sorted_seconds[len(sorted_seconds) // 2], sorted_seconds[int(len(sorted_seconds) * 0.99)]
        told = "" if seconds is None else f"{len(sorted_seconds) / seconds:12.0f}"
        print(f"{name:44} {middle * 1000:5.1f} ms {late * 1000:13.1f} ms{told}", flush=True)


def run(place: site_of_api.Site, asked: argparse.Namespace) -> None:
    """One database."""
    db = place.open_database()
    viewers = prepare(place, db, asked.clients)
    cases = [case for case in viewers[0].cases() if asked.only in case.name]
    if asked.plans:
        print_plans(db, cases)
    else:
        print_figures(f"{place.kind}: queries alone", measure_queries(cases, times=asked.times))
        paced = load.Pace(seconds=asked.seconds, every_seconds=asked.clients / asked.rate)
        paces = {f"{asked.clients} clients, {asked.rate} requests/s": paced}
        if asked.at_once:
            paces[f"{asked.clients} clients, at once"] = load.Pace(seconds=asked.seconds)
        with place.serving():
            for title, pace in paces.items():
                took = measure_requests(place, viewers, pace, only=asked.only)
                print_figures(f"{place.kind}: {title}", took, seconds=asked.seconds)
    db.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="script/bench catalogue", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--database", choices=site_of_api.DATABASES, action="append", help="default: both")
    parser.add_argument("--plans", action="store_true", help="print the queries' plans instead")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument(
        "--rate", type=int, default=16, help="requests a second of all clients together; default: one each"
    )
    parser.add_argument(
        "--at-once", action="store_true", help="then once more, every client asking again as soon as it has an answer"
    )
    parser.add_argument("--seconds", type=float, default=10, help="of each measurement of requests")
    parser.add_argument("--times", type=int, default=200, help="how often each query alone is asked")
    parser.add_argument("--only", default="", help="the kinds whose names hold this text")
    parser.add_argument("--work", type=Path, default=Path("/var/tmp/estampe-bench-api"), help="a folder for 0.5 GiB")  # noqa: S108
    asked = parser.parse_args()
    print(machine.told())
    for kind in asked.database or site_of_api.DATABASES:
        with site_of_api.site(asked.work, kind) as place:
            run(place, asked)


if __name__ == "__main__":
    main()
