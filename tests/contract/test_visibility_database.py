"""The contract of who sees which templates, on SQLite and on PostgreSQL."""

import concurrent.futures
import datetime
import itertools
import shutil
import threading
import uuid

import pytest
import sqlalchemy as sa

from estampe import errors
from estampe.db import accounts, database, operations, sharing, templates, visible_templates
from estampe.model import account, listing, operation, template, visibility

NOON = datetime.datetime(2026, 3, 1, 12, 0, tzinfo=datetime.UTC)
MINE, SHARED, PUBLIC = visibility.Scope.MINE, visibility.Scope.SHARED, visibility.Scope.PUBLIC
TERMS = visibility.Terms(note="for you")


@pytest.fixture
def db(migrated_url):
    opened = database.Database.open(migrated_url)
    yield opened
    opened.close()


class World:
    """Accounts acme and globex, templates of acme's, and a clock."""

    def __init__(self, db):
        self.db, self.now = db, NOON
        self.rows = templates.Templates(db, clock=lambda: self.now)
        self.visible = self.rows.visible
        self.shares, self.hidden, self.publishing = sharing.Shares(db), sharing.Hidden(db), sharing.Publishing(db)
        self.accounts = accounts.Accounts(db)
        self.cloud = account.DEFAULT_ACCOUNT_ID
        self.acme, self.globex, self.initech = (self.account(name) for name in ("acme", "globex", "initech"))

    def account(self, name):
        return self.accounts.add(id=uuid.uuid4(), name=name, created_at=NOON).id

    def template(self, name="web", owner=None, *, created_at=NOON, size=100, **wishes):
        made = self.rows.reserve(
            id=uuid.uuid4(), owner_id=owner or self.acme, name=name, note="secret", server_id=None,
            server_name="acme-web-01", created_at=created_at, **({"tags": ("internal",)} | wishes),
        )  # fmt: skip
        return self.rows.publish(
            made.id, logical_bytes=size, data_bytes=50, new_bytes=20, is_sealed=True, guest_product="Debian 12"
        )

    def share(self, found, receiver=None, terms=TERMS, expires_at=None):
        return self.shares.set(found.id, receiver or self.globex, terms, expires_at=expires_at, at=self.now, by="alice")

    def publish(self, found, terms=TERMS, **wishes):
        publication = visibility.Publication(at=self.now, by="alice", terms=terms)
        wishes = {"needs_permission": False, "is_unsealed_accepted": False} | wishes
        return self.rows.make_public(found.id, publication, **wishes)

    def listed(self, viewer, *scopes, **query):
        page = self.visible.list(viewer, listing.TemplateQuery(scopes=scopes or (MINE,), **query))
        return [each.reference for each in page.items]

    def sees(self, viewer, reference):
        try:
            return self.visible.resolve(viewer, reference).reference
        except errors.TemplateNotFound as error:
            assert str(error) == str(errors.TemplateNotFound(template=reference))  # noqa: PT017 - never another word
            return None


@pytest.fixture
def world(db):
    return World(db)


@pytest.fixture
def on_sqlite(migrated_sqlite, tmp_path):
    copied = shutil.copy(migrated_sqlite, tmp_path / "estampe.sqlite")
    opened = database.Database.open(f"sqlite:///{copied}")
    yield World(opened)
    opened.close()


# --- names --------------------------------------------------------------------------------------------------------------


def test_a_template_is_private_until_something_is_said(world):
    found = world.template()
    assert world.visible.resolve(world.acme, "web").visibility is visibility.Visibility.PRIVATE
    for reference in (str(found.id), "acme/web", "acme/web@1", "web", "web@1"):
        assert world.sees(world.globex, reference) is None


def test_a_shared_one_is_named_by_its_publisher_and_by_its_id(world):
    found = world.template()
    world.share(found)
    for reference in (str(found.id), "acme/web", "acme/web@latest", "acme/web@1"):
        assert world.sees(world.globex, reference) == "acme/web@1"
        assert world.sees(world.initech, reference) is None
    assert world.sees(world.globex, "web") is None
    assert world.visible.resolve(world.acme, "web").visibility is visibility.Visibility.SHARED


