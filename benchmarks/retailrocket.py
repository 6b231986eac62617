"""ALS beside three baselines, for unknown visitors and with a cut by time, on a log of your own.

    python benchmarks/retailrocket.py --file events.csv.gz [--set stage2.als.alpha=5]
    python benchmarks/retailrocket.py --file events.csv.gz --splits time --half-lives 7 30 --blends 0.1 0.3 1

The stages run as the jobs that users run, and judge all models by the same visitors and rules. Unknown visitors: those
above the 90th percentile of visitorid are not in training, their last five events are held out. Cut by time: what
known visitors did after the 80th percentile of the time is held out. The values are NDCG@10 with 95 % intervals.

The first row of a split has the settings as they are. Further rows change one thing: items that a visitor has only
viewed may be recommended (stage3.recommend.exclude_events; a pair that the history has is never held out, so each such
place of a list is lost), other ranks of the fit, recent popularity as one more column of the factors
(stage3.blend.weight), scores that halve with age (stage1.score_events.half_life_days; no pair is too faint to learn
from then), or a k-core (stage1.score_filter). At last it says, for each split, which of these rows bring ALS to the
best baseline of the same row, by the paired 95 % interval of their difference, as the gate has it: ahead (proven if the
whole interval is), not proven to be behind, or behind.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from stages import metric, run, with_interval

K = 10
SPLITS = {
    "unknown": ("unknown visitors, last 5 events", ["stage1.holdout.last_events=5"]),
    "share": (
        "unknown visitors, 20 % of the items, by hash",
        ["stage1.holdout.last_events=null", "stage1.holdout.share=0.2"],
    ),
    "time": (
        "cut by time at 80 %",
        ["stage1.train_test_split.column_name=timestamp", "stage1.train_test_split.train_percentile=80"],
    ),
}
MODELS = {"als": "ALS", "popular": "popular", "recent_popular": "recently popular", "item_to_item": "item-to-item"}

WITH_VIEWED = "stage3.recommend.exclude_events=[addtocart, transaction]"


@dataclass(frozen=True)
class Variant:
    """What is changed: settings of stage 1, and settings of the others."""

    name: str
    prepare: Sequence[str] = ()
    train: Sequence[str] = field(default=())


def variants(options: argparse.Namespace) -> Iterator[Variant]:
    """Return what is tried: first what needs no other stage 1."""
    yield Variant("as it is")
    yield Variant("viewed items too", train=[WITH_VIEWED])
    for rank in options.ranks:
        yield Variant(f"rank {rank}", train=[f"stage2.als.rank={rank}"])
    for weight in options.blends:
        yield Variant(f"blend {weight:g}", train=[f"stage3.blend.weight={weight:g}"])
    for days in options.half_lives:
        fading = [f"stage1.score_events.half_life_days={days:g}", "stage1.score_filter.min_score=0"]
        yield Variant(f"half-life {days:g} days", fading)
    for least in options.cores:
        least_items = [f"stage1.score_filter.min_{what}={least}" for what in ("items_per_visitor", "visitors_per_item")]
        yield Variant(f"{least}-core", least_items)


def compare(name: str, compared: Sequence[dict[str, Any]]) -> str:
    """Say how ALS stands beside the best baseline, given the comparisons of the gate."""
    best = max(compared, key=lambda each: float(each["other"]))
    if best["difference"] >= 0:
        verdict = "ahead, proven" if best["low"] >= 0 else "ahead"
    else:
        verdict = "not proven to be behind" if best["high"] >= 0 else "behind"
    values = f"ALS {best['candidate']:.4f}, {MODELS[best['model']]} {best['other']:.4f}"
    return f"  {name}: {values}, difference {best['low']:+.4f} to {best['high']:+.4f}: {verdict}"


def measure(split: str, options: argparse.Namespace) -> list[str]:
    """Print a row for each variant; return what is to be said of them."""
    title, how = SPLITS[split]
    settings = [f"stage1.data_loader.event_filename={options.file}", *how, *options.set]
    baselines = ", ".join(model for model in MODELS if model != "als")
    settings += [f"stage2.evaluator.cutoffs=[{K}]", f"stage2.gate.beat=[{baselines}]"]
    said: list[str] = []
    with tempfile.TemporaryDirectory() as root:
        prepared: Sequence[str] | None = None
        for variant in variants(options):
            if prepared != list(variant.prepare):
                prepared = list(variant.prepare)
                run("stage1", root, [*settings, *prepared])
            record = run("stage2", root, [*settings, *prepared, *variant.train])
            rows = metric(record, "ndcg", K)
            if not rows:
                print(f"| {title} | {variant.name} | 0 | {' | '.join('' for _ in MODELS)} | |", flush=True)
                continue
            cells = " | ".join(with_interval(rows[model]) if model in rows else "" for model in MODELS)
            print(
                f"| {title} | {variant.name} | {rows['als']['visitors']} | {cells} | {record['seconds']:.0f} |",
                flush=True,
            )
            said.append(compare(variant.name, record["gate"]["compared"]))
    return [f"{title}:", *said]


def main() -> None:
    """Print a table, and for each split what closes the gap to the best baseline."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--file", required=True, help="the log")
    parser.add_argument("--splits", nargs="+", choices=SPLITS, default=["unknown", "time"])
    parser.add_argument("--ranks", type=int, nargs="*", default=[], help="of further fits")
    parser.add_argument("--blends", type=float, nargs="*", default=[0.03, 0.3, 3.0], metavar="WEIGHT")
    parser.add_argument("--half-lives", type=float, nargs="*", default=[14, 60], metavar="DAYS")
    parser.add_argument("--cores", type=int, nargs="*", default=[2], metavar="K", help="k-cores")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as for the jobs")
    options = parser.parse_args()
    print(f"| holdout | settings | visitors | {' | '.join(MODELS.values())} | s |")
    print("|---|---|---|" + "---|" * (len(MODELS) + 1))
    said = [line for split in options.splits for line in measure(split, options)]
    print("\n" + "\n".join(said))


if __name__ == "__main__":
    main()
