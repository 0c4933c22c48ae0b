"""The contract of the database's repositories, on SQLite and on PostgreSQL."""

import concurrent.futures
import dataclasses
import datetime
import json
import subprocess
import sys
import threading
import uuid
from pathlib import Path

import pytest
import sqlalchemy as sa

from estampe import errors
from estampe.db import (
    accounts,
    database,
    growth,
    idempotency,
    operations,
    retention,
    schema,
    servers,
    template_moves,
    templates,
)
from estampe.model import account, characteristics, listing, operation, server, template
from estampe.model import growth as growth_model
from estampe.model import retention as retention_model

OWNER = account.DEFAULT_ACCOUNT_ID
NOON = datetime.datetime(2026, 3, 1, 12, 0, tzinfo=datetime.UTC)
THREADS = 32


def later(seconds):
    return NOON + datetime.timedelta(seconds=seconds)


@pytest.fixture
def db(migrated_url):
    opened = database.Database.open(migrated_url)
    yield opened
    opened.close()


def together(work, count=THREADS):
    """The outcomes of `count` calls that begin at one moment: a result each, or the exception."""
    barrier = threading.Barrier(count)

    def run(index):
        barrier.wait(30)
        try:
            return work(index)
        except Exception as error:  # noqa: BLE001 - an outcome like any other
            return error

    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


# --- accounts -------------------------------------------------------------------------------------------------------


def test_the_default_account_is_there(db):
    found = accounts.Accounts(db).get_default()
    assert (found.id, found.name) == (account.DEFAULT_ACCOUNT_ID, account.DEFAULT_ACCOUNT_NAME)


def test_an_unknown_account_is_not_found(db):
    with pytest.raises(errors.AccountNotFound):
        accounts.Accounts(db).get(uuid.uuid4())


# --- transactions ---------------------------------------------------------------------------------------------------


def test_a_failed_transaction_leaves_nothing(db):
    def fail():
        with db.write() as connection:
            connection.execute(sa.text("UPDATE accounts SET name = 'changed'"))
            raise InterruptedError

    with pytest.raises(InterruptedError):
        fail()
    assert accounts.Accounts(db).get_default().name == account.DEFAULT_ACCOUNT_NAME


def test_a_row_needs_an_owner_that_exists(db):
    with pytest.raises(sa.exc.IntegrityError):
        servers.Servers(db, clock=lambda: NOON).ensure(owner_id=uuid.uuid4(), domain_uuid=uuid.uuid4(), name="web-01")


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_a_text_that_not_both_databases_keep_is_the_callers_mistake(db, text):
    with pytest.raises(errors.InvalidRequest, match="NUL"), db.write() as connection:
        connection.execute(sa.update(schema.accounts).values(name=text))
    with pytest.raises(errors.InvalidRequest, match="NUL"), db.read() as connection:
        connection.execute(sa.select(schema.accounts).where(schema.accounts.c.name == text))
    rows = [{"id": uuid.uuid4(), "name": name} for name in ("fine", text)]
    with pytest.raises(errors.InvalidRequest, match="NUL"), db.write() as connection:
        connection.execute(sa.insert(schema.accounts), rows)
    assert accounts.Accounts(db).get_default().name == account.DEFAULT_ACCOUNT_NAME


def test_texts_of_all_of_unicode_are_kept(db):
    text = "".join(map(chr, (1, 31, 127, 0x85, 0xD7FF, 0xE000, 0xFFFF, 0x10FFFF)))
    with db.write() as connection:
        connection.execute(sa.update(schema.accounts).values(name=text))
    assert accounts.Accounts(db).get_default().name == text


def test_a_transaction_that_reads_sees_one_state(db):
    with db.read() as connection:
        name = sa.select(schema.accounts.c.name)
        before = connection.execute(name).scalar()
        with db.write() as other:
            other.execute(sa.update(schema.accounts).values(name="changed meanwhile"))
        assert connection.execute(name).scalar() == before
    with db.read() as connection:
        assert connection.execute(name).scalar() == "changed meanwhile"


def count_up(db):
    """Read, then write what was read and one."""
    with db.write() as connection:
        count = int(connection.execute(sa.text("SELECT name FROM accounts")).scalar_one())
        connection.execute(sa.text("UPDATE accounts SET name = :name"), {"name": f"{count + 1}"})


def test_no_update_of_threads_is_lost_while_others_read(db):
    with db.write() as connection:
        connection.execute(sa.text("UPDATE accounts SET name = '0'"))

    def work(index):
        if index % 2:
            return [accounts.Accounts(db).get_default().name for _ in range(5)]
        return count_up(db)

    found = together(work)
    assert [each for each in found if isinstance(each, Exception)] == []
    assert int(accounts.Accounts(db).get_default().name) == THREADS // 2


PROCESSES, ROUNDS = 3, 10


def test_processes_lose_no_update_make_no_double_version_and_leave_no_deadlock(db, migrated_url):
    """Processes share none of Python's locks, only the database."""
    with db.write() as connection:
        connection.execute(sa.text("UPDATE accounts SET name = '0'"))
    found = run_children(migrated_url)
    assert int(accounts.Accounts(db).get_default().name) == PROCESSES * ROUNDS
    versions = sorted(version for each in found for version in each["versions"])
    assert versions == list(range(1, PROCESSES * ROUNDS + 1))
    winners = [key for each in found for key in each["locks"]]
    assert sorted(winners) == sorted(f"server/{index}" for index in range(ROUNDS))
    assert sorted(held.key for held in operations.Operations(db).locks_held()) == sorted(winners)


def run_children(url):
    """What the processes did, that began at one moment."""
    argv = [sys.executable, str(Path(__file__).with_name("database_child.py")), url, str(ROUNDS)]
    pipe = subprocess.PIPE
    children = [subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, text=True) for _ in range(PROCESSES)]
    try:
        assert [child.stdout.readline() for child in children] == ["ready\n"] * PROCESSES
        for child in children:
            child.stdin.write("go\n")
            child.stdin.flush()
        said = [child.communicate(timeout=120) for child in children]
        assert [child.returncode for child in children] == [0] * PROCESSES, said
        return [json.loads(out) for out, _ in said]
    finally:
        for child in children:
            child.kill()
            child.wait()


# --- servers --------------------------------------------------------------------------------------------------------


@pytest.fixture
def server_rows(db):
    return servers.Servers(db, clock=lambda: NOON)


def test_a_domain_first_seen_becomes_a_server_with_an_id_of_its_own(server_rows):
    domain = uuid.uuid4()
    made = server_rows.ensure(owner_id=OWNER, domain_uuid=domain, name="web-01")
    assert made.id != domain
    assert made.id.version == 4
    assert made.created_at == NOON
    assert server_rows.ensure(owner_id=OWNER, domain_uuid=domain, name="web-01") == made
    assert server_rows.get(made.id) == server_rows.find_by_domain(domain) == made


def test_a_renamed_domain_stays_the_same_server(server_rows):
    domain = uuid.uuid4()
    made = server_rows.ensure(owner_id=OWNER, domain_uuid=domain, name="web-01")
    renamed = server_rows.ensure(owner_id=OWNER, domain_uuid=domain, name="www")
    assert (renamed.id, renamed.name) == (made.id, "www")
    assert server_rows.list() == [renamed]


def test_a_domain_seen_by_many_threads_at_once_is_one_server(server_rows):
    domain = uuid.uuid4()
    found = together(lambda _: server_rows.ensure(owner_id=OWNER, domain_uuid=domain, name="web-01"))
    assert len({each.id for each in found}) == 1


