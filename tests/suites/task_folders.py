"""Small task folders in Harbor's format, written where a test wants them."""

from pathlib import Path
from typing import Any

DOCKERFILE = """
FROM ubuntu:24.04
ENV DEBIAN_FRONTEND=noninteractive
# Python, and what brings it
RUN apt-get update && apt-get install -y \\
    python3 curl \\
    && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY numbers.txt /app/numbers.txt
COPY skills /root/.claude/skills
"""
TEST = """#!/bin/bash
apt-get update > /dev/null && apt-get install -y curl
curl -LsSf https://example.invalid/uv/install.sh | sh
source $HOME/.local/bin/env
uvx --with openpyxl==3.1.5 python3 /tests/check.py
if [ $? -eq 0 ]; then echo 1 > /logs/verifier/reward.txt; else echo 0 > /logs/verifier/reward.txt; fi
"""
CHECK = "assert open('/app/sum.txt').read().strip() == str(sum(map(int, open('/app/numbers.txt'))))\n"
SOLVE = """#!/bin/bash
set -e
python3 -c "print(sum(map(int, open('/app/numbers.txt'))))" > /app/sum.txt
"""
TOML = "version = '1.0'\n[verifier]\ntimeout_sec = 20.0\n"


def write_task(folder: Path, **changed: Any) -> Path:
    """A task that asks for the sum of a file. Parts are changed by name, files by `files`; None leaves one out."""
    parts: dict[str, str | None] = {
        "task.toml": changed.get("toml", TOML),
        "instruction.md": changed.get(
            "instruction", "Write the sum of the numbers in `/app/numbers.txt` to `/app/sum.txt`."
        ),
        "environment/Dockerfile": changed.get("dockerfile", DOCKERFILE),
        "environment/numbers.txt": "1\n2\n39\n",
        "tests/test.sh": changed.get("test", TEST),
        "tests/check.py": changed.get("check", CHECK),
        "solution/solve.sh": changed.get("solve", SOLVE),
        **changed.get("files", {}),
    }
    for path, text in parts.items():
        if text is not None:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
    return folder
