"""A backup's file: whole or refused, and readable with tar and sha256sum alone."""

import datetime
import io
import json
import subprocess
import tarfile

import pytest

from estampe import errors
from estampe.maintenance import archive

NOON = datetime.datetime(2026, 3, 1, 12, 0, tzinfo=datetime.UTC)
FACTS = archive.Facts(
    kind="SQLite",
    estampe_version="0.1.0",
    revision="0001",
    created_at=NOON,
    members=("catalogue.sqlite", "jobs.sqlite"),
)
CONTENT = {"catalogue.sqlite": b"catalogue" * 1000, "jobs.sqlite": b""}


@pytest.fixture
def members(tmp_path):
    folder = tmp_path / "members"
    folder.mkdir()
    for name, content in CONTENT.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def made(tmp_path, members):
    archive.write(tmp_path / "backup.tar", FACTS, members)
    return tmp_path / "backup.tar"


def extract(path, tmp_path):
    folder = tmp_path / "extracted"
    folder.mkdir()
    return archive.extract(path, folder), {each.name: each.read_bytes() for each in folder.iterdir()}


def test_what_was_written_is_extracted(made, tmp_path):
    assert archive.read_facts(made) == FACTS
    assert extract(made, tmp_path) == (FACTS, CONTENT)


def test_an_extracted_member_is_for_its_owner_only(made, tmp_path):
    extract(made, tmp_path)
    assert {each.stat().st_mode & 0o777 for each in (tmp_path / "extracted").iterdir()} == {0o600}


def test_tar_and_sha256sum_read_it_without_estampe(made, tmp_path):
    folder = tmp_path / "by hand"
    folder.mkdir()
    subprocess.run(["tar", "-xf", made], cwd=folder, check=True)
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=folder, check=True)
    said = json.loads((folder / "backup.json").read_text())
    assert (said["format"], said["version"], said["kind"]) == ("estampe-backup", 1, "SQLite")


def test_every_flipped_bit_that_matters_is_noticed(made, tmp_path):
    """One bit in every 97th byte; a header has unused bytes, so what is still accepted must be exactly what was written."""
    data = made.read_bytes()
    refused = 0
    for index, at in enumerate(range(0, len(data), 97)):
        damaged = bytearray(data)
        damaged[at] ^= 0x10
        path = tmp_path / f"damaged-{index}.tar"
        path.write_bytes(bytes(damaged))
        folder = tmp_path / f"extracted-{index}"
        folder.mkdir()
        try:
            found = archive.extract(path, folder)
        except (errors.BackupCorrupt, errors.BackupVersionUnsupported):
            refused += 1
        else:
            assert found == FACTS
            assert {each.name: each.read_bytes() for each in folder.iterdir()} == CONTENT
    assert refused > 100


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.5, 0.8])
def test_an_archive_that_ends_early_is_refused(made, tmp_path, share):
    data = made.read_bytes().rstrip(b"\0")
    made.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(errors.BackupCorrupt):
        extract(made, tmp_path)


@pytest.mark.parametrize("content", [b"no archive", b"\0" * 10240, b""])
def test_another_file_is_refused(tmp_path, content):
    (tmp_path / "backup.tar").write_bytes(content)
    with pytest.raises(errors.BackupCorrupt):
        archive.read_facts(tmp_path / "backup.tar")


def forge(path, *members):
    with tarfile.open(path, "w") as made:
        for name, data, kind in members:
            info = tarfile.TarInfo(name)
            info.size, info.type = len(data), kind
            made.addfile(info, io.BytesIO(data))
    return path


def facts_with(**changes):
    return json.dumps({**json.loads(FACTS.to_json()), **changes}).encode()


@pytest.mark.parametrize(
    ("described", "error"),
    [
        (facts_with(version=2), errors.BackupVersionUnsupported),
        (facts_with(format="something else"), errors.BackupCorrupt),
        (facts_with(members=["../../etc/passwd"]), errors.BackupCorrupt),
        (facts_with(members=["SHA256SUMS"]), errors.BackupCorrupt),
        (facts_with(created_at="yesterday"), errors.BackupCorrupt),
        (facts_with(members=7), errors.BackupCorrupt),
        (b"[]", errors.BackupCorrupt),
        (b"{", errors.BackupCorrupt),
        (b"x" * 100_000, errors.BackupCorrupt),
    ],
)
def test_a_description_that_cannot_be_is_refused(tmp_path, described, error):
    path = forge(tmp_path / "backup.tar", ("backup.json", described, tarfile.REGTYPE))
    with pytest.raises(error):
        archive.read_facts(path)


def test_a_link_in_the_place_of_a_member_is_refused(tmp_path):
    path = forge(
        tmp_path / "backup.tar",
        ("backup.json", FACTS.to_json(), tarfile.REGTYPE),
        ("catalogue.sqlite", b"", tarfile.SYMTYPE),
    )
    with pytest.raises(errors.BackupCorrupt, match=r"catalogue\.sqlite"):
        extract(path, tmp_path)
    assert list((tmp_path / "extracted").iterdir()) == []


def test_a_failed_write_leaves_nothing(tmp_path, members):
    (members / "jobs.sqlite").unlink()
    with pytest.raises(errors.BackupFailed):
        archive.write(tmp_path / "backup.tar", FACTS, members)
    assert [each.name for each in tmp_path.iterdir()] == ["members"]
