"""The one error that users see: a line that says what is wrong and what to do next."""


class UserError(Exception):
    """Something the user can mend; printed as one line, without a traceback."""
