import dataclasses
import datetime
import json
import struct
import uuid

import blake3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from estampe import errors
from estampe.model import chunk, configuration, guest, layout, manifest

SIZE = 1 << 20
ID = bytes(range(32))


def _made(*, targets=("vda", "vdb", "vdc"), **changes) -> manifest.Manifest:
    recorded = configuration.Configuration(
        name="wéb-01", domain_uuid=str(uuid.UUID(int=2)), architecture="x86_64", machine="pc-q35-7.2", cpus=2,
        memory_bytes=1 << 31, cpu_mode="custom", cpu_model="qemu64", firmware=configuration.Firmware.UEFI,
        has_secure_boot=False, has_agent_channel=True,
        volumes=tuple(
            configuration.VolumeConfiguration(
                target=target, bus="virtio", size_bytes=10 * SIZE, format=configuration.VolumeFormat.QCOW2
            )
            for target in targets
        ),
        interfaces=(configuration.InterfaceConfiguration(mac="52:54:00:00:00:01", kind="network", source="default", model=None),),
        left_out=(configuration.LeftOut(what="CD-ROM sda", why="removable"),), domain_xml="<domain>\n</domain>",
    )  # fmt: skip
    inspected = guest.Guest(
        kind="linux", distribution="debian", version="12.5", product="Debian GNU/Linux 12 (bookworm)", hostname="web-01",
        root_device="vda1", file_systems=(guest.FileSystem(
            device="vda1", kind="ext4", size_bytes=9 * SIZE, used_bytes=None, mount_point="/", uuid="u", label=None),),
        has_cloud_init=True, has_guest_agent=True, can_grow_root=True, package_count=300,
    )  # fmt: skip
    facts = {
        "template_id": uuid.UUID(int=3), "owner_id": uuid.UUID(int=4), "name": "web", "version": 3,
        "created_at": datetime.datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=datetime.UTC), "chunk_size_bytes": SIZE,
        "configuration": recorded, "nvram": manifest.Blob(size_bytes=SIZE + 1, chunk_ids=(ID.hex(), (b"\1" * 32).hex())),
        "guest": inspected,
        "sealing": guest.Sealing(is_sealed=True, why_not=None, actions=("emptied /etc/machine-id",), trimmed_bytes=5),
        "volumes": (
            _volume("vda", 10 * SIZE, {0: ID, 1: b"\2" * 32, 9: b"\3" * 32}),
            _volume("vdb", 3 * SIZE + 7, {3: b"\4" * 32}),
            _volume("vdc", 1 << 40, {}),
        ),
    }  # fmt: skip
    return manifest.Manifest(**facts | changes)


def _volume(target: str, size_bytes: int, chunks: dict[int, bytes]) -> manifest.ManifestVolume:
    table = chunk.ChunkTable(chunk.Run(index, chunk_id) for index, chunk_id in chunks.items())
    return manifest.ManifestVolume(target=target, size_bytes=size_bytes, table=table)


def _corrupt(data: bytes) -> str:
    with pytest.raises(errors.ManifestCorrupt, match="web@3 is damaged") as caught:
        manifest.decode(data, template="web@3")
    return caught.value.facts["detail"]


def _with_header(change) -> bytes:
    """A manifest whose root digest fits, and whose header somebody has changed."""
    data = manifest.encode(_made())
    magic, version, reserved, length = struct.unpack_from("<8sHHI", data)
    header = json.loads(data[16 : 16 + length])
    change(header)
    text = json.dumps(header).encode()
    body = struct.pack("<8sHHI", magic, version, reserved, len(text)) + text + data[16 + length : -32]
    return body + blake3.blake3(body).digest()


def _rename(header, old: str, new: str) -> None:
    """Call a volume something else wherever it is named."""
    for volume in (*header["volumes"], *header["configuration"]["volumes"]):
        if volume["target"] == old:
            volume["target"] = new


def _resealed(body: bytes) -> bytes:
    return body + blake3.blake3(body).digest()


