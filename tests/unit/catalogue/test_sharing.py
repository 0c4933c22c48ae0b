"""Templates that others see, over a whole installation on a fake host: what they are told, what they deploy, what is recalled."""

import dataclasses
import datetime

import pytest

from estampe import errors
from estampe.capture import request as capture
from estampe.catalogue import views
from estampe.deploy import request as deploy
from estampe.model import (
    access,
    account,
    configuration,
    guest,
    inventory,
    layout,
    listing,
    operation,
    sight,
    template,
    visibility,
)

TERMS = visibility.Terms(note="for you")
MINE, SHARED, PUBLIC = visibility.Scope.MINE, visibility.Scope.SHARED, visibility.Scope.PUBLIC


class Market:
    """Account acme with the template web@1 of its server acme-web-01, and the accounts globex and initech."""

    def __init__(self, site):
        self.site, self.services = site, site.services
        self.acme, self.globex, self.initech = (
            self.services.accounts.create(name) for name in ("acme", "globex", "initech")
        )
        self.capture("acme-web-01", self.acme, name="web")

    def actor(self, of, *, is_cloud_operator=False):
        return access.Actor(
            name="ada", account=of, role=account.Role.OWNER, is_cloud_operator=is_cloud_operator, address="test"
        )

    def operator(self, of=None):
        return self.actor(of or self.services.accounts.resolve("default"), is_cloud_operator=True)

    def capture(self, server, of, *, is_new=True, **wishes):
        if is_new:
            self.site.add_server(server)
            self.services.servers.assign(server, of.id)
        request = capture.CaptureRequest(server=server, is_sealed=False, **wishes)
        return self.ended(self.services.captures.start(of.id, request))

    def begin(self, of, reference, name="new", **wishes):
        return self.services.deployments.start(of.id, deploy.DeployRequest(template=reference, name=name, **wishes))

    def deploy(self, of, reference, name="new", **wishes):
        return self.ended(self.begin(of, reference, name, **wishes))

    def ended(self, started):
        self.site.run()
        found = self.services.operations.get(started.owner_id, str(started.id))
        assert found.state is operation.State.SUCCEEDED, found.error
        return found

    def share(self, reference="web", *, to="globex", terms=TERMS, expires_at=None):
        return self.services.sharing.share(self.actor(self.acme), reference, to, terms, expires_at=expires_at)

    def unshare(self, reference="web", *, to="globex"):
        self.services.sharing.unshare(self.actor(self.acme), reference, to)

    def publish(self, reference="web", *, actor=None, is_unsealed_accepted=True):
        return self.services.sharing.publish(
            actor or self.operator(self.acme), reference, TERMS, is_unsealed_accepted=is_unsealed_accepted
        )

    def shown(self, of, reference):
        return self.services.templates.get(of.id, reference)

    def server(self, of, name="new"):
        return self.services.servers.get(of.id, name).summary

    def recalled(self, actor, reference, *, is_every_version=False):
        found = self.services.lineage.list_servers(actor, reference, is_every_version=is_every_version)
        elsewhere = [(each.account, each.count, [one.name for one in each.servers]) for each in found.elsewhere]
        return [each.name for each in found.servers], elsewhere


@pytest.fixture
def market(site):
    return Market(site)


# --- what others are told -----------------------------------------------------------------------------------------------


def test_every_field_of_a_template_is_either_open_or_closed():
    fields = {field.name for field in dataclasses.fields(template.Template)}
    assert fields == sight.OPEN | sight.CLOSED.keys()
    assert not sight.OPEN & sight.CLOSED.keys()


