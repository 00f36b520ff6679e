"""What agents find: by the best router that the library has, and only what is served."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1] / "search"))

from search_parts import Synonyms

from prowess.core.patch import CreateSkill, Patch
from prowess.core.skill import Skill
from prowess.core.trust import Tier
from prowess.guard.keys import Keyring
from prowess.guard.promotion import promote
from prowess.library import Library
from prowess.search.index import SearchIndex
from prowess.search.keeping import index_path, refresh, router_path
from prowess.search.routers import Learned, save
from prowess.serve.access import Access
from prowess.trajectories.store import TrajectoryStore

SKILLS = (
    Skill(name="bill-sums", description="Adds up bills. Use for bills by month.", body="Sum them.\n"),
    Skill(name="month-report", description="Writes the report of a month. Use for a month.", body="Write it.\n"),
    Skill(name="bill-frauds", description="Finds false bills. Use for bills by month.", body="Look closely.\n"),
)


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    monkeypatch.setenv("HOME", str(tmp_path))
    for folder in ("DATA", "CONFIG", "CACHE"):
        monkeypatch.setenv(f"XDG_{folder}_HOME", str(tmp_path / folder.lower()))
    made = Library.open(tmp_path / "library", create=True)
    patch = Patch(base=made.snapshot().digest, operations=tuple(CreateSkill(skill=s) for s in SKILLS), reason="made")
    made.apply(patch)
    for name in ("bill-sums", "month-report"):  # nobody vouches for the third
        promote(made, Keyring(), name, Tier.REVIEWED)
    return made


def found(library: Library, query: str, limit: int = 3) -> list[str]:
    with TrajectoryStore(library.path.parent / "trajectories.db") as store:
        return [match.name for match in Access(library, store, Keyring()).search(query, limit)]


def test_search_goes_by_the_best_router_that_the_library_has(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = "invoices of the month"
    assert found(library, asked)[0] == "month-report", "by words alone, since there is no index"
    refresh(SearchIndex(index_path(library)), library)
    assert found(library, asked)[0] == "month-report", "the index has no vectors"
    monkeypatch.setattr("prowess.search.keeping.open_encoder", lambda source, cache: Synonyms())
    refresh(SearchIndex(index_path(library), Synonyms()), library)
    save(Learned(np.eye(64, dtype=np.float32), 0.01, "synonyms"), router_path(library))
    assert found(library, asked) == ["bill-sums", "month-report"], "by meaning; what nobody vouches for is not found"
    assert found(library, asked, 1) == ["bill-sums"]
    assert found(library, "xylophone") == [], "near is not enough"
    router_path(library).write_bytes(b"damaged")
    assert set(found(library, asked)) == {"bill-sums", "month-report"}


def test_an_index_that_cannot_be_used_is_done_without(library: Library, caplog: pytest.LogCaptureFixture) -> None:
    refresh(SearchIndex(index_path(library), Synonyms()), library)  # its encoder is found nowhere
    assert found(library, "bills") == ["bill-sums"]
    assert "search by words alone" in caplog.text
    index_path(library).unlink()
    index_path(library).mkdir()
    assert found(library, "bills") == ["bill-sums"]
    assert "own index is not used" in caplog.text
