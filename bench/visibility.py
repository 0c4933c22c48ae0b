"""How long lists, names and shows of templates take among many, as one account sees them: on the database that is named.

    .venv/bin/python bench/visibility.py sqlite:////var/tmp/visibility.db
    .venv/bin/python bench/visibility.py --plans postgresql+psycopg:///visibility

The database must be empty, or one that an earlier run has filled. Figures are of the queries alone, from several threads
(`--clients`), without HTTP. `--plans` prints the plan of each query instead.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import datetime
import random
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import sqlalchemy as sa

from estampe.db import database, schema, visible_templates
from estampe.model import account, listing, template, visibility

ACCOUNTS, TEMPLATES, VERSIONS = 1_000, 100_000, 5
PUBLIC_SHARE = 0.1
SHARES_EACH = 50  # that an account receives
BATCH = 5_000
NOW = datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC)
MINE, SHARED, PUBLIC = visibility.Scope.MINE, visibility.Scope.SHARED, visibility.Scope.PUBLIC


def fill(db: database.Database, rng: random.Random) -> None:
    """The rows, once."""
    with db.read() as connection:
        if connection.execute(sa.select(sa.func.count()).select_from(schema.templates)).scalar_one():
            return
    owners = [uuid.UUID(int=rng.getrandbits(128), version=4) for _ in range(ACCOUNTS)]
    rows = list(_templates(owners, rng))
    shares = {(rng.choice(owners), rng.choice(rows)["id"]) for _ in range(ACCOUNTS * SHARES_EACH)}
    told = {"right": "deploy", "note": "", "expires_at": None, "shared_at": NOW, "shared_by": "bench"}
    with db.write() as connection:
        names = [{"id": owner, "name": f"account-{n:04d}", "created_at": NOW} for n, owner in enumerate(owners)]
        connection.execute(sa.insert(schema.accounts), names)
        for table, values in (
            (schema.templates, rows),
            (schema.template_shares, [{"account_id": a, "template_id": t, **told} for a, t in shares]),
        ):
            for begin in range(0, len(values), BATCH):
                connection.execute(sa.insert(table), values[begin : begin + BATCH])


def _templates(owners: list[uuid.UUID], rng: random.Random) -> Iterator[dict[str, Any]]:
    each = TEMPLATES // len(owners)
    kinds = ("debian", "ubuntu", "web", "db", "ci-build", "base", "windows")
    for owner in owners:
        for number in range(each):
            is_public = rng.random() < PUBLIC_SHARE
            yield {
                "id": uuid.UUID(int=rng.getrandbits(128), version=4), "owner_id": owner, "version": number % VERSIONS + 1,
                "name": f"{kinds[number // VERSIONS % len(kinds)]}-{number // VERSIONS}", "state": template.State.ACTIVE,
                "note": "", "server_name": "source", "created_at": NOW + datetime.timedelta(seconds=rng.randrange(10**7)),
                "logical_bytes": rng.randrange(2**40), "data_bytes": 1, "new_bytes": 1, "is_sealed": True,
                "guest_product": "Debian GNU/Linux 12", "published_at": NOW if is_public else None,
                "published_by": "bench" if is_public else None, "publication_right": "deploy" if is_public else None,
                "publication_note": "" if is_public else None,
            }  # fmt: skip


def cases(visible: visible_templates.VisibleTemplates, viewer: uuid.UUID) -> dict[str, Callable[[], Any]]:
    """What is measured, by name."""
    query = listing.TemplateQuery(limit=100)
    some = visible.list(viewer, dataclasses.replace(query, scopes=(PUBLIC,))).items[-1]
    deep = query
    for _ in range(50):
        page = visible.list(viewer, dataclasses.replace(deep, scopes=(PUBLIC,)))
        deep = dataclasses.replace(deep, after=page.next)

    def of(*scopes: visibility.Scope, **wishes: Any) -> Callable[[], Any]:
        return lambda: visible.list(viewer, dataclasses.replace(query, scopes=scopes, **wishes))

    return {
        "list --mine": of(MINE),
        "list --shared": of(SHARED),
        "list --public": of(PUBLIC),
        "list --public, page 51": of(PUBLIC, after=deep.after),
        "list --public --sort -created": of(PUBLIC, sort=listing.TemplateSort.CREATED_DESCENDING),
        "list --public --sort size": of(PUBLIC, sort=listing.TemplateSort.SIZE),
        "list of all three": of(MINE, SHARED, PUBLIC),
        "search 'web*' in all three": of(MINE, SHARED, PUBLIC, name_glob="web*"),
        "search for nothing that is there": of(MINE, SHARED, PUBLIC, name_glob="*nothing*"),
        "show by name": lambda: visible.resolve(viewer, some.full_reference),
        "show by id": lambda: visible.resolve(viewer, str(some.template.id)),
    }


def measure(work: Callable[[], Any], *, clients: int, times: int) -> list[float]:
    """Seconds of each call, sorted."""

    def run(_: int) -> float:
        begin = time.perf_counter()
        work()
        return time.perf_counter() - begin

    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        list(pool.map(run, range(clients)))  # connections are made
        return sorted(pool.map(run, range(times)))


def plans(db: database.Database, engine: sa.Engine, work: Callable[[], Any]) -> None:
    """Print how the database goes about what `work` asks."""
    said: list[tuple[str, Any]] = []

    def hear(_connection: Any, _cursor: Any, text: str, values: Any, *_: Any) -> None:
        said.append((text, values))

    sa.event.listen(engine, "before_cursor_execute", hear)
    work()
    sa.event.remove(engine, "before_cursor_execute", hear)
    explain = "EXPLAIN QUERY PLAN " if engine.dialect.name == "sqlite" else "EXPLAIN (ANALYZE, COSTS OFF) "
    with db.read() as connection:
        for text, values in said:
            if "templates.published_at" in text or "FROM template_shares" in text:
                for row in connection.exec_driver_sql(explain + text, values):
                    print("    ", row[-1][:160])


def main() -> None:
    """Fill, then measure or explain."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--plans", action="store_true")
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--times", type=int, default=200)
    asked = parser.parse_args()
    db = database.Database.open(asked.url)
    db.upgrade()
    fill(db, random.Random(1))  # noqa: S311 - no secret
    engine = db._engine  # noqa: SLF001 - to hear what is sent
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("ANALYZE")
    with db.read() as connection:
        not_default = schema.accounts.c.id != account.DEFAULT_ACCOUNT_ID
        viewer = connection.execute(sa.select(schema.accounts.c.id).where(not_default).limit(1)).scalar_one()
    visible = visible_templates.VisibleTemplates(db, clock=lambda: NOW)
    for name, work in cases(visible, viewer).items():
        if asked.plans:
            print(f"\n{name}:")
            plans(db, engine, work)
            continue
        took = measure(work, clients=asked.clients, times=asked.times)
        middle, late = took[len(took) // 2], took[int(len(took) * 0.99)]
        print(f"{name:36} median {middle * 1000:7.2f} ms   99th percentile {late * 1000:7.2f} ms")
    db.close()


if __name__ == "__main__":
    main()
