"""Events and commands as JSON lines, the same on pipes and on disk.

Unknown event kinds pass through untouched; a known kind with wrong fields is an error.
"""

from typing import get_args

import msgspec

from sessions.commands import AnyCommand
from sessions.events import AnyEvent, Unknown

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What a decoder raises on a line that is not what it should be."""
FORMAT = "workbench-session"
VERSION = 1


class CodecError(ValueError):
    """A line that is not what it claims to be."""


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """The session that another one branched off from, and where."""

    session: str
    """Its folder at that time."""
    seconds: float
    """On its clock."""
    records: int


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """First line of a session."""

    format: str = FORMAT
    version: int = VERSION
    created: str
    """ISO 8601, UTC."""
    model_sha256: str
    seed: int
    versions: dict[str, str] = {}
    origin: Origin | None = None
    """None where the session began with a model."""


class Record(msgspec.Struct, frozen=True):
    """An event and when it happened."""

    t: float
    """Seconds since the session started, not counting the time while it was closed."""
    event: AnyEvent | Unknown


class _KnownRecord(msgspec.Struct):
    t: float
    event: AnyEvent


class _RawRecord(msgspec.Struct):
    t: float
    event: msgspec.Raw


class _Kind(msgspec.Struct):
    kind: str


KINDS = frozenset(kind.__struct_config__.tag for kind in get_args(AnyEvent))
_encoder = msgspec.json.Encoder()
_known_decoder = msgspec.json.Decoder(_KnownRecord)
_record_decoder = msgspec.json.Decoder(_RawRecord)
_event_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)
_kind_decoder = msgspec.json.Decoder(_Kind)
_command_decoder: msgspec.json.Decoder[AnyCommand] = msgspec.json.Decoder(AnyCommand)
_header_decoder = msgspec.json.Decoder(Header)


def encode(value: AnyEvent | Unknown | AnyCommand | Header) -> bytes:
    """One line without its end."""
    return value.raw if isinstance(value, Unknown) else _encoder.encode(value)


def decode_event(line: bytes) -> AnyEvent | Unknown:
    """Read an event.

    Raises:
        CodecError: not JSON, no kind, or a known kind with wrong fields.
    """
    try:
        return _event_decoder.decode(line)
    except UNREADABLE as error:
        try:
            kind = _kind_decoder.decode(line).kind
        except UNREADABLE:
            raise CodecError(f"not an event: {error}") from error
        if kind in KINDS:
            raise CodecError(f"event {kind!r}: {error}") from error
        return Unknown(kind, bytes(line))


def encode_record(record: Record) -> bytes:
    """One log line without its end."""
    return _encoder.encode(_RawRecord(round(record.t, 3), msgspec.Raw(encode(record.event))))


def decode_record(line: bytes) -> Record:
    """Read a log line.

    Raises:
        CodecError: see `decode_event`.
    """
    try:
        known = _known_decoder.decode(line)
    except UNREADABLE:
        return _decode_in_two_steps(line)
    return Record(known.t, known.event)


def _decode_in_two_steps(line: bytes) -> Record:
    """For kinds that are not known, and to tell what is wrong with a line."""
    try:
        raw = _record_decoder.decode(line)
    except UNREADABLE as error:
        raise CodecError(f"not a record: {error}") from error
    return Record(raw.t, decode_event(bytes(raw.event)))


def decode_header(line: bytes) -> Header:
    """Read the first line of a session.

    Raises:
        CodecError: another file, or written by a newer version.
    """
    try:
        header = _header_decoder.decode(line)
    except UNREADABLE as error:
        raise CodecError(f"not a session: {error}") from error
    if header.format != FORMAT:
        raise CodecError(f"not a session: format {header.format!r}")
    if header.version > VERSION:
        raise CodecError(
            f"written by a newer workbench (format {header.version}, this reads up to {VERSION}): "
            "upgrade workbench"
        )
    return header


def decode_command(line: bytes) -> AnyCommand:
    """Read a command.

    Raises:
        CodecError: not a command.
    """
    try:
        return _command_decoder.decode(line)
    except UNREADABLE as error:
        raise CodecError(f"not a command: {error}") from error
