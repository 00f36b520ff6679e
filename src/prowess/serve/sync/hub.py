"""A project of a hub as the other side of a sync. What comes from a hub is checked like anything from outside."""

from collections.abc import Mapping

from prowess.library.trees import Tree, tree_digest
from prowess.serve.hub.client import Client, HubError
from prowess.serve.hub.service import checked_tree
from prowess.serve.sync import Known


class HubRemote:
    """One project."""

    def __init__(self, client: Client, project: str) -> None:
        self._client, self._project = client, project
        self.name = f"{client.url.rstrip('/')}/p/{project}"

    def trees(self, known: Known) -> Mapping[str, Tree]:
        """Raises HubError where the hub sends something else than it says, or what cannot be a skill."""
        found: dict[str, Tree] = {}
        for listed in self._client.skills(self._project).skills:
            tree = known(listed.digest)
            if tree is None:
                whole = self._client.skill(self._project, listed.name)
                tree = {file.path: file.data for file in whole.files}
                checked_tree(listed.name, tree)
                if tree_digest(tree) not in (listed.digest, whole.digest):
                    raise HubError(f"{self.name} sent {listed.name!r} with another content than it says")
            found[listed.name] = tree
        return found

    def give(self, name: str, tree: Tree | None, base: Tree | None, message: str) -> str:
        was = tree_digest(base) if base is not None else None
        made = self._client.propose(self._project, name, None if tree is None else dict(tree), message, was)
        return f"{self.name}/review/{made.id}"