def _server(domain, name="web-02"):
    return server.Server(
        id=uuid.uuid4(), owner_id=OWNER, domain_uuid=domain, name=name, template_id=uuid.uuid4(), created_at=NOON
    )


def test_adding_a_deployed_server_again_is_fine(server_rows):
    new = _server(uuid.uuid4())
    assert server_rows.add(new) == new
    assert server_rows.add(new) == new
    assert server_rows.list(OWNER) == [new]


def test_a_deployed_server_that_was_seen_first_keeps_its_id_and_gets_its_origin(server_rows):
    new = _server(uuid.uuid4())
    seen = server_rows.ensure(owner_id=OWNER, domain_uuid=new.domain_uuid, name=new.name)
    added = server_rows.add(new)
    assert (added.id, added.template_id) == (seen.id, new.template_id)
    assert server_rows.get(seen.id) == added


def test_a_removed_server_is_gone(server_rows):
    made = server_rows.add(_server(uuid.uuid4()))
    assert server_rows.remove(made.id)
    assert not server_rows.remove(made.id)
    assert server_rows.find_by_domain(made.domain_uuid) is None
    with pytest.raises(errors.ServerNotFound):
        server_rows.get(made.id)


def test_servers_are_listed_by_name_and_by_owner(server_rows):
    for name in ("b", "c", "a"):
        server_rows.add(_server(uuid.uuid4(), name))
    assert [each.name for each in server_rows.list()] == ["a", "b", "c"]
    assert server_rows.list(uuid.uuid4()) == []


# --- templates ------------------------------------------------------------------------------------------------------


@pytest.fixture
def template_rows(db):
    return templates.Templates(db)


def reserve(rows, name="web", *, id=None, tags=(), created_at=NOON):
    return rows.reserve(
        id=id or uuid.uuid4(), owner_id=OWNER, name=name, note="", tags=tags, server_id=uuid.uuid4(),
        server_name="web-01", created_at=created_at,
    )  # fmt: skip


def publish(rows, template_id, **facts):
    given = {
        "logical_bytes": 4 << 40,
        "data_bytes": 300,
        "new_bytes": 200,
        "is_sealed": True,
        "guest_product": "Debian",
    }
    return rows.publish(template_id, **{**given, **facts})


TUNED = characteristics.Characteristics(
    tuned_for="builds",
    least=characteristics.Resources(cpus=2, volume_sizes={"vda": 1 << 40}),
    tuned=characteristics.Tuned(queues="cpus", rng=False),
)


def test_characteristics_are_kept_from_the_capture_on(template_rows):
    made = template_rows.reserve(
        id=uuid.uuid4(), owner_id=OWNER, name="tuned", note="", tags=[], server_id=None, server_name="web-01",
        created_at=NOON, characteristics=TUNED,
    )  # fmt: skip
    assert made.characteristics == TUNED
    publish(template_rows, made.id)
    assert template_rows.resolve(OWNER, "tuned").characteristics == TUNED
    assert [each.characteristics for each in template_rows.list(OWNER).items] == [TUNED]


def test_characteristics_that_say_nothing_are_none(template_rows):
    made = active(template_rows)
    assert made.characteristics is None
    changed = template_rows.change_characteristics(made.id, lambda present: present)
    assert changed.characteristics is None
    template_rows.change_characteristics(made.id, lambda _present: TUNED)
    cleared = template_rows.change_characteristics(made.id, lambda _present: characteristics.Characteristics())
    assert cleared.characteristics is template_rows.get(made.id).characteristics is None


def test_a_change_of_characteristics_that_fails_changes_nothing(template_rows):
    made = active(template_rows)
    template_rows.change_characteristics(made.id, lambda _present: TUNED)
    with pytest.raises(errors.InvalidRequest):
        template_rows.change_characteristics(made.id, characteristics.Change(unset=("nothing",)).apply)
    assert template_rows.get(made.id).characteristics == TUNED
    with pytest.raises(errors.TemplateNotFound):
        template_rows.change_characteristics(uuid.uuid4(), lambda present: present)


def test_changes_of_characteristics_at_once_are_all_kept(template_rows):
    made = active(template_rows)

    def change(index):
        given = {"recommended": {"volume_sizes": {f"vd{index}": index + 1}}}
        return template_rows.change_characteristics(made.id, characteristics.Change(given=given).apply)

    together(change)
    kept = template_rows.get(made.id).characteristics.recommended.volume_sizes
    assert kept == {f"vd{index}": index + 1 for index in range(THREADS)}


def test_characteristics_are_changed_only_of_what_is_kept(template_rows):
    capturing, trashed = reserve(template_rows), active(template_rows)
    trash(template_rows, trashed)
    for made in (capturing, trashed):
        with pytest.raises(errors.TemplateStateForbids, match="complete and not in the trash"):
            template_rows.change_characteristics(made.id, lambda _present: TUNED)
        assert template_rows.get(made.id).characteristics is None


def test_a_change_of_characteristics_is_a_change_of_the_template(template_rows):
    made = active(template_rows)
    changed = template_rows.change_characteristics(made.id, lambda _present: TUNED, etags=[made.etag])
    assert changed.etag != made.etag
    assert template_rows.get(made.id) == changed == template_rows.change_characteristics(made.id, lambda told: told)
    with pytest.raises(errors.TemplateChanged):
        template_rows.change_characteristics(
            made.id, lambda _present: characteristics.Characteristics(), etags=[made.etag]
        )
    assert template_rows.get(made.id) == changed


def test_capturing_under_a_name_in_use_makes_the_next_version(template_rows):
    assert template_rows.next_version(OWNER, "web") == 1
    assert [reserve(template_rows).version for _ in range(3)] == [1, 2, 3]
    assert template_rows.next_version(OWNER, "web") == 4
    assert reserve(template_rows, "db").version == 1


def test_a_reserved_template_is_capturing_and_knows_no_sizes(template_rows):
    made = reserve(template_rows, tags=["prod", "blue", "prod"])
    assert (made.state, made.logical_bytes, made.is_sealed) == (template.State.CAPTURING, None, None)
    assert made.tags == ("prod", "blue")
    assert template_rows.get(made.id) == made


def test_reserving_again_under_the_same_id_gives_the_same_template(template_rows):
    made = reserve(template_rows)
    assert reserve(template_rows, id=made.id, created_at=later(5)) == made
    assert reserve(template_rows).version == 2


def test_a_template_name_is_checked(template_rows):
    with pytest.raises(errors.InvalidName):
        reserve(template_rows, "Web Server")


def test_many_captures_of_one_name_get_versions_without_gap_or_double(template_rows):
    made = together(lambda _: reserve(template_rows))
    assert sorted(each.version for each in made) == list(range(1, THREADS + 1))


def test_publishing_records_the_sizes_and_the_first_time_counts(template_rows):
    made = reserve(template_rows, tags=["blue"])
    published = publish(template_rows, made.id)
    assert (published.state, published.logical_bytes) == (template.State.ACTIVE, 4 << 40)
    assert publish(template_rows, made.id, data_bytes=1) == published
    assert template_rows.get(made.id) == published


def test_a_template_that_is_being_deleted_cannot_be_published(template_rows):
    made = reserve(template_rows)
    template_rows.begin_delete(made.id)
    with pytest.raises(errors.TemplateStateForbids):
        publish(template_rows, made.id)


