"""Merkle trees: the vectors of Certificate Transparency, and no proof but the right one."""

import hashlib

from hypothesis import given, settings
from hypothesis import strategies as st

from prowess.core.merkle import consistency, extends, included, inclusion, root

ENTRIES = [bytes.fromhex(e) for e in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
)]  # fmt: skip
"""The test data of the reference implementation of RFC 6962."""
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def test_roots_are_those_of_certificate_transparency() -> None:
    assert root([]).hex() == hashlib.sha256().hexdigest()
    assert [root(ENTRIES[: n + 1]).hex() for n in range(8)] == ROOTS


def test_every_proof_holds_and_for_nothing_else() -> None:
    logs = [[b"%d" % n for n in range(size)] for size in range(1, 34)]
    for entries in logs:
        size, head = len(entries), root(entries)
        for index, entry in enumerate(entries):
            proof = inclusion(entries, index)
            assert included(entry, index, size, proof, head)
            assert not included(b"other", index, size, proof, head)
            assert not included(entry, index ^ 1, size, proof, head)
            assert not included(entry, index, size, proof[:-1], head) or not proof
            assert not included(entry, index, size, [*proof, head], head)
        for first in range(1, size + 1):
            proof = consistency(entries, first)
            old = root(entries[:first])
            assert extends(first, old, size, head, proof)
            assert not extends(first, root([b"x", *entries[1:first]]), size, head, proof)
            assert not extends(first, old, size, root([*entries[:-1], b"x"]), proof)
            assert not extends(first, old, size, head, [*proof, old])
            assert size == first or not extends(first, old, size, head, proof[:-1])
    assert not extends(0, root([]), 3, root(ENTRIES[:3]), [])
    assert not included(b"", 3, 3, [], root(ENTRIES[:3])) and not included(b"", -1, 3, [], root(ENTRIES[:3]))


@given(st.integers(1, 60), st.data())
@settings(max_examples=100, deadline=None)
def test_a_log_that_was_rewritten_proves_nothing(size: int, data: st.DataObject) -> None:
    entries = [b"%d" % n for n in range(size)]
    first = data.draw(st.integers(1, size))
    changed = data.draw(st.integers(0, first - 1))
    forged = [b"forged" if n == changed else entry for n, entry in enumerate(entries)]
    wild = data.draw(st.lists(st.binary(min_size=32, max_size=32), max_size=7))
    for proof in (consistency(forged, first), consistency(entries, first), wild):
        assert not extends(first, root(entries[:first]), size, root(forged), proof)
