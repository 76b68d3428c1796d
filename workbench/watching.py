"""A live session without a screen, for commands: wait for a state, fail with a reason."""

import asyncio
from collections.abc import Callable

from sessions.events import AnyEvent, CommandFailed, JobFailed, ModelSaved, ProcessExited, Unknown
from sessions.state import SessionState
from workbench.errors import UserError
from workbench.live import LiveSession
from workbench.session import Listener, Opening

STEP_LIMIT_S = 180.0
"""Without any event."""


class Watch:
    """A live session whose state can be waited for."""

    def __init__(self, opening: Opening, listener: Listener = lambda event: None) -> None:
        self._listener = listener
        self.live = LiveSession(opening, self._on_event)
        self.saved: ModelSaved | None = None
        self._changed = asyncio.Event()
        self._problem = ""

    def _on_event(self, event: AnyEvent | Unknown) -> None:
        match event:
            case ModelSaved():
                self.saved = event
            case CommandFailed(reason=reason) | JobFailed(reason=reason):
                self._problem = reason
            case ProcessExited(process=process, reason=reason):
                self._problem = f"the {process} was {reason}"
        self._changed.set()
        self._listener(event)

    async def until(
        self, condition: Callable[[SessionState], bool], limit_s: float = STEP_LIMIT_S
    ) -> None:
        """Wait until the state is so.

        Raises:
            UserError: something failed, or nothing happened for so many seconds.
        """
        while not condition(self.live.state):
            problem = self._problem or self.live.problem or self.live.state.data_error
            if problem:
                raise UserError(problem)
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), limit_s)
            except TimeoutError:
                raise UserError(
                    f"nothing happened for {limit_s:.0f} s: see {self.live.folder}"
                ) from None
