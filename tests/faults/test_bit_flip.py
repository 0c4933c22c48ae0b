"""Damage in the store, on real files: never deployed, always found, and told by the template that it hurts."""

from __future__ import annotations

import uuid

import pytest
from tests.faults import bench as benches
from tests.faults import left
from tests.faults import site as sites

from estampe import errors
from estampe.store import manifests

pytestmark = [pytest.mark.requires_libvirt, pytest.mark.requires_qemu, pytest.mark.requires_root]


@pytest.fixture(scope="module")
def bench(daemons, here):
    return benches.Bench(daemons, here)


@pytest.fixture(scope="module")
def source(bench):
    server = bench.here.add_server("source", sites.raw("source"), sites.qcow2("second"), is_uefi=True)
    bench.before = left.files(bench.here)
    return server


@pytest.fixture
def template(bench, source):
    """A whole template, and another one that nothing happens to."""
    ended = bench.run("capture", server=source.name, is_sealed=False)
    yield bench.template_is_whole(ended, source)
    for each in bench.life.ask("templates"):
        bench.life.ask("delete_template", template=each)
    for path in chunk_files(bench.here):
        path.unlink()


def chunk_files(here):
    return [path for path in (here.store / "chunks").rglob("*") if path.is_file()]


def chunk_file(here, template, part):
    """The file of a chunk in the first volume's middle, or of the NVRAM."""
    found = manifests.get(left.open_store(here), uuid.UUID(template))
    ids = [chunk_id for _index, chunk_id in found.volumes[0].table]
    name = found.nvram.chunk_ids[0] if part == "NVRAM" else ids[len(ids) // 2].hex()
    (path,) = (here.store / "chunks").rglob(name)
    return path


def flip(path, *, at=0.5):
    """One bit."""
    with path.open("r+b") as stream:
        stream.seek(int(path.stat().st_size * at))
        (byte,) = stream.read(1)
        stream.seek(-1, 1)
        stream.write(bytes([byte ^ 0x10]))


def truncate(path):
    with path.open("r+b") as stream:
        stream.truncate(path.stat().st_size // 2)


def empty(path):
    path.write_bytes(b"")


def remove(path):
    path.unlink()


HARMS = [
    pytest.param(flip, "volume", "chunk-corrupt", "flipped", id="flipped"),
    pytest.param(flip, "NVRAM", "chunk-corrupt", "flipped", id="flipped-nvram"),  # met behind the volumes
    pytest.param(lambda path: flip(path, at=0), "volume", "chunk-corrupt", None, id="flipped-in-its-head"),
    pytest.param(truncate, "volume", "chunk-corrupt", "truncated", id="truncated"),
    pytest.param(empty, "volume", "chunk-corrupt", "truncated", id="empty"),
    pytest.param(remove, "volume", "chunk-missing", "missing", id="missing"),
]


def checked(bench):
    ended = bench.run("check")
    assert ended["state"] == "succeeded", ended
    return ended["result"]


@pytest.mark.parametrize(("harm", "part", "code", "kind"), HARMS)
def test_a_damaged_chunk_is_never_deployed_and_check_names_it_and_its_template(bench, template, harm, part, code, kind):
    path = chunk_file(bench.here, template, part)
    harm(path)
    ended = bench.run("deploy", template=template, name=f"{bench.here.token}-print")
    assert (ended["state"], ended["error"]["code"]) == ("failed", code), ended
    assert ended["error"]["facts"]["chunk"] == path.name
    assert "not_undone" not in ended["error"]["facts"], ended
    bench.nothing_is_left()
    report = checked(bench)
    assert not report["is_sound"]
    (damaged,) = report["damaged"]
    assert (damaged["chunk_id"], damaged["templates"]) == (path.name, [template])
    assert kind is None or damaged["kind"] == kind, damaged


@pytest.mark.parametrize("at", [0.0, 0.3, 0.99])
def test_a_damaged_manifest_is_refused_and_check_names_it(bench, template, at):
    flip(bench.here.store / "manifests" / template, at=at)
    with pytest.raises(errors.ManifestCorrupt, match=template):
        bench.life.ask("deploy", template=template, name=f"{bench.here.token}-print")
    report = checked(bench)
    assert not report["is_sound"]
    assert [found["template_id"] for found in report["unreadable"]] == [template]
    # What it names is not known any more, so a sweep that went on could take what others need.
    assert bench.run("sweep", grace_seconds=0)["error"]["code"] == "manifest-corrupt"
    bench.nothing_is_left()


def test_a_missing_manifest_is_told(bench, template):
    (bench.here.store / "manifests" / template).unlink()
    with pytest.raises(errors.EstampeError, match=template):
        bench.life.ask("deploy", template=template, name=f"{bench.here.token}-print")
    bench.nothing_is_left()


def test_damage_that_comes_while_a_deploy_runs_ends_it(bench, template):
    bench.life.arm("hydrate vda", "begin", "hold")
    operation = bench.life.ask("deploy", template=template, name=f"{bench.here.token}-print")
    bench.life.wait_for_phase(operation, "creating volumes")
    flip(chunk_file(bench.here, template, "volume"))
    bench.life.ask("release")
    ended = bench.life.wait(operation)
    assert (ended["state"], ended["error"]["code"]) == ("failed", "chunk-corrupt"), ended
    bench.nothing_is_left()


@pytest.mark.parametrize("harm", [flip, truncate, remove])
def test_a_server_captured_again_after_a_check_found_damage_gives_a_whole_template(bench, source, template, harm):
    """As the message of a damaged store advises."""
    harm(chunk_file(bench.here, template, "volume"))
    assert not checked(bench)["is_sound"]
    again = bench.run("capture", server=source.name, is_sealed=False)
    bench.template_is_whole(again, source)
