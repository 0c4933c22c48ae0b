"""The database, where it is PostgreSQL: reached, of a version that is tried, durable, and with what a backup needs."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator

from estampe import config, errors, process
from estampe.db import inspection
from estampe.doctor import check

_NAME = "database"
_OLDEST = 13  # whose oldest functions the migrations and the engine use; the tests run on Debian 12's 15
_CLIENT = "postgresql-client"
_SECONDS = 30.0


def check_database(settings: config.Settings) -> Iterator[check.Check]:
    """Nothing to look at where it is SQLite: that is the state directory's."""
    if settings.database_url is None:
        return
    try:
        seen = inspection.inspect(settings.database_url.get_secret_value())
    except errors.DatabaseUrlInvalid as error:
        yield check.fail(_NAME, str(error), fix="write database_url as docs/howto/database.md shows")
        return
    except errors.EstampeError as error:
        yield check.fail(
            _NAME, str(error), fix="look at the server, and at what database_url says: docs/howto/database.md"
        )
        return
    yield judge(seen)
    yield judge_client(_client_version(), server=seen.major)


def judge(seen: inspection.Seen) -> check.Check:
    """What the server says of itself."""
    found = f"{seen.where}, PostgreSQL {seen.version}"
    if seen.major < _OLDEST:
        return check.fail(_NAME, f"{found}: too old", fix=f"upgrade the server to PostgreSQL {_OLDEST} or newer")
    if not seen.may_create:
        fix = "GRANT CREATE ON DATABASE ... TO ...;  -- or make the role the database's owner"
        return check.fail(_NAME, f"{found}: this role may make no schema in it", fix=fix)
    if seen.encoding != "UTF8":
        fix = "make the database with ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0"
        return check.fail(_NAME, f"{found}: its encoding is {seen.encoding}", fix=fix)
    if seen.not_durable:
        off = ", ".join(seen.not_durable)
        fix = "".join(f"ALTER SYSTEM SET {name} = on;\n" for name in seen.not_durable) + "SELECT pg_reload_conf();"
        return check.warn(_NAME, f"{found}: a power loss can destroy it ({off} off)", fix=fix)
    if seen.collation not in {"C", "POSIX", "C.UTF-8", "C.utf8"}:
        fix = "make the database with ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0"
        return check.warn(_NAME, f"{found}: names are sorted as {seen.collation} does, not as SQLite does", fix=fix)
    return check.ok(_NAME, found)


def judge_client(client: int | None, *, server: int) -> check.Check:
    """`estampe db backup` runs pg_dump, which refuses a server that is newer than itself. `client` is its major version."""
    name = "pg_dump"
    if client is None:
        return check.warn(name, "not installed: no `estampe db backup`", fix=f"apt-get install {_CLIENT}")
    if client < server:
        found = f"version {client} cannot read a server of version {server}: no `estampe db backup`"
        return check.warn(name, found, fix=f"apt-get install {_CLIENT}-{server}")
    return check.ok(name, str(client))


def _client_version() -> int | None:
    if shutil.which("pg_dump") is None:
        return None
    try:
        said = process.run(["pg_dump", "--version"], deadline_seconds=_SECONDS).decode(errors="replace")
    except errors.EstampeError:
        return None
    found = re.search(r"(\d+)", said)
    return None if found is None else int(found[1])
