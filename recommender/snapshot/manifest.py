"""The manifest of a serving snapshot: what it is, from which run, and the size and hash of each of its files.

Example usage:
>>> manifest = Manifest.model_validate({
...     "run": "monday", "number": 3, "created_at": "2026-11-25T01:00:00.000+00:00",
...     "id_types": {"visitorid": "long", "itemid": "string"}, "rank": 64,
...     "solver": {"implicit_prefs": True, "alpha": 1.0, "reg_param": 0.1, "nonnegative": False},
...     "score_map": {"view": 1}, "events": ["view"], "exclude_events": [], "fill_with_popular": True, "k": 10,
...     "counts": {"visitors": 0, "items": 0, "lists": 0}, "files": {}})
>>> Manifest.read(manifest.sealed(), "manifest.json").run
'monday'
>>> manifest.model, manifest.solver.reg_exponent  # older snapshots do not have them
('als', 1.0)
>>> Manifest.read(b"{}", "manifest.json")
Traceback (most recent call last):
recommender.errors.ArtifactError: ARTIFACT_CORRUPT manifest.json is damaged: ...
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from recommender.constants import ALS, FOLD_IN, POPULAR
from recommender.errors import ArtifactError
from recommender.snapshot.layout import FORMAT, VISITORS, IdType
from recommender.store import seal, unseal


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class IdTypes(_Part):
    """The types of the ids in the log."""

    visitorid: IdType
    itemid: IdType


class SolverSettings(_Part):
    """How the model was fitted, and so how visitors are folded in; see ``recommender.ranking.Solver``."""

    implicit_prefs: bool
    alpha: float
    reg_param: float
    nonnegative: bool = False
    reg_exponent: float = 1.0  # older snapshots do not have it


class Blend(_Part):
    """The visitors' entry of the column by which popularity is blended in; see ``PopularityBlend``."""

    c: float


class Counts(_Part):
    """How many visitors, items and lists there are; a list belongs to a visitor and is not empty."""

    visitors: int = Field(ge=0)
    items: int = Field(ge=0)
    lists: int = Field(ge=0)


class Golden(_Part):
    """A question whose answer is known: the items that a visitor must be recommended, best first."""

    visitorid: int | str
    item: list[int | str]


class FileFacts(_Part):
    """Size and hash of a file."""

    bytes: int = Field(ge=0)
    sha256: str


class Manifest(_Part):
    """The manifest of a snapshot.

    Attributes:
        run, number, created_at: of the commit that it belongs to; number 0: of none.
        model: what scores items. rank, solver: of factors; null for a model of neighbours.
        k: the length of the published lists.
        score_map: kind of event -> weight. events, sources: what the numbers in the files stand for.
        exclude_events: seen, or kinds of events: an item that a visitor has any event with, or such an event, is not
            recommended to it.
        metrics, gate: how the model was judged, as stage 2 records it.
        golden: questions that a version must answer before it is served.
        files: path in the snapshot -> size and hash, of every file but the manifest.
    """

    format: Literal[1] = FORMAT
    run: str
    number: int = Field(ge=0)
    created_at: str
    id_types: IdTypes
    model: Literal["als", "item_to_item"] = "als"  # older snapshots do not have it
    rank: int | None = Field(None, ge=1)
    solver: SolverSettings | None = None
    score_map: dict[str, float]
    events: list[str]
    sources: list[str] = [ALS, FOLD_IN, POPULAR]
    exclude_events: Literal["seen"] | list[str]
    fill_with_popular: bool
    k: int = Field(ge=1, le=1000)
    blend: Blend | None = None
    counts: Counts
    metrics: list[dict[str, Any]] = []
    gate: dict[str, Any] | None = None
    golden: list[Golden] = []
    files: dict[str, FileFacts]

    def sealed(self) -> bytes:
        """Return the content of the manifest's file."""
        return seal(self.model_dump(mode="json"))

    @classmethod
    def read(cls, content: bytes, name: str) -> "Manifest":
        """Return the manifest that a file holds.

        Raises:
            ArtifactError: it is damaged, or of another format.
        """
        try:
            return cls.model_validate(unseal(content, name))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            where = ".".join(map(str, first["loc"])) or "it"
            sentence = f"{name} is not a manifest of format {FORMAT}: {where}: {first['msg']}"
            raise ArtifactError(
                "SNAPSHOT_FORMAT", f"{sentence}; make the snapshot with this program's stage 4"
            ) from None

    def parts(self) -> list[str]:
        """Return the files of the visitors, in the order of the ids."""
        return sorted(path for path in self.files if path.startswith(f"{VISITORS}/"))