def test_a_name_means_its_newest_complete_version(template_rows):
    first, second = reserve(template_rows), reserve(template_rows)
    with pytest.raises(errors.TemplateNotFound):
        template_rows.resolve(OWNER, "web")
    publish(template_rows, first.id)
    assert template_rows.resolve(OWNER, "web").id == first.id
    publish(template_rows, second.id)
    assert template_rows.resolve(OWNER, "web").id == second.id
    assert template_rows.resolve(OWNER, "web@1").id == first.id


def test_an_unfinished_template_is_found_by_its_id_only(template_rows):
    made = reserve(template_rows)
    assert template_rows.resolve(OWNER, str(made.id)) == made
    for reference in ("web", "web@1", "web@2", "nothing", str(uuid.uuid4()), "no such name", "web@x"):
        with pytest.raises(errors.TemplateNotFound):
            template_rows.resolve(OWNER, reference)


def test_another_accounts_template_is_not_found(template_rows):
    made = publish(template_rows, reserve(template_rows).id)
    for reference in ("web", "web@1", str(made.id)):
        with pytest.raises(errors.TemplateNotFound):
            template_rows.resolve(uuid.uuid4(), reference)


def test_templates_are_listed_by_name_with_the_newest_version_first(template_rows):
    for name in ("web", "db", "web", "cache"):
        reserve(template_rows, name)
    listed = [(each.name, each.version) for each in template_rows.list(OWNER).items]
    assert listed == [("cache", 1), ("db", 1), ("web", 2), ("web", 1)]


def test_pages_of_templates_meet_without_gap_or_double_though_their_edge_was_deleted(template_rows):
    for name in ("web", "db", "web", "cache", "web"):
        reserve(template_rows, name)
    everything = template_rows.list(OWNER).items
    page = template_rows.list(OWNER, listing.TemplateQuery(limit=3))
    head = page.items
    template_rows.begin_delete(head[-1].id)
    template_rows.remove(head[-1].id)
    tail = template_rows.list(OWNER, listing.TemplateQuery(limit=3, after=page.next)).items
    assert head + tail == everything


@pytest.mark.parametrize(
    ("glob", "names"),
    [
        ("*", ["a.b", "a_b", "axb", "web"]),
        ("a?b", ["a.b", "a_b", "axb"]),
        ("a_b", ["a_b"]),
        ("w*", ["web"]),
        ("%", []),
        ("WEB", []),
        ("a\\_b", []),
    ],
)
def test_names_are_matched_by_glob(template_rows, glob, names):
    for name in ("web", "a_b", "a.b", "axb"):
        reserve(template_rows, name)
    assert [each.name for each in template_rows.list(OWNER, listing.TemplateQuery(name_glob=glob)).items] == names


def test_templates_are_listed_by_tag(template_rows):
    tagged = reserve(template_rows, tags=["blue", "prod"])
    reserve(template_rows, tags=["green"])
    assert template_rows.list(OWNER, listing.TemplateQuery(tag="blue")).items == [tagged]


def test_templates_in_a_state_are_listed_for_all_accounts(template_rows):
    first = reserve(template_rows, created_at=later(1))
    second = reserve(template_rows, created_at=NOON)
    active = publish(template_rows, reserve(template_rows).id)
    assert template_rows.list_in_state(template.State.CAPTURING) == [second, first]
    assert template_rows.list_in_state(template.State.ACTIVE) == [active]


def test_editing_changes_only_what_is_given(template_rows):
    made = reserve(template_rows, tags=["blue"])
    assert template_rows.edit(made.id, note="for the shop").tags == ("blue",)
    edited = template_rows.edit(made.id, tags=["green", "blue"])
    assert (edited.name, edited.note, edited.tags) == ("web", "for the shop", ("green", "blue"))
    assert template_rows.edit(made.id, tags=[]).tags == ()
    assert template_rows.edit(made.id, note="").note == ""


def test_a_renamed_template_keeps_its_version(template_rows):
    reserve(template_rows)
    second = reserve(template_rows)
    renamed = template_rows.edit(second.id, name="shop")
    assert (renamed.name, renamed.version) == ("shop", 2)
    assert reserve(template_rows, "shop").version == 3


def test_renaming_onto_an_existing_version_is_refused(template_rows):
    made = reserve(template_rows)
    reserve(template_rows, "shop")
    with pytest.raises(errors.NameInUse):
        template_rows.edit(made.id, name="shop", note="changed")
    assert template_rows.get(made.id) == made
    assert template_rows.edit(made.id, name="web") == made
    with pytest.raises(errors.InvalidName):
        template_rows.edit(made.id, name="No!")
    with pytest.raises(errors.TemplateNotFound):
        template_rows.edit(uuid.uuid4(), note="x")


def forget(rows, made):
    rows.begin_delete(made.id)
    assert rows.remove(made.id)


def test_the_version_of_a_deleted_template_is_never_given_again(template_rows):
    for version in (1, 2):
        made = reserve(template_rows)
        assert made.version == version
        publish(template_rows, made.id)
        forget(template_rows, made)
    assert template_rows.next_version(OWNER, "web") == 3
    assert reserve(template_rows).version == 3
    assert reserve(template_rows, "db").version == 1


def test_a_version_that_was_never_published_is_given_again(template_rows):
    publish(template_rows, reserve(template_rows).id)
    forget(template_rows, reserve(template_rows))  # a capture that failed
    assert template_rows.next_version(OWNER, "web") == 2


def test_the_name_that_a_renamed_template_had_keeps_its_version(template_rows):
    publish(template_rows, (made := reserve(template_rows)).id)
    template_rows.edit(made.id, name="shop")
    forget(template_rows, made)
    assert (reserve(template_rows).version, reserve(template_rows, "shop").version) == (2, 2)


def test_a_template_is_not_renamed_to_what_another_was_once(template_rows):
    publish(template_rows, (once := reserve(template_rows, "shop")).id)
    forget(template_rows, once)
    publish(template_rows, (made := reserve(template_rows)).id)
    with pytest.raises(errors.VersionGiven, match="shop@1 was"):
        template_rows.edit(made.id, name="shop")


def test_a_template_may_have_its_former_name_back(template_rows):
    publish(template_rows, (made := reserve(template_rows)).id)
    template_rows.edit(made.id, name="shop")
    assert template_rows.edit(made.id, name="web").version == 1


def test_deletion_hides_first_and_removes_last(template_rows):
    made = publish(template_rows, reserve(template_rows, tags=["blue"]).id)
    with pytest.raises(errors.TemplateStateForbids):
        template_rows.remove(made.id)
    for _ in range(2):
        assert template_rows.begin_delete(made.id).state is template.State.DELETING
    with pytest.raises(errors.TemplateNotFound):
        template_rows.resolve(OWNER, "web")
    assert template_rows.remove(made.id)
    assert not template_rows.remove(made.id)
    with pytest.raises(errors.TemplateNotFound):
        template_rows.begin_delete(made.id)
    assert template_rows.list(OWNER, listing.TemplateQuery(tag="blue")).items == []


# --- the life of templates --------------------------------------------------------------------------------------------


FREE = "template/free"  # a lock that nobody holds
MINUTE_LATER = later(60)


def active(rows, name="web", **wishes):
    return publish(rows, reserve(rows, name, **wishes).id)


def unrevised(found):
    return dataclasses.replace(found, revision=0)


def trash(rows, found, *, until=MINUTE_LATER, lock=FREE):
    return rows.trash(found.id, by="ada", at=NOON, until=until, unless_locked=lock)


