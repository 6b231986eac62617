"""Small file systems for tests; only root can mount them."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

needs_mount = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")


@contextmanager
def mounting(folder: Path) -> Iterator[Callable[[str], Path]]:
    """Give a function that mounts a file system with options (size=60k), and unmount all of them in the end."""
    mounted: list[Path] = []

    def mount(options: str) -> Path:
        place = folder / f"disk{len(mounted)}"
        place.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=True)
        mounted.append(place)
        return place

    try:
        yield mount
    finally:
        for place in mounted:
            subprocess.run(["umount", "-l", str(place)], check=True)
