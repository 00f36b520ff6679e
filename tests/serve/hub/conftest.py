"""A hub on SQLite, and the same on a throwaway PostgreSQL where its programs are here."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="the extra is not installed: pip install 'prowess[hub]'")

from prowess.serve.hub.database import Database, open_database
from prowess.serve.hub.service import Hub


def postgres_programs() -> Path | None:
    """Where initdb and postgres are."""
    if found := shutil.which("initdb"):
        return Path(found).parent
    return next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)), Path("/none")).parent


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """URL of an empty PostgreSQL server that ends with the tests. It refuses to run as root, so then it is nobody's."""
    pytest.importorskip("psycopg", reason="the extra is not installed: pip install 'prowess[hub]'")
    programs = postgres_programs()
    if programs is None or not (programs / "initdb").exists():
        pytest.skip("no PostgreSQL on this machine")
    user = "nobody" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="prowess-pg-"))
    try:
        if user is not None:
            shutil.chown(folder, user)
        data, as_user = folder / "data", {"user": user, "cwd": folder, "env": {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}}
        options = ["--auth=trust", "--username=prowess", "--encoding=UTF8", "--no-locale", "--no-sync"]
        subprocess.run([programs / "initdb", "-D", data, *options], check=True, capture_output=True, **as_user)  # type: ignore[call-overload]
        settings = ["-c", "fsync=off", "-c", "listen_addresses=", "-c", f"unix_socket_directories={folder}"]
        server = subprocess.Popen(
            [programs / "postgres", "-D", data, *settings],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **as_user,  # type: ignore[call-overload]
        )
        try:
            url = f"postgresql://prowess@/postgres?host={folder}"
            _wait_for(url)
            yield url
        finally:
            server.terminate()
            server.wait(30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(url: str) -> None:
    import time

    import psycopg

    for _ in range(200):
        try:
            psycopg.connect(url).close()
            return
        except psycopg.OperationalError:
            time.sleep(0.1)
    pytest.fail("PostgreSQL did not start")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of an empty database, of either kind."""
    if request.param == "sqlite":
        return str(tmp_path / "hub.db")
    import psycopg

    root = request.getfixturevalue("cluster")
    name = f"t{os.getpid()}_{abs(hash(str(tmp_path)))}"
    with psycopg.connect(root, autocommit=True) as db:
        db.execute(f'CREATE DATABASE "{name}"'.encode())
    return root.replace("/postgres?", f"/{name}?")


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    db = open_database(url)
    yield db
    db.close()


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """A hub of three people and two projects: alice runs `red`, bob gives to it, carol only runs `blue`."""
    made = Hub.open(tmp_path / "hub")
    for name in ("alice", "bob", "carol"):
        made.accounts.add(name, admin=name == "alice")
    made.accounts.add_project("red", "alice")
    made.accounts.add_project("blue", "carol")
    made.accounts.join("red", "bob", "member")
    yield made
    made.close()
