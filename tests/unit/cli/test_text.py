from __future__ import annotations

import unicodedata

import hypothesis
import pytest
from hypothesis import strategies

from estampe import errors
from estampe.cli import text, values


@hypothesis.given(strategies.text())
def test_plain_text_is_one_printable_line(value: str) -> None:
    shown = text.plain(value)
    assert shown.isprintable()
    assert not any(unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for character in shown)


@hypothesis.given(strategies.text(alphabet="abcé中́ [/]", max_size=20))
def test_plain_text_that_is_harmless_stays_as_it_is(value: str) -> None:
    assert text.plain(value) == value


def test_columns_line_up_with_wide_and_combining_characters() -> None:
    columns = [text.Column("NAME"), text.Column("N", is_right=True), text.Column("X")]
    assert text.table(columns, [("中文", 5, "é"), ("e\u0301", 10, None)]) == [
        "NAME   N  X",
        "中文   5  é",
        "e\u0301     10  -",
    ]


def test_pairs_leave_out_what_is_not_known_and_indent_further_lines() -> None:
    assert text.pairs([("a", 1), ("long", None), ("bcd", "x\ny\x1b")]) == ["a    1", "bcd  x", r"     y\x1b"]


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("90", 90), ("90s", 90), ("1.5h", 5400), ("3min", 180), ("3m", 180), ("24 h", 86_400), ("7D", 604_800)],
)
def test_durations(written: str, seconds: float) -> None:
    assert values.duration(written, option="--x") == seconds


@pytest.mark.parametrize("written", ["", "s", "-1s", "1w", "1h30m", "inf", "1e9"])
def test_what_is_no_duration(written: str) -> None:
    with pytest.raises(errors.InvalidRequest, match="--x"):
        values.duration(written, option="--x")


@pytest.mark.parametrize(("written", "share"), [("5%", 0.05), ("100", 1.0), ("0.5 %", 0.005)])
def test_shares(written: str, share: float) -> None:
    assert values.share(written, option="--x") == pytest.approx(share)


def test_values_by_interface() -> None:
    assert values.by_interface(["a", "2=b", "1=c", "2=d"], option="--x") == {1: ["a", "c"], 2: ["b", "d"]}


@pytest.mark.parametrize("written", ["0=a", "17=a", "-1=a", "x=a", "=a", "99999999999=a", "²=a"])
def test_what_is_no_interface(written: str) -> None:
    with pytest.raises(errors.InvalidRequest):
        values.by_interface([written], option="--x")
