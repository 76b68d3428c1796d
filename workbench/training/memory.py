"""Memory that torch frees is kept for the next batch, not handed back to the system."""

import ctypes

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
