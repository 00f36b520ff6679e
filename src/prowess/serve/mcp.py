"""A library over the Model Context Protocol: five tools, `skill://` resources, and the methods of SEP-2640.

Agents that know the skills extension (`io.modelcontextprotocol/skills`) list and fetch skills with `skills/list` and
`skills/get`, with a digest for every file; all others have the tools. Both eras of the protocol are served, over stdio
and over HTTP, by the official SDK.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, ParamSpec, TypeVar

import anyio
from mcp.server.caching import CacheHint
from mcp.server.context import ServerRequestContext
from mcp.server.extension import Extension, MethodBinding
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ResourceNotFoundError, ToolError
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, RequestParams, ToolAnnotations
from mcp_types import Resource as ListedResource
from pydantic import Field

from prowess import __version__
from prowess.core.errors import UserError
from prowess.serve import telemetry
from prowess.serve.access import Access, Entry, Loaded, Match, Received, mime_type

EXTENSION = "io.modelcontextprotocol/skills"
PAGE = 100
"""Skills in one page of `skills/list`."""
LISTED = 1000
"""Skills that `resources/list` names at most; a larger library is searched, not listed."""
FRESH_MS = 5_000
"""How long a client may keep a list before it asks again."""
INSTRUCTIONS = """Skills that were learned from earlier work and proven on it.
Before a task, call search_skills with a few words about it; load_skill what fits, and follow it.
When nothing fits, work without a skill. Afterwards, call report_outcome with the skills that you used.
When you found out something that would have saved you work, call propose_skill with a short SKILL.md."""

P = ParamSpec("P")
R = TypeVar("R")


def server(access: Access) -> MCPServer[Any]:
    """An MCP server over one library; run it with `run("stdio")` or `run("streamable-http")`."""
    made = _SkillServer(access)
    reads = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
    adds = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=False)

    @made.tool(annotations=reads)
    async def search_skills(
        query: Annotated[str, Field(description="The task in a few words, or all of its text.", max_length=20_000)],
        limit: Annotated[int, Field(description="Most skills to give.", ge=1, le=50)] = 5,
    ) -> list[Match]:
        """Find skills for a task. Best first; empty when none fits, and then none is needed."""
        return list(await _answer(access.search, query, limit))

    @made.tool(annotations=reads)
    async def load_skill(name: Annotated[str, Field(description="A name that search_skills gave.")]) -> Loaded:
        """The instructions of a skill, and the files it has beside them."""
        about = {telemetry.OPERATION: "execute_tool", telemetry.TOOL: "load_skill", telemetry.SKILL: name[:64]}
        with telemetry.span("execute_tool load_skill", about):
            return await _answer(access.load, name)

    @made.tool(annotations=reads)
    async def read_skill_file(
        name: Annotated[str, Field(description="The skill.")],
        path: Annotated[str, Field(description="Path of the file within the skill, as in scripts/totals.py.")],
    ) -> str:
        """A text file of a skill. Bytes that are no text are replaced; read the resource to get them as they are."""
        return (await _answer(access.read, name, path)).decode("utf-8", "replace")

    @made.tool(annotations=adds)
    async def report_outcome(
        ctx: Context[Any, Any],
        task: Annotated[str, Field(description="What was to be done, in a sentence or two.", max_length=20_000)],
        outcome: Annotated[Literal["succeeded", "failed", "unknown"], Field(description="How it ended.")],
        skills: Annotated[Sequence[str], Field(description="Skills that you followed.", max_length=50)] = (),
        notes: Annotated[str, Field(description="What helped, what was wrong.", max_length=20_000)] = "",
    ) -> Received:
        """Say how a task ended and which skills you followed, so that the library learns which of them help."""
        return await _answer(access.report, task, outcome, skills, notes, agent=_agent(ctx))

    @made.tool(annotations=adds)
    async def propose_skill(
        ctx: Context[Any, Any],
        skill_md: Annotated[str, Field(description="A whole SKILL.md: frontmatter with name and description, then "
                                       "Markdown. The name of a skill that is there proposes a new text for it.")],
        reason: Annotated[str, Field(description="What happened that makes this worth knowing.", max_length=20_000)],
    ) -> Received:  # fmt: skip
        """Propose a skill, or a better text for one. A person decides; nothing changes before."""
        return await _answer(access.propose, skill_md, reason, agent=_agent(ctx))

    async def resource(name: str, path: str) -> bytes:
        try:
            return await anyio.to_thread.run_sync(access.read, name, path)
        except UserError as error:
            raise ResourceNotFoundError(str(error)) from error

    @made.resource("skill://{name}/SKILL.md", name="SKILL.md of a skill", mime_type="text/markdown")
    async def skill_md(name: str) -> str:
        return (await resource(name, "SKILL.md")).decode("utf-8", "replace")

    @made.resource("skill://{name}/{+path}", name="File of a skill", mime_type="application/octet-stream")
    async def skill_file(name: str, path: str) -> str | bytes:
        data = await resource(name, path)
        try:
            return data.decode()
        except UnicodeDecodeError:
            return data

    return made


class SkillsExtension(Extension):
    """`skills/list` and `skills/get` of SEP-2640."""

    identifier = EXTENSION

    def __init__(self, access: Access) -> None:
        self._access = access

    def methods(self) -> Sequence[MethodBinding]:
        return (
            MethodBinding("skills/list", _ListParams, self._list),
            MethodBinding("skills/get", _GetParams, self._get),
        )

    async def _list(self, context: ServerRequestContext[Any, Any], params: "_ListParams") -> dict[str, Any]:
        entries, after = await anyio.to_thread.run_sync(self._access.entries, params.cursor or "", PAGE)
        found: dict[str, Any] = {
            "skills": [_listed(entry) for entry in entries], "ttlMs": FRESH_MS, "cacheScope": "private",
        }  # fmt: skip
        return found | ({"nextCursor": after} if after else {})

    async def _get(self, context: ServerRequestContext[Any, Any], params: "_GetParams") -> dict[str, Any]:
        name = params.uri.removeprefix("skill://").removesuffix("/SKILL.md").rstrip("/")
        try:
            return {"skill": _listed(await anyio.to_thread.run_sync(self._access.entry, name))}
        except UserError as error:
            raise MCPError(INVALID_PARAMS, str(error)) from error


class _ListParams(RequestParams):
    cursor: str | None = None


class _GetParams(RequestParams):
    uri: str


def _listed(entry: Entry) -> dict[str, Any]:
    return {
        "uri": entry.uri,
        "frontmatter": entry.frontmatter,
        "resources": [{"uri": file.uri, "digest": file.digest} for file in entry.files],
    }


class _SkillServer(MCPServer[Any]):
    """Lists what the library holds at the moment of asking, which a fixed list of resources cannot."""

    def __init__(self, access: Access) -> None:
        super().__init__(
            "prowess",
            title="prowess",
            version=__version__,
            instructions=INSTRUCTIONS,
            extensions=[SkillsExtension(access)],
            log_level="WARNING",
            cache_hints={"resources/list": CacheHint(ttl_ms=FRESH_MS, scope="private")},
        )
        logging.getLogger("mcp").setLevel(logging.WARNING)
        self._access = access

    async def list_resources(self) -> list[ListedResource]:
        entries, _ = await anyio.to_thread.run_sync(self._access.entries, "", LISTED)
        return [
            ListedResource(
                uri=entry.uri,
                name=entry.skill.name,
                description=entry.skill.description,
                mime_type=mime_type("SKILL.md"),
                size=entry.files[0].size,
            )
            for entry in entries
        ]


async def _answer(ask: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """The answer of one call, made in a thread; what the caller can mend comes back as the tool's error."""
    try:
        return await anyio.to_thread.run_sync(lambda: ask(*args, **kwargs))
    except UserError as error:
        raise ToolError(str(error)) from error


def _agent(context: Context[Any, Any]) -> str:
    """Name and version that the client gave of itself."""
    params = context.session.client_params
    return f"{params.client_info.name}/{params.client_info.version}"[:80] if params else "an MCP client"