def test_a_bare_name_is_ones_own_and_never_a_look_alike(world):
    world.publish(world.template("debian"))
    assert world.sees(world.globex, "debian") is None
    own = world.template("debian", world.globex)
    assert world.visible.resolve(world.globex, "debian").template.id == own.id
    assert world.sees(world.globex, "globex/debian") == "debian@1"
    assert world.sees(world.globex, "acme/debian") == "acme/debian@1"


def test_the_clouds_name_is_the_cloud_operators_alone(world):
    found = world.publish(world.template("debian", world.cloud))
    assert world.sees(world.globex, "cloud/debian") == "cloud/debian@1"
    assert world.sees(world.globex, "default/debian") is None
    assert world.visible.resolve(world.cloud, "cloud/debian").template.id == found.id
    with pytest.raises(errors.InvalidName):
        world.account("cloud")


def test_a_share_is_of_one_version(world):
    first, second, _third = (world.template() for _ in range(3))
    world.share(first)
    world.share(second)
    assert world.sees(world.globex, "acme/web") == "acme/web@2"
    assert world.sees(world.globex, "acme/web@3") is None


def test_anothers_template_can_be_used_and_not_changed(world):
    found = world.template()
    with pytest.raises(errors.TemplateNotFound):
        world.rows.resolve(world.globex, str(found.id))
    world.share(found)
    for reference in (str(found.id), "acme/web"):
        with pytest.raises(errors.TemplateNotOwned):
            world.rows.resolve(world.globex, reference)
    assert world.rows.resolve(world.acme, "acme/web@1") == world.rows.get(found.id)


# --- what makes it visible, and what does not ---------------------------------------------------------------------------


def test_a_share_ends_when_it_expires_and_when_it_is_taken_back(world):
    found = world.template()
    world.share(found, expires_at=NOON + datetime.timedelta(days=1))
    assert world.sees(world.globex, "acme/web") is not None
    world.now += datetime.timedelta(days=1)
    assert world.sees(world.globex, "acme/web") is None
    assert world.listed(world.globex, SHARED) == []
    assert [share.is_in_force(world.now) for share in world.shares.list(found.id)] == [False]
    world.share(found)
    assert world.sees(world.globex, "acme/web") is not None
    assert world.shares.remove(found.id, world.globex)
    assert not world.shares.remove(found.id, world.globex)
    assert world.sees(world.globex, "acme/web") is None


def test_sharing_again_changes_the_terms(world):
    found = world.template()
    world.share(found)
    exported = visibility.Terms(right=visibility.Right.EXPORT, note="now whole")
    world.share(found, terms=exported)
    assert [share.terms for share in world.shares.list(found.id)] == [exported]
    seen = world.visible.resolve(world.globex, "acme/web")
    assert (seen.right, seen.template.note) == (visibility.Right.EXPORT, "now whole")


def test_of_a_share_and_a_publication_the_share_speaks_and_both_allow(world):
    found = world.template()
    world.publish(found, visibility.Terms(right=visibility.Right.EXPORT, note="for all"))
    world.share(found, terms=visibility.Terms(note="for globex"))
    seen = world.visible.resolve(world.globex, "acme/web")
    assert (seen.scope, seen.visibility) == (SHARED, visibility.Visibility.PUBLIC)
    assert (seen.template.note, seen.right) == ("for globex", visibility.Right.EXPORT)
    other = world.visible.resolve(world.initech, "acme/web")
    assert (other.scope, other.template.note) == (PUBLIC, "for all")


