"""What torch is told about the machine: to leave a core free."""

import contextlib
from collections.abc import Iterator

import torch

SPARED_CORES = 1
"""For the augmentation and the screen."""


@contextlib.contextmanager
def sparing_a_core() -> Iterator[None]:
    """Leave a core to whoever else needs one.

    With every core taken, one other busy process stalls all threads at each barrier: twenty times
    slower, where a core less costs a few per cent.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(max(threads - SPARED_CORES, 1))
    try:
        yield
    finally:
        torch.set_num_threads(threads)