def purge(rows, found, *, due_at=None, states=frozenset({template.State.TRASHED}), lock=FREE):
    return rows.begin_purge(found.id, template_moves.Purge(states=states, due_at=due_at), unless_locked=lock)


def test_a_template_is_deprecated_disabled_and_active_again(template_rows):
    old, new = active(template_rows), active(template_rows)
    deprecated = template_rows.deprecate(old.id, successor_id=new.id)
    assert (deprecated.state, deprecated.successor_id) == (template.State.DEPRECATED, new.id)
    assert template_rows.successors(OWNER) == {new.id: "web@1"}
    disabled = template_rows.disable(old.id)
    assert (disabled.state, disabled.successor_id) == (template.State.DISABLED, new.id)
    assert template_rows.get(old.id) == disabled
    enabled = template_rows.enable(old.id)
    assert unrevised(enabled) == unrevised(old)
    assert template_rows.get(old.id) == enabled
    assert template_rows.successors(OWNER) == {}


def test_a_deprecated_template_may_be_given_another_successor_or_none(template_rows):
    old, new, newer = (active(template_rows) for _ in range(3))
    template_rows.deprecate(old.id, successor_id=new.id)
    assert template_rows.deprecate(old.id, successor_id=newer.id).successor_id == newer.id
    assert template_rows.deprecate(old.id, successor_id=None).successor_id is None
    assert template_rows.get(old.id).successor_id is None


def test_a_successor_is_another_template_and_active(template_rows):
    old, new = active(template_rows), active(template_rows)
    with pytest.raises(errors.InvalidRequest, match="its own successor"):
        template_rows.deprecate(old.id, successor_id=old.id)
    template_rows.deprecate(new.id, successor_id=old.id)
    with pytest.raises(errors.TemplateStateForbids, match="a successor must be active"):
        template_rows.deprecate(old.id, successor_id=new.id)
    with pytest.raises(errors.TemplateNotFound):
        template_rows.deprecate(old.id, successor_id=uuid.uuid4())
    assert template_rows.get(old.id) == old


def test_only_a_complete_template_has_a_life(template_rows):
    capturing = reserve(template_rows)
    for move in (
        lambda: template_rows.deprecate(capturing.id, successor_id=None),
        lambda: template_rows.disable(capturing.id),
        lambda: template_rows.enable(capturing.id),
        lambda: template_rows.protect(capturing.id, is_protected=True),
        lambda: trash(template_rows, capturing),
        lambda: purge(template_rows, capturing),
    ):
        with pytest.raises(errors.TemplateStateForbids, match="being captured"):
            move()
    with pytest.raises(errors.TemplateStateForbids, match="not in the trash"):
        template_rows.restore(capturing.id)
    assert template_rows.get(capturing.id) == capturing


def test_a_name_means_its_newest_version_that_can_be_deployed(template_rows):
    first, second, third, fourth = (active(template_rows) for _ in range(4))
    reserve(template_rows)
    trash(template_rows, fourth)
    template_rows.disable(third.id)
    template_rows.deprecate(second.id, successor_id=first.id)
    for reference in ("web", "web@latest"):
        assert template_rows.resolve(OWNER, reference).id == second.id
    template_rows.disable(second.id)
    assert template_rows.resolve(OWNER, "web").id == first.id
    for version, found in ((1, first), (2, second), (3, third), (4, fourth)):
        assert template_rows.resolve(OWNER, f"web@{version}").id == found.id
    template_rows.disable(first.id)
    with pytest.raises(
        errors.NoDeployableVersion, match=r"web@4 is trashed, web@3 is disabled, web@2 is disabled\).*as web@4$"
    ):
        template_rows.resolve(OWNER, "web")


def test_the_trash_keeps_who_when_until_and_the_state_before(template_rows):
    found = template_rows.disable(active(template_rows, tags=["blue"]).id)
    trashed = trash(template_rows, found)
    assert trashed.trash == template.Trash(at=NOON, by="ada", until=later(60), state_before=template.State.DISABLED)
    assert template_rows.get(found.id) == trashed
    assert template_rows.list(OWNER).items == []
    for asked in ({"is_trashed": True}, {"states": (template.State.TRASHED,)}):
        assert template_rows.list(OWNER, listing.TemplateQuery(**asked)).items == [trashed]
    assert (
        template_rows.list(OWNER, listing.TemplateQuery(is_trashed=True, states=(template.State.ACTIVE,))).items == []
    )
    with pytest.raises(errors.TemplateStateForbids, match="it is in the trash"):
        trash(template_rows, found)
    with pytest.raises(errors.TemplateStateForbids, match="it is in the trash"):
        template_rows.enable(found.id)
    restored = template_rows.restore(found.id)
    assert unrevised(restored) == unrevised(found)
    assert template_rows.list(OWNER).items == [restored]


def test_a_version_is_not_free_again_when_it_was_trashed_nor_when_it_was_purged(template_rows):
    found = active(template_rows)
    trash(template_rows, found)
    assert template_rows.next_version(OWNER, "web") == 2
    purge(template_rows, found)
    assert template_rows.get(found.id).trash is None
    template_rows.remove(found.id)
    assert template_rows.next_version(OWNER, "web") == 2


def test_what_is_due_is_what_has_been_in_the_trash_long_enough(template_rows):
    early, late, guarded = (active(template_rows) for _ in range(3))
    template_rows.protect(trash(template_rows, guarded, until=later(1)).id, is_protected=True)
    late, early = trash(template_rows, late, until=later(9)), trash(template_rows, early, until=later(5))
    assert template_rows.list_due(later(4)) == []
    assert template_rows.list_due(later(5)) == [early]
    assert template_rows.list_due(later(10)) == [early, late]
    with pytest.raises(errors.TemplateStateForbids, match="is not over"):
        purge(template_rows, late, due_at=later(8))
    assert purge(template_rows, late, due_at=later(9)).state is template.State.DELETING


def test_a_purge_has_no_way_back(template_rows):
    found = active(template_rows)
    with pytest.raises(errors.TemplateStateForbids, match="delete it first"):
        purge(template_rows, found)
    purge(template_rows, found, states=template.KEPT)
    for move in (
        lambda: template_rows.restore(found.id),
        lambda: template_rows.enable(found.id),
        lambda: trash(template_rows, found),
        lambda: publish(template_rows, found.id),
    ):
        with pytest.raises(errors.TemplateStateForbids):
            move()


def test_a_protected_template_is_neither_trashed_nor_purged(template_rows):
    found = template_rows.protect(active(template_rows).id, is_protected=True)
    assert template_rows.get(found.id).is_protected
    with pytest.raises(errors.TemplateProtected, match="unprotect web@1"):
        trash(template_rows, found)
    template_rows.protect(found.id, is_protected=False)
    trash(template_rows, found)
    template_rows.protect(found.id, is_protected=True)
    with pytest.raises(errors.TemplateProtected):
        purge(template_rows, found)


def test_a_template_that_an_operation_holds_is_neither_trashed_nor_purged(template_rows, operation_rows):
    found = active(template_rows)
    key = f"template/{found.id}"
    holder = add(operation_rows, locks=[shared(key)])
    with pytest.raises(operations.LockHeld) as refused:
        trash(template_rows, found, lock=key)
    assert refused.value.operation_id == holder.id
    with pytest.raises(operations.LockHeld):
        purge(template_rows, found, states=template.KEPT, lock=key)
    assert template_rows.get(found.id) == found
    succeed(operation_rows, holder.id)
    trash(template_rows, found, lock=key)


