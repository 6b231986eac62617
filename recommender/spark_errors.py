"""Turn what Spark raises into an error that tells a user what to do.

Example usage:
>>> print(explained(RuntimeError("[FAILED_READ_FILE.NO_HINT] Encountered error while reading file file:///e.csv.gz.")))
INPUT_CORRUPT file:///e.csv.gz cannot be read to its end; replace the file
"""

import re

from recommender.errors import InputError, RecommenderError, StorageError

_UNREADABLE = re.compile(r"FAILED_READ_FILE|CANNOT_READ_FILE|is not a Parquet file|Unexpected end of input stream")
_FILE = re.compile(r"(?:reading file|read file(?: at path)?:?|footer for file:?)\s+'?(\S+?)'?[.,]?(?:\s|$)")


def explained(error: BaseException) -> RecommenderError | None:
    """Return the error of ours that an error of Spark's is, or nothing where it is a bug."""
    text = str(error)
    if "No space left on device" in text:
        return StorageError("STORAGE_FULL", "a disk is full: see --root, and spark.local.dir for Spark's own files")
    if "OutOfMemoryError" in text:
        return RecommenderError(
            "OUT_OF_MEMORY", "Spark ran out of memory; give it more: --driver-memory 4g before the job"
        )
    if _UNREADABLE.search(text):
        file = _FILE.search(text)
        return InputError(
            "INPUT_CORRUPT", f"{file[1] if file else 'a file'} cannot be read to its end; replace the file"
        )
    return None
