"""What turns new content of skill folders into a change: edits by hand, and changes of our own."""

from collections.abc import Callable
from typing import Literal

from prowess.core.base import digest
from prowess.core.cost import Cost
from prowess.core.evidence import Verdict
from prowess.core.lesson import Lesson
from prowess.core.patch import Patch
from prowess.core.skill import Snapshot
from prowess.library.contents import Contents, OnDisk
from prowess.library.records import Change
from prowess.library.store import Store
from prowess.library.trees import Tree, tree_digest


class Recorder:
    """Writes changes into the ledger of one library. The caller holds the lock."""

    def __init__(self, store: Store, contents: Contents, now: Callable[[], str]) -> None:
        self._store, self._contents, self._now = store, contents, now

    def record_edits(self) -> OnDisk:
        """Puts what was edited by hand since the last change into the ledger, and returns the folders as they are."""
        disk = self._contents.on_disk()
        changed = self._contents.edits(disk)
        if changed:
            for name, (_, new) in changed.items():
                if new is not None:
                    self._store.put(disk.folders[name].files)
            with self._store.index() as index:
                last = index.last()
            before = last.after if last else Snapshot().digest
            self._store.append(self._change(before, self._contents.present(disk).digest, changed, kind="external"))
        return disk

    def commit(
        self,
        disk: OnDisk,
        new: dict[str, Tree | None],
        *,
        kind: Literal["apply", "undo", "external"],
        patch: Patch | None = None,
        patch_id: str | None = None,
        rebased: Literal["same base", "operations fit", "merged"] = "same base",
        undoes: str | None = None,
        verdicts: tuple[Verdict, ...] = (),
        lessons: tuple[Lesson, ...] = (),
        cost: Cost | None = None,
        by: str = "",
        kept: tuple[str, ...] = (),
    ) -> Change:
        digests = {name: None if tree is None else tree_digest(tree) for name, tree in new.items()}
        trees = {name: (disk.digests.get(name), tree) for name, tree in digests.items()}
        before = self._contents.present(disk).digest
        after = self._contents.snapshot({**disk.digests, **digests}, {**disk.files, **new}).digest
        change = self._change(before, after, trees, kind=kind).model_copy(
            update={
                "patch": patch, "patch_id": patch_id, "rebased": rebased, "undoes": undoes, "verdicts": verdicts,
                "lessons": lessons, "cost": cost or Cost(), "by": by, "kept": kept,
            }
        )  # fmt: skip
        self._store.commit(change, new)
        return change

    def _change(
        self,
        before: str,
        after: str,
        trees: dict[str, tuple[str | None, str | None]],
        kind: Literal["apply", "undo", "external"],
    ) -> Change:
        number, when = self._store.next_number(), self._now()
        return Change(
            number=number,
            id=digest([number, when, kind, before, after, sorted(trees.items())])[:16],
            when=when,
            kind=kind,
            before=before,
            after=after,
            trees=trees,
        )
