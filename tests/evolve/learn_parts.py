"""Sessions of the shape that importers make, small enough to read."""

from collections.abc import Sequence
from typing import Any

from prowess.core.model import ToolCall
from prowess.core.trajectory import Observation, Step, Trajectory

Call = tuple[str, dict[str, Any], str, bool]
"""Tool, arguments, what came back, whether that was an error."""


def user(text: str) -> Step:
    return Step(source="user", message=text)


def agent(message: str = "", *calls: Call, reasoning: str = "") -> Step:
    made = tuple(ToolCall(id=f"call{i}", name=name, arguments=args) for i, (name, args, _, _) in enumerate(calls))
    seen = tuple(Observation(content=out, call_id=f"call{i}", is_error=bad) for i, (_, _, out, bad) in enumerate(calls))
    return Step(source="agent", message=message, reasoning=reasoning, tool_calls=made, observations=seen)


def bash(command: str, out: str = "", bad: bool = False, description: str = "") -> Call:
    arguments = {"command": command, **({"description": description} if description else {})}
    return ("Bash", arguments, f"Exit code 1\n{out}" if bad else out, bad)


def session(id: str, steps: Sequence[Step], **extra: Any) -> Trajectory:
    return Trajectory(
        id=id, agent="claude-code/2.1", model="m", steps=tuple(steps), extra={"session_id": f"s-{id}", **extra}
    )


LEDGER = '''import csv
from decimal import Decimal, ROUND_HALF_UP

# Skip void rows before summing the ledger
def ledger_totals(path):
    """Sum the amounts of each ledger account."""
    totals = {}
    for row in csv.DictReader(open(path), delimiter=";"):
        if row["status"] == "void":
            continue
        amount = Decimal(row["amount"].replace(",", "."))
        totals[row["account"]] = totals.get(row["account"], Decimal(0)) + amount
    return {a: t.quantize(Decimal("0.01"), rounding=ROUND_HALF_UP) for a, t in totals.items()}
'''


def ledger(id: str, file: str = "ledger.csv", extra: str = "", correction: str = "") -> Trajectory:
    """A session that sums a ledger: it fails on decimal commas first, then skips void rows, then checks."""
    steps = [
        user(f"Please sum the ledger {file} by account and write totals.csv. {extra}"),
        agent(
            "Let me look at the ledger to see its columns and separator.",
            bash(f"head /home/anna/work/{file}", "account;amount;status", description="Show the ledger columns"),
        ),
        agent(
            "",
            bash(
                f"python3 /home/anna/work/totals.py /home/anna/work/{file}",
                "Traceback (most recent call last):\n  File x\nValueError: could not convert string to float: '1,50'",
                bad=True,
                description="Compute the ledger totals",
            ),
        ),
        agent(
            "The amounts of the ledger have decimal commas, so replace the comma before converting.",
            ("Write", {"file_path": "/home/anna/work/totals.py", "content": LEDGER}, "ok", False),
            bash(
                f"python3 /home/anna/work/totals.py /home/anna/work/{file}",
                "ok",
                description="Compute the ledger totals",
            ),
        ),
        agent(
            "Let me verify that the ledger totals add up to the sum of all rows that are not void.",
            bash("cat totals.csv", "a;1.00", description="Check the ledger totals against the rows"),
        ),
    ]
    if correction:
        steps += [user(correction), agent("I will write it again.", bash("python3 totals.py --again", "ok"))]
    return session(id, steps, cwd="/home/anna/work")


def translation(id: str) -> Trajectory:
    """A session of another kind of work."""
    return session(
        id,
        [
            user("Translate the German letter in brief.docx into polite French."),
            agent("Let me read the German letter.", ("Read", {"file_path": "/tmp/brief.docx"}, "Sehr geehrte", False)),
            agent(
                "The letter uses a formal greeting, so the French translation needs one as well.",
                ("Write", {"file_path": "/tmp/lettre.md", "content": "Madame, Monsieur"}, "ok", False),
            ),
        ],
        cwd="/tmp",
    )


def backup(id: str) -> Trajectory:
    """A third kind of work, with enough in it for a skill."""
    return session(
        id,
        [
            user("Back up the wiki database to the archive host."),
            agent("Let me stop the wiki service before dumping its database.", bash("systemctl stop wiki", "ok")),
            agent(
                "The dump must use a single transaction, otherwise tables are locked.",
                bash("pg_dump --format=custom wiki > wiki.dump", "ok", description="Dump the wiki database"),
            ),
            agent("", bash("rsync wiki.dump archive:", "ok", description="Copy the dump to the archive host")),
            agent("Let me verify the checksum of the dump on the archive host.", bash("sha256sum wiki.dump", "ok")),
            agent("", bash("systemctl start wiki", "ok", description="Start the wiki service again after the backup")),
        ],
    )