# What others see of a manifest's summary, field by field: a field that is new must be put here and thought of.
_OPEN_SUMMARY = {
    "chunk_size_bytes",
    "configuration",
    "volumes",
    "guest",
    "sealing",
    "has_nvram",
    "has_vtpm",
    "layout",
    "has_inventory",
}
_OPEN_CONFIGURATION = {
    "architecture", "machine", "cpus", "memory_bytes", "cpu_mode", "cpu_model", "firmware", "has_secure_boot",
    "has_agent_channel", "volumes", "interfaces",
}  # fmt: skip
_CLOSED_CONFIGURATION = {"name", "domain_uuid", "left_out", "domain_xml"}
_OPEN_GUEST = {
    "kind", "distribution", "version", "product", "root_device", "file_systems", "has_cloud_init", "has_guest_agent",
    "can_grow_root", "package_count", "is_network_left_alone", "volume_buses", "boot_loader", "network", "seed_reader", "seed_formats",
    "init", "is_generalised",
}  # fmt: skip
_OPEN_PARTITION = {"number", "start_bytes", "size_bytes", "type", "is_bootable", "is_logical", "content"}
_OPEN_GROUP = {
    "name",
    "extent_size_bytes",
    "free_bytes",
    "physical_volumes",
    "logical_volumes",
}  # a deploy asks for names
_SETS = [
    (views.ManifestSummary, _OPEN_SUMMARY, set()),
    (configuration.Configuration, _OPEN_CONFIGURATION, _CLOSED_CONFIGURATION),
    (
        configuration.VolumeConfiguration,
        {"target", "bus", "size_bytes", "format", "boot_order", "sector_size_bytes"},
        {"serial"},
    ),
    (configuration.InterfaceConfiguration, {"kind", "model"}, {"mac", "source"}),
    (guest.Guest, _OPEN_GUEST, {"hostname"}),
    (guest.FileSystem, {"device", "kind", "size_bytes", "used_bytes", "mount_point", "subvolumes"}, {"uuid", "label"}),
    (guest.Subvolume, {"path", "mount_point"}, set()),
    (layout.Layout, {"volumes", "groups"}, set()),
    (layout.VolumeLayout, {"target", "size_bytes", "sector_size_bytes", "table", "partitions", "content"}, set()),
    (layout.Partition, _OPEN_PARTITION, {"name", "uuid"}),
    (layout.VolumeGroup, _OPEN_GROUP, set()),
    (layout.LogicalVolume, {"name", "size_bytes", "kind", "content"}, set()),
    (inventory.Inventory, sight.OPEN_LISTS | {"cut", "version"}, sight.CLOSED_LISTS),
    (inventory.Package, {"name", "version", "architecture"}, set()),
    (guest.Sealing, {"is_sealed", "trimmed_bytes"}, {"why_not", "actions", "notes"}),
]


@pytest.mark.parametrize(("kind", "opened", "closed"), _SETS)
def test_every_field_of_a_manifest_was_thought_of(kind, opened, closed):
    assert {field.name for field in dataclasses.fields(kind)} == opened | closed


def _summary():
    volume = configuration.VolumeConfiguration(
        target="vda", bus="virtio", size_bytes=1, format=configuration.VolumeFormat.RAW, serial="ACME-1"
    )
    interface = configuration.InterfaceConfiguration(
        mac="52:54:00:AC:AE:01", kind="bridge", source="br-acme", model="virtio"
    )
    system = guest.FileSystem(
        device="vda1", kind="ext4", size_bytes=1, used_bytes=1, mount_point="/", uuid="acme-uuid", label="acme-root"
    )
    return views.ManifestSummary(
        chunk_size_bytes=1,
        configuration=configuration.Configuration(
            name="acme-web-01", domain_uuid="acme-domain", architecture="x86_64", machine="q35", cpus=1, memory_bytes=1,
            cpu_mode=None, cpu_model=None, firmware=configuration.Firmware.BIOS, has_secure_boot=False,
            has_agent_channel=True, volumes=(volume,), interfaces=(interface,),
            left_out=(configuration.LeftOut(what="CD-ROM /acme.iso", why="media"),), domain_xml="<acme/>",
        ),
        volumes=(),
        guest=guest.Guest(
            kind="linux", distribution="debian", version="12", product="Debian 12", hostname="acme-web-01",
            root_device="vda1", file_systems=(system,), has_cloud_init=True, has_guest_agent=True, can_grow_root=True,
            package_count=3,
        ),
        sealing=guest.Sealing(
            is_sealed=False, why_not="/srv/acme", actions=("removed /home/acme",), trimmed_bytes=0, notes=("acme",)
        ),
        has_nvram=False,
        layout=_layout(),
    )  # fmt: skip


