"""Whose a volume is: claims in a pool of partitions, where the kernel gives the names."""

import threading
from pathlib import Path

import pytest

from estampe import errors
from estampe.deploy import resolved, volumes
from estampe.jobs import attempts
from estampe.model import configuration
from estampe.virt import fake

RAW = configuration.VolumeFormat.RAW
SIZE = 4096
LOST = errors.HypervisorUnavailable(uri="qemu:///system", detail="a test")


class Host(fake.FakeHost):
    """A host on which others make partitions too, at the worst moment."""

    def __init__(self, directory):
        super().__init__(directory)
        self.pool = self.add_pool("disk", kind="disk")
        self.before_create = lambda _name: None
        self.after_create = lambda _name: None

    def create_volume(self, pool, name, *, size_bytes, format, is_preallocated=False):
        self.before_create(name)
        made = super().create_volume(pool, name, size_bytes=size_bytes, format=format, is_preallocated=is_preallocated)
        self.after_create(name)
        return made

    def add_foreign(self, name):
        made = super().create_volume("disk", name, size_bytes=SIZE, format=RAW)
        Path(made.path).write_bytes(b"precious")
        return made


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path / "host")


@pytest.fixture
def deploy(host, tmp_path):
    return _deploy(host, tmp_path / "one")


def _deploy(host, workspace, locks=None):
    return volumes.Volumes(host=host, pool="disk", claims=workspace / "claims", locks=locks or volumes.PoolLocks())


def _wanted(target="vda"):
    return resolved.ResolvedVolume(
        target=target, bus="virtio", volume_name=f"new-01234567-{target}", format=RAW, size_bytes=SIZE, serial=None,
        boot_order=None,
    )  # fmt: skip


def _remove_all(deploy):
    with attempts.Attempts("deleting volumes") as deleting:
        deploy.remove_all(deleting)


def _claims(deploy):
    return sorted(path.name for path in deploy.claims.iterdir()) if deploy.claims.is_dir() else []


def _cut_off(_name):
    raise SystemExit


def _precious(host, name="part1"):
    return (host.pool.directory / name).read_bytes() == b"precious"


def test_partitions_are_made_found_again_and_removed(host, deploy):
    made = [deploy.ensure(_wanted(target)) for target in ("vda", "vdb")]
    assert [volume.name for volume in made] == ["part1", "part2"]
    assert [deploy.ensure(_wanted(target)) for target in ("vda", "vdb")] == made
    _remove_all(deploy)
    assert host.pool.made == set()
    assert _claims(deploy) == []


def test_a_partition_that_another_made_first_is_never_removed(host, deploy):
    host.before_create = host.add_foreign
    with pytest.raises(errors.NameInUse, match="part1"):
        deploy.ensure(_wanted())
    assert _claims(deploy) == []
    _remove_all(deploy)
    assert _precious(host)


def test_after_a_cut_before_the_create_anothers_partition_is_neither_taken_nor_removed(host, deploy):
    host.before_create = _cut_off
    with pytest.raises(SystemExit):
        deploy.ensure(_wanted())
    host.before_create = lambda _name: None
    host.add_foreign("part1")
    with pytest.raises(errors.NameInUse, match="may be another's"):
        deploy.ensure(_wanted())
    with pytest.raises(errors.NotInFull, match="part1"):
        _remove_all(deploy)
    assert _precious(host)
    assert _claims(deploy) == ["new-01234567-vda"]


def test_after_a_cut_before_the_create_nothing_is_in_the_way(host, deploy):
    host.before_create = _cut_off
    with pytest.raises(SystemExit):
        deploy.ensure(_wanted())
    host.before_create = lambda _name: None
    assert deploy.ensure(_wanted()).name == "part1"
    _remove_all(deploy)
    assert host.pool.made == set()


def test_after_a_cut_behind_the_create_what_may_be_anothers_is_left_and_told(host, deploy):
    host.after_create = _cut_off
    with pytest.raises(SystemExit):
        deploy.ensure(_wanted())
    host.after_create = lambda _name: None
    with pytest.raises(errors.NameInUse, match="part1"):
        deploy.ensure(_wanted())
    with pytest.raises(errors.NotInFull, match="part1"):
        _remove_all(deploy)
    assert host.pool.made == {"part1"}


def test_a_partition_that_took_the_place_of_ours_is_not_ours(host, deploy):
    deploy.ensure(_wanted())
    host.delete_volume("disk", "part1")
    host.add_foreign("part1")
    with pytest.raises(errors.NameInUse):
        deploy.ensure(_wanted())
    with pytest.raises(errors.NotInFull):
        _remove_all(deploy)
    assert _precious(host)


@pytest.mark.parametrize(("error", "claims"), [
    (errors.HypervisorFailed(action="create it", detail="a test"), []), (LOST, ["new-01234567-vda"]),
])  # fmt: skip
def test_a_create_that_failed_leaves_a_claim_only_where_it_may_have_happened(host, deploy, error, claims):
    host.fail_next("create_volume", error)
    with pytest.raises(type(error)):
        deploy.ensure(_wanted())
    assert _claims(deploy) == claims
    _remove_all(deploy)
    assert _claims(deploy) == []


def test_one_that_cannot_be_removed_keeps_its_claim_and_stops_no_other(host, deploy):
    for target in ("vda", "vdb", "vdc"):
        deploy.ensure(_wanted(target))
    host.fail_next("delete_volume", LOST)
    with pytest.raises(errors.NotInFull, match="new-01234567-vdc"):
        _remove_all(deploy)
    assert (_claims(deploy), host.pool.made) == (["new-01234567-vdc"], {"part3"})
    _remove_all(deploy)
    assert host.pool.made == set()


def test_two_deploys_never_choose_one_name(host, deploy, tmp_path):
    """The second one asks for its name while the first one's is chosen and not yet taken."""
    locks = volumes.PoolLocks()
    first, second = _deploy(host, tmp_path / "a", locks), _deploy(host, tmp_path / "b", locks)
    made = []
    other = threading.Thread(target=lambda: made.append(second.ensure(_wanted())))

    def start_other(_name):
        host.before_create = lambda _name: None
        other.start()
        other.join(0.1)  # as far as it comes

    host.before_create = start_other
    made.append(first.ensure(_wanted()))
    other.join()
    assert sorted(volume.name for volume in made) == ["part1", "part2"]
