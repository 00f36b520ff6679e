"""A route of the hub's API as data: who may call it, what goes in, what comes out.

From the one table of routes (`prowess.serve.hub.api`) come the server, its OpenAPI description and the tests of who may
do what; a route that is not in the table is not served, and one without a right cannot be written.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from prowess import __version__
from prowess.core.errors import PatchConflict, Refused, UserError
from prowess.guard.redact import redact
from prowess.serve.hub.accounts import NAME, NotFound, Principal, Right
from prowess.serve.hub.database import DatabaseError
from prowess.serve.hub.service import Hub, Project

Needs = Literal["nothing", "account", "admin"] | Right
"""`nothing`: anybody; `account`: a token; `admin`: the hub's administrator; else a right in the project of the path."""


class Denied(UserError):
    """Who asks is known, and may not."""


class NoToken(UserError):
    """Who asks is not known."""


class Nothing(BaseModel):
    """No query, no body, or no answer."""

    model_config = {"extra": "forbid"}


@dataclass(frozen=True, slots=True)
class Call:
    """One request, checked."""

    hub: Hub
    who: Principal
    path: dict[str, str]
    query: Any
    body: Any

    @property
    def project_name(self) -> str:
        return self.path["project"]

    @property
    def project(self) -> Project:
        return self.hub.project(self.path["project"])

    def note(self, action: str, what: str) -> None:
        """Into the audit log, of the path's project where it has one."""
        self.hub.accounts.note(self.who.account, action, what, self.path.get("project"))


@dataclass(frozen=True, slots=True)
class Route:
    """One row of the table."""

    name: str
    """Of the client's method and of OpenAPI's operation."""
    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    needs: Needs
    call: Callable[[Call], Any]
    """Runs in a thread, or, a coroutine function, in the event loop. What it gives is written as JSON of `answer`."""
    answer: Any = Nothing
    body: type[BaseModel] | type[bytes] | None = None
    """`bytes`: whatever was sent, as it is."""
    query: type[BaseModel] = Nothing
    status: int = 200

    @property
    def summary(self) -> str:
        return " ".join((self.call.__doc__ or "").split("\n\n")[0].split())


def permit(route: Route, who: Principal | None, project: str | None) -> Principal:
    """Lets a principal through, or says no. Of a project in which they have no role they learn nothing.

    Raises:
        NoToken, Denied, NotFound
    """
    if route.needs == "nothing":
        return who or Principal("")
    if who is None:
        raise NoToken("this needs a token", "send it as `Authorization: Bearer …`")
    if route.needs == "admin":
        if not who.admin:
            raise Denied("only the hub's administrator may do this")
    elif route.needs != "account":
        if project is None or project not in who.roles:
            raise NotFound(f"there is no project {project!r}")
        if not who.may(route.needs, project):
            raise Denied(f"this takes the right to {route.needs} in {project!r}", "ask one of its managers")
    return who


async def parsed(route: Route, request: Request) -> tuple[Any, Any]:
    """Query and body of a request, checked; raises UserError."""
    try:
        query = route.query.model_validate(dict(request.query_params))
    except ValidationError as error:
        raise UserError(f"the query does not fit: {first(error)}") from error
    if route.body is None:
        return query, None
    data = await request.body()
    if route.body is bytes:
        return query, data
    assert issubclass(route.body, BaseModel)
    try:
        return query, route.body.model_validate_json(data)
    except ValidationError as error:
        raise UserError(f"the body does not fit: {first(error)}") from error


def first(error: ValidationError) -> str:
    """The first thing that does not fit, without repeating what was sent."""
    found = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in found["loc"])
    return f"{where}: {found['msg']}" if where else found["msg"]


def encoded(route: Route, answer: Any, adapters: dict[str, TypeAdapter[Any]]) -> Response:
    """The answer as a response."""
    if isinstance(answer, Response):
        return answer
    if answer is None:
        return Response(status_code=204)
    adapter = adapters.get(route.name) or adapters.setdefault(route.name, TypeAdapter(route.answer))
    return Response(adapter.dump_json(answer), route.status, media_type="application/json")


_STATUS: Final[tuple[tuple[type[UserError], int], ...]] = (
    (NoToken, 401), (Denied, 403), (NotFound, 404), (PatchConflict, 409), (Refused, 409),
)  # fmt: skip


def failed(error: Exception) -> Response:
    """What goes wrong, as an answer; nothing of the machine is in it."""
    if isinstance(error, UserError):
        status = next((code for kind, code in _STATUS if isinstance(error, kind)), 422)
        headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
        # What was sent may be quoted in it, and answers lie in the logs of whatever stands between.
        return JSONResponse({"error": redact(error.message), "hint": redact(error.hint)}, status, headers)
    if isinstance(error, DatabaseError):
        return JSONResponse(
            {"error": "the hub's database does not answer", "hint": "try again"}, 503, {"Retry-After": "2"}
        )
    return JSONResponse({"error": "something went wrong here", "hint": "the hub's log says what"}, 500)


class Problem(BaseModel):
    """Why a request was not served."""

    error: str
    hint: str = ""


def openapi(routes: Sequence[Route]) -> dict[str, Any]:
    """The table as an OpenAPI 3.1 document."""
    models = [m for r in routes for m in (r.query, r.body) if m is not None and m is not bytes and m is not Nothing]
    wanted: list[Any] = [(m, "validation") for m in dict.fromkeys(models)] + [(Problem, "serialization")]
    template = "#/components/schemas/{model}"
    _, made = models_json_schema(wanted, ref_template=template)
    schemas: dict[str, Any] = dict(made.get("$defs", {}))
    paths: dict[str, Any] = {}
    for route in routes:
        answer = TypeAdapter(route.answer).json_schema(ref_template=template, mode="serialization")
        schemas |= answer.pop("$defs", {})
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, answer)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "prowess hub",
            "version": __version__,
            "description": "Skills, sessions and review of a team.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Route, answer: dict[str, Any]) -> dict[str, Any]:
    ref = {"$ref": "#/components/schemas/Problem"}
    problem = {"description": "A problem", "content": {"application/json": {"schema": ref}}}
    good: dict[str, Any] = {"description": "Done"}
    if route.answer is not Nothing:
        good["content"] = {"application/json": {"schema": answer}}
    codes = {"nothing": (), "account": (401,), "admin": (401, 403)}.get(route.needs, (401, 403, 404))
    found: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "parameters": [*_in_path(route.path), *_in_query(route.query)],
        "responses": {
            str(204 if route.answer is Nothing else route.status): good,
            **{str(code): problem for code in sorted({*codes, 404, 408, 409, 413, 415, 422, 429, 503})},
        },
        "x-needs": route.needs,
    }
    if route.needs != "nothing":
        found["security"] = [{"token": []}]
    if route.body is bytes:
        found["requestBody"] = {
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
        }
    elif route.body is not None:
        schema = {"$ref": f"#/components/schemas/{route.body.__name__}"}
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return found


def _in_path(path: str) -> list[dict[str, Any]]:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    plain = {"type": "string", "pattern": f"^{NAME}$"}
    schemas = {name: plain if name in ("project", "account") else {"type": "string"} for name in names}
    return [{"name": name, "in": "path", "required": True, "schema": schema} for name, schema in schemas.items()]


def _in_query(model: type[BaseModel]) -> list[dict[str, Any]]:
    schema = json.loads(json.dumps(model.model_json_schema(ref_template="#/components/schemas/{model}")))
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": found}
        for name, found in schema.get("properties", {}).items()
    ]
