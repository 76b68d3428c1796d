"""What torch is told about the machine: to keep its memory, and to leave a core free."""

import contextlib
import ctypes
from collections.abc import Iterator

import torch

SPARED_CORES = 1
"""For the augmentation and the screen."""
KEPT_BYTES = 1 << 30
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Of glibc's mallopt(3)."""


def keep_freed_memory() -> None:
    """Stop glibc from mapping every large tensor anew; other C libraries are left as they are.

    Fresh pages are cleared by the kernel when they are first touched: a quarter of the time of a
    small network's forward pass, more where several threads run one.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, KEPT_BYTES)
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)


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
