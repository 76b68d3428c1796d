"""The base of every fact.

`is_durable` facts are on disk (fsync) before anything shows them; `is_logged` is false for
facts that only bridge the time until an answer comes.
"""

from typing import ClassVar

import msgspec


class Event(msgspec.Struct, frozen=True, tag_field="kind", kw_only=True):
    """Base of every fact."""

    is_durable: ClassVar[bool] = True
    is_logged: ClassVar[bool] = True
