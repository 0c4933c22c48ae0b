"""What of a domain's XML can be captured on this host, and what is refused or left out by name."""

import pytest

from estampe import errors
from estampe.model import configuration
from estampe.virt import base, domain_xml, fake

RAW = configuration.VolumeFormat.RAW


@pytest.fixture
def host(tmp_path):
    made = fake.FakeHost(tmp_path)
    yield made
    made.close()


@pytest.fixture
def plain(tmp_path):
    """A server with two raw volumes, as XML."""
    volumes = []
    for target in ("vda", "vdb"):
        path = tmp_path / f"{target}.raw"
        path.write_bytes(bytes(8192))
        volumes.append(
            base.NewVolume(
                target=target, bus="virtio", path=str(path), format=RAW, is_block_device=False, serial=None,
                boot_order=None,
            )
        )  # fmt: skip
    return domain_xml.plain("web", "11111111-2222-4333-8444-555555555555", volumes)


def _read(host, xml):
    host.define(xml)
    return host.get_domain("web")


def _with_source(xml, tmp_path, target, source, kind="file"):
    """The definition with another source of the volume `target`."""
    before = (
        f'<disk type="file" device="disk"><driver name="qemu" type="raw" /><source file="{tmp_path}/{target}.raw" />'
    )
    assert before in xml
    return xml.replace(before, f'<disk type="{kind}" device="disk"><driver name="qemu" type="raw" />{source}')


def _told(domain):
    return {each.what: each.why for each in domain.configuration.left_out}


def test_a_slice_of_a_file_is_left_out_not_taken_for_the_file(host, plain, tmp_path):
    slices = '<slices><slice type="storage" offset="4096" size="4096"/></slices>'
    source = f'<source file="{tmp_path}/vdb.raw">{slices}</source>'
    domain = _read(host, _with_source(plain, tmp_path, "vdb", source))
    assert [volume.target for volume in domain.volumes] == ["vda"]
    assert "slice" in _told(domain)["volume vdb"]


@pytest.mark.parametrize("kind", ["rbd", "gluster", "sheepdog", "iscsi-direct"])
def test_a_volume_of_a_network_pool_is_left_out(host, plain, tmp_path, kind):
    host.add_pool("far", kind=kind)
    domain = _read(host, _with_source(plain, tmp_path, "vdb", '<source pool="far" volume="data" />', "volume"))
    assert [volume.target for volume in domain.volumes] == ["vda"]
    assert "storage pool far" in _told(domain)["volume vdb"]
    assert [each.target for each in domain.configuration.volumes] == ["vda"]


def test_a_pool_volume_that_qemu_reaches_over_the_network_itself_is_left_out(host, plain, tmp_path):
    host.add_pool("san", kind="iscsi")
    source = '<source pool="san" volume="unit:0:0:1" mode="direct" />'
    domain = _read(host, _with_source(plain, tmp_path, "vdb", source, "volume"))
    assert "network" in _told(domain)["volume vdb"]


def test_a_server_that_boots_from_a_network_pool_cannot_be_captured(host, plain, tmp_path):
    host.add_pool("far", kind="rbd")
    xml = _with_source(plain, tmp_path, "vda", '<source pool="far" volume="root" />', "volume")
    with pytest.raises(errors.NotAVirtualServer, match="vda, from which it boots, lies in the storage pool far"):
        _read(host, xml)


@pytest.mark.parametrize(
    "nvram", ['<nvram type="block"><source dev="/dev/vg0/vars" /></nvram>', '<nvram type="network"><source /></nvram>']
)
def test_a_server_whose_uefi_variables_are_no_file_is_refused(host, plain, nvram):
    loader = '<loader type="pflash" readonly="yes">/usr/share/OVMF/OVMF_CODE_4M.fd</loader>'
    with pytest.raises(errors.NotAVirtualServer, match="NVRAM"):
        _read(host, plain.replace("</os>", f"{loader}{nvram}</os>"))


def test_media_that_come_and_go_are_no_volumes_that_a_restart_would_lose(plain):
    cdrom = '<disk type="file" device="cdrom"><source file="/iso/one.iso" /><target dev="sda" bus="sata" /></disk>'
    assert domain_xml.live_only(plain.replace("</devices>", f"{cdrom}</devices>"), plain) == ()


def test_a_network_volume_that_is_attached_to_the_running_server_only_is_told(plain):
    far = '<disk type="network"><source protocol="rbd" name="a/b" /><target dev="vdz" bus="virtio" /></disk>'
    assert domain_xml.live_only(plain.replace("</devices>", f"{far}</devices>"), plain) == ("volume vdz",)
