"""Words become terms: whatever the script, whatever the text."""

import sqlite3

from hypothesis import given
from hypothesis import strategies as st

from prowess.search.words import Words, words


def terms(text: str) -> list[str]:
    return sorted(words().count(text).elements())


def test_case_accents_and_endings_do_not_matter() -> None:
    assert terms("Rounding") == terms("rounds") == terms("ROUND")
    assert terms("Müller cafés") == terms("muller cafe")


def test_signs_part_words() -> None:
    assert terms("merge_csv, sort-rows “quoted” — 3.5°") == sorted(["merg", "csv", "sort", "row", "quot", "3", "5"])


def test_chinese_and_japanese_in_pairs() -> None:
    assert terms("律诗创作") == sorted(["律诗", "诗创", "创作"]) and terms("律") == ["律"]
    assert set(terms("写律诗 poem")) >= {"律诗", "poem"}


def test_terms_have_words_for_people() -> None:
    assert words().spelt("Invoices, an invoice; Merging 数据处理") == {
        "invoic": "invoice", "an": "an", "merg": "merging", "数据": "数据", "据处": "据处", "处理": "处理",
    }  # fmt: skip


def test_nothing_in_nothing() -> None:
    for text in ("", "   ", "—“”…", "__ - '", "\0", "\ud800"):
        assert terms(text) == []


def test_a_key_of_a_megabyte_is_one_short_term() -> None:
    assert [len(term) for term in terms("x" * 1_000_000)] == [40]


@given(st.text(max_size=80))
def test_any_text_has_terms_that_count_as_often_as_the_text_is_repeated(text: str) -> None:
    once, twice = words().count(text), words().count(f"{text} {text}")
    assert twice == {term: 2 * n for term, n in once.items()}


@given(st.text(alphabet=st.characters(codec="ascii"), max_size=60))
def test_ascii_agrees_with_sqlite(text: str) -> None:
    db = sqlite3.connect(":memory:")
    db.execute("CREATE VIRTUAL TABLE t USING fts5(x, tokenize = 'porter unicode61 remove_diacritics 2')")
    db.execute("CREATE VIRTUAL TABLE v USING fts5vocab(t, row)")
    db.execute("INSERT INTO t VALUES (?)", (text.replace("\0", " "),))
    assert dict(db.execute("SELECT term, cnt FROM v")) == Words().count(text)