def _layout():
    part = layout.Partition(
        number=1, start_bytes=1, size_bytes=1, type="0x83", name="acme-root", is_bootable=True, is_logical=False,
        content="ext4", uuid="acme-part",
    )  # fmt: skip
    volume = layout.VolumeLayout(
        target="vda", size_bytes=1, sector_size_bytes=512, table=layout.TableKind.GPT, partitions=(part,), content=None
    )
    return layout.Layout(volumes=(volume,), groups=())


def test_nothing_in_a_manifest_tells_others_whose_it_was():
    opened = views.opened(_summary())
    assert "acme" not in repr(opened).lower()
    assert (opened.guest.product, opened.configuration.machine, opened.volumes) == ("Debian 12", "q35", ())
    assert not opened.sealing.is_sealed
    assert opened.layout.volumes[0].partitions[0].content == "ext4"


def _inventory(version):
    package = inventory.Package(name="nginx", version=version, architecture="amd64")
    user = inventory.User(name=f"acme-{version}", uid=1000, shell="/bin/sh")  # noqa: S604 - an account has one
    return inventory.encode(
        inventory.Inventory(
            packages=(package,),
            users=(user,),
            services=(f"acme-{version}.service",),
            files={"/etc/acme": f"{version}" * 64},
            cut=("packages", "users"),
        )
    )


def test_others_are_told_the_packages_of_an_inventory_and_nothing_else_of_it(market):
    market.site.give_inventory(market.shown(market.acme, "web").template.id, _inventory("1"))
    with pytest.raises(errors.TemplateNotFound):
        market.services.contents.inventory(market.globex.id, "acme/web")
    market.share()
    assert market.services.contents.inventory(market.acme.id, "web").users
    told = market.services.contents.inventory(market.globex.id, "acme/web")
    assert [each.name for each in told.packages] == ["nginx"]
    assert (told.users, told.services, dict(told.files), told.cut) == ((), (), {}, ("packages",))


def test_a_comparison_takes_of_both_sides_what_is_seen_of_either(market):
    market.capture("globex-web-01", market.globex, name="mine")
    for of, reference, version in ((market.acme, "web", "1"), (market.globex, "mine", "2")):
        data = inventory.decode(_inventory(version))
        market.site.give_inventory(
            market.shown(of, reference).template.id, inventory.encode(dataclasses.replace(data, cut=()))
        )
    with pytest.raises(errors.TemplateNotFound):
        market.services.contents.compare(market.globex.id, "mine", "acme/web")
    market.share()
    for before, after in (("mine", "acme/web"), ("acme/web", "mine"), ("acme/web", "acme/web@1")):
        told = market.services.contents.compare(market.globex.id, before, after).difference
        assert len(told.packages) == (before != "acme/web" or after == "mine")
        assert (told.configuration, told.volumes, told.users, told.services, told.files) == ((),) * 5
        assert {each.what for each in told.not_compared} == {"users", "services", "files"}
        assert {each.why for each in told.not_compared} == {"acme/web@1 is another account's, which does not tell them"}


def test_who_sees_a_template_is_told_what_it_is_and_nothing_of_its_owners(market):
    market.services.templates.edit(market.acme.id, "web", name=None, note="acme's own", tags=("acme-tag",))
    market.share()
    own, shown = market.shown(market.acme, "web"), market.shown(market.globex, "acme/web")
    assert "acme-web-01" in repr(own)
    assert shown.seen.reference == "acme/web@1"
    assert (shown.template.note, shown.template.tags, shown.template.server_name) == ("for you", (), "")
    assert shown.template.logical_bytes == own.template.logical_bytes
    assert shown.template.new_bytes is None
    told = repr(dataclasses.replace(shown, seen=dataclasses.replace(shown.seen, publisher="")))
    for secret in ("acme", "52:54:00", str(own.template.server_id)):
        assert secret not in told