def test_of_moves_into_the_trash_at_once_one_counts(template_rows):
    found = active(template_rows)
    outcomes = together(lambda index: template_rows.trash(
        found.id, by=str(index), at=NOON, until=later(index), unless_locked=FREE
    ))  # fmt: skip
    (winner,) = [each for each in outcomes if isinstance(each, template.Template)]
    assert {type(each) for each in outcomes if each is not winner} == {errors.TemplateStateForbids}
    assert template_rows.get(found.id) == winner


def test_of_a_restore_and_a_purge_at_once_one_wins_whole(template_rows):
    for _ in range(4):
        found = active(template_rows)
        trash(template_rows, found)
        outcomes = together(lambda index, found=found: (
            template_rows.restore(found.id) if index % 2 else purge(template_rows, found)
        ), count=8)  # fmt: skip
        (winner,) = [each for each in outcomes if isinstance(each, template.Template)]
        assert {type(each) for each in outcomes if each is not winner} == {errors.TemplateStateForbids}
        assert template_rows.get(found.id).state is winner.state


def test_of_a_lock_and_a_deletion_at_once_one_wins_or_both_know(template_rows, operation_rows):
    """A deploy takes its lock, then looks at the state: whatever was first, no unfinished deploy has a template that goes."""
    found = active(template_rows)
    key = f"template/{found.id}"

    def work(index):
        if index % 2:
            return trash(template_rows, found, lock=key)
        holder = add(operation_rows, locks=[shared(key)])
        if template_rows.get(found.id).state not in template.DEPLOYABLE:
            succeed(operation_rows, holder.id)
            return None
        return holder

    outcomes = together(work, count=8)
    deploys = [each for each in outcomes if isinstance(each, operation.Operation)]
    trashes = [each for each in outcomes if isinstance(each, template.Template)]
    assert bool(deploys) != bool(trashes)


def test_publishing_again_after_a_move_leaves_the_move(template_rows):
    """A step that is repeated after a kill: meanwhile its template may have been deprecated, or deleted."""
    found = active(template_rows)
    deprecated = template_rows.deprecate(found.id, successor_id=None)
    assert publish(template_rows, found.id) == deprecated
    trashed = trash(template_rows, found)
    assert publish(template_rows, found.id) == trashed


def test_a_template_remembers_the_template_of_its_server(template_rows, server_rows):
    base = active(template_rows, "base")
    deployed = server_rows.add(dataclasses.replace(_server(uuid.uuid4()), template_id=base.id))
    made = template_rows.reserve(
        id=uuid.uuid4(), owner_id=OWNER, name="web", note="", tags=(), server_id=deployed.id, server_name="web-02",
        created_at=NOON,
    )  # fmt: skip
    assert made.parent_id == base.id
    server_rows.remove(deployed.id)
    assert template_rows.get(made.id).parent_id == base.id


def test_what_came_of_a_purged_template_keeps_its_last_name(template_rows, server_rows):
    base = active(template_rows, "base")
    deployed = server_rows.add(dataclasses.replace(_server(uuid.uuid4()), template_id=base.id))
    other = server_rows.add(_server(uuid.uuid4()))
    child = template_rows.reserve(
        id=uuid.uuid4(), owner_id=OWNER, name="web", note="", tags=(), server_id=deployed.id, server_name="web-02",
        created_at=NOON,
    )  # fmt: skip
    template_rows.edit(base.id, name="ground")
    template_rows.begin_delete(base.id)
    template_rows.remove(base.id)
    assert server_rows.get(deployed.id).template_name == "ground@1"
    assert server_rows.get(other.id).template_name is None
    assert template_rows.get(child.id).parent_name == "ground@1"


def test_versions_of_a_name_are_listed_in_any_state(template_rows):
    first, second, capturing = active(template_rows), active(template_rows), reserve(template_rows)
    active(template_rows, "db")
    trashed = trash(template_rows, second)
    visible = template_rows.visible
    for reference in ("web", "web@1", str(first.id)):
        found = visible.resolve_versions(OWNER, reference, is_every_version=True)
        assert [each.template for each in found] == [capturing, trashed, first]
    with pytest.raises(errors.TemplateNotFound):
        visible.resolve_versions(uuid.uuid4(), "web", is_every_version=True)
    assert visible.find_by_ids(OWNER, [first.id, uuid.uuid4()])[first.id].template == first
    assert visible.find_by_ids(uuid.uuid4(), [first.id]) == {}


def test_whether_any_template_is_complete_is_told(template_rows):
    assert not template_rows.is_any(template.COMPLETE)
    made = reserve(template_rows)
    assert not template_rows.is_any(template.COMPLETE)
    trash(template_rows, publish(template_rows, made.id))
    assert template_rows.is_any(template.COMPLETE)


# --- retention rules --------------------------------------------------------------------------------------------------


@pytest.fixture
def rule_rows(db):
    return retention.Rules(db)


def rule(pattern="ci-*", keep_last=5, keep_days=None):
    return retention_model.Rule(owner_id=OWNER, pattern=pattern, keep_last=keep_last, keep_days=keep_days)


def test_a_rule_is_kept_replaced_and_removed(rule_rows):
    rule_rows.set(rule())
    rule_rows.set(rule("a*", keep_days=9))
    assert rule_rows.list(OWNER) == [rule("a*", keep_days=9), rule()]
    rule_rows.set(rule(keep_last=2))
    assert rule_rows.list(OWNER) == [rule("a*", keep_days=9), rule(keep_last=2)]
    assert rule_rows.list_owners() == [OWNER]
    rule_rows.remove(OWNER, "a*")
    assert rule_rows.list(OWNER) == [rule(keep_last=2)]
    with pytest.raises(errors.RetentionRuleNotFound):
        rule_rows.remove(OWNER, "a*")


def test_rules_are_an_accounts_own(rule_rows):
    rule_rows.set(rule())
    stranger = uuid.uuid4()
    assert rule_rows.list(stranger) == []
    with pytest.raises(errors.RetentionRuleNotFound):
        rule_rows.remove(stranger, "ci-*")


def test_a_rule_set_by_many_at_once_is_one_rule(rule_rows):
    outcomes = together(lambda index: rule_rows.set(rule(keep_last=index + 1)))
    assert outcomes == [None] * THREADS
    assert len(rule_rows.list(OWNER)) == 1


# --- operations -----------------------------------------------------------------------------------------------------


@pytest.fixture
def operation_rows(db):
    return operations.Operations(db)


def add(rows, *, id=None, locks=(), kind=operation.Kind.CAPTURE, created_at=NOON, request=None, **more):
    wishes = {"owner_id": OWNER, "subject": "web-01", **more}
    return rows.add(
        id=id or uuid.uuid4(), kind=kind, request=request or {"server": "web-01"}, locks=locks, created_at=created_at,
        **wishes,
    )  # fmt: skip


def exclusive(key):
    return operations.Lock(key, is_exclusive=True)


def shared(key):
    return operations.Lock(key, is_exclusive=False)


def succeed(rows, operation_id, at=NOON):
    return rows.finish(operation_id, operation.State.SUCCEEDED, result={}, at=at)


