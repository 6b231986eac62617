"""OfflineMetrics of the library RePlay, with all of its metrics that have a counterpart."""

from collections.abc import Callable, Sequence

from judging import Tables, contend
from pyspark.sql import SparkSession
from replay.metrics import MAP, MRR, NDCG, Coverage, HitRate, OfflineMetrics, Precision, Recall, Surprisal
from replay.utils.session_handler import State

OUR_NAMES = {
    "NDCG": "ndcg",
    "Recall": "recall",
    "Precision": "precision",
    "MAP": "map",
    "MRR": "mrr",
    "HitRate": "hit_rate",
    "Coverage": "coverage",
    "Surprisal": "surprisal",
}


def judge(tables: Tables, cutoffs: Sequence[int]) -> Callable[[], dict[str, float]]:
    """Judge all lists."""
    metrics = [metric(list(cutoffs)) for metric in (NDCG, Recall, Precision, MAP, MRR, HitRate, Coverage, Surprisal)]
    pair = ["visitor_index AS query_id", "item_index AS item_id"]
    found = OfflineMetrics(metrics)(
        tables.lists.selectExpr(*pair, "1000D - rank AS rating"),
        tables.holdout.selectExpr(*pair),
        tables.scores.selectExpr(*pair),
    )
    values = {}
    for name, value in found.items():
        metric, k = name.split("@")
        values[f"{OUR_NAMES[metric]}@{k}"] = float(value)
    return lambda: values


if __name__ == "__main__":
    contend(lambda: State(SparkSession.builder.getOrCreate()).session, judge)
