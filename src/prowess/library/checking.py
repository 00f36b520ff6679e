"""Whether everything that a library has stored is sound."""

from prowess.core.errors import UserError
from prowess.library.store import Store


def damage(store: Store) -> list[str]:
    """What is wrong with ledger, index and blobs, by their digests. The caller holds the library's lock."""
    found: list[str] = []
    expected = 1
    for number, _, record in store.entries():
        found += [f"ledger entry {n} is missing" for n in range(expected, number)]
        found += [f"ledger entry {number} is damaged"] if record is None else []
        expected = number + 1
    with store.index() as index:
        found += [f"index: {text}" for text in index.damage()]
        trees = index.all_trees()
        kept = {*index.kept()}
    for read, digests in ((store.tree, trees), (store.blob, kept)):
        for sha in sorted(digests):
            try:
                read(sha)
            except UserError as error:
                found.append(error.message)
    return found
