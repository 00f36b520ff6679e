"""The embedded model: llama.cpp inside this process, on the CPU, with no key and no network.

One engine per model file and process, with one slot. Requests wait in a queue and run one at a time; the next to run is
the one that shares the longest beginning with the last, so that a shared prompt is read once (decision 0020 has the
measurements). The engine runs in a daemon thread of its own; leaving the interpreter stops it within a token.
"""

import asyncio
import atexit
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prowess.agents.models import chat
from prowess.agents.models.chat import Body
from prowess.agents.models.processors import idle_processors
from prowess.agents.models.structured import json_in
from prowess.core.cost import Cost
from prowess.core.errors import ModelError, UserError
from prowess.core.model import Request, Response, ToolCall

CACHE_MIB = 512
"""Memory for the states of earlier prompts, so that interleaved conversations need not be read anew."""
OVERTAKEN_LIMIT = 32
"""A waiting request is passed by at most so many others before it runs, whatever it shares."""


class EmbeddedModel:
    """A GGUF file, as a `Model`. Cheap to make: the file is loaded at the first request.

    `timeout` is in seconds of engine time for one request; waiting in the queue does not count. Needs asyncio.
    """

    def __init__(
        self,
        path: Path,
        name: str,
        *,
        threads: int | None = None,
        context: int = 8192,
        timeout: float = 600.0,
        logprobs: bool = False,
    ) -> None:
        if not path.is_file():
            raise UserError(f"there is no model file {path}", "run `prowess model pull`, or give a GGUF file")
        self._name = name
        self._engine = _engine(path, threads, context)
        self._timeout = timeout
        self._logprobs = logprobs

    @property
    def name(self) -> str:
        return self._name

    async def complete(self, request: Request) -> Response:
        job = _Job(body(request, logprobs=self._logprobs), prefix(request), self._timeout)
        self._engine.submit(job)
        try:
            chunks = await asyncio.wrap_future(job.future)
        finally:
            job.abandoned = True  # a cancelled request leaves the queue, or stops at its next token
        return response(chunks, request, self._name)


@dataclass(slots=True, eq=False)
class _Job:
    body: Body
    prefix: str
    timeout: float
    future: "Future[list[Body]]" = field(default_factory=Future["list[Body]"])
    abandoned: bool = False
    overtaken: int = 0


class _Engine:
    """One model file in memory, one thread that runs it, and the queue before it.

    `_changed` guards `_waiting` and `_closed`; the engine itself is only touched by its thread.
    """

    def __init__(self, path: Path, threads: int | None, context: int) -> None:
        self._path, self._threads, self._context = path, threads, context
        self._waiting: list[_Job] = []
        self._changed = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None

    def submit(self, job: _Job) -> None:
        with self._changed:
            if self._closed:
                raise ModelError("the embedded engine was closed")
            self._waiting.append(job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name=f"engine {self._path.name}", daemon=True)
                self._thread.start()
            self._changed.notify()

    def close(self) -> None:
        """Stop the running request at its next token, fail the waiting ones, free the memory."""
        with self._changed:
            self._closed = True
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join(timeout=30.0)

    def _work(self) -> None:
        server: Any = None
        last = ""
        while (job := self._take(last)) is not None:
            if not job.future.set_running_or_notify_cancel():
                continue
            try:
                if server is None:
                    server = _load(self._path, self._threads, self._context)
                chunks = self._run(server, job)
            except ModelError as error:
                job.future.set_exception(error)
            except (RuntimeError, ValueError) as error:  # how the engine reports a request it cannot run
                job.future.set_exception(ModelError(f"the embedded engine refused the request: {error}"))
            except Exception as error:  # a bug: crashes the caller, who waits, not this thread, which others need
                job.future.set_exception(error)
            else:
                job.future.set_result(chunks)
            last = job.prefix
        with self._changed:
            for job in self._waiting:
                job.future.set_exception(ModelError("the embedded engine was closed", retryable=True))
            self._waiting.clear()

    def _take(self, last: str) -> _Job | None:
        with self._changed:
            while True:
                if self._closed:
                    return None
                self._waiting = [job for job in self._waiting if not job.abandoned]
                if self._waiting:
                    break
                self._changed.wait()
            job = self._waiting.pop(choose(last, [(job.prefix, job.overtaken) for job in self._waiting]))
            for other in self._waiting:
                other.overtaken += 1
            return job

    def _run(self, server: Any, job: _Job) -> list[Body]:
        deadline = time.monotonic() + job.timeout
        chunks: list[Body] = []
        stopped = ""

        def receive(chunk: Body) -> bool:
            nonlocal stopped
            chunks.append(chunk)
            if self._closed:
                stopped = "the embedded engine was closed"
            elif job.abandoned:
                stopped = "the request was cancelled"
            elif time.monotonic() > deadline:
                stopped = f"the embedded model took longer than {job.timeout:g} s"
            return bool(stopped)

        server.handle_chat_completions(job.body, receive)
        if stopped:
            raise ModelError(stopped, retryable=True)
        return chunks


_engines: dict[tuple[Path, int | None, int], _Engine] = {}
_engines_lock = threading.Lock()  # holds: at most one engine per file and settings


def _engine(path: Path, threads: int | None, context: int) -> _Engine:
    key = (path.resolve(), threads, context)
    with _engines_lock:
        if key not in _engines:
            _engines[key] = _Engine(*key)
        return _engines[key]


