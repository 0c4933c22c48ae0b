"""Reading and writing a volume in place, by its map."""

import random

import pytest

from estampe import errors
from estampe.block import mapped, memory
from estampe.model import extent

DATA, ZERO, HOLE = extent.Kind.DATA, extent.Kind.ZERO, extent.Kind.HOLE


def _placed(offset, length, kind, layer=0, host_offset=None):
    return mapped.Placed(extent.Extent(offset, length, kind), layer, host_offset)


RUNS = [
    _placed(0, 100, DATA, 0, 10),
    _placed(100, 50, HOLE),
    _placed(150, 256, DATA, 1, 256),
    _placed(406, 100, DATA),
    _placed(506, 6, ZERO),
]


class _Map:
    """Looks up like `qemu-img map`, in windows, and counts."""

    def __init__(self, runs):
        self.runs, self.asked = runs, []

    def __call__(self, offset, length):
        self.asked.append(offset)
        found = []
        for run in self.runs:
            for part in extent.clip([run.extent], offset, length):
                moved = None if run.host_offset is None else run.host_offset + part.offset - run.extent.offset
                found.append(mapped.Placed(part, run.layer, moved))
        return found


@pytest.fixture
def reader(tmp_path):
    top, base = tmp_path / "top", tmp_path / "base"
    top.write_bytes(b"T" * 1000)
    base.write_bytes(bytes(range(256)) * 16)
    other = memory.MemoryVolume(512)
    other.write(406, b"compressed" * 10)
    with mapped.MappedReader(other, [str(top), str(base)], _Map(RUNS), window_bytes=128) as opened:
        yield opened


EXPECTED = b"T" * 100 + bytes(50) + bytes(range(256)) + b"compressed" * 10 + bytes(6)


def test_bytes_come_from_the_layer_and_place_that_the_map_names(reader):
    assert reader.size_bytes == 512
    assert reader.read(0, 512) == EXPECTED
    assert reader.read(98, 4) == b"TT\0\0"
    assert reader.read(404, 6) == bytes([254, 255]) + b"comp"


def test_any_range_reads_as_the_whole_does(reader):
    rng = random.Random(3)
    for _ in range(300):
        start = rng.randrange(512)
        length = rng.randrange(1, 513 - start)
        assert reader.read(start, length) == EXPECTED[start : start + length]


def test_a_window_is_looked_up_once_while_it_is_in_use(reader):
    for offset in range(0, 128, 16):
        reader.read(offset, 16)
    assert reader._look_up.asked == [0]


def test_extents_are_those_of_the_other_reader(reader):
    assert extent.data_bytes(reader.extents()) == 512
    assert [run.offset for run in reader.extents(100, 50)] == [100]


def test_a_range_outside_is_refused(reader):
    with pytest.raises(errors.BlockIOFailed):
        reader.read(500, 13)


# --- writing ---

PLACES = [_placed(0, 100, DATA, 0, 700), _placed(100, 300, DATA, 0, 50), _placed(400, 112, DATA, 0, 400)]


@pytest.fixture
def path(tmp_path):
    made = tmp_path / "file"
    made.write_bytes(b"M" * 1000)  # metadata, all of it: nothing of it may change
    return made


def _volume(path):
    stored = path.read_bytes()
    return b"".join(stored[run.host_offset : run.host_offset + run.extent.length] for run in PLACES)


def test_any_range_is_written_to_its_places_and_nowhere_else(path):
    rng = random.Random(4)
    expected = bytearray(_volume(path))
    with mapped.MappedWriter(str(path), PLACES, is_zeroed=True) as writer:
        assert (writer.size_bytes, writer.is_zeroed) == (512, True)
        for nth in range(300):
            start = rng.randrange(512)
            length = rng.randrange(1, 513 - start)
            data = bytes(length) if nth % 3 == 0 else rng.randbytes(length)
            writer.zero(start, length) if nth % 3 == 0 else writer.write(start, memoryview(data))
            expected[start : start + length] = data
            assert _volume(path) == expected
    stored = path.read_bytes()
    assert len(stored) == 1000
    assert stored[:50] + stored[350:400] + stored[512:700] + stored[800:] == b"M" * 488


def test_a_write_outside_the_volume_is_refused_though_the_file_goes_on(path):
    with mapped.MappedWriter(str(path), PLACES, is_zeroed=True) as writer:
        for call in (lambda: writer.write(500, b"x" * 13), lambda: writer.zero(-1, 1), lambda: writer.zero(0, 513)):
            with pytest.raises(errors.BlockIOFailed, match="512 bytes"):
                call()
    assert path.read_bytes() == b"M" * 1000


def test_a_volume_without_a_byte_takes_nothing(path):
    with mapped.MappedWriter(str(path), [], is_zeroed=True) as writer:
        writer.write(0, b"")
        assert writer.size_bytes == 0