def test_a_successor_and_a_parent_that_are_not_seen_are_not_told(market):
    market.capture("acme-web-01", market.acme, is_new=False, name="web")
    market.share("web@1")
    market.services.life.deprecate(market.acme.id, "web@1", successor="web@2")
    assert market.shown(market.globex, "acme/web@1").successor is None
    assert market.deploy(market.globex, "acme/web@1").result["warnings"] == ["template acme/web@1 is deprecated"]
    market.share("web@2")
    assert market.shown(market.globex, "acme/web@1").successor == "acme/web@2"
    plan = market.services.deployments.plan(market.globex.id, deploy.DeployRequest(template="acme/web@1", name="n"))
    assert "template acme/web@1 is deprecated: use acme/web@2 instead" in plan.warnings


# --- deploys ------------------------------------------------------------------------------------------------------------


def test_a_receiver_deploys_and_its_server_says_from_where(market):
    market.share()
    ended = market.deploy(market.globex, "acme/web")
    assert ended.result["template"] == "acme/web@1"
    assert market.server(market.globex).template == "acme/web@1"
    with pytest.raises(errors.ServerNotFound):
        market.server(market.acme)
    with pytest.raises(errors.TemplateNotFound):
        market.begin(market.initech, "acme/web", "other")


def test_a_plan_tells_others_nothing_of_where_the_template_is_from(market):
    market.share()
    plan = market.services.deployments.plan(market.globex.id, deploy.DeployRequest(template="acme/web", name="n"))
    assert {change.was for change in plan.changes} <= {"as recorded"}
    assert "acme-web-01" not in repr(plan)
    assert any("not sealed:" in warning for warning in plan.warnings)


def test_a_refusal_names_the_template_as_others_see_it_and_not_as_it_was_captured(market):
    market.share()
    market.services.templates.edit(market.acme.id, "web", name="renamed", note=None, tags=None)
    mounted = deploy.NewVolumeRequest(name="data", size_bytes=4096, kind="ext4", mount_point="/srv")
    for wishes in ({"new_volumes": (mounted,)}, {"volume_sizes": {"vdz": 1}}):
        with pytest.raises((errors.GuestLacks, errors.VolumeNotFound), match=r"acme/renamed@1"):
            market.begin(market.globex, "acme/renamed", **wishes)


class LateRows:
    """Operations' rows, where something happens after all was decided and before the lock is taken."""

    def __init__(self, rows, before):
        self.rows, self.before = rows, before

    def add(self, **named):
        self.before()
        return self.rows.add(**named)


def test_what_is_unshared_between_plan_and_lock_is_not_deployed(market):
    market.share()
    present = market.services.deployments
    late = dataclasses.replace(present.dispatcher, rows=LateRows(present.dispatcher.rows, market.unshare))
    with pytest.raises(errors.TemplateNotFound, match="acme/web@1"):
        dataclasses.replace(present, dispatcher=late).start(
            market.globex.id, deploy.DeployRequest(template="acme/web", name="new")
        )
    assert market.site.installation.rows.locks_held("template/") == []


@pytest.mark.parametrize("how", ["unshare", "expire", "suspend", "limit"])
def test_what_is_not_seen_any_more_when_the_deploy_is_run_is_not_deployed(market, how):
    at = market.site.today + datetime.timedelta(hours=1)
    market.share(expires_at=at)
    started = market.begin(market.globex, "acme/web")
    if how == "unshare":
        market.unshare()
    elif how == "expire":
        market.site.today = at
    elif how == "suspend":
        market.services.accounts.suspend(market.acme.id)
    else:
        market.services.sharing.limit_publishers(market.globex.id, is_limited=True, publishers=["cloud"])
    market.site.run()
    ended = market.services.operations.get(market.globex.id, str(started.id))
    assert (ended.state, ended.error["code"]) == (operation.State.FAILED, "template-not-found")
    assert not [name for name in market.site.volumes() if name.startswith("new")]


