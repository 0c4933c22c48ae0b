"""Real guests of many kinds, captured, deployed twice to larger volumes, and asked from inside what became of them."""

from __future__ import annotations

import pytest
from tests.matrix import rows, story, table

pytestmark = [
    pytest.mark.every_guest,  # each is booted twice, a minute each under full emulation
    pytest.mark.requires_libvirt,
    pytest.mark.requires_qemu,
    pytest.mark.requires_root,
    pytest.mark.requires_guest,
    pytest.mark.requires_appliance,
    pytest.mark.timeout(
        3900
    ),  # the first test waits for its guest's story, the last one's story has waited for all others
]


def guests(*found: rows.Row) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("name", [row.name for row in found])


all_guests = guests(*rows.ROWS)
systems = guests(*(row for row in rows.ROWS if not row.is_opaque))
without_seed = guests(*(row for row in rows.ROWS if not row.is_opaque and not row.has_seed))

renewed = guests(*(row for row in rows.ROWS if row.is_renewed))


@all_guests
def test_the_file_systems_fill_the_larger_volumes(told, name):
    for clone in told.clones:
        if told.row.is_opaque:
            found = {"/": ("ext4", int(clone.told["root_bytes"]) // rows.MIB)}
        else:
            entries = (entry.split(":") for entry in clone.told["file_systems"].split())
            found = {place: (kind, int(size) // rows.MIB) for place, kind, size in entries}
        for place, (kind, least_mib) in told.row.grown.items():
            assert found[place][0] == kind
            assert found[place][1] >= least_mib


@systems
def test_it_boots_with_its_firmware_swap_sectors_and_subvolumes(told, name):
    for clone in told.clones:
        assert clone.told["firmware"] == told.row.firmware.lower()
        assert abs(int(clone.told["swap_bytes"]) - told.row.swap_mib * rows.MIB) < rows.MIB
        assert int(clone.told["sector_bytes"]) == told.row.sector_bytes
        assert clone.told["subvolumes"] == told.row.subvolumes
        assert clone.told["failed_units"] == ""


@systems
def test_name_addresses_keys_and_commands_are_as_asked_for(told, name):
    for nth, clone in enumerate(told.clones, start=1):
        assert clone.told["hostname"] == rows.fqdn(told.row, nth).partition(".")[0]
        assert clone.told["fqdn"] == rows.fqdn(told.row, nth)
        assert set(clone.told["addresses"].split()) == {rows.address(nth), rows.address6(nth)}
        assert clone.told["gateway"] == rows.GATEWAY
        assert clone.told["command"] == rows.COMMAND


@without_seed
def test_time_zone_and_key_of_root_are_as_asked_for(told, name):
    for clone in told.clones:
        assert clone.told["timezone"] == rows.ZONE
        assert clone.told["authorized_keys"].split() == [told.source.told["authorized_keys"], "matrix@test"]


@all_guests
def test_the_files_of_the_source_are_there(told, name):
    assert told.source.told["files"]
    assert [clone.told["files"] for clone in told.clones] == [told.source.told["files"]] * 2


@all_guests
def test_no_identity_is_in_common_with_each_other_or_the_source(told, name):
    servers = [server.told for server in (told.source, *told.clones)]
    for identity in story.IDENTITIES:
        had = [server[identity] for server in servers if server.get(identity)]
        values = [value for text in had for value in text.split()]
        assert len(values) == len(set(values)), identity


@renewed
def test_uuids_are_renewed_where_that_was_asked_for(told, name):
    systems_own = ["UUID of the partition vda1"] if told.row.is_uefi else []  # the firmware's entry names it
    for clone in told.clones:
        assert len(clone.told["volume_uuids"].split()) >= len(told.source.told["volume_uuids"].split())
        [line] = [change for change in clone.report if change["what"] == "UUIDs"]
        assert "/etc/fstab" in line["detail"]
        assert [change["what"] for change in clone.report if change["outcome"] == "left"] == systems_own


@systems
def test_what_a_server_cannot_do_without_is_there_again(told, name):
    for clone in told.clones:
        for identity in ("machine_id", "host_keys", "random_seed", "product_uuid", "macs"):
            assert clone.told[identity], identity
        assert clone.told["dbus_id"] in {"", clone.told["machine_id"]}


@systems
def test_nothing_tells_of_the_sources_use(told, name):
    assert len(told.source.told["traces"].split()) > 5
    assert [clone.told["traces"] for clone in told.clones] == ["", ""]


@all_guests
def test_the_sources_volumes_are_what_they_were(told, name):
    assert told.sums_after == told.sums_before


@systems
def test_the_template_is_sealed(told, name):
    sealing = told.template["manifest"]["sealing"]
    assert sealing["is_sealed"], sealing["why_not"]


@all_guests
def test_the_deploy_is_confirmed_where_there_is_an_agent(told, name):
    assert [clone.is_confirmed for clone in told.clones] == [told.row.has_agent] * 2


@guests(*(row for row in rows.ROWS if row.is_opaque))
def test_an_opaque_guest_is_captured_whole_and_its_report_says_what_that_means(told, name):
    assert told.template["manifest"]["guest"] is None
    assert told.template["manifest"]["sealing"]["is_sealed"] is False
    left = {change["what"]: change["why"] for change in told.clones[0].report if change["outcome"] == "left"}
    assert "the guest is not known" in left["host name, network and accounts"]


@all_guests
def test_the_table_in_the_reference_is_what_this_run_found(told, name, request):
    """Last in the file: with `--write-guests`, what was proved above is written into it first."""
    if request.config.getoption("--write-guests"):
        table.write(table.cells(told))
    assert table.written()[name] == table.cells(told)
