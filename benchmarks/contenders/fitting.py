"""What the contenders of benchmarks/fit.py have in common: their arguments, and what a fit costs.

A contender is a program of its own, `NAME.py FOLDER FACTORS --rank R --iterations N ...`, with the pairs to fit in
FOLDER/history as benchmarks/factors.py writes them. It fits them, stores the factors of visitors and items in the
file FACTORS, and the last line that it prints is JSON with the seconds of the fit, the CPU seconds of the JVM and of
Python, and the seconds of a second fit without iterations (setup): what it takes to read the pairs and to get ready.
With --warm it has fitted one iteration before.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from measuring import processor_seconds
from numpy.typing import NDArray

Fitted = tuple[NDArray[np.floating], NDArray[np.floating]]  # factors of visitors and of items, by their index


def contend(
    prepare: Callable[[], Any], fit: Callable[[Any, argparse.Namespace], Any], factors: Callable[[Any], Fitted]
) -> None:
    """Be a contender.

    Args:
        prepare: what is not measured; its result is passed on to `fit`.
        fit: reads the pairs and returns a model that is ready.
        factors: returns the factors of a model; not measured.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("factors", type=Path)
    parser.add_argument("--rank", type=int, required=True)
    parser.add_argument("--iterations", type=int, required=True)
    parser.add_argument("--alpha", type=float, required=True)
    parser.add_argument("--reg-param", type=float, required=True)
    parser.add_argument("--blocks", type=int, help="ours only")
    parser.add_argument("--method", choices=["cg", "cholesky"], help="ours only: the solver blocks, by this method")
    parser.add_argument("--cg", action="store_true", help="implicit and irspack only: conjugate gradients")
    parser.add_argument("--warm", action="store_true")
    options = parser.parse_args()
    prepared = prepare()
    if options.warm:
        fit(prepared, with_iterations(options, 1))
    java, python = processor_seconds()
    seconds, model = timed(fit, prepared, options)
    java, python = (after - before for after, before in zip(processor_seconds(), (java, python), strict=True))
    users, items = factors(model)
    np.savez(options.factors, users=users, items=items)
    setup, _ = timed(fit, prepared, with_iterations(options, 0))
    print("\n" + json.dumps({"seconds": seconds, "java": java, "python": python, "setup": setup}))


def with_iterations(options: argparse.Namespace, iterations: int) -> argparse.Namespace:
    """Return the options for another number of iterations."""
    return argparse.Namespace(**{**vars(options), "iterations": iterations})


def timed(function: Callable[..., Any], *arguments: Any) -> tuple[float, Any]:
    """Return the seconds of a call, and its result."""
    started = time.monotonic()
    result = function(*arguments)
    return time.monotonic() - started, result
