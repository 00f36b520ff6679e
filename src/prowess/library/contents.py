"""What a library holds: its folders as they lie on disk now, and its skills at every snapshot it has been at."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from prowess.core.errors import Refused, UserError
from prowess.core.patch import Patch, RenameSkill
from prowess.core.skill import Snapshot
from prowess.library.disk import Folder
from prowess.library.skillmd import Parsed
from prowess.library.store import Store
from prowess.library.trees import Tree, skill_of, tree_digest, unknown_keys

_PARSED_CAP = 4096


@dataclass(frozen=True, slots=True)
class OnDisk:
    """The folders as they lie on disk, each skill's with its content digest."""

    folders: dict[str, Folder]
    digests: dict[str, str]

    @property
    def files(self) -> dict[str, Tree | None]:
        return {name: folder.files for name, folder in self.folders.items()}

    def tree(self, name: str) -> Tree | None:
        """The files of a skill; None where the folder is absent or holds no skill."""
        return self.folders[name].files if name in self.digests else None


class Contents:
    """The skills of one library, now and earlier. The caller holds the library's lock."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._parsed: dict[tuple[str, str], Parsed] = {}

    def on_disk(self) -> OnDisk:
        folders = self._store.folders()
        return OnDisk(folders, {name: tree_digest(f.files) for name, f in folders.items() if "SKILL.md" in f.files})

    def edits(self, now: OnDisk) -> dict[str, tuple[str | None, str | None]]:
        """The folders edited by hand since the last change, each with its content digests before and now."""
        with self._store.index() as index:
            heads = {name: tree for name, (tree, _) in index.trees().items()}
        pairs = {name: (heads.get(name), now.digests.get(name)) for name in sorted({*heads, *now.digests})}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}

    def present(self, now: OnDisk) -> Snapshot:
        """The readable skills among the folders."""
        return self.snapshot(now.digests, now.files)

    def snapshot(self, digests: Mapping[str, str | None], files: Mapping[str, Tree | None]) -> Snapshot:
        """The readable skills by content digest; contents come from `files` where they are there, else from blobs."""
        parsed = [self.read(name, tree, files.get(name)) for name, tree in digests.items() if tree is not None]
        return Snapshot.of([p.skill for p in parsed if p.skill is not None])

    def read(self, name: str, digest: str, files: Tree | None = None) -> Parsed:
        """One folder's reading as a skill; contents come from `files` if given, else from blobs."""
        parsed = self._parsed.get((name, digest))
        if parsed is None:
            parsed = skill_of(name, self._store.tree(digest) if files is None else files)
            if len(self._parsed) >= _PARSED_CAP:
                self._parsed.clear()
            self._parsed[name, digest] = parsed
        return parsed

    def at(self, prefix: str) -> Snapshot | None:
        """The snapshot whose digest begins so; None where the library was never there.

        Raises:
            UserError: several begin so.
        """
        with self._store.index() as index:
            numbers = index.numbers_at(prefix)
            trees = {found: index.trees(number) for found, number in numbers.items()}
        now = self.present(self.on_disk())
        if now.digest.startswith(prefix):
            return now
        if Snapshot().digest.startswith(prefix):
            return Snapshot()
        if len(trees) > 1:
            raise UserError(f"{len(trees)} snapshots begin with {prefix!r}", "write more of the digest")
        for heads in trees.values():
            return self.snapshot({name: tree for name, (tree, _) in heads.items()}, {})
        return None


def check_rename(patch: Patch, name: str, now: OnDisk) -> None:
    """Raises Refused where `patch` renames the skill and its frontmatter holds keys that would be lost."""
    tree = now.tree(name)
    if tree is not None and any(isinstance(op, RenameSkill) and op.name == name for op in patch.operations):
        lost = unknown_keys(tree["SKILL.md"].decode("utf-8", "replace"))
        if lost:
            raise Refused(f"renaming {name!r} would lose its {', '.join(lost)}", "rename the folder by hand")


def check_writable(names: Iterable[str], now: OnDisk, store: Store, allow_foreign: bool) -> None:
    """Raises Refused where one of the folders is not prowess's to write, or holds what is not versioned."""
    with store.index() as index:
        heads = index.trees()
    for name in names:
        folder = now.folders.get(name)
        if folder is None and (store.path / name).exists():
            raise Refused(f"a file named {name!r} lies in the library", "move it away")
        if folder is not None and name not in now.digests:
            raise Refused(f"a folder named {name!r} that is no skill lies in the library", "move it away")
        if folder is not None and folder.problems:
            raise Refused(
                f"skill {name!r} holds things that prowess does not version: {'; '.join(folder.problems)}",
                "take them out of the folder, or edit the skill by hand",
            )
        if name in heads and not heads[name][1] and not allow_foreign:
            raise Refused(
                f"skill {name!r} was not written by prowess, so it is read-only", "allow it with `allow_foreign`"
            )
