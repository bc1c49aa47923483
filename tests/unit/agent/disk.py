"""A disk that takes no more: the kernel's own limit on the size of a file, which writes hit like a full disk.

A write up to the limit is cut short there, the next one fails.
"""

import resource
from collections.abc import Iterator
from contextlib import contextmanager


def fill_disk(size: int) -> None:
    """Have this process write no file beyond so many bytes."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))


def free_disk() -> None:
    """Have files grow again."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """Let files grow to this size and not beyond, for the length of a block."""
    fill_disk(size)
    try:
        yield
    finally:
        free_disk()