def test_servers_stay_when_their_template_is_unshared_and_say_so_in_the_words_of_a_deleted_one(market):
    market.share()
    market.deploy(market.globex, "acme/web")
    market.unshare()
    unshared = market.server(market.globex)
    assert unshared.template == "acme/web@1 (no longer available)"
    market.share()
    assert market.server(market.globex).template == "acme/web@1"
    market.services.life.delete(market.acme.id, "web@1", by="ada")
    assert market.server(market.globex).template == unshared.template
    market.services.life.purge(market.acme.id, "web@1")
    assert market.server(market.globex).template == unshared.template


def test_a_rename_after_it_was_unshared_is_not_told(market):
    market.share()
    market.deploy(market.globex, "acme/web")
    market.unshare()
    market.services.templates.edit(market.acme.id, "web", name="project-x", note=None, tags=None)
    assert market.server(market.globex).template == "acme/web@1 (no longer available)"


def test_a_template_captured_from_anothers_is_ones_own_and_knows_its_parent(market):
    market.share()
    market.deploy(market.globex, "acme/web")
    market.capture("new", market.globex, is_new=False, name="mine", is_forced=True)
    assert market.shown(market.globex, "mine").parent == "acme/web@1"
    market.unshare()
    assert market.shown(market.globex, "mine").parent == "acme/web@1 (no longer available)"
    market.services.sharing.share(market.actor(market.globex), "mine", "initech", TERMS, expires_at=None)
    assert market.shown(market.initech, "globex/mine").parent is None


def test_the_keys_of_a_tpm_are_for_the_account_that_captured_them_alone(market):
    host = market.site.host
    found = host.get_domain("acme-web-01")
    tpm = '<tpm model="tpm-crb"><backend type="emulator" version="2.0"/></tpm></devices>'
    host.define(found.configuration.domain_xml.replace("</devices>", tpm))
    host.write_tpm_state(found.summary.uuid, "2.0", b"keys")
    market.capture("acme-web-01", market.acme, is_new=False, name="web", is_vtpm_kept=True)
    market.share("web@2")
    market.publish("web@2")
    for of in (market.globex, market.initech):
        with pytest.raises(errors.InvalidRequest, match="of the account alone"):
            market.begin(of, "acme/web@2", vtpm="keep")
    market.deploy(market.globex, "acme/web@2", "theirs")
    assert host.read_tpm_state(host.find_domain("theirs").uuid, "2.0") not in {None, b"keys"}
    market.deploy(market.acme, "web@2", "ours", vtpm="keep")
    assert host.read_tpm_state(host.find_domain("ours").uuid, "2.0") == b"keys"


def test_a_disabled_one_is_seen_and_says_whom_to_ask(market):
    market.share()
    market.services.life.disable(market.acme.id, "web@1")
    with pytest.raises(errors.TemplateStateForbids, match="ask acme"):
        market.begin(market.globex, "acme/web@1")


def test_a_deploy_of_another_account_keeps_the_template_and_is_not_named(market):
    market.share()
    started = market.begin(market.globex, "acme/web")
    with pytest.raises(errors.TemplateInUseElsewhere) as refused:
        market.services.life.delete(market.acme.id, "web@1", by="ada")
    assert str(started.id) not in str(refused.value)
    market.capture("acme-web-01", market.acme, is_new=False, name="other")
    market.site.run()
    market.services.life.delete(market.acme.id, "web@1", by="ada")


# --- giving and taking --------------------------------------------------------------------------------------------------


def test_a_share_names_an_account_that_there_is_and_not_ones_own(market):
    with pytest.raises(errors.AccountNotFound):
        market.share(to="nobody")
    with pytest.raises(errors.InvalidRequest):
        market.share(to="acme")
    with pytest.raises(errors.InvalidRequest, match="future"):
        market.share(expires_at=market.site.today)
    with pytest.raises(errors.ShareNotFound):
        market.unshare()
    assert market.share(to="cloud").account == "cloud"
    assert [each.account for each in market.services.sharing.list_shares(market.acme.id, "web")] == ["cloud"]


def test_what_was_given_cannot_be_given_on(market):
    market.share()
    market.services.sharing.allow_publishing(market.globex.id, may_publish=True)
    actor = market.actor(market.globex)
    with pytest.raises(errors.TemplateNotOwned):
        market.services.sharing.share(actor, "acme/web", "initech", TERMS, expires_at=None)
    with pytest.raises(errors.TemplateNotOwned):
        market.publish("acme/web", actor=actor)
    with pytest.raises(errors.TemplateNotOwned):
        market.services.sharing.list_shares(market.globex.id, "acme/web")


