"""What the API does with skills: reading, searching, proposing, and deciding on proposals."""

from starlette.responses import Response

from prowess.core.errors import Refused, UserError
from prowess.library import Change, Proposal
from prowess.library.patching import diff, touched
from prowess.library.trees import tree_digest
from prowess.serve import review
from prowess.serve.access import mime_type
from prowess.serve.hub import models as m
from prowess.serve.hub.accounts import NotFound
from prowess.serve.hub.evolver import vouched
from prowess.serve.hub.routes import Call
from prowess.serve.hub.service import Hub, Project


def skills(call: Call) -> m.SkillList:
    """The skills that are published: somebody has vouched for each."""
    now = call.project.served()
    found = (m.SkillView(name=s.name, description=s.description, digest=now.digests[s.name]) for s in now.skills.skills)
    return m.SkillList(head=now.head, skills=tuple(found))


def skill(call: Call) -> m.WholeSkill:
    """A skill with all its files."""
    name, now = call.path["skill"], call.project.served()
    if name not in now.trees:
        if name in now.barred:
            raise Refused(f"skill {name!r} is not published: {now.barred[name]}")
        raise NotFound(f"there is no skill {name!r}")
    tree = now.trees[name]
    files = tuple(m.SkillFile(path=path, data=tree[path]) for path in sorted(tree))
    return m.WholeSkill(name=name, digest=now.digests[name], files=files)


def published(call: Call) -> Response:
    """The index of the skills for discovery (`index.json`), or an archive that it names, of the token's one project."""
    return _published(call, call.path["file"])


def published_text(call: Call) -> Response:
    """A skill of one file, as that index names it."""
    return _published(call, f"{call.path['skill']}/SKILL.md")


def _published(call: Call, path: str) -> Response:
    """Discovery knows one place for a whole host, so which project is meant can only be said by the token."""
    mine = [name for name in sorted(call.who.roles) if call.who.may("read", name)]
    if len(mine) != 1:
        raise UserError(f"this token reads {len(mine)} projects", "ask for one that is bound to one project")
    files = call.hub.project(mine[0]).published()
    if path not in files:
        raise NotFound(f"nothing is published as {path!r}")
    return Response(files[path], media_type=mime_type(path), headers={"cache-control": "private, no-cache"})


def search(call: Call) -> list[m.Found]:
    """The skills that fit a task, best first; none when none fits."""
    now = call.project.served()
    hits = now.search(call.query.q, call.query.limit)
    return [m.Found(name=h.name, description=now.by_name[h.name].description, score=h.score) for h in hits]


def changes(call: Call) -> list[m.ChangeView]:
    """What happened to the library, the newest first."""
    return [_change(change) for change in call.project.library.log(limit=200)]


def _change(change: Change) -> m.ChangeView:
    reason = change.patch.reason if change.patch is not None else f"undoes {change.undoes}" if change.undoes else ""
    return m.ChangeView(
        id=change.id, when=change.when, kind=change.kind, by=change.by, reason=reason, skills=tuple(change.trees)
    )


def undo(call: Call) -> m.ChangeView:
    """Take a change back."""
    made = call.project.library.undo(call.path["change"], by=call.who.account)
    call.note("change undone", call.path["change"])
    call.hub.jobs.ask(call.project_name, "vouch", call.who.account, made.id)
    return _change(made)


# Proposals


def proposals(call: Call) -> list[m.ProposalView]:
    """Those that wait for a person, the oldest first."""
    return [_proposal(found) for found in call.project.library.proposals()]


def _proposal(p: Proposal) -> m.ProposalView:
    return m.ProposalView(
        id=p.id, when=p.when, by=p.by, reason=p.patch.reason, skills=touched(p.patch), verdicts=p.verdicts
    )


def proposal(call: Call) -> m.WholeProposal:
    """One of them, with its difference to the library as it is."""
    library = call.project.library
    found = _waiting(call)
    pairs, conflict = review.differing(library, found)
    text = "" if conflict else diff(library.snapshot(), review.candidate(library, found)) if pairs else ""
    return m.WholeProposal(**dict(_proposal(found)), diff=text, conflict=conflict)


def _waiting(call: Call) -> Proposal:
    try:
        return review.find(call.project.library, call.path["proposal"])
    except UserError as error:
        raise NotFound(error.message) from error


def propose(call: Call) -> m.ProposalView:
    """Propose a skill as one has it, or its removal; nothing changes before somebody decides."""
    asked, project_ = call.body, call.project
    tree = {file.path: file.data for file in asked.files} or None
    if asked.base is not None:
        now = project_.library.trees().get(asked.name)
        if (tree_digest(now) if now is not None else "") != asked.base:
            raise Refused(f"{asked.name} has changed on the hub meanwhile", "sync, and propose it again")
    found = project_.propose(
        asked.name, tree, asked.reason or f"{asked.name}, as {call.who.account} has it", call.who.account
    )
    call.note("proposed", f"{found.id} {asked.name}")
    settings = call.hub.accounts.settings(call.project_name)
    if settings.suite:
        call.hub.jobs.ask(call.project_name, "validate", call.who.account, found.id)
    return _proposal(found)


def use(call: Call) -> m.Decided:
    """Take a proposal into the library, as it is or with another text. Nobody decides alone on what is their own."""
    return decide(call.hub, call.project, _waiting(call), call.who.account, call.body.text, call.body.foreign)


def decide(hub: Hub, project: Project, found: Proposal, by: str, text: str | None, foreign: bool) -> m.Decided:
    """`use`, from the API or from a page.

    Raises:
        Refused: it is one's own proposal, and somebody else could decide; or as `review.use` does.
    """
    others = [
        a for a, role in hub.accounts.members(project.name).items() if a != by and role in ("reviewer", "manager")
    ]
    if found.by == by and others:
        raise Refused("you proposed this yourself", f"ask {', '.join(others[:3])} to decide on it")
    library, keyring = project.library, project.keyring
    if text is None:
        used = review.use(library, keyring, found.id, by=by, foreign=foreign)
    else:
        used = review.tweak(library, keyring, found.id, text, by=by, foreign=foreign)
    hub.accounts.note(by, "used" if text is None else "tweaked", f"{found.id} as {used.change.id}", project.name)
    # What the hub's own gates have attested may raise it further than a reader's word alone.
    held = vouched(project, used.change.id, used.change.verdicts, by)
    if held:
        hub.jobs.ask(project.name, "vouch", by, used.change.id)
    return m.Decided(change=used.change.id, held=held)


def skip(call: Call) -> None:
    """Refuse a proposal for good."""
    review.skip(call.project.library, _waiting(call).id, call.body.reason, by=call.who.account)
    call.note("skipped", call.path["proposal"])
