"""The summary for people."""

from typing import Any

from recommender.stage4.steps.run_report import Example, example_text
from recommender.terminal.summary import metrics_table, stage_summary


def row(model: str, metric: str, k: int, value: float, low: float | None = None) -> dict[str, Any]:
    high = None if low is None else 2 * value - low
    return {"model": model, "metric": metric, "k": k, "value": value, "low": low, "high": high, "visitors": 1234}


def test_models_stand_below_each_other_the_candidate_first() -> None:
    models = (("popular", 0.25), ("als", 0.5), ("item_to_item", 0.125))
    metrics = [row(m, n, k, v) for m, v in models for n in ("recall", "ndcg", "map") for k in (20, 5)]
    assert metrics_table(metrics).splitlines() == [
        "1,234 held-out visitors    ndcg@5    ndcg@20",
        "als                        0.5000     0.5000",
        "item_to_item               0.1250     0.1250",
        "popular                    0.2500     0.2500",
        "",
        "first 5 places    recall       map",
        "als               0.5000    0.5000",
        "item_to_item      0.1250    0.1250",
        "popular           0.2500    0.2500",
    ]


def test_the_interval_is_told_at_the_cut_off_nearest_ten() -> None:
    metrics = [row("als", "ndcg", k, 0.5, 0.4) for k in (1, 9, 20)]
    assert metrics_table(metrics).splitlines() == [
        "1,234 held-out visitors    ndcg@1    ndcg@9    ndcg@20    95 % interval of ndcg@9",
        "als                        0.5000    0.5000     0.5000              0.4000–0.6000",
    ]


def test_what_is_no_ratio_of_which_more_is_better_is_explained() -> None:
    names = ("overlap", "gini", "novelty", "coverage", "short_lists")
    metrics = [row("als", name, 5, value) for name, value in zip(names, (0.125, 0.5, 11.25, 0.75, 0.25), strict=True)]
    metrics = [*metrics, {**row("popular", "coverage", 5, 0.5), "value": None}]
    assert metrics_table(metrics).splitlines() == [
        "1,234 visitors with a list    coverage@5",
        "als                               0.7500",
        "popular                                -",
        "",
        "first 5 places    novelty      gini    overlap    short_lists",
        "als               11.2500    0.5000     0.1250         0.2500",
        "popular                 -         -          -              -",
        "(coverage: of all items; novelty: bits; gini: 0 is even; overlap: of two lists; short_lists: of all lists)",
    ]


def test_visitors_are_counted_by_a_metric_that_is_a_mean_over_them() -> None:
    metrics = [{**row("als", "coverage", 5, 0.5), "visitors": 7}, row("als", "recall", 5, 0.5, 0.25)]
    assert metrics_table(metrics).startswith("1,234 held-out visitors    recall@5    95 % interval of recall@5\n")


def test_a_model_that_was_not_judged_is_said_to_be_so() -> None:
    assert metrics_table([]) == "no visitor has a holdout: the models were not judged"


def test_a_stage_tells_rows_time_and_place() -> None:
    steps = [{"step": "als", "rows_in": 12345, "rows_out": None, "note": "rank 2"}]
    record = {"seconds": 2.0, "events_per_second": 6172.5, "steps": steps}
    assert stage_summary("stage2", "train", record, "/srv/x").splitlines() == [
        "stage2 train: 2.0 s, 6,172 events/s",
        "  step    rows in    rows out",
        "  als      12,345                rank 2",
        "  -> /srv/x",
    ]


def test_an_example_shows_history_and_recommendations() -> None:
    example = Example("ann", "als", [("view", "tea")], [("jam", 0.5), ("cup", 0.25)])
    odd = Example("\x1b[2J", "als", [("view\n", "\r")], [("\x07", 0.5)])
    assert example_text(odd).splitlines() == [
        r"visitor \x1b[2J (als)",
        r"  did:         view\x0a \x0d",
        r"  recommended: \x07 (0.5)",
    ]
    assert example_text(example) == ("visitor ann (als)\n  did:         view tea\n  recommended: jam (0.5), cup (0.25)")
