"""Settings: where values come from, and that nothing wrong passes silently."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prowess.core.errors import UserError
from prowess.settings import RUN, Settings, load
from prowess.trajectories.importers import OWN_RUN


def test_defaults_hold_without_file_and_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    loaded = load({})
    assert loaded.settings.model == "embedded" and loaded.settings.budget_usd is None
    assert set(loaded.origins.values()) == {"default"}


def test_environment_comes_before_file(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text("concurrency = 3\nbudget_usd = 1.5\nlibrary = '~/skills'\n")
    loaded = load({"PROWESS_CONFIG": str(file), "PROWESS_CONCURRENCY": "7"})
    assert (loaded.settings.concurrency, loaded.settings.budget_usd) == (7, 1.5)
    assert loaded.settings.library == Path.home() / "skills"
    assert (loaded.origins["concurrency"], loaded.origins["library"]) == ("environment", "file")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("concurency = 3", "did you mean concurrency"),
        ("concurrency = 0", "concurrency in"),
        ("concurrency = 'many'", "concurrency in"),
        ("budget_usd = -1", "budget_usd in"),
        ("model = 3", "model in"),
        ("= nonsense", "cannot read the settings"),
    ],
)
def test_wrong_file_is_an_error_that_names_the_key(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "c.toml"
    file.write_text(text)
    with pytest.raises(UserError) as error:
        load({"PROWESS_CONFIG": str(file)})
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("PROWESS_CONCURENCY", "3", "did you mean PROWESS_CONCURRENCY"),
        ("PROWESS_CONCURRENCY", "three", "PROWESS_CONCURRENCY is 'three'"),
        ("PROWESS_BUDGET_USD", "-0.5", "PROWESS_BUDGET_USD is '-0.5'"),
        ("PROWESS_CONFIG", "/nowhere/at/all.toml", "there is no file"),
    ],
)
def test_wrong_variable_is_an_error_that_names_it(variable: str, value: str, said: str) -> None:
    with pytest.raises(UserError) as error:
        load({variable: value})
    assert said in str(error.value)


def test_the_mark_of_our_own_runs_is_no_knob() -> None:
    """An agent that prowess started may call prowess."""
    assert RUN == OWN_RUN and load({RUN: "1"}).settings.model == "embedded"


@given(st.binary(max_size=200))
def test_any_file_gives_settings_or_a_user_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    file = tmp_path_factory.mktemp("s") / "c.toml"
    file.write_bytes(data)
    try:
        found = load({"PROWESS_CONFIG": str(file)}).settings
    except UserError as error:
        found = error.hint
    assert isinstance(found, Settings) or found
