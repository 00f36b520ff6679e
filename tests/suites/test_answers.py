"""Which part of a message is the answer, and which number it states."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prowess.suites.answers import LONGEST, items, number, numbers, said

amounts = st.integers(-(10**9), 10**9) | st.decimals(-(10**9), 10**9, places=2).map(float)


@given(amounts, st.sampled_from(["", "$", "€ ", "£"]), st.sampled_from(["", "%", " dollars", " mL/min/1.73 m2", "."]))
def test_a_number_is_read_with_money_thousands_and_units(amount: float, money: str, unit: str) -> None:
    written = [f"{amount}", f"{amount:,}", f"{amount:.2f}"]
    for digits in written:
        assert number(f"{money}{digits}{unit}") == pytest.approx(amount)
        assert number(f"x + 3 = {money}{digits}{unit}") == pytest.approx(amount)
        assert number(f"about {money}{digits}{unit}") == pytest.approx(amount)


@given(st.integers(-999, 999), st.integers(1, 999))
def test_fractions(top: int, bottom: int) -> None:
    assert number(f"{top}/{bottom}") == top / bottom == number(f"{top} / {bottom}")


@pytest.mark.parametrize("text", ["", "none", "3 or 4", "5-10", "1, 2", "m2", "12,34", "16:30", "1/0", "9" * 5_000])
def test_what_states_no_number_or_several(text: str) -> None:
    assert number(text) is None


@given(st.text())
def test_any_text_may_come(text: str) -> None:
    assert said(text) in text
    value = number(text)
    assert value is None or math.isfinite(value)
    assert all(map(math.isfinite, [*numbers(text), *items(text)]))


def test_a_comma_parts_thousands_or_items() -> None:
    assert numbers("1,234 and 5") == [1234, 5] and items("[1,234, -5.5]") == [1, 234, -5.5]


@given(st.text("abcxyz 0123,;|", min_size=1).map(str.strip).filter(bool), st.text(max_size=80))
def test_the_answer_stands_after_the_last_mark(answer: str, before: str) -> None:
    assert said(f"{before}\nANSWER: {answer}") == answer
    assert said(f"{before}\nANSWER: 1\nno:\n**Answer:** `{answer}`\n") == answer


def test_the_last_line_is_the_answer_where_none_is_marked() -> None:
    assert said("I think\nit is 3\n\n") == "it is 3"
    assert said("So the answer is **42**.") == "42."
    assert said("ANSWER:\n.14") == ".14"
    assert said("ANSWER: 1" + " " * LONGEST + "\n2") == "2", "only the end of an endless message is read"
