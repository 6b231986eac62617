"""A generated serving snapshot of any size, made by the functions that stage 4 makes its own with, and without Spark.

What costs time when it is served is as in a real one: the sizes, the lengths of lists and histories, the norms of the
factors. What is published is not the best by the factors, which would take an hour to find and is only read.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa

from recommender.snapshot.layout import (
    ATTRIBUTES,
    FACTORS,
    GRAM,
    ITEMS,
    ITEMS_BY_ID,
    MANIFEST,
    RANKING,
    SIMILAR_ITEMS,
    part_name,
)
from recommender.snapshot.manifest import Manifest
from recommender.snapshot.write import (
    History,
    Lists,
    arrow_bytes,
    factors_table,
    gram_table,
    items_by_id_table,
    items_table,
    ranking_table,
    similar_items_table,
    visitors_table,
    write,
)

K = 10
PART = 125_000  # visitors of a part
MEAN_HISTORY = 12  # rows
LONGEST_HISTORY = 200
CATEGORIES = 50
IN_STOCK = 0.8  # share of the items
SPREAD = 0.6  # of the logarithm of the norms
EVENTS = ("view", "addtocart", "transaction")
WEIGHTS = (1.0, 5.0, 10.0)
NOW = 1_795_600_000_000


def visitorid(number: int) -> int:
    """Return the id of a visitor."""
    return 7 * number + 3


def itemid(number: int) -> int:
    """Return the id of an item."""
    return 5 * number + 1


def generated(folder: Path, visitors: int, items: int, rank: int, seed: int = 1, *, equal_norms: bool = False) -> None:
    """Write a snapshot into a folder that is not there yet."""
    random = np.random.default_rng(seed)
    factors = _factors(random, items, rank, equal_norms=equal_norms)
    popularity = np.floor(1e6 / (1 + random.permutation(items)))
    allowed = np.ones(items, dtype=np.bool_)
    indexes = np.arange(items)
    ids = pa.array([itemid(number) for number in range(items)])
    titles = pa.array([f"Article {number}, for the house" for number in range(items)])
    pictures = pa.array([f"https://shop.example/pictures/{number}.jpg" for number in range(items)])
    similar = random.integers(0, items, items * K)
    cosines = -np.sort(-random.random((items, K)), axis=1).ravel()
    tables = {
        ITEMS: items_table(ids, popularity, allowed, titles, pictures),
        ITEMS_BY_ID: items_by_id_table(ids),
        FACTORS: factors_table(indexes, factors, items),
        RANKING: ranking_table(indexes, factors, allowed),
        GRAM: gram_table(factors),
        SIMILAR_ITEMS: similar_items_table(items, np.repeat(indexes, K), similar, cosines),
        ATTRIBUTES: pa.table(
            {
                "category": pa.array([f"c{number}" for number in random.integers(0, CATEGORIES, items)]),
                "price": pa.array(np.round(random.lognormal(3, 1, items), 2)),
                "in_stock": pa.array(random.random(items) < IN_STOCK),
            }
        ),
    }
    files = {path: write(folder, path, arrow_bytes(table)) for path, table in tables.items()}
    for number, start in enumerate(range(0, visitors, PART)):
        part = _part(random, range(start, min(start + PART, visitors)), items)
        files[part_name(number)] = write(folder, part_name(number), arrow_bytes(part))
    content = {
        "run": f"generated-{seed}",
        "number": 1,
        "created_at": "2026-11-25T00:00:00.000+00:00",
        "id_types": {"visitorid": "long", "itemid": "long"},
        "rank": rank,
        "solver": {"implicit_prefs": True, "alpha": 1.0, "reg_param": 0.1, "nonnegative": False},
        "score_map": dict(zip(EVENTS, WEIGHTS, strict=True)),
        "events": EVENTS,
        "exclude_events": EVENTS[1:],
        "fill_with_popular": True,
        "k": K,
        "counts": {"visitors": visitors, "items": items, "lists": visitors},
        "files": files,
    }
    write(folder, MANIFEST, Manifest.model_validate(content).sealed())


def _factors(random: np.random.Generator, items: int, rank: int, *, equal_norms: bool) -> np.ndarray:
    factors = random.normal(size=(items, rank)).astype(np.float32)
    norms = np.ones(items) if equal_norms else np.exp(SPREAD * random.normal(size=items))
    unit = factors / np.linalg.norm(factors, axis=1, keepdims=True)
    return (unit * norms[:, None]).astype(np.float32)


def _part(random: np.random.Generator, numbers: range, items: int) -> pa.Table:
    count = len(numbers)
    ids = pa.array(visitorid(numbers.start) + 7 * np.arange(count))
    scores = -np.sort(-random.random((count, K), dtype=np.float32), axis=1).ravel()
    sources = np.repeat((random.random(count) < 0.2).astype(np.int8), K)  # noqa: PLR2004 - a fifth is folded in
    lists = Lists(K * np.arange(count + 1), random.integers(0, items, count * K, np.int32), scores, sources)
    lengths = np.minimum(random.geometric(1 / MEAN_HISTORY, count), LONGEST_HISTORY)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    events = random.choice(3, offsets[-1], p=[0.9, 0.06, 0.04]).astype(np.int8)
    history = History(
        offsets,
        random.integers(0, items, offsets[-1], np.int32),
        events,
        np.array(WEIGHTS)[events],
        NOW - random.integers(0, 10**10, offsets[-1]),
    )
    return visitors_table(ids, lists, history)
