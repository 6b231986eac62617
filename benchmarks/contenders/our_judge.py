"""RankingEvaluator, with all metrics and the intervals, and the popularity of the items before it."""

from collections.abc import Callable, Sequence

from judging import Tables, contend

from recommender.spark.session import start_session
from recommender.stage2.steps import PopularityModel, RankingEvaluator


def judge(tables: Tables, cutoffs: Sequence[int]) -> Callable[[], dict[str, float]]:
    """Judge all lists."""
    popularity = PopularityModel().execute(tables.scores)
    found = RankingEvaluator(cutoffs=list(cutoffs)).execute(
        tables.lists, tables.holdout, ["model"], popularity=popularity
    )
    for rows in (found.metrics, found.bootstrap):
        rows.write.format("noop").mode("overwrite").save()
    return lambda: {f"{row['metric']}@{row['k']}": row["value"] for row in found.metrics.collect()}


if __name__ == "__main__":
    contend(lambda: start_session("evaluate"), judge)
