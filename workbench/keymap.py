"""The user's keys for actions: checked against the keys that there are, then given to Textual."""

from collections.abc import Iterable, Mapping

from textual.binding import Binding, BindingType
from textual.keys import Keys, _character_to_key, format_key

from workbench.config import ConfigError, check_choices

RESERVED = {"ctrl+p": "the command palette", "ctrl+c": "copying", "ctrl+q": "quitting"}
MODIFIERS = ("ctrl+", "shift+", "alt+")
NAMED = frozenset(key.value for key in Keys if not key.value.startswith("<"))


def keymap(chosen: Mapping[str, str], contexts: Iterable[Iterable[Binding]]) -> dict[str, str]:
    """What Textual needs in order to use the user's keys. Actions of one context share no key.

    Raises:
        ConfigError: an unknown action or key, or two actions for one key.
    """
    if not chosen:
        return {}
    lists = [list(context) for context in contexts]
    names = {name(binding): binding for context in lists for binding in context}
    check_choices("keys", "action", tuple(chosen), tuple(names))
    mine = {action: _keys(action, keys) for action, keys in chosen.items()}
    for context in lists:
        _check_conflicts(mine, context)
    mine = {action: keys for action, keys in mine.items() if keys != keys_of(names[action])}
    # Textual takes a key from all that have it when it takes it from one: the others say it again.
    moved = {key for action in mine for key in keys_of(names[action])}
    rest = {a: keys_of(b) for a, b in names.items() if a not in mine and moved & {*keys_of(b)}}
    return {action: ",".join(keys) for action, keys in (rest | mine).items()}


def gathered(*lists: Iterable[BindingType]) -> list[Binding]:
    """The bindings of several classes."""
    return [binding for found in lists for binding in found if isinstance(binding, Binding)]


def applied(chosen: Mapping[str, str], bindings: Iterable[Binding]) -> list[Binding]:
    """Bindings with the keys of a keymap."""
    return [
        binding.with_key(chosen[name(binding)]) if name(binding) in chosen else binding
        for binding in bindings
    ]


def name(binding: Binding) -> str:
    """Under which an action is known in the config file."""
    return binding.id or binding.action


def keys_of(binding: Binding) -> tuple[str, ...]:
    """The keys of a binding by Textual's names."""
    return tuple(_named(key) for key in binding.key.split(","))


def shown(keys: str) -> str:
    """Keys as one writes them: `?` for `question_mark`."""
    return " ".join(format_key(key) for key in keys.split(","))


def written(binding: Binding) -> str:
    """Keys as the config file takes them."""
    signs = [(key, format_key(key)) for key in keys_of(binding)]
    return ",".join(
        sign if len(sign) == 1 and sign.isascii() and sign not in " ," else key
        for key, sign in signs
    )


def _keys(action: str, keys: str) -> tuple[str, ...]:
    found = tuple(_named(key) for key in ([keys] if keys == "," else keys.split(",")))
    for key in found:
        if key in RESERVED:
            raise ConfigError(f"keys.{action}: {key} is for {RESERVED[key]}; choose another key")
        if not _is_key(key):
            raise ConfigError(
                f"keys.{action}: there is no key {key!r}; a key is a character such as r or ?, or "
                "a name such as space, comma, enter, f5, up, pagedown, ctrl+e, alt+x"
            )
    return found


def _named(key: str) -> str:
    key = key.strip() or key
    return _character_to_key(key) if len(key) == 1 else key


def _is_key(key: str) -> bool:
    for modifier in MODIFIERS:
        if key.startswith(modifier) and len(key) > len(modifier):
            return key in NAMED or _is_key(key.removeprefix(modifier))
    return key in NAMED or (len(format_key(key)) == 1 and format_key(key).isprintable())


def _check_conflicts(mine: Mapping[str, tuple[str, ...]], context: list[Binding]) -> None:
    """Two actions for one key are an error where the user gave it to one of them."""
    owners: dict[str, str] = {}
    for binding in context:
        action = name(binding)
        for key in mine.get(action, keys_of(binding)):
            other = owners.setdefault(key, action)
            if other != action and (action in mine or other in mine):
                first = action if action in mine else other
                second = other if first == action else action
                raise ConfigError(
                    f"keys.{first}: {shown(key)} is also the key of {second}; give one of them "
                    "another key"
                )
