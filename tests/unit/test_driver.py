"""What is written to a terminal that has gone away is dropped, and the writer goes on."""

import os
import pty

from textual.drivers._writer_thread import WriterThread

from workbench.driver import Surviving


def test_a_writer_outlives_its_terminal() -> None:
    ours, theirs = pty.openpty()
    file = os.fdopen(theirs, "w")
    writer = WriterThread(Surviving(file))  # type: ignore[arg-type]
    writer.start()
    writer.write("seen\n")
    assert os.read(ours, 100) == b"seen\r\n"
    os.close(ours)
    for _ in range(100):  # more than its queue holds
        writer.write("not seen\n")
    writer.stop()
    assert not writer.is_alive()
