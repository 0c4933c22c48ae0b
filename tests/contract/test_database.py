"""The contract of the database's repositories, on SQLite and on PostgreSQL."""

import concurrent.futures
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
from estampe.db import accounts, database, operations, servers, templates
from estampe.model import account, operation, server, template

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
    listed = [(each.name, each.version) for each in template_rows.list(OWNER)]
    assert listed == [("cache", 1), ("db", 1), ("web", 2), ("web", 1)]


def test_pages_of_templates_meet_without_gap_or_double_though_their_edge_was_deleted(template_rows):
    for name in ("web", "db", "web", "cache", "web"):
        reserve(template_rows, name)
    everything = template_rows.list(OWNER)
    head = template_rows.list(OWNER, limit=3)
    template_rows.begin_delete(head[-1].id)
    template_rows.remove(head[-1].id)
    tail = template_rows.list(OWNER, limit=3, after=(head[-1].name, head[-1].version))
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
    assert [each.name for each in template_rows.list(OWNER, name_glob=glob)] == names


def test_templates_are_listed_by_tag(template_rows):
    tagged = reserve(template_rows, tags=["blue", "prod"])
    reserve(template_rows, tags=["green"])
    assert template_rows.list(OWNER, tag="blue") == [tagged]


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
    assert template_rows.list(OWNER, tag="blue") == []


def test_a_deletion_can_be_abandoned_but_does_not_complete_a_capture(template_rows):
    complete, partial = publish(template_rows, reserve(template_rows).id), reserve(template_rows)
    for made in (complete, partial):
        template_rows.begin_delete(made.id)
    assert template_rows.abandon_delete(complete.id) == complete
    assert template_rows.abandon_delete(complete.id) == complete
    with pytest.raises(errors.TemplateStateForbids):
        template_rows.abandon_delete(partial.id)


# --- operations -----------------------------------------------------------------------------------------------------


@pytest.fixture
def operation_rows(db):
    return operations.Operations(db)


def add(rows, *, id=None, locks=(), kind=operation.Kind.CAPTURE, created_at=NOON, owner_id=OWNER, request=None):
    return rows.add(
        id=id or uuid.uuid4(), owner_id=owner_id, kind=kind, subject="web-01", request=request or {"server": "web-01"},
        locks=locks, created_at=created_at,
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
        lambda: operation_rows.list(OWNER, after=missing),
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
    assert len(operation_rows.list(OWNER)) == 1


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
    assert [each.id for each in operation_rows.list(OWNER)] == [deploy.id, made[2].id, made[1].id, made[0].id]
    assert operation_rows.list(OWNER, states=[operation.State.RUNNING]) == [running]
    assert operation_rows.list(OWNER, states=[]) == []
    assert operation_rows.list(OWNER, kind=operation.Kind.DEPLOY) == [deploy]
    assert operation_rows.list(uuid.uuid4()) == []
    assert operation_rows.list_unfinished() == [running, made[2], deploy]
    assert ended not in operation_rows.list_unfinished()


def test_pages_of_operations_meet_without_gap_or_double(operation_rows):
    for index in range(7):
        add(operation_rows, created_at=later(index // 3))  # several at one moment
    everything = operation_rows.list(OWNER)
    pages, after = [], None
    while page := operation_rows.list(OWNER, limit=2, after=after):
        pages += page
        after = page[-1].id
    assert pages == everything


def test_only_old_ended_operations_are_pruned(operation_rows):
    old, fresh, unfinished = (add(operation_rows) for _ in range(3))
    succeed(operation_rows, old.id, at=later(1))
    succeed(operation_rows, fresh.id, at=later(100))
    assert operation_rows.prune(older_than=later(50)) == [old.id]
    assert operation_rows.prune(older_than=later(50)) == []
    assert {each.id for each in operation_rows.list(OWNER)} == {fresh.id, unfinished.id}