@atexit.register
def close_all() -> None:
    """Stop every engine of this process and free its memory; runs by itself at exit."""
    with _engines_lock:
        engines = list(_engines.values())
        _engines.clear()
    for engine in engines:
        engine.close()


def _load(path: Path, threads: int | None, context: int) -> Any:
    try:
        import xllamacpp  # pyright: ignore[reportMissingTypeStubs]
    except ImportError as error:
        raise ModelError(f"the embedded engine cannot be loaded on this machine: {error}") from error

    xl: Any = xllamacpp
    params: Any = xl.CommonParams()
    params.model.path = str(path)
    params.n_ctx = context
    params.n_parallel = 1
    params.kv_unified = True
    count = threads or idle_processors()
    params.cpuparams.n_threads = count
    params.cpuparams_batch.n_threads = count
    params.verbosity = -1  # below errors: they come back as exceptions
    params.cache_ram_mib = CACHE_MIB
    params.slot_prompt_similarity = 0.0
    params.warmup = False
    try:
        return xl.Server(params)
    except (RuntimeError, ValueError) as error:
        raise ModelError(f"the embedded engine cannot load {path.name}: {error}") from error


def choose(last: str, waiting: Sequence[tuple[str, int]]) -> int:
    """Index of the request to run next: the one overtaken too often, else the most shared with `last`, else the oldest.

    `waiting` holds, oldest first, each request's prompt and how many others have been run before it since it came.
    """
    if waiting[0][1] >= OVERTAKEN_LIMIT:
        return 0
    return max(range(len(waiting)), key=lambda i: (shared(last, waiting[i][0]), -i))


def shared(a: str, b: str) -> int:
    """Length of the beginning that two texts share."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a.startswith(b[:middle]):
            low = middle
        else:
            high = middle - 1
    return low


def prefix(request: Request) -> str:
    """What the engine reads, as one text in the order in which chat templates put it."""
    tools = "".join(tool.model_dump_json() for tool in request.tools)
    return tools + "".join(f"\0{m.role}\0{m.content}" for m in request.messages)


def body(request: Request, *, logprobs: bool) -> Body:
    """The request in the dialect of the engine."""
    out = chat.body(request) | {
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "seed": request.seed % 0xFFFFFFFF,  # the excluded highest value means "random"
        "cache_prompt": True,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if logprobs and not request.tools:  # the engine gives none together with tools
        out |= {"logprobs": True, "top_logprobs": 1}
    return out


def response(chunks: Sequence[Body], request: Request, name: str) -> Response:
    """The streamed pieces as one answer. Raises `ModelError` when the engine sent an error or no end."""
    text: list[str] = []
    calls: dict[int, dict[str, str]] = {}
    logprobs: list[float] = []
    finish = ""
    timings: Mapping[str, float] = {}
    for chunk in chunks:
        if "error" in chunk:
            raise ModelError(
                f"the embedded engine refused the request: {chunk['error'].get('message', chunk['error'])}"
            )
        timings = chunk.get("timings") or timings
        for choice in chunk.get("choices", ()):
            delta: Body = choice.get("delta") or {}
            text.append(delta.get("content") or "")
            for piece in delta.get("tool_calls") or ():
                call = calls.setdefault(piece.get("index", 0), {"id": "", "name": "", "arguments": ""})
                call["id"] += piece.get("id") or ""
                function: Body = piece.get("function") or {}
                call["name"] += function.get("name") or ""
                call["arguments"] += function.get("arguments") or ""
            told: Body = choice.get("logprobs") or {}
            tokens: list[Body] = told.get("content") or []
            logprobs.extend(min(0.0, float(token["logprob"])) for token in tokens)
            finish = choice.get("finish_reason") or finish
    if not finish:
        raise ModelError("the embedded engine stopped before the answer's end", retryable=True)
    answer = "".join(text)
    tool_calls = tuple(
        chat.tool_call(call["id"] or f"call-{i}", call["name"], call["arguments"]) for i, call in sorted(calls.items())
    )
    if request.tools and not tool_calls and finish == "stop":
        tool_calls = calls_in_text(answer, {tool.name for tool in request.tools})
    cached, fresh = int(timings.get("cache_n", 0)), int(timings.get("prompt_n", 0))
    return Response(
        text=answer,
        tool_calls=tool_calls,
        finish_reason="tool_calls" if tool_calls else "length" if finish == "length" else "stop",
        model=name,
        cost=Cost(
            calls=1,
            prompt_tokens=cached + fresh,
            cached_tokens=cached,
            completion_tokens=int(timings.get("predicted_n", 0)),
            seconds=(timings.get("prompt_ms", 0.0) + timings.get("predicted_ms", 0.0)) / 1000,
        ),
        logprobs=tuple(logprobs) if logprobs else None,
    )


def calls_in_text(text: str, names: "set[str]") -> tuple[ToolCall, ...]:
    """The one call that a small model wrote as plain JSON instead of in its template's form; empty when there is none.

    Counts only when the JSON names an offered tool and has an object of arguments.
    """
    try:
        found = json_in(text)
    except ValueError:
        return ()
    if not isinstance(found, dict):
        return ()
    name, arguments = found.get("name"), found.get("arguments")
    if not isinstance(name, str) or name not in names or not isinstance(arguments, dict):
        return ()
    return (ToolCall(id="call-0", name=name, arguments=arguments),)
