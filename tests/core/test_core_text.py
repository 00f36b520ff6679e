"""Texts made shorter: bounded, honest about what is left out, and untouched where they fit."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prowess.core.text import MARK, both_ends, cut, first_lines, last_lines, one_line, shorten

TEXT, LIMIT = st.text(max_size=400), st.integers(1, 100)


@given(TEXT, LIMIT)
def test_a_shortened_text_is_never_longer_than_asked(text: str, limit: int) -> None:
    assert len(shorten(text, limit)) <= limit
    line = one_line(text, limit)
    assert len(line) <= limit and len(line.splitlines()) <= 1


@given(TEXT, LIMIT)
def test_whole_lines_are_kept_where_there_are_any(text: str, limit: int) -> None:
    head, tail = first_lines(text, limit), last_lines(text, limit)
    assert len(head) <= limit + 1 and len(tail) <= limit + 1
    assert text.strip().startswith(head.removesuffix(MARK)) and text.strip().endswith(tail.removeprefix(MARK))


@pytest.mark.parametrize("shorter", [shorten, one_line, cut, first_lines, last_lines, both_ends])
@given(text=st.text(st.characters(categories=("L", "N")), max_size=50))
def test_what_fits_stays_as_it_is(shorter: Callable[[str, int], str], text: str) -> None:
    assert shorter(text, 50) == text


def test_what_is_left_out_is_marked() -> None:
    lines = "one\ntwo\nthree\nfour"
    assert shorten("abcdef", 4) == "abc…" and one_line(" a\n\tb  c ", 3) == "a…"
    assert first_lines(lines, 9) == "one\ntwo…" and last_lines(lines, 9) == "…four"
    assert cut("x" * 1_234, 4) == "xxxx … 1,230 characters more, not shown here"
    assert both_ends("aaaa-bbbb", 8) == "aaaa\n… 1 characters cut …\nbbbb"