def test_a_manifest_survives_its_bytes():
    made = _made()
    assert manifest.decode(manifest.encode(made), template="web@3") == made


def test_a_manifest_from_before_a_fact_of_the_guest_was_recorded_is_read():
    older = _with_header(lambda header: header["guest"].pop("is_network_left_alone"))
    assert manifest.decode(older, template="web@3") == _made()


def test_a_layout_survives_and_a_manifest_from_before_it_has_none():
    cut = layout.Layout(
        volumes=(
            layout.VolumeLayout(
                target="vda", size_bytes=10 * SIZE, sector_size_bytes=512, table=layout.TableKind.GPT, content=None,
                partitions=(layout.Partition(
                    number=1, start_bytes=SIZE, size_bytes=SIZE, type="X", name="", is_bootable=False, is_logical=False,
                    content="LVM2_member"),),
            ),
        ),
        groups=(layout.VolumeGroup(
            name="vg0", extent_size_bytes=4, free_bytes=0, physical_volumes=("vda1",),
            logical_volumes=(layout.LogicalVolume(name="root", size_bytes=4, kind="linear", content="ext4"),)),),
    )  # fmt: skip
    made = _made(layout=cut)
    assert manifest.decode(manifest.encode(made), template="web@3") == made
    older = _with_header(lambda header: [header.pop(name) for name in ("layout", "inventory")])
    assert manifest.decode(older, template="web@3") == _made()


def test_the_pieces_of_an_inventory_are_named_with_those_of_the_template():
    made = _made(inventory=manifest.Blob(size_bytes=5, chunk_ids=((b"\7" * 32).hex(),)))
    assert manifest.decode(manifest.encode(made), template="web@3") == made
    assert list(made.chunks())[-1] == (b"\7" * 32, 5)


def test_what_may_be_absent_may_be_absent():
    made = _made(targets=(), nvram=None, guest=None, volumes=())
    assert manifest.decode(manifest.encode(made), template="web@3") == made
    assert list(made.chunk_ids()) == []


def test_equal_manifests_have_equal_bytes():
    assert manifest.encode(_made()) == manifest.encode(_made())
    assert manifest.encode(_made()) != manifest.encode(_made(version=4))


@given(st.dictionaries(st.integers(0, 5000), st.binary(min_size=32, max_size=32), max_size=100), st.text(max_size=50))
def test_any_table_and_any_name_survive(chunks, name):
    volume = _volume("vda", 5001 * SIZE, dict(sorted(chunks.items())))
    made = _made(targets=("vda",), name=name, volumes=(volume,))
    assert manifest.decode(manifest.encode(made), template="x") == made


def test_every_chunk_is_named_with_its_length():
    assert list(_made().chunks()) == [
        (ID, SIZE), (b"\2" * 32, SIZE), (b"\3" * 32, SIZE), (b"\4" * 32, 7), (ID, SIZE), (b"\1" * 32, 1),
    ]  # fmt: skip
    assert list(_made().chunk_ids()) == [chunk_id for chunk_id, _length in _made().chunks()]


def test_the_bytes_are_as_the_format_says():
    data = manifest.encode(_made())
    assert data[:12] == b"ESTAMPE\n\1\0\0\0"
    length = int.from_bytes(data[12:16], "little")
    header = json.loads(data[16 : 16 + length])
    assert header["volumes"][0] == {"target": "vda", "size_bytes": 10 * SIZE, "table_bytes": 3 * (16 + 32)}
    assert (
        data[16 : 16 + length] == json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    )
    assert data[-32:] == blake3.blake3(data[:-32]).digest()


def test_a_flipped_bit_anywhere_is_found():
    data = manifest.encode(_made())
    for at in range(0, len(data), 13):
        damaged = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        with pytest.raises((errors.ManifestCorrupt, errors.ManifestVersionUnsupported)):
            manifest.decode(damaged, template="web@3")


