"""The part of Docker's command line that prowess uses, over folders and bubblewrap, for machines without an engine.

Images and containers are folders below `$FAKE_ENGINE`; `build` knows FROM, WORKDIR and COPY.
"""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import uuid
from pathlib import Path

ROOT = Path(os.environ["FAKE_ENGINE"])
WITH_VALUE = {"--label", "--security-opt", "--entrypoint", "--memory", "--pids-limit", "--ulimit", "--network"}


def build(tag: str, context: Path) -> None:
    image = ROOT / tag.replace(":", "-")
    work = "/"
    for line in (context / "Dockerfile").read_text().splitlines():
        word, _, rest = line.partition(" ")
        if word == "WORKDIR":
            work = rest
        elif word == "COPY":
            source, target = rest.split()
            (image / "root" / target[1:]).parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (context / source).is_dir() else shutil.copy
            copy(context / source, image / "root" / target[1:])
        elif word != "FROM":
            raise SystemExit(f"unknown instruction {word}")
    (image / "root" / work[1:]).mkdir(parents=True, exist_ok=True)
    (image / "config.json").write_text(json.dumps({"work": work}))


def create(words: list[str]) -> None:
    settings = {"env": []}
    while words[0].startswith("--"):
        option = words.pop(0)
        if option == "--env":
            settings["env"].append(words.pop(0))
        elif option == "--workdir":
            settings["work"] = words.pop(0)
        elif option in WITH_VALUE:
            settings[option] = words.pop(0)
        elif option != "--":
            raise SystemExit(f"unknown option {option}")
    image = ROOT / words[0].replace(":", "-")
    container = ROOT / uuid.uuid4().hex
    shutil.copytree(image / "root", container / "root")
    settings = json.loads((image / "config.json").read_text()) | settings | {"argv": words[1:]}
    (container / "config.json").write_text(json.dumps(settings))
    print(container.name)


def start(container: Path) -> int:
    settings = json.loads((container / "config.json").read_text())
    line = ["bwrap", "--unshare-all", "--die-with-parent", "--clearenv", "--setenv", "PATH", "/usr/bin:/bin"]
    line += [
        "--ro-bind",
        "/usr",
        "/usr",
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "--tmpfs",
        "/tmp",
        "--setenv",
        "HOME",
        "/root",
    ]
    for name in ("bin", "lib", "lib64"):
        line += ["--symlink", f"usr/{name}", f"/{name}"]
    for variable in settings["env"]:
        line += ["--setenv", *variable.split("=", 1)]
    for folder in (container / "root").iterdir():
        line += ["--bind", str(folder), f"/{folder.name}"]
    return subprocess.run([*line, "--chdir", settings["work"], *settings["argv"]], check=False).returncode


def main(words: list[str]) -> int:
    match words:
        case ["info"]:
            return 0
        case ["image", "inspect", tag]:
            return 0 if (ROOT / tag.replace(":", "-")).is_dir() else 1
        case ["build", "--quiet", "--tag", tag, context]:
            build(tag, Path(context))
        case ["create", *rest]:
            create(rest)
        case ["inspect", "--format", "{{.Config.WorkingDir}}", container]:
            print(json.loads((ROOT / container / "config.json").read_text())["work"])
        case ["cp", "-", target]:
            container, _, place = target.partition(":")
            with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as archive:
                archive.extractall(ROOT / container / "root" / place[1:], filter="data")
        case ["cp", source, "-"]:
            container, _, place = source.partition(":")
            with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as archive:
                archive.add(ROOT / container / "root" / place[1:], ".")
        case ["start", "--attach", container]:
            return start(ROOT / container)
        case ["stop", "-t", "0", _]:
            return 0
        case ["rm", "-f", "-v", container]:
            shutil.rmtree(ROOT / container)
        case _:
            print(f"unknown command {words}", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