@pytest.mark.parametrize("by", ["share", "publish"])
def test_others_see_what_is_complete_and_not_in_the_trash(world, by):
    found = world.template()
    getattr(world, by)(found)
    world.rows.disable(found.id)
    assert world.sees(world.globex, "acme/web@1") == "acme/web@1"
    with pytest.raises(errors.NoDeployableVersion, match="acme/web@1 is disabled"):
        world.visible.resolve(world.globex, "acme/web")
    world.rows.trash(found.id, by="alice", at=NOON, until=NOON, unless_locked="")
    for reference in (str(found.id), "acme/web", "acme/web@1"):
        assert world.sees(world.globex, reference) is None
    assert world.listed(world.globex, SHARED, PUBLIC) == []
    assert world.sees(world.acme, "web@1") == "web@1"
    world.rows.restore(found.id)
    assert world.sees(world.globex, "acme/web@1") == "acme/web@1"


def test_what_is_said_of_versions_that_cannot_be_deployed_is_of_those_that_are_seen(world):
    seen, _unseen = world.template(), world.template()
    world.share(seen)
    world.rows.disable(seen.id)
    with pytest.raises(errors.NoDeployableVersion) as refused:
        world.visible.resolve(world.globex, "acme/web")
    assert "web@2" not in str(refused.value)


def test_a_suspended_account_shows_nothing_to_others(world):
    world.share(world.template("a"))
    world.publish(world.template("b"))
    world.accounts.set_state(world.acme, account.State.SUSPENDED)
    assert world.sees(world.globex, "acme/a") is world.sees(world.globex, "acme/b") is None
    assert world.listed(world.globex, SHARED, PUBLIC) == []
    assert world.listed(world.acme) == ["a@1", "b@1"]
    world.accounts.set_state(world.acme, account.State.ACTIVE)
    assert world.listed(world.globex, SHARED, PUBLIC) == ["acme/a@1", "acme/b@1"]


def test_an_account_may_take_the_templates_of_some_publishers_only(world):
    world.share(world.template("a"))
    world.publish(world.template("b", world.initech))
    world.publish(world.template("c", world.cloud))
    assert world.listed(world.globex, SHARED, PUBLIC) == ["acme/a@1", "initech/b@1", "cloud/c@1"]
    told = world.publishing.limit(world.globex, is_limited=True, publisher_ids=[world.acme, world.cloud])
    assert told.publishers == ("acme", "cloud")
    assert world.listed(world.globex, SHARED, PUBLIC) == ["acme/a@1", "cloud/c@1"]
    assert world.sees(world.globex, "initech/b") is None
    assert world.listed(world.acme, PUBLIC) == ["initech/b@1", "cloud/c@1"]
    world.publishing.limit(world.globex, is_limited=True, publisher_ids=[])
    assert world.listed(world.globex, SHARED, PUBLIC) == []
    assert world.publishing.limit(world.globex, is_limited=False, publisher_ids=None).is_limited is False
    assert len(world.listed(world.globex, SHARED, PUBLIC)) == 3


def test_what_is_hidden_leaves_the_lists_and_not_its_name(world):
    found = world.publish(world.template())
    world.hidden.set(world.globex, found.id, is_hidden=True)
    world.hidden.set(world.globex, found.id, is_hidden=True)
    assert world.listed(world.globex, PUBLIC) == []
    assert world.listed(world.globex, MINE, PUBLIC, is_hidden=True) == ["acme/web@1"]
    assert world.visible.resolve(world.globex, "acme/web").is_hidden
    assert world.listed(world.initech, PUBLIC) == ["acme/web@1"]
    world.hidden.set(world.globex, found.id, is_hidden=False)
    assert world.listed(world.globex, PUBLIC) == ["acme/web@1"]


# --- what is seen -------------------------------------------------------------------------------------------------------


def test_tags_of_others_find_nothing_and_their_notes_are_not_told(world):
    world.share(world.template())
    assert world.listed(world.acme, MINE, tag="internal") == ["web@1"]
    assert world.listed(world.globex, SHARED, PUBLIC, tag="internal") == []
    seen = world.visible.list(world.globex, listing.TemplateQuery(scopes=(SHARED,))).items[0]
    assert (seen.template.tags, seen.template.note, seen.template.server_name) == ((), "for you", "")


