"""The structure of a skill without a model: from headings, lists, code and scripts. A baseline, and labelled as one.

It finds what is written in the usual form and guesses nothing: no conditions between prose paragraphs, no meaning of a
sentence without a known verb. Where a model can be asked, `prowess.evolve.normaliser` writes the same layers better.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from prowess.core.skill import Skill
from prowess.library.sections import sections
from prowess.search.scripts import Facts, Touch, facts_of
from prowess.search.structure import (
    END,
    MOST_SCENES,
    MOST_STEPS,
    Act,
    Layers,
    Pattern,
    Rule,
    Scene,
    SceneType,
    Scope,
    Step,
    Structure,
)
from prowess.search.verbs import act_of, scene_of

NAME: Final = "extractor/1"
BODY_CAP: Final = 200_000
_LINE: Final = 160
_MOST_NAMED: Final = 24
_ITEM: Final = re.compile(r"^ {0,3}(?:[-*+]|\d{1,3}[.)])\s+(?:\[[ xX]\]\s+)?(.+)$")
_FENCE: Final = re.compile(r"^ {0,3}(?:`{3,}|~{3,})\s*([\w+.-]*)")
_EMPHASIS: Final = re.compile(r"[*_]{2}|(?<!\w)_|_(?!\w)")
_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
_USE: Final = re.compile(
    r"\b(?:use (?:this|it|when|for)|when (?:the user|you|asked|working)|triggers?\b|for tasks)", re.I
)
_PATH: Final = re.compile(r"(?<![\w/.-])(?:[\w~.-]+/)*[\w-]+\.[a-z][a-z0-9]{1,5}(?![\w/(-])")
_URL: Final = re.compile(r"https?://([\w.-]{3,80})")
_BRANCH: Final = re.compile(r"\b(?:if|unless|otherwise|depending on|in case)\b", re.I)
_LOOP: Final = re.compile(r"\b(?:for each|for every|repeat|until|iterate|retry|loop)\b", re.I)
_ENDINGS: Final = {
    "bam", "bib", "csv", "db", "docx", "fasta", "html", "ipynb", "jpg", "js", "json", "log", "md", "mid", "mp4", "nc",
    "parquet", "pdf", "png", "pptx", "py", "r", "sh", "sql", "svg", "tex", "tif", "tiff", "toml", "ts", "tsv", "txt",
    "vcf", "wav", "xlsx", "xml", "yaml", "yml", "zip",
}  # fmt: skip
"""Of file names: `v1.2` and `e.g` are none."""
_SCOPES: Final[tuple[tuple[Scope, re.Pattern[str]], ...]] = (
    ("CREDENTIALS", re.compile(r"\b(?:api[ _-]?key|password|secret|credential|access token|auth token)s?\b", re.I)),
    (
        "NETWORK",
        re.compile(r"https?://|\b(?:download|upload|endpoint|web ?site|web search|internet|rest api|http)\b", re.I),
    ),
    ("USER_DATA", re.compile(r"\b(?:email|inbox|calendar|contacts?|personal data|customer data|patient)s?\b", re.I)),
    (
        "CODEBASE",
        re.compile(r"\b(?:repository|repo|codebase|source code|branch|commit|pull request|unit tests?)\b", re.I),
    ),
    ("PROCESS", re.compile(r"\b(?:command|terminal|shell|process|server|container)\b", re.I)),
    ("LOCAL_FS", re.compile(r"\b(?:file|folder|directory|workbook|spreadsheet|document|csv|pdf|json)s?\b", re.I)),
)
_ACTS: Final[dict[str, Act]] = {
    "reads": "READ", "writes": "WRITE", "deletes": "DELETE", "runs": "CALL_TOOL", "calls": "REQUEST",
}  # fmt: skip


def extract(skill: Skill) -> Structure:
    """The structure of `skill` as far as it can be read off its text and scripts. Pure; always sound."""
    return Structure(skill=skill.digest, by=NAME, layers=_layers(skill))


@dataclass(slots=True)
class _Draft:
    """A scene in the making."""

    type: SceneType
    goal: str
    steps: list[Step] = field(default_factory=list[Step])


def _layers(skill: Skill) -> Layers:
    read = ((file.path, facts_of(file.path, file.text)) for file in skill.files)
    scripts = {path: facts for path, facts in read if facts is not None}
    drafts = _fitted([draft for draft in _drafts(skill, scripts) if draft.steps])
    if not drafts:
        goal = _short(skill.description)
        drafts = [_Draft("ACT", goal, [Step(id="", act=act_of(goal) or "INFER", does=goal)])]
    scenes = _scenes(drafts)
    steps = [step for scene in scenes for step in scene.steps]
    text = skill.body[:BODY_CAP]
    blocks = [facts for language, code in _pieces(text) if language and (facts := facts_of(language, code)) is not None]
    branch = bool(_BRANCH.search(text)) or any(f.branches for f in scripts.values())
    loop = bool(_LOOP.search(text)) or any(f.loops for f in scripts.values())
    pattern: Pattern = "MIXED" if branch and loop else "LOOP" if loop else "BRANCH" if branch else "SEQUENCE"
    sentences = [_short(s) for s in _SENTENCE.split(" ".join(skill.description.split()))]
    return Layers(
        goal=sentences[0],
        intents=tuple(s for s in sentences if _USE.search(s)),
        tags=tuple(dict.fromkeys(word for word in re.split(r"[-_/\s]+", skill.name.casefold()) if word)),
        pattern=pattern,
        inputs=_named([i for f in scripts.values() for i in f.inputs] + [s.target for s in steps if s.act == "READ"]),
        outputs=_named(s.target for s in steps if s.act in {"WRITE", "NOTIFY"}),
        dependencies=_named(
            [i for f in (*scripts.values(), *blocks) for i in f.imports] + (skill.allowed_tools or "").split()
        ),
        control=tuple(_short(line) for line in _conditions(text))[:8],
        first=scenes[0].id,
        scenes=scenes,
    )


def _drafts(skill: Skill, scripts: Mapping[str, Facts]) -> Iterator[_Draft]:
    """One draft for each section in the order of the text, then one for all scripts."""
    body = skill.body[:BODY_CAP]
    found = sections(body)
    preamble = body[: found[0].start] if found else body
    for title, text in [("", preamble), *((s.title, body[s.body : s.own_end]) for s in found)]:
        steps = list(_steps(text))
        kind = scene_of(title) or _majority(steps)
        yield _Draft(kind, _short(title) or _short(skill.description), steps)
    touches = [_step_of(touch, path) for path, facts in scripts.items() for touch in facts.touches]
    yield _Draft("ACT", "Run the skill's scripts", touches)


def _steps(text: str) -> Iterator[Step]:
    """List items that begin with a known verb, and what code does."""
    for language, piece in _pieces(text):
        if language is not None:
            yield from _code_steps(facts_of(language, piece))
        elif (item := _ITEM.match(piece)) is not None:
            says = _short(_EMPHASIS.sub("", item[1]))
            if (act := act_of(says)) is not None:
                yield Step(
                    id="", act=act, does=says, scope=_scope(says), target=_target(says), instrument=_command(says)
                )


def _code_steps(facts: Facts | None) -> Iterator[Step]:
    for touch in facts.touches if facts is not None else ():
        yield _step_of(touch, "")


def _step_of(touch: Touch, script: str) -> Step:
    return Step(
        id="",
        act=_ACTS[touch.verb],
        does=f"{touch.verb} {touch.target}",
        instrument=script,
        scope=touch.scope,
        target=touch.target,
    )


def _fitted(drafts: list[_Draft]) -> list[_Draft]:
    """Neighbours of one type joined, then the smallest neighbours, until there are few enough scenes."""
    joined: list[_Draft] = []
    for draft in drafts:
        if joined and joined[-1].type == draft.type:
            joined[-1].steps += draft.steps
        else:
            joined.append(draft)
    while len(joined) > MOST_SCENES:
        at = min(range(len(joined) - 1), key=lambda i: len(joined[i].steps) + len(joined[i + 1].steps))
        one, two = joined[at], joined[at + 1]
        kept = one if len(one.steps) >= len(two.steps) else two
        joined[at : at + 2] = [_Draft(kept.type, kept.goal, one.steps + two.steps)]
    return joined


def _scenes(drafts: list[_Draft]) -> tuple[Scene, ...]:
    scenes: list[Scene] = []
    for number, draft in enumerate(drafts, 1):
        # Acts that reach outside come first when there is no room for all: they are what a reviewer must not miss.
        kept = sorted(range(len(draft.steps)), key=lambda i: (draft.steps[i].scope in {"MEMORY", "LOCAL_FS"}, i))
        steps = [draft.steps[i] for i in sorted(kept[:MOST_STEPS])]
        named = [
            step.model_copy(update={"id": f"s{number}.{i}", "output": step.target if step.act == "WRITE" else ""})
            for i, step in enumerate(steps, 1)
        ]
        scenes.append(
            Scene(
                id=f"s{number}",
                type=draft.type,
                goal=draft.goal,
                inputs=_named(step.target for step in named if step.act == "READ"),
                outputs=_named(step.output for step in named),
                first=named[0].id,
                steps=tuple(named),
                next=(Rule(to=f"s{number + 1}" if number < len(drafts) else END),),
            )
        )
    return tuple(scenes)


def _majority(steps: list[Step]) -> SceneType:
    """The type of a section whose heading tells nothing, from the acts in it."""
    kinds: dict[str, SceneType] = {"READ": "ACQUIRE", "REQUEST": "ACQUIRE", "VALIDATE": "VERIFY", "INFER": "REASON"}
    acts = [step.act for step in steps]
    most = max(set(acts), key=lambda act: (acts.count(act), act), default="WRITE")
    return kinds.get(most, "ACT")


def _pieces(text: str) -> Iterator[tuple[str | None, str]]:
    """Lines of prose, each with None, and fenced blocks, each with its language tag; an open one is left out."""
    language: str | None = None
    code: list[str] = []
    for line in text.splitlines():
        fence = _FENCE.match(line)
        if language is None and fence is None:
            yield None, line
        elif language is None and fence is not None:
            language = fence[1].lower()
        elif language is not None and fence is not None and not fence[1]:
            yield language, "\n".join(code)
            language, code = None, []
        else:
            code.append(line)


def _conditions(text: str) -> Iterator[str]:
    for line in text.splitlines():
        bare = line.strip(" -*+#>")
        if (_BRANCH.match(bare) or _LOOP.search(bare[:80])) and len(bare) > 12:
            yield bare


def _scope(text: str) -> Scope:
    for scope, pattern in _SCOPES:
        if pattern.search(text):
            return scope
    return "MEMORY"


def _target(text: str) -> str:
    if (url := _URL.search(text)) is not None:
        return url[1]
    return next((p for p in _PATH.findall(text) if p.rpartition(".")[2] in _ENDINGS), "")


def _command(text: str) -> str:
    """The program named in the first code span, where it is one."""
    span = re.search(r"`([a-z][\w.+-]{1,30})(?: [^`\n]{0,120})?`", text)
    return span[1] if span is not None and "." not in span[1] else ""


def _named(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in names if name))[:_MOST_NAMED]


def _short(text: str) -> str:
    return " ".join(text.split())[:_LINE]
