"""Which run has made which commit of a stage, and of what: so that not every record is read to find one.

    <root>/<stage>/index/<number>.json     the commits up to this number: {number: [run, fingerprint]}

It is written with every twentieth commit; who looks for one reads it, and the records since. It can be deleted at any
time: then all records are read once more.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from recommender.errors import ArtifactError
from recommender.store.files import Files
from recommender.store.log import Log

EVERY: Final = 20  # commits


class Index:
    """The index of the commits of one stage.

    Init parameters:
        files: the file system of the store.
        stage: name of the stage.
        commits: the records of its commits.
    """

    def __init__(self, files: Files, stage: str, commits: Log) -> None:
        self._commits = commits
        self._log = Log(files, f"{stage}/index")

    def entries(self) -> Iterator[tuple[int, str, str | None]]:
        """Return (number, run, fingerprint) of each commit, newest first; a damaged record is an ArtifactError."""
        known = self._known()
        for number in reversed(self._commits.numbers()):
            if number in known:
                run, fingerprint = known[number]
                yield number, str(run), fingerprint
            elif (record := self._commits.record(number)) is not None:
                yield number, str(record["run"]), record.get("fingerprint")

    def note(self, number: int) -> None:
        """Write the index if it is time to, with the commit of this number as the newest."""
        if number % EVERY:
            return
        older = self._log.numbers()
        self._log.delete(number)  # of a record that was damaged, and deleted to go back to the one before it
        entries = {str(each): [run, fingerprint] for each, run, fingerprint in self.entries()}
        self._log.append(number, {"commits": entries}, is_ours={"commits": entries})
        for each in older:
            if each != number:
                self._log.delete(each)

    def _known(self) -> dict[int, tuple[str, str | None]]:
        with suppress(ArtifactError):
            for _, record in self._log.newest_first():
                return {int(number): (run, fingerprint) for number, (run, fingerprint) in record["commits"].items()}
        return {}
