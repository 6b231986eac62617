"""Locks between the processes that reach one folder: a process that dies lets go of its locks."""

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_POLL = 0.02  # seconds between two tries
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}


@contextmanager
def locked(path: Path, patience: float) -> Iterator[bool]:
    """Hold the lock of a path, and return whether it is held; False if another process holds it too long.

    A mount without locks gives everybody the lock: there, the numbers of the records decide who was first.

    Args:
        path: a file of that name is there while the lock is held.

    Raises:
        OSError: the file cannot be made.
    """
    deadline = time.monotonic() + patience
    descriptor = _taken(path)
    while descriptor is None and time.monotonic() < deadline:
        time.sleep(_POLL)
        descriptor = _taken(path)
    if descriptor is None:
        yield False
        return
    try:
        yield True
    finally:
        path.unlink(missing_ok=True)  # before it is let go: who has opened it sees that it is gone, and tries again
        os.close(descriptor)


def _taken(path: Path) -> int | None:
    """Return a descriptor that holds the lock, None if another process holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return descriptor
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None