@pytest.mark.parametrize("keep", [0, 1, 15, 47, 48, 500, -1])
def test_a_manifest_cut_short_is_corrupt(keep):
    assert _corrupt(manifest.encode(_made())[:keep])


def test_a_newer_version_asks_for_an_upgrade():
    data = manifest.encode(_made())
    with pytest.raises(errors.ManifestVersionUnsupported, match=r"version 2.*upgrade"):
        manifest.decode(_resealed(data[:8] + b"\2\0" + data[10:-32]), template="web@3")


def test_version_0_and_a_reserved_field_in_use_are_corrupt():
    data = manifest.encode(_made())
    for start in (b"\0\0\0\0", b"\1\0\1\0"):
        assert "version" in _corrupt(_resealed(data[:8] + start + data[12:-32]))


@pytest.mark.parametrize(
    "change",
    [
        lambda h: h["volumes"][0].update(size_bytes=9 * SIZE),  # its table goes past the end
        lambda h: h["volumes"][0].update(size_bytes=-1),
        lambda h: h["volumes"][0].update(table_bytes=10_000),
        lambda h: h["volumes"][0].update(table_bytes=-48),
        lambda h: h["volumes"][0].update(table_bytes=47),
        lambda h: h["volumes"][1].update(target="vda"),
        lambda h: _rename(h, "vda", "../../etc/cron.d/x"),
        lambda h: _rename(h, "vda", "vda\n"),
        lambda h: _rename(h, "vda", ""),
        lambda h: _rename(h, "vda", "v" * 33),
        lambda h: h["configuration"].update(volumes=[]),
        lambda h: h["configuration"]["volumes"].pop(),
        lambda h: h["configuration"]["volumes"].append(h["configuration"]["volumes"][0]),
        lambda h: h["configuration"]["volumes"][0].update(target="vdx"),
        lambda h: h["volumes"].reverse(),  # the tables are in the other order
        lambda h: h.update(chunk_size_bytes=0),
        lambda h: h.update(chunk_size_bytes=-1),
        lambda h: h.pop("name"),
        lambda h: h.update(template_id="x"),
        lambda h: h["nvram"].update(size_bytes=5 * SIZE),
        lambda h: h["nvram"].update(size_bytes=-1),
        lambda h: h["nvram"].update(chunk_ids=["../../etc/passwd", "00" * 32]),
        lambda h: h["nvram"].update(chunk_ids=[]),
        lambda h: h.update(vtpm={"version": "2.0", "state": {"size_bytes": 1, "chunk_ids": []}}),
        lambda h: h.update(vtpm={"version": "2.0", "state": {"size_bytes": 1, "chunk_ids": ["../x"]}}),
        lambda h: h.update(vtpm={"version": "../3", "state": {"size_bytes": 1, "chunk_ids": ["00" * 32]}}),
        lambda h: h.update(inventory={"size_bytes": 1, "chunk_ids": []}),
        lambda h: h.update(inventory={"size_bytes": -1, "chunk_ids": []}),
        lambda h: h.update(inventory={"size_bytes": 1, "chunk_ids": ["../x"]}),
        lambda h: h.update(inventory={"size_bytes": 65 * SIZE, "chunk_ids": ["00" * 32] * 65}),
    ],
)
def test_a_hostile_header_is_corrupt_though_its_digest_fits(change):
    assert _corrupt(_with_header(change))


def test_a_header_longer_than_the_file_is_corrupt():
    data = manifest.encode(_made())
    assert _corrupt(_resealed(data[:12] + b"\xff\xff\xff\xff" + data[16:-32]))


@given(st.binary(max_size=200))
def test_hostile_bytes_with_a_fitting_digest_are_corrupt(tail):
    data = _resealed(struct.pack("<8sHHI", b"ESTAMPE\n", 1, 0, len(tail) // 2) + tail)
    with pytest.raises(errors.ManifestCorrupt):
        manifest.decode(data, template="x")


def test_a_manifest_is_immutable():
    with pytest.raises(dataclasses.FrozenInstanceError):
        _made().name = "other"