def test_an_operation_goes_from_queued_over_running_to_its_result(operation_rows):
    made = add(operation_rows, request={"server": "web-01", "volumes": ["vda"], "note": "ü"})
    assert (made.state, made.progress.phase, made.started_at) == (operation.State.QUEUED, "queued", None)
    assert made.request == {"server": "web-01", "volumes": ["vda"], "note": "ü"}
    running = operation_rows.start(made.id, at=later(1))
    assert (running.state, running.started_at) == (operation.State.RUNNING, later(1))
    assert operation_rows.start(made.id, at=later(9)) == running
    ended = operation_rows.finish(made.id, operation.State.SUCCEEDED, result={"template": "web@1"}, at=later(3))
    assert (ended.state, ended.result, ended.error, ended.ended_at) == (
        operation.State.SUCCEEDED, {"template": "web@1"}, None, later(3),
    )  # fmt: skip
    assert operation_rows.get(made.id) == ended


@pytest.mark.parametrize("end", [operation.State.SUCCEEDED, operation.State.CANCELLED])
def test_what_is_secret_of_a_request_goes_with_the_operations_end(operation_rows, end):
    made = add(
        operation_rows, request={"deploy": {"admin_password": "hunter2", "commands": ["echo hunter2"], "cpus": 2}}
    )
    assert "hunter2" in str(operation_rows.get(made.id).request)
    if end is operation.State.CANCELLED:
        ended = operation_rows.request_cancel(made.id, at=later(1))
    else:
        ended = operation_rows.finish(made.id, end, result={}, at=later(1))
    assert ended.state is end
    assert ended.request == {"deploy": {"admin_password": "(not shown)", "commands": ["(12 characters)"], "cpus": 2}}


def test_adding_an_operation_again_gives_what_is_there(operation_rows):
    made = add(operation_rows, locks=[exclusive("server/a")])
    assert add(operation_rows, id=made.id, locks=[exclusive("server/a")], created_at=later(3)) == made


def test_the_first_outcome_of_an_operation_stays(operation_rows):
    made = add(operation_rows)
    record = errors.ServerNotFound(server="web-01").to_record()
    failed = operation_rows.finish(made.id, operation.State.FAILED, error=record, at=later(1))
    assert succeed(operation_rows, made.id, later(2)) == failed
    assert operation_rows.start(made.id, at=later(3)) == failed
    assert isinstance(errors.from_record(failed.error), errors.ServerNotFound)


def test_only_an_end_can_be_an_outcome(operation_rows):
    made = add(operation_rows)
    with pytest.raises(ValueError, match="running"):
        operation_rows.finish(made.id, operation.State.RUNNING, at=NOON)


def test_what_is_not_there_is_said_so(operation_rows):
    missing = uuid.uuid4()
    for call in (
        lambda: operation_rows.get(missing),
        lambda: operation_rows.start(missing, at=NOON),
        lambda: operation_rows.request_cancel(missing, at=NOON),
        lambda: succeed(operation_rows, missing),
    ):
        with pytest.raises(errors.OperationNotFound):
            call()
    assert not operation_rows.is_cancel_requested(missing)


def progress(phase, done_bytes=0, total_bytes=None):
    return operation.Progress(phase=phase, done_bytes=done_bytes, total_bytes=total_bytes)


def test_progress_knows_when_its_phase_began(operation_rows):
    made = operation_rows.start(add(operation_rows).id, at=NOON)
    reports = [
        (progress("copying", 0, 1 << 40), later(10), later(10)),
        (progress("copying", 1 << 39, 1 << 40), later(20), later(10)),
        (progress("copying", 5, 1 << 40), later(30), later(30)),  # the step runs again
        (progress("sealing"), later(40), later(40)),
    ]
    for given, at, began in reports:
        operation_rows.report(made.id, given, at=at)
        found = operation_rows.get(made.id)
        assert (found.progress, found.phase_started_at) == (given, began)


def test_an_operation_that_has_ended_makes_no_progress(operation_rows):
    ended = succeed(operation_rows, add(operation_rows).id)
    operation_rows.report(ended.id, progress("copying"), at=later(5))
    operation_rows.report(uuid.uuid4(), progress("copying"), at=later(5))
    assert operation_rows.get(ended.id) == ended


def test_a_cancel_is_heard_by_a_running_operation(operation_rows):
    made = operation_rows.start(add(operation_rows).id, at=NOON)
    assert not operation_rows.is_cancel_requested(made.id)
    asked = operation_rows.request_cancel(made.id, at=later(1))
    assert (asked.state, asked.is_cancel_requested) == (operation.State.RUNNING, True)
    assert operation_rows.is_cancel_requested(made.id)
    assert operation_rows.request_cancel(made.id, at=later(2)) == asked


def test_a_queued_operation_is_cancelled_at_once_and_gives_its_locks_back(operation_rows):
    made = add(operation_rows, locks=[exclusive("server/a")])
    ended = operation_rows.request_cancel(made.id, at=later(1))
    assert (ended.state, ended.ended_at) == (operation.State.CANCELLED, later(1))
    assert isinstance(errors.from_record(ended.error), errors.Cancelled)
    assert operation_rows.start(made.id, at=later(2)) == ended
    add(operation_rows, locks=[exclusive("server/a")])


def test_an_ended_operation_cannot_be_cancelled(operation_rows):
    ended = succeed(operation_rows, add(operation_rows).id)
    with pytest.raises(errors.OperationEnded):
        operation_rows.request_cancel(ended.id, at=later(1))


@pytest.mark.parametrize(
    ("held", "wanted", "is_free"),
    [(exclusive, exclusive, False), (exclusive, shared, False), (shared, exclusive, False), (shared, shared, True)],
)
def test_only_shared_locks_go_together(operation_rows, held, wanted, is_free):
    holder = add(operation_rows, locks=[held("server/a")])
    if is_free:
        assert add(operation_rows, locks=[wanted("server/a")])
        return
    with pytest.raises(operations.LockHeld) as caught:
        add(operation_rows, locks=[wanted("server/a")])
    assert (caught.value.key, caught.value.operation_id) == ("server/a", holder.id)
    assert len(operation_rows.list(OWNER).items) == 1


def test_an_operation_that_gets_one_lock_less_gets_none(operation_rows):
    add(operation_rows, locks=[exclusive("server/b")])
    with pytest.raises(operations.LockHeld):
        add(operation_rows, locks=[exclusive("server/a"), exclusive("server/b")])
    assert [each.key for each in operation_rows.locks_held()] == ["server/b"]


def test_the_end_of_an_operation_gives_its_locks_back(operation_rows):
    holder = add(operation_rows, locks=[exclusive("server/a"), shared("template/x")])
    succeed(operation_rows, holder.id)
    assert operation_rows.locks_held() == []
    add(operation_rows, locks=[exclusive("server/a")])


def test_a_key_named_twice_is_held_once_and_as_strongly_as_asked(operation_rows):
    add(operation_rows, locks=[shared("server/a"), exclusive("server/a")])
    assert [each.is_exclusive for each in operation_rows.locks_held()] == [True]


def test_held_locks_are_found_by_the_beginning_of_their_keys(operation_rows):
    made = add(operation_rows, locks=[exclusive("server/a_1"), shared("server/ax1"), shared("template/x")])
    assert [each.key for each in operation_rows.locks_held("server/a_")] == ["server/a_1"]
    assert operation_rows.locks_held("template/") == [operations.HeldLock("template/x", made.id, is_exclusive=False)]
    assert operation_rows.locks_held("SERVER/") == []


def test_a_race_for_a_lock_has_exactly_one_winner(operation_rows):
    ids = [uuid.uuid4() for _ in range(THREADS)]
    found = together(lambda index: add(operation_rows, id=ids[index], locks=[exclusive("server/a")]))
    winners = [each for each in found if isinstance(each, operation.Operation)]
    losers = [each for each in found if isinstance(each, operations.LockHeld)]
    assert (len(winners), len(losers)) == (1, THREADS - 1)
    assert {each.operation_id for each in losers} == {winners[0].id}


