from hypothesis import given
from hypothesis import strategies as st

from estampe.model import extent

DATA, ZERO, HOLE = extent.Kind.DATA, extent.Kind.ZERO, extent.Kind.HOLE


@st.composite
def ascending(draw) -> list[extent.Extent]:
    """Extents in ascending order without overlap, some empty, some touching."""
    found, at = [], 0
    for gap, length, kind in draw(
        st.lists(st.tuples(st.integers(0, 20), st.integers(0, 50), st.sampled_from(extent.Kind)))
    ):
        found.append(extent.Extent(at + gap, length, kind))
        at += gap + length
    return found


def _painted(extents) -> dict[int, extent.Kind]:
    return {byte: one.kind for one in extents for byte in range(one.offset, one.end)}


@given(ascending())
def test_merging_changes_no_byte_and_leaves_nothing_to_merge(extents):
    merged = list(extent.merge(extents))
    assert _painted(merged) == _painted(extents)
    assert all(one.length for one in merged)
    assert not any(
        one.end == other.offset and one.kind is other.kind for one, other in zip(merged, merged[1:], strict=False)
    )
    assert list(extent.merge(merged)) == merged


@given(ascending(), st.integers(0, 300), st.integers(0, 300))
def test_clipping_keeps_what_is_inside(extents, offset, length):
    clipped = list(extent.clip(extents, offset, length))
    inside = {byte: kind for byte, kind in _painted(extents).items() if offset <= byte < offset + length}
    assert _painted(clipped) == inside
    assert all(one.length for one in clipped)


@given(ascending())
def test_data_is_counted(extents):
    assert extent.data_bytes(extents) == sum(kind is DATA for kind in _painted(extents).values())


@given(ascending(), st.integers(1, 64))
def test_the_chunks_of_data_are_those_with_a_byte_of_it(extents, size):
    expected = sorted({byte // size for byte, kind in _painted(extents).items() if kind is DATA})
    assert list(extent.data_chunks(extents, size)) == expected


def test_neighbours_of_other_kinds_stay_apart():
    extents = [extent.Extent(0, 10, DATA), extent.Extent(10, 10, ZERO), extent.Extent(20, 10, HOLE)]
    assert list(extent.merge(extents)) == extents


def test_a_sparse_tebibyte_is_no_work():
    extents = [
        extent.Extent(0, 4096, DATA),
        extent.Extent(4096, 1 << 40, HOLE),
        extent.Extent((1 << 40) + 4096, 1, DATA),
    ]
    assert list(extent.data_chunks(extents, 1 << 20)) == [0, 1 << 20]