def test_a_successor_is_told_to_who_sees_it(world):
    old, new = world.template(), world.template()
    world.share(old)
    world.rows.deprecate(old.id, successor_id=new.id)
    assert world.visible.resolve(world.globex, "acme/web@1").template.successor_id is None
    world.share(new)
    assert world.visible.resolve(world.globex, "acme/web@1").template.successor_id == new.id


def test_a_share_is_a_change_of_the_template(world):
    found = world.template()
    world.share(found)
    shared = world.rows.get(found.id)
    world.shares.remove(found.id, world.globex)
    assert found.revision < shared.revision < world.rows.get(found.id).revision


# --- publishing ---------------------------------------------------------------------------------------------------------


def test_publishing_takes_permission_and_a_sealed_template(world):
    found = world.template()
    with pytest.raises(errors.PublishingNotAllowed):
        world.publish(found, needs_permission=True)
    assert world.publishing.allow(world.acme, may_publish=True).may_publish
    assert world.publish(found, needs_permission=True).publication.terms == TERMS
    unsealed = world.rows.reserve(
        id=uuid.uuid4(),
        owner_id=world.acme,
        name="raw",
        note="",
        tags=(),
        server_id=None,
        server_name="s",
        created_at=NOON,
    )
    with pytest.raises(errors.TemplateStateForbids):
        world.publish(unsealed)
    facts = {"logical_bytes": 1, "data_bytes": 1, "new_bytes": 1, "is_sealed": False, "guest_product": None}
    world.rows.publish(unsealed.id, **facts)
    with pytest.raises(errors.TemplateNotSealed):
        world.publish(unsealed)
    assert world.publish(unsealed, is_unsealed_accepted=True).publication is not None


def test_publishing_again_on_the_same_terms_changes_nothing(world):
    first = world.publish(world.template())
    assert world.publish(first) == first
    changed = world.publish(first, visibility.Terms(note="other"))
    assert changed.revision > first.revision
    private = world.rows.make_private(first.id)
    assert private.publication is None
    assert world.rows.make_private(first.id) == private


def test_what_may_not_be_published_any_more_stays_public_until_it_is_unpublished(world):
    world.publishing.allow(world.acme, may_publish=True)
    found = world.publish(world.template(), needs_permission=True)
    world.publishing.allow(world.acme, may_publish=False)
    assert world.sees(world.globex, "acme/web") is not None
    world.rows.make_private(found.id)
    assert world.sees(world.globex, "acme/web") is None


def test_what_goes_takes_its_shares_along(world):
    found = world.template()
    world.share(found)
    world.hidden.set(world.globex, found.id, is_hidden=True)
    world.rows.begin_delete(found.id)
    assert world.rows.remove(found.id)
    assert world.shares.list(found.id) == []


def test_an_account_that_goes_takes_what_it_was_given_along(world):
    found = world.template()
    world.share(found)
    world.publishing.limit(world.initech, is_limited=True, publisher_ids=[world.globex])
    world.accounts.remove(world.globex)
    assert world.shares.list(found.id) == []
    assert world.publishing.get(world.initech).publishers == ()


# --- lists --------------------------------------------------------------------------------------------------------------


def _crowd(world):
    for number in range(6):
        world.template(f"n{number}", world.globex, created_at=NOON + datetime.timedelta(minutes=number), size=number)
        for kind, owner in (("share", world.acme), ("publish", world.initech)):
            made = world.template(
                f"n{number}", owner, created_at=NOON + datetime.timedelta(minutes=number, seconds=7), size=10 - number
            )
            getattr(world, kind)(made)
    both = world.template("n3", world.acme)
    world.share(both)
    world.publish(both)