def test_shared_locks_race_without_losers(operation_rows):
    found = together(lambda _: add(operation_rows, locks=[shared("template/x")]))
    assert {type(each) for each in found} == {operation.Operation}


@pytest.mark.parametrize("length", [1, 8, 9, 13, 36])
def test_an_operation_is_found_by_the_beginning_of_its_id(operation_rows, length):
    made = add(operation_rows, id=uuid.UUID("3f0c0c14-5a4e-4d53-9d6f-5a3c5b1c7e11"))
    add(operation_rows, id=uuid.UUID("4f0c0c14-5a4e-4d53-9d6f-5a3c5b1c7e11"))
    assert operation_rows.get(str(made.id)[:length]) == made
    assert operation_rows.get(str(made.id)[:length].upper()) == made


def test_a_beginning_that_two_ids_share_is_refused(operation_rows):
    for end in ("0", "f"):
        add(operation_rows, id=uuid.UUID(f"3f0c0c14-5a4e-4d53-9d6f-5a3c5b1c7e1{end}"))
    with pytest.raises(errors.AmbiguousId):
        operation_rows.get("3f0c")
    assert operation_rows.get("3f0c0c14-5a4e-4d53-9d6f-5a3c5b1c7e1f")


@pytest.mark.parametrize("text", ["", "-", "web", "3f0c", "3f0c0c14-5a4e-4d53-9d6f-5a3c5b1c7e11-0"])
def test_a_text_that_begins_no_id_is_not_found(operation_rows, text):
    with pytest.raises(errors.OperationNotFound):
        operation_rows.get(text)


def test_operations_are_listed_newest_first_and_by_what_is_asked(operation_rows):
    made = [add(operation_rows, created_at=later(index)) for index in range(3)]
    deploy = add(operation_rows, kind=operation.Kind.DEPLOY, created_at=later(5))
    running = operation_rows.start(made[1].id, at=later(9))
    ended = succeed(operation_rows, made[0].id)
    assert [each.id for each in operation_rows.list(OWNER).items] == [deploy.id, made[2].id, made[1].id, made[0].id]
    assert operation_rows.list(OWNER, listing.OperationQuery(states=(operation.State.RUNNING,))).items == [running]
    assert operation_rows.list(OWNER, listing.OperationQuery(kind=operation.Kind.DEPLOY)).items == [deploy]
    assert operation_rows.list(uuid.uuid4()).items == []
    assert operation_rows.list_unfinished() == [running, made[2], deploy]
    assert ended not in operation_rows.list_unfinished()


