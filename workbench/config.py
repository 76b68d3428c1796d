"""The user's config file: read, checked, and printed whole with what every field takes.

A wrong file is an error that names the file, the field and the legal values; it is never ignored.
"""

import difflib
import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

import msgspec
import platformdirs

from sessions.macs import CONTEST, CONVENTIONS
from widgets.tree_columns import NAMES
from workbench.errors import UserError

CONFIG_ENV = "WORKBENCH_CONFIG"
Theme = Literal["workbench-dark", "workbench-light", "high-contrast"]
Ascii = Literal["auto", "always", "never"]


class ConfigError(UserError):
    """The config file cannot be used as it is."""


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the screen looks and which keys it has. The order is that of the printed file."""

    theme: Theme = "workbench-dark"
    ascii: Ascii = "auto"
    columns: tuple[str, ...] = ()
    convention: str = CONTEST
    replay_speed: Annotated[float, msgspec.Meta(ge=0.25, le=64)] = 1.0
    confirm_overwrite: bool = True
    keys: dict[str, str] = msgspec.field(default_factory=dict)


EXPLAINED = {
    "theme": "colours; NO_COLOR in the environment takes them all away",
    "ascii": "signs and bars in ASCII; auto: where the terminal's encoding is not UTF-8",
    "columns": "columns of the tree, in this order; none: as many as there is room for",
    "convention": "MACs convention that the screen begins with",
    "replay_speed": "speed that a replay begins with, 0.25 to 64",
    "confirm_overwrite": "ask before a saved model takes the place of a file",
}

TAKEN = {
    "columns": 'a list of names, such as ["macs", "std"]',
    "convention": "the name of a convention",
    "replay_speed": "a number from 0.25 to 64",
    "confirm_overwrite": "true or false",
    "keys": 'a table of keys by action, such as recover = "r"',
}
MANY = 16
"""Names from which on an error does not list them."""


def config_file() -> Path:
    """Where the config file lies, or would lie."""
    named = os.environ.get(CONFIG_ENV)
    if named:
        return Path(named).expanduser()
    return platformdirs.user_config_path("workbench") / "config.toml"


def load(path: Path | None = None) -> Config:
    """The user's config; the defaults where there is no file.

    Raises:
        ConfigError: the file cannot be read, or a field or value is wrong.
    """
    file = path or config_file()
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if path is None and os.environ.get(CONFIG_ENV):
            raise ConfigError(f"{file}: {CONFIG_ENV} names it, and there is no such file") from None
        return Config()
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{file}: is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: is not TOML: {error}") from None
    try:
        return checked(values)
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}") from None


def checked(values: dict[str, Any]) -> Config:
    """Values of a file as a config.

    Raises:
        ConfigError: names the field and what it takes.
    """
    check_choices("", "field", tuple(values), Config.__struct_fields__)
    for field, value in values.items():
        kind = get_type_hints(Config, include_extras=True)[field]
        if field == "keys" and isinstance(value, dict):
            for action, key in value.items():
                _check(f"keys.{action}", key, str)
        _check(field, value, kind)
    config = msgspec.convert(values, Config)
    check_choices("convention", "convention", (config.convention,), tuple(CONVENTIONS))
    check_choices("columns", "column", config.columns, NAMES)
    return config


def toml(config: Config, keys: dict[str, tuple[str, str]]) -> str:
    """The whole file with comments. `keys`: by action its keys and what it does."""
    lines = []
    for field in Config.__struct_fields__:
        if field == "keys":
            continue
        value = msgspec.to_builtins(getattr(config, field))
        choices = {"convention": tuple(CONVENTIONS), "columns": NAMES}.get(field)
        choices = choices or tuple(map(str, get_args(get_type_hints(Config)[field])))
        lines += [
            f"# {EXPLAINED[field]}",
            *([f"# one of: {', '.join(choices)}"] if choices else []),
        ]
        lines += [f"{field} = {_written(value)}", ""]
    lines += [
        "# Keys by action; several with commas between them. Remove the # of those to change."
    ]
    lines += ["[keys]"]
    width = max((len(f"{name} = {_written(key)}") for name, (key, _) in keys.items()), default=0)
    for name, (key, meaning) in keys.items():
        lines.append(f"# {f'{name} = {_written(key)}'.ljust(width)}  # {meaning}")
    return "\n".join(lines) + "\n"


def check_choices(field: str, what: str, chosen: tuple[str, ...], legal: tuple[str, ...]) -> None:
    """Names in a list have to be known and there once.

    Raises:
        ConfigError: names the field and the legal values.
    """
    where = f"{field}: " if field else ""
    for name in chosen:
        if name not in legal:
            near = difflib.get_close_matches(name, legal, n=1)
            hint = f", did you mean {near[0]!r}?" if near else ""
            names = ", ".join(legal) if len(legal) <= MANY else "`workbench config` lists them"
            raise ConfigError(f"{where}there is no {what} {name!r}{hint} (legal: {names})")
        if chosen.count(name) > 1:
            raise ConfigError(f"{where}{name!r} is there twice")


def _check(field: str, value: Any, kind: Any) -> None:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        taken = TAKEN.get(field) or 'a key, such as "r"'
        if choices := get_args(kind) if field in ("theme", "ascii") else ():
            taken = f"one of {', '.join(choices)}"
        raise ConfigError(f"{field}: takes {taken}, not {_written(value)}") from None


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_written, value))}]"
    return str(value)
