"""Names that exist only if Python has a JVM beside it: the thin client of Spark Connect has none.

Example usage:
>>> HAS_JVM, issubclass(Py4JJavaError, Exception)
(True, True)
"""

from typing import Any, Final

try:
    from py4j.protocol import Py4JError, Py4JJavaError, Py4JNetworkError
    from pyspark import SparkConf, SparkContext
except ImportError:

    class Py4JError(Exception):  # type: ignore[no-redef]
        """Never raised without a JVM."""

    class Py4JJavaError(Exception):  # type: ignore[no-redef]
        """Never raised without a JVM."""

    class Py4JNetworkError(Exception):  # type: ignore[no-redef]
        """Never raised without a JVM."""

    SparkConf: Any = None  # type: ignore[no-redef]
    SparkContext: Any = None  # type: ignore[no-redef]

HAS_JVM: Final = SparkContext is not None

__all__ = ["HAS_JVM", "Py4JError", "Py4JJavaError", "Py4JNetworkError", "SparkConf", "SparkContext"]