def test_pages_of_operations_meet_without_gap_or_double(operation_rows):
    for index in range(7):
        add(operation_rows, created_at=later(index // 3))  # several at one moment
    everything = operation_rows.list(OWNER).items
    first = operation_rows.list(OWNER, listing.OperationQuery(limit=2))
    pages, after = [*first.items], first.next
    while after is not None:
        page = operation_rows.list(OWNER, listing.OperationQuery(limit=2, after=after))
        pages += page.items
        after = page.next
    assert pages == everything


def test_only_old_ended_operations_are_pruned(operation_rows):
    old, fresh, unfinished = (add(operation_rows) for _ in range(3))
    succeed(operation_rows, old.id, at=later(1))
    succeed(operation_rows, fresh.id, at=later(100))
    assert operation_rows.prune(older_than=later(50)) == [old.id]
    assert operation_rows.prune(older_than=later(50)) == []
    assert {each.id for each in operation_rows.list(OWNER).items} == {fresh.id, unfinished.id}


# --- revisions, sorting, filters ------------------------------------------------------------------------------------


def test_every_change_of_a_template_gives_it_another_etag(template_rows):
    made = reserve(template_rows)
    seen = [made.etag, publish(template_rows, made.id).etag]
    seen.append(template_rows.edit(made.id, note="new").etag)
    seen.append(template_rows.edit(made.id, tags=["blue"]).etag)
    seen.append(template_rows.deprecate(made.id, successor_id=None).etag)
    seen.append(template_rows.disable(made.id).etag)
    seen.append(template_rows.enable(made.id).etag)
    seen.append(template_rows.protect(made.id, is_protected=True).etag)
    seen.append(template_rows.protect(made.id, is_protected=False).etag)
    seen.append(trash(template_rows, made).etag)
    seen.append(template_rows.restore(made.id).etag)
    seen.append(template_rows.begin_delete(made.id).etag)
    assert len(set(seen)) == len(seen)
    assert template_rows.get(made.id).etag == seen[-1]


def test_a_template_that_changed_is_not_edited_nor_deleted_by_who_has_not_seen_it(template_rows):
    made = publish(template_rows, reserve(template_rows).id)
    edited = template_rows.edit(made.id, note="mine", etags=[made.etag])
    with pytest.raises(errors.TemplateChanged):
        template_rows.edit(made.id, note="yours", etags=[made.etag])
    old = [made.etag]
    for move in (
        lambda: template_rows.deprecate(made.id, successor_id=None, etags=old),
        lambda: template_rows.disable(made.id, etags=old),
        lambda: template_rows.enable(made.id, etags=old),
        lambda: template_rows.protect(made.id, is_protected=True, etags=old),
        lambda: template_rows.trash(made.id, by="ada", at=NOON, until=later(9), unless_locked=FREE, etags=old),
        lambda: template_rows.restore(made.id, etags=old),
        lambda: template_rows.begin_purge(
            made.id, template_moves.Purge(states=template.KEPT), unless_locked=FREE, etags=old
        ),
    ):
        with pytest.raises(errors.TemplateChanged):
            move()
    assert template_rows.get(made.id) == edited
    assert template_rows.disable(made.id, etags=[edited.etag]).state is template.State.DISABLED


def test_a_move_that_changes_nothing_keeps_the_etag(template_rows):
    made = active(template_rows)
    assert template_rows.enable(made.id) == made
    assert template_rows.protect(made.id, is_protected=False) == made
    deprecated = template_rows.deprecate(made.id, successor_id=None)
    assert template_rows.deprecate(made.id, successor_id=None) == deprecated


def test_of_edits_of_one_state_at_once_only_one_is_made(template_rows):
    made = publish(template_rows, reserve(template_rows).id)
    done = together(lambda index: template_rows.edit(made.id, note=str(index), etags=[made.etag]), 8)
    assert sum(isinstance(each, errors.TemplateChanged) for each in done) == 7


@pytest.mark.parametrize("sort", list(listing.TemplateSort))
def test_templates_come_in_pages_of_every_order(template_rows, sort):
    for index, name in enumerate(("web", "db", "web", "cache", "web")):
        made = reserve(template_rows, name, created_at=later(index % 2))
        if index % 2:
            publish(template_rows, made.id, logical_bytes=1000 - index)
    everything = template_rows.list(OWNER, listing.TemplateQuery(sort=sort)).items
    pages, after, is_last = [], None, False
    while not is_last:
        page = template_rows.list(OWNER, listing.TemplateQuery(sort=sort, limit=2, after=after))
        pages += page.items
        after, is_last = page.next, page.next is None
    assert pages == everything
    keys = {
        "name": lambda each: each.name,
        "created": lambda each: each.created_at,
        "size": lambda each: each.logical_bytes or 0,
    }
    sorted_by = [keys[sort.value.lstrip("-")](each) for each in everything]
    assert sorted_by == sorted(sorted_by, reverse=sort.value.startswith("-"))


def test_templates_are_filtered_by_state_sealing_and_guest(template_rows):
    active = publish(template_rows, reserve(template_rows).id, guest_product="Debian GNU/Linux 12", is_sealed=True)
    plain = publish(template_rows, reserve(template_rows).id, guest_product=None, is_sealed=False)
    capturing = reserve(template_rows)

    def found(**wishes):
        return {each.id for each in template_rows.list(OWNER, listing.TemplateQuery(**wishes)).items}

    assert found(states=(template.State.CAPTURING,)) == {capturing.id}
    assert found(states=(template.State.CAPTURING, template.State.ACTIVE)) == {active.id, plain.id, capturing.id}
    assert found(is_sealed=True) == {active.id}
    assert found(is_sealed=False) == {plain.id}
    assert found(guest_glob="debian*") == {active.id}
    assert found(guest_glob="*GNU/linux*") == {active.id}
    assert found(guest_glob="*ubuntu*") == set()


def test_letter_case_aside_means_a_to_z_on_both(template_rows):
    made = publish(template_rows, reserve(template_rows).id, guest_product="ÉCOLE Linux")

    def found(glob):
        return [each.id for each in template_rows.list(OWNER, listing.TemplateQuery(guest_glob=glob)).items]

    assert (found("École LINUX"), found("?cole*"), found("école*")) == ([made.id], [made.id], [])


def test_names_sort_by_code_point_also_across_pages(template_rows, rule_rows, server_rows):
    """As people sort, and PostgreSQL where it is not told otherwise, a dot would count for nothing: a.b, ab, a-c."""
    names = ["0", "a", "a-c", "a.b", "a0", "a_b", "ab", "b"]
    for name in reversed(names):
        reserve(template_rows, name)
        rule_rows.set(retention_model.Rule(owner_id=OWNER, pattern=name, keep_last=1, keep_days=None))
        server_rows.ensure(owner_id=OWNER, domain_uuid=uuid.uuid4(), name=name)
    shown, after = [], None
    for _ in names:
        page = template_rows.list(OWNER, listing.TemplateQuery(limit=1, after=after))
        shown += [each.name for each in page.items]
        after = page.next
    assert (shown, after) == (names, None)
    assert [each.pattern for each in rule_rows.list(OWNER)] == names
    assert [each.name for each in server_rows.list()] == names


@pytest.mark.parametrize(
    "after",
    [
        "", "x", "-", "AAAA", "e30", listing.cursor("created", 1), listing.cursor("name", "web"),
        listing.cursor("name", "web", "1"), listing.cursor("name", "web", 2**31), listing.cursor("name", "web", 2**70), listing.cursor("name", "web\0", 1),
        listing.cursor("name", "\ud800", 1), listing.cursor("name", None, 1), listing.cursor("name", [], {}),
    ],
)  # fmt: skip
def test_a_cursor_that_no_page_ended_with_is_refused(template_rows, operation_rows, after):
    with pytest.raises(errors.InvalidRequest, match="after"):
        template_rows.list(OWNER, listing.TemplateQuery(after=after))
    with pytest.raises(errors.InvalidRequest, match="after"):
        operation_rows.list(OWNER, listing.OperationQuery(after=after))


def test_operations_are_filtered_by_subject_and_time_and_sorted(operation_rows):
    first = add(operation_rows, subject="web-01", created_at=later(1))
    second = add(operation_rows, subject="db-01", created_at=later(2))

    def found(**wishes):
        return [each.id for each in operation_rows.list(OWNER, listing.OperationQuery(**wishes)).items]

    assert found(subject_glob="web*") == [first.id]
    assert found(since=later(2)) == [second.id]
    assert found(sort=listing.OperationSort.CREATED) == [first.id, second.id]


def test_every_change_of_an_operation_raises_its_revision(operation_rows):
    made = add(operation_rows)
    revisions = [made.revision, operation_rows.start(made.id, at=NOON).revision]
    operation_rows.report(made.id, operation.Progress(phase="copying", done_bytes=1), at=NOON)
    revisions.append(operation_rows.get(made.id).revision)
    revisions.append(operation_rows.request_cancel(made.id, at=NOON).revision)
    revisions.append(succeed(operation_rows, made.id).revision)
    assert revisions == sorted(set(revisions))


def test_an_operation_keeps_the_request_that_began_it(operation_rows):
    assert operation_rows.get(add(operation_rows, request_id="r-1").id).request_id == "r-1"


def test_operations_are_counted_by_kind_and_state(operation_rows):
    assert operation_rows.count() == {}
    add(operation_rows)
    operation_rows.start(add(operation_rows).id, at=NOON)
    add(operation_rows, kind=operation.Kind.DEPLOY)
    assert operation_rows.count() == {
        (operation.Kind.CAPTURE, operation.State.QUEUED): 1,
        (operation.Kind.CAPTURE, operation.State.RUNNING): 1,
        (operation.Kind.DEPLOY, operation.State.QUEUED): 1,
    }


# --- idempotency keys -----------------------------------------------------------------------------------------------

DAY = datetime.timedelta(days=1)


@pytest.fixture
def keys(db):
    return idempotency.Keys(db)


def claim(keys, key="k", fingerprint="f", at=NOON, operation_id=None):
    return keys.claim(
        OWNER, key, fingerprint=fingerprint, operation_id=operation_id or uuid.uuid4(), at=at, lifetime=DAY
    )


def test_a_key_belongs_to_who_claims_it_first(keys):
    first = claim(keys, fingerprint="f")
    again = claim(keys, fingerprint="other")
    assert first.is_new
    assert not again.is_new
    assert (again.fingerprint, again.operation_id, again.answer) == ("f", first.operation_id, None)


def test_of_claims_at_once_one_is_new(keys):
    assert sum(each.is_new for each in together(lambda _index: claim(keys))) == 1


def test_an_answer_is_kept_for_the_keys_lifetime(keys):
    claim(keys)
    keys.keep(OWNER, "k", "answer")
    keys.release(OWNER, "k")
    assert claim(keys, at=NOON + DAY - datetime.timedelta(seconds=1)).answer == "answer"
    assert claim(keys, at=NOON + DAY).is_new


def test_a_released_key_is_free(keys):
    claim(keys)
    keys.release(OWNER, "k")
    assert claim(keys).is_new


# --- samples of the store ---------------------------------------------------------------------------------------------


def _sample(at, **more):
    figures = dict.fromkeys(
        ("logical_bytes", "data_bytes", "distinct_bytes", "stored_bytes", "orphan_bytes", "chunks"), 2**50
    )
    return growth_model.Sample(at=at, templates=3, **(figures | {"available_bytes": None} | more))


def test_samples_are_kept_by_their_moments_and_dropped_by_them(db):
    rows = growth.Samples(db)
    assert (rows.find_last(), rows.moments(), rows.list(since=NOON)) == (None, [], [])
    first, second = _sample(NOON), _sample(later(3600), available_bytes=7)
    for each in (second, _sample(NOON, chunks=1), first):  # of one moment the last one stays
        rows.add(each)
    assert rows.list(since=NOON) == [first, second]
    assert rows.list(since=later(1)) == [second]
    assert (rows.find_last(), rows.moments()) == (second.at, [NOON, second.at])
    rows.remove([NOON, later(5)])
    assert rows.moments() == [second.at]
