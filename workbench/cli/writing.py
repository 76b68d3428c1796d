"""Files that commands write: whole or not at all, and with one line where they cannot be."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from workbench.errors import UserError, explain


def write_whole(out: Path, content: str) -> None:
    """Write a file whole or not at all."""
    partial = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        partial.write_text(content, encoding="utf-8")
        os.replace(partial, out)
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def explained(out: Path) -> Iterator[None]:
    """An error of the system as one of the user's."""
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot write {out}: {explain(error)}") from error
