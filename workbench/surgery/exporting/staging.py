"""Files that get their names only once they have been checked."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from workbench.errors import UserError, explain


@contextlib.contextmanager
def staged(out: Path) -> Iterator[Path]:
    """A folder beside `out`; what is in it when the block ends is moved there, `out` itself last.

    After an error nothing of it is left, and a file that had one of the names is as it was.

    Raises:
        UserError: the folder cannot be made or a file cannot be moved; errors of the block, with
            the final name in place of that in the folder.
    """
    folder = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        folder.mkdir()
        yield folder
        for made in sorted(folder.iterdir(), key=lambda made: made.name == out.name):
            os.replace(made, out.with_name(made.name))
    except OSError as error:
        raise UserError(f"cannot write {out}: {explain(error)}") from error
    except UserError as error:
        raise UserError(str(error).replace(f"{folder}{os.sep}", _prefix(out))) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _prefix(out: Path) -> str:
    """What the path has before the name, with its separator."""
    return str(out)[: -len(out.name)]
