"""Deleting servers with their volumes: all of it, or told what is left, and to be done again."""

from pathlib import Path

import pytest
from site_under_test import OWNER

from estampe import errors
from estampe.model import configuration, power
from estampe.virt import base as virt
from estampe.virt import domain_xml, qemu_img

QCOW2 = configuration.VolumeFormat.QCOW2
REFUSED = errors.HypervisorFailed(action="delete it", detail="a test")


def _add(site, name, *targets, is_running=False):
    """A server with a qcow2 volume in the pool for each target, and a seed."""
    attached = [_attached(site, f"{name}-{target}.qcow2", target) for target in targets]
    uuid = site.host.add_server(name, volumes=attached)
    _seed(site, uuid).write_text("secret")
    if is_running:
        site.host.start(uuid)
    return uuid


def _attached(site, file, target):
    made = site.host.create_volume("pool", file, size_bytes=1 << 20, format=QCOW2)
    return _at(made.path, target)


def _at(path, target):
    return virt.NewVolume(
        target=target, bus="virtio", path=str(path), format=QCOW2, is_block_device=False, serial=None, boot_order=None
    )


def _seed(site, uuid):
    return site.settings.state_directory / "seeds" / f"was-{uuid[:8]}-seed.iso"


def _delete(site, name="old", *, is_volumes_deleted=True):
    site.services.servers.delete(OWNER, name, is_volumes_deleted=is_volumes_deleted, is_forced=True)


def _is_gone(site, uuid):
    return site.host.find_domain(uuid) is None and site.volumes() == set() and not _seed(site, uuid).exists()


def test_a_volume_that_is_gone_keeps_no_other(site):
    uuid = _add(site, "old", "vda", "vdb")
    (site.pool.directory / "old-vdb.qcow2").unlink()
    _delete(site)
    assert _is_gone(site, uuid)


def test_a_volume_that_cannot_be_read_is_deleted_all_the_same(site):
    uuid = _add(site, "old", "vda", is_running=True)
    (site.pool.directory / "old-vda.qcow2").write_bytes(b"no qcow2 at all")
    with pytest.raises(errors.EstampeError):
        site.host.get_domain(uuid)
    _delete(site)
    assert _is_gone(site, uuid)


def test_a_volume_in_an_inactive_pool_is_told_before_the_power_is_cut(site):
    uuid = _add(site, "old", "vda", is_running=True)
    site.host.stop_pool("pool")
    with pytest.raises(errors.VolumeNotInPool, match="nothing was done"):
        _delete(site)
    assert site.host.power_state(uuid) is power.PowerState.RUNNING
    assert site.volumes() == {"old-vda.qcow2"}
    _delete(site, is_volumes_deleted=False)
    assert site.host.find_domain(uuid) is None


def test_a_volume_outside_of_all_pools_is_told_before_anything_is_deleted(site):
    outside = site.directory / "outside.qcow2"
    outside.write_bytes(b"")
    uuid = site.host.add_server("old", volumes=[_attached(site, "old-vda.qcow2", "vda"), _at(outside, "vdb")])
    with pytest.raises(errors.VolumeNotInPool, match=r"outside\.qcow2"):
        _delete(site)
    assert site.volumes() == {"old-vda.qcow2"}
    assert (outside.exists(), site.host.find_domain(uuid) is not None) == (True, True)


@pytest.mark.parametrize("failing", ["delete_volume", "undefine"])
def test_what_could_not_be_deleted_is_told_and_deleted_the_next_time(site, failing):
    uuid = _add(site, "old", "vda", "vdb")
    site.host.fail_next(failing, REFUSED)
    with pytest.raises(errors.EstampeError, match="a test") as caught:
        _delete(site)
    if failing == "delete_volume":
        assert "old-vda.qcow2" in str(caught.value)
        assert "old-vdb.qcow2" not in str(caught.value)
        assert site.volumes() == {"old-vda.qcow2"}
    assert site.host.find_domain(uuid) is not None
    _delete(site)
    assert _is_gone(site, uuid)


def test_another_server_named_by_the_uuid_of_this_one_is_not_touched(site):
    uuid = _add(site, "old", "vda")
    site.host.define(_named(site, uuid))
    _delete(site, uuid)
    assert [each.name for each in site.host.list_domains()] == [uuid]
    assert site.volumes() == {"other.qcow2"}


def _named(site, name):
    other = "33333333-2222-4333-8444-555555555555"
    return domain_xml.plain(name, other, [_attached(site, "other.qcow2", "vda")])


def test_backing_images_stay(site):
    base = site.host.create_volume("pool", "base.qcow2", size_bytes=1 << 20, format=QCOW2)
    top = Path(site.pool.directory) / "top.qcow2"
    layer = virt.Layer(path=base.path, format=QCOW2, is_block_device=False)
    qemu_img.create(str(top), format=QCOW2, size_bytes=1 << 20, backing=layer)
    uuid = site.host.add_server("old", volumes=[_at(top, "vda")])
    assert site.host.power_state(uuid) is power.PowerState.SHUT_OFF
    _delete(site)
    assert site.volumes() == {"base.qcow2"}
