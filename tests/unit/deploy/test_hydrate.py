"""Filling used volumes: zeroed in pieces between which a cancel is heard."""

import dataclasses

import pytest

from estampe import errors
from estampe.deploy import hydrate
from estampe.model import chunk
from estampe.store import chunks, memory

CHUNK = 128 * 1024
MIB = 1024 * 1024
SIZE = 1000 * MIB


class UsedVolume:
    """A writer of a used block device that only notes what is done to it."""

    size_bytes = SIZE
    is_zeroed = False

    def __init__(self):
        self.zeroed = []

    def zero(self, offset, length):
        self.zeroed.append((offset, length))

    def write(self, offset, data):
        raise AssertionError((offset, len(data)))

    def flush(self):
        pass


def hydrator(told, check_cancelled=lambda: None):
    return hydrate.Hydrator(
        chunks=chunks.Chunks(memory.MemoryStore(chunk_size_bytes=CHUNK)),
        chunk_size_bytes=CHUNK,
        threads=1,
        advance=told.append,
        check_cancelled=check_cancelled,
        begin=lambda what, total_bytes: told.append((what, total_bytes)),
    )


def test_a_used_device_is_zeroed_in_pieces_that_are_told_as_a_phase():
    used, told = UsedVolume(), []
    hydrator(told).hydrate(chunk.ChunkTable(()), [used], size_bytes=SIZE)
    assert max(length for _offset, length in used.zeroed) == 256 * MIB
    assert [offset for offset, _length in used.zeroed] == [0, 256 * MIB, 512 * MIB, 768 * MIB]
    assert sum(length for _offset, length in used.zeroed) == SIZE
    assert told == [("zeroing", SIZE), 256 * MIB, 256 * MIB, 256 * MIB, SIZE - 768 * MIB, ("restoring", 0)]


def test_a_cancel_is_heard_between_two_pieces():
    used, told = UsedVolume(), []

    def cancel():
        if used.zeroed:
            raise errors.Cancelled

    with pytest.raises(errors.Cancelled):
        hydrator(told, cancel).hydrate(chunk.ChunkTable(()), [used], size_bytes=SIZE)
    assert used.zeroed == [(0, 256 * MIB)]


class SmallVolume:
    """A used device in memory, with an end in the middle of a chunk."""

    size_bytes = 2 * CHUNK + 4096
    is_zeroed = False

    def __init__(self):
        self.content = bytearray(b"x" * self.size_bytes)

    def zero(self, offset, length):
        self.write(offset, bytes(length))

    def write(self, offset, data):
        assert offset + len(data) <= self.size_bytes
        self.content[offset : offset + len(data)] = data

    def flush(self):
        pass


def test_what_lies_beyond_the_end_of_a_smaller_volume_is_left_out():
    store, told = memory.MemoryStore(chunk_size_bytes=CHUNK), []
    made = chunks.Chunks(store)
    bodies = {index: bytes([index]) * CHUNK for index in (1, 2, 5)}
    with store.writer() as writer:
        runs = [chunk.Run(index, made.put(writer, body).chunk_id) for index, body in bodies.items()]
        writer.flush()
    small = SmallVolume()
    filler = dataclasses.replace(hydrator(told), chunks=made)
    filler.hydrate(chunk.ChunkTable(runs), [small], size_bytes=8 * CHUNK)
    assert small.content == bytes(CHUNK) + bodies[1] + bodies[2][:4096]