@pytest.mark.parametrize("sort", list(listing.TemplateSort))
@pytest.mark.parametrize("scopes", [(MINE, SHARED, PUBLIC), (SHARED, PUBLIC), (PUBLIC,)])
def test_pages_of_several_kinds_are_one_list_without_repeats(world, sort, scopes):
    _crowd(world)
    whole = world.visible.list(world.globex, listing.TemplateQuery(scopes=scopes, sort=sort)).items
    ids = [each.template.id for each in whole]
    assert len(ids) == len(set(ids)) == {3: 19, 2: 13, 1: 7}[len(scopes)]
    pages, after = [], None
    while True:
        page = world.visible.list(world.globex, listing.TemplateQuery(scopes=scopes, sort=sort, limit=4, after=after))
        pages.append(page.items)
        after = page.next
        if after is None:
            break
    assert [each.template.id for each in itertools.chain(*pages)] == ids


def test_a_filter_goes_for_all_kinds(world):
    _crowd(world)
    found = world.listed(world.globex, MINE, SHARED, PUBLIC, name_glob="n5")
    assert sorted(found) == ["acme/n5@1", "initech/n5@1", "n5@1"]
    assert world.listed(world.globex, PUBLIC, states=(template.State.DISABLED,)) == []


@pytest.mark.parametrize("scope", [MINE, SHARED, PUBLIC])
@pytest.mark.parametrize("sort", [listing.TemplateSort.NAME, listing.TemplateSort.CREATED, listing.TemplateSort.SIZE])
@pytest.mark.parametrize("states", [(), (template.State.ACTIVE,)])
def test_no_list_reads_the_whole_table(on_sqlite, scope, sort, states):
    """By SQLite's own plan, of the statements as they are sent."""
    statements = []
    sa.event.listen(
        on_sqlite.db._engine,
        "before_cursor_execute",
        lambda _c, _u, text, values, *_: statements.append((text, values)),
    )
    on_sqlite.template("full", on_sqlite.globex)
    statements.clear()
    on_sqlite.listed(on_sqlite.globex, scope, sort=sort, states=states)
    plans, sorted_inside = [], []  # at the top, the rows of the page alone are sorted
    with on_sqlite.db.read() as connection:
        for text, values in [each for each in statements if each[0].startswith("SELECT")]:
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values).all()
            plans += [row[3] for row in rows]
            sorted_inside += [row[3] for row in rows if row[1] and "TEMP B-TREE FOR ORDER BY" in row[3]]
    assert "CO-ROUTINE page" in plans
    scans = [plan for plan in plans if plan.startswith("SCAN templates")]
    assert [plan for plan in scans if "USING INDEX ix_templates_public_" not in plan] == []
    assert not [plan for plan in plans if "ix_templates_state" in plan]
    if scope is PUBLIC:
        assert sorted_inside == []


# --- in the transaction of the lock -------------------------------------------------------------------------------------


def test_an_operation_takes_its_lock_only_on_what_is_still_seen(world):
    found = world.template()
    world.share(found)
    rows = operations.Operations(world.db)
    use = visible_templates.Use(account_id=world.globex, template_id=found.id, reference="acme/web@1")

    def begin():
        return rows.add(
            id=uuid.uuid4(), owner_id=world.globex, kind=operation.Kind.DEPLOY, subject="web", request={},
            locks=[operations.Lock(f"template/{found.id}", is_exclusive=False)], uses=[use], created_at=world.now,
        )  # fmt: skip

    begin()
    world.shares.remove(found.id, world.globex)
    with pytest.raises(errors.TemplateNotFound, match="acme/web@1"):
        begin()
    assert len(rows.locks_held("template/")) == 1


def test_of_shares_and_takings_back_at_once_the_last_one_stands(world):
    found = world.template()
    barrier = threading.Barrier(16)

    def work(number):
        barrier.wait(30)
        if number % 2:
            world.share(found)
        else:
            world.shares.remove(found.id, world.globex)

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(16)))
    assert len(world.shares.list(found.id)) in {0, 1}
    assert (world.sees(world.globex, "acme/web") is not None) == bool(world.shares.list(found.id))
