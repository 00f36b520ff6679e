"""Merkle trees as in Certificate Transparency: proofs that a log holds an entry, and that it has only grown.

    head = root(entries)                            # one digest for all of them
    included(entries[3], 3, len(entries), inclusion(entries, 3), head)
    extends(10, old_head, 25, head, consistency(entries, 10))

Hashing and proofs are those of RFC 6962, section 2.1; a proof is checked as in RFC 9162, sections 2.1.3.2 and 2.1.4.2.
Digests are SHA-256, as bytes.
"""

import hashlib
from collections.abc import Sequence


def root(entries: Sequence[bytes]) -> bytes:
    """The digest over all entries in their order."""
    return _root([_leaf(entry) for entry in entries])


def inclusion(entries: Sequence[bytes], index: int) -> list[bytes]:
    """The proof that the entry at `index` is one of these."""
    return _inclusion([_leaf(entry) for entry in entries], index)


def consistency(entries: Sequence[bytes], first: int) -> list[bytes]:
    """The proof that these begin with what the log was when it had `first` of them, at least one."""
    return _consistency([_leaf(entry) for entry in entries], first, whole=True)


def included(entry: bytes, index: int, size: int, proof: Sequence[bytes], head: bytes) -> bool:
    """Whether `entry` stands at `index` in the log that had the digest `head` at `size` entries."""
    if not 0 <= index < size:
        return False
    at, last, found = index, size - 1, _leaf(entry)
    for step in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = _node(step, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = _node(found, step)
        at, last = at >> 1, last >> 1
    return last == 0 and found == head


def extends(first: int, old: bytes, second: int, new: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the log with digest `new` at `second` entries begins with the one that had `old` at `first`."""
    if not 0 < first <= second:
        return False
    if first == second:
        return old == new and not proof
    steps = list(proof) if first & (first - 1) else [old, *proof]
    if not steps:
        return False
    at, last = first - 1, second - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    before = after = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            before, after = _node(step, before), _node(step, after)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            after = _node(after, step)
        at, last = at >> 1, last >> 1
    return last == 0 and before == old and after == new


def _leaf(entry: bytes) -> bytes:
    return hashlib.sha256(b"\0" + entry).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1


def _root(leaves: list[bytes]) -> bytes:
    if not leaves:
        return hashlib.sha256().digest()
    while len(leaves) > 1:
        # Level by level is the same tree as the RFC's halves: an odd last digest moves up as it is.
        paired = [_node(left, right) for left, right in zip(leaves[::2], leaves[1::2], strict=False)]
        leaves = paired + leaves[len(paired) * 2 :]
    return leaves[0]


def _inclusion(leaves: list[bytes], index: int) -> list[bytes]:
    if len(leaves) == 1:
        return []
    half = _split(len(leaves))
    if index < half:
        return [*_inclusion(leaves[:half], index), _root(leaves[half:])]
    return [*_inclusion(leaves[half:], index - half), _root(leaves[:half])]


def _consistency(leaves: list[bytes], first: int, whole: bool) -> list[bytes]:
    if first == len(leaves):
        return [] if whole else [_root(leaves)]
    half = _split(len(leaves))
    if first <= half:
        return [*_consistency(leaves[:half], first, whole), _root(leaves[half:])]
    return [*_consistency(leaves[half:], first - half, False), _root(leaves[:half])]