def test_publishing_is_the_cloud_operators_and_of_whom_it_allows(market):
    actor = market.actor(market.acme)
    with pytest.raises(errors.PublishingNotAllowed):
        market.publish(actor=actor)
    market.services.sharing.allow_publishing(market.acme.id, may_publish=True)
    with pytest.raises(errors.TemplateNotSealed):
        market.publish(actor=actor, is_unsealed_accepted=False)
    assert market.publish(actor=actor).full_reference == "acme/web@1"
    assert market.shown(market.initech, "acme/web").seen.scope is PUBLIC
    market.services.sharing.unpublish(actor, "web")
    with pytest.raises(errors.TemplateNotFound):
        market.shown(market.initech, "acme/web")


def test_nobody_but_the_cloud_operator_publishes_as_the_cloud(market):
    default = market.services.accounts.resolve("default")
    market.capture("base", default)
    market.services.sharing.allow_publishing(default.id, may_publish=True)
    with pytest.raises(errors.CloudOperatorOnly):
        market.publish("base", actor=market.actor(default))
    assert market.publish("base", actor=market.operator()).full_reference == "cloud/base@1"
    assert market.shown(market.globex, "cloud/base").seen.publisher == "cloud"


def test_an_own_template_cannot_be_hidden(market):
    with pytest.raises(errors.InvalidRequest):
        market.services.sharing.hide(market.acme.id, "web", is_hidden=True)
    market.share()
    assert market.services.sharing.hide(market.globex.id, "acme/web", is_hidden=True).is_hidden
    query = listing.TemplateQuery(scopes=(SHARED,))
    assert market.services.templates.list(market.globex.id, query).items == []
    assert not market.services.sharing.hide(market.globex.id, "acme/web", is_hidden=False).is_hidden


def test_rules_of_retention_see_ones_own_only(market):
    market.share()
    market.services.retention.set(market.globex.id, "*", keep_last=1, keep_days=None)
    assert market.services.retention.apply(market.globex.id, is_dry_run=True) == []


def test_what_another_account_deploys_is_kept_by_retention_and_not_named(market):
    market.share("web@1")
    market.capture("acme-web-01", market.acme, is_new=False, name="web")
    started = market.begin(market.globex, "acme/web@1")
    market.services.retention.set(market.acme.id, "web", keep_last=1, keep_days=None)
    whys = {
        each.template.reference: each.why for each in market.services.retention.apply(market.acme.id, is_dry_run=True)
    }
    assert whys["web@1"] == "in use by a deploy of another account"
    assert str(started.id) not in repr(whys)


# --- recall -------------------------------------------------------------------------------------------------------------


def test_a_recall_counts_by_account_what_was_shared_and_in_one_what_was_public(market):
    market.share()
    market.deploy(market.acme, "web", "own")
    market.deploy(market.globex, "acme/web", "gx", count=2)
    market.publish()
    market.deploy(market.initech, "acme/web", "ini")
    assert market.recalled(market.actor(market.acme), "web") == (["own"], [("globex", 2, []), (None, 1, [])])
    assert market.recalled(market.actor(market.globex), "acme/web") == (["gx-1", "gx-2"], [])
    everything = [("globex", 2, ["gx-1", "gx-2"]), ("initech", 1, ["ini"])]
    assert market.recalled(market.operator(market.acme), "web") == (["own"], everything)


def test_a_recall_knows_of_whom_it_is_not_shared_with_any_more(market):
    market.share()
    market.deploy(market.globex, "acme/web")
    market.unshare()
    market.services.life.delete(market.acme.id, "web@1", by="ada")
    assert market.recalled(market.actor(market.acme), "web", is_every_version=True) == ([], [("globex", 1, [])])
    with pytest.raises(errors.TemplateNotFound):
        market.recalled(market.actor(market.globex), "acme/web", is_every_version=True)
