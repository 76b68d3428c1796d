"""The config file: what it may hold, and errors that name the file, the field and what is legal."""

import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from textual.binding import Binding

from sessions.macs import CONVENTIONS
from widgets.tree_columns import NAMES
from workbench import config, keymap
from workbench.config import Config, ConfigError


def written(folder: Path, text: str) -> Path:
    file = folder / "config.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_without_a_file_the_defaults_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert config.load(tmp_path / "none.toml") == Config()
    monkeypatch.delenv("WORKBENCH_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert config.config_file() == tmp_path / "workbench" / "config.toml"
    assert config.load() == Config()


def test_a_file_that_the_environment_names_has_to_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_CONFIG", str(tmp_path / "mine.toml"))
    with pytest.raises(ConfigError, match=r"mine\.toml: WORKBENCH_CONFIG names it"):
        config.load()


def test_what_is_printed_is_read_as_the_defaults() -> None:
    text = config.toml(Config(), {})
    assert config.checked(tomllib.loads(text)) == Config()


def test_every_field_is_explained_and_its_choices_are_listed() -> None:
    text = config.toml(Config(), {"save": ("s", "Save it")})
    for field in Config.__struct_fields__:
        assert field in text
    for name in ("high-contrast", "always", *CONVENTIONS, *NAMES):
        assert name in text
    assert 'save = "s"  # Save it' in text


def test_a_whole_file_is_taken(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        'theme = "high-contrast"\nascii = "always"\ncolumns = ["macs", "std"]\n'
        'convention = "fvcore"\nreplay_speed = 4\nconfirm_overwrite = false\n'
        '[keys]\nrecover = "R,f5"\n',
    )
    assert config.load(file) == Config(
        theme="high-contrast", ascii="always", columns=("macs", "std"), convention="fvcore",
        replay_speed=4.0, confirm_overwrite=False, keys={"recover": "R,f5"},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "where", "legal"),
    [
        ('them = "x"', "'them', did you mean 'theme'?", "replay_speed"),
        ('theme = "dark"', "theme: ", "workbench-dark, workbench-light, high-contrast"),
        ("theme = 3", "theme: ", "not 3"),
        ('ascii = "yes"', "ascii: ", "auto, always, never"),
        ('columns = "macs"', "columns: ", 'a list of names, such as ["macs", "std"], not "macs"'),
        ('columns = ["stdd"]', "columns: there is no column 'stdd', did you mean 'std'?", "worth"),
        ('columns = ["std", "std"]', "columns: 'std' is there twice", ""),
        ("columns = [3]", "columns: ", "not [3]"),
        ('convention = "ptflop"', "convention: ", "did you mean 'ptflops'?"),
        ("replay_speed = 100", "replay_speed: ", "a number from 0.25 to 64, not 100"),
        ('replay_speed = "fast"', "replay_speed: ", 'not "fast"'),
        ("confirm_overwrite = 1", "confirm_overwrite: ", "true or false, not 1"),
        ("keys = 3", "keys: ", "a table of keys by action"),
        ("[keys]\nsave = 3", "keys.save: ", 'a key, such as "r", not 3'),
        ("theme = \n", "is not TOML: ", "line 1"),
    ],
)
def test_an_error_names_the_file_the_field_and_what_is_legal(
    text: str, where: str, legal: str, tmp_path: Path
) -> None:
    file = written(tmp_path, text)
    with pytest.raises(ConfigError) as raised:
        config.load(file)
    message = str(raised.value)
    assert message.startswith(f"{file}: ")
    assert where in message
    assert legal in message
    assert "\n" not in message


def test_a_file_that_is_no_text_and_one_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(b"theme = '\xff'")
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        config.load(file)
    with pytest.raises(ConfigError, match=r"cannot be read: "):
        config.load(tmp_path)


KEYS = (
    Binding("r", "recover", id="recover"),
    Binding("f", "fine_tune", id="fine_tune"),
    Binding("space", "toggle_unit", id="toggle_unit"),
    Binding("question_mark", "help", id="help"),
)
REPLAY = (Binding("space", "play", id="play"), Binding("question_mark", "help", id="help"))


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"recver": "R"}, "keys: there is no action 'recver', did you mean 'recover'?"),
        ({"recover": "f"}, "keys.recover: f is also the key of fine_tune"),
        ({"recover": "?"}, "keys.recover: ? is also the key of help"),
        ({"recover": "x", "fine_tune": "x"}, "x is also the key of"),
        ({"recover": "ctrl+p"}, "keys.recover: ctrl+p is for the command palette"),
        ({"recover": "hyperspace"}, "keys.recover: there is no key 'hyperspace'"),
        ({"recover": ""}, "keys.recover: there is no key ''"),
        ({"recover": "R,"}, "keys.recover: there is no key ''"),
    ],
)
def test_a_key_that_cannot_be_is_an_error_that_names_the_action(
    chosen: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        keymap.keymap(chosen, (KEYS, REPLAY))
    assert message in str(raised.value)


@pytest.mark.parametrize("key", ["R", "f5", "ctrl+e", "alt+x", "ctrl+shift+up", ",", "comma", "+"])
def test_characters_and_names_are_keys(key: str) -> None:
    assert "recover" in keymap.keymap({"recover": key}, (KEYS, REPLAY))


def test_two_actions_can_change_their_keys_with_each_other() -> None:
    made = keymap.keymap({"recover": "f", "fine_tune": "r"}, (KEYS, REPLAY))
    assert made == {"recover": "f", "fine_tune": "r"}


def test_a_key_of_live_and_replay_is_taken_from_one_of_them_alone() -> None:
    """Textual drops the key of all that share it: the other one has to ask for it again."""
    assert keymap.keymap({"toggle_unit": "z"}, (KEYS, REPLAY)) == {
        "toggle_unit": "z", "play": "space",
    }  # fmt: skip


def test_the_printed_keys_are_those_that_are_there() -> None:
    """Printing and reading back changes nothing, and no key clashes with another."""
    from workbench.app import contexts

    live, replay = contexts()
    keys = {keymap.name(b): keymap.written(b) for b in (*live, *replay)}
    text = config.toml(Config(), {name: (key, "") for name, key in keys.items()})
    assert tomllib.loads(text)["keys"] == {}
    uncommented = "\n".join(line.removeprefix("# ") for line in text.splitlines())
    read: dict[str, Any] = tomllib.loads(uncommented[uncommented.index("[keys]") :])["keys"]
    assert read == keys
    for name, key in keys.items():
        bound = next(b for b in (*live, *replay) if keymap.name(b) == name)
        assert keymap.keymap({name: key}, ([bound],)) == {}, name


def test_every_action_has_a_name_of_its_own() -> None:
    from workbench.app import contexts

    for context in contexts():
        names = [keymap.name(binding) for binding in context]
        assert len(names) == len(set(names))
        assert all(name.isidentifier() for name in names)


def test_a_config_is_frozen() -> None:
    with pytest.raises(AttributeError):
        Config().theme = "high-contrast"  # type: ignore[misc]
    assert msgspec.to_builtins(Config())["theme"] == "workbench-dark"
