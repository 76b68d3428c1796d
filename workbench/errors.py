"""The one error that users see: a line that says what is wrong and what to do next."""

import errno


class UserError(Exception):
    """Something the user can mend; printed as one line, without a traceback."""


def explain(error: OSError) -> str:
    """An operating-system error in words, with the next step."""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT | errno.EFBIG:
            return "no space left; nothing was written, free some space and try again"
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return "no permission to write there; choose another place"
        case errno.ENOENT | errno.ENOTDIR:
            return "the folder does not exist; create it first"
        case errno.EISDIR:
            return "that is a folder; give a file name"
        case _:
            return error.strerror or str(error)
