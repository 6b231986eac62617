"""Recall@20 and NDCG@20 on a published split, beside published rows: the project's own stages run.

    python benchmarks/published.py gowalla --train train.txt.gz --test test.txt.gz [--fits 128:40:3:5 ...]
        [--tune MINUTES] [--tune-neighbours MINUTES] [--set KEY=VALUE ...]

The files are those of LightGCN's splits, of Gowalla or Yelp2018: a line per visitor, its number and those of its items.
They become a log with a view per pair, in an order by chance, and a holdout of the user's own
(stage1.holdout.holdout_filename). All items are ranked for every visitor of the test file, without those of the train
file.

A fit is rank:alpha:regParam:iterations in MLlib's own terms, and with solver blocks also :exponent. The seconds are
those of stage 2 in its commit record: the fit, the lists of all models, and the judgement, without Spark's start.
Published rows are those of the BARS leaderboard (candidate matching), of the README of LightGCN-PyTorch, and of the
paper on GF-CF. Their definitions are ours: recall is the number of hits among the first k over the number of the
visitor's test items, not over k; NDCG has binary relevance, and an ideal list of min(k, that number) hits; both are
means over the visitors of the test file.

The models that need no fit are printed once: item_to_item by its default exponents, or by what --tune-neighbours has
found in so many minutes.

--tune searches alpha, regParam, iterations and rank of ALS for so many minutes with the job tune. Both searches hold
out pairs of the train file themselves, a fifth of a visitor's pairs as the split does: the test file is not read. What
is found is fitted like the others, at its rank and at each of --tuned-ranks. The note has the value on the validation
part, which is another task than the test, and what the search had no time for. With --set stage2.als.solver=blocks
--tune searches regParam's exponent too, and comes to larger ranks.

Before the table stands how much of the pairs is in the test file, and how much of those of the most popular items:
where these differ, the test file is not a part by chance, and no validation part of the train file is the same task.

At last two fits stand beside the published rows: what --tune has found, at its own rank, which the test file had no
part in choosing; and the best of the table, which the test file has chosen, so that it is a little too good.
"""

import argparse
import gzip
import random
import statistics
import tempfile
from collections import Counter
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from stages import metric, run

K = 20
POPULAR = 20  # items whose pairs are counted
FIRST_EVENT = 1_600_000_000_000  # ms; the place in an order by chance is added
PUBLISHED = {  # Recall@20, NDCG@20
    "gowalla": {
        "ItemCF": (0.1570, 0.1214),
        "MF-BPR": (0.1627, 0.1378),
        "MultVAE": (0.1641, 0.1335),
        "SLIM": (0.1699, 0.1382),
        "EASE": (0.1765, 0.1467),
        "LightGCN": (0.1820, 0.1547),
        "UltraGCN": (0.1862, 0.1580),
        "SimpleX": (0.1872, 0.1557),
    },
    "yelp2018": {
        "LightGCN": (0.0653, 0.0532),
        "EASE": (0.0657, 0.0552),
        "GF-CF": (0.0697, 0.0571),
    },
}
BESIDE = {"gowalla": ("MF-BPR", "LightGCN"), "yelp2018": ("LightGCN", "GF-CF")}
SEARCHED = [
    "tune.tuner.metric=ndcg",
    f"tune.tuner.k={K}",
    "tune.validation.pairs_share=0.2",
]
FITS = ["64:40:5:5", "128:10:0.1:10", "128:40:3:5", "256:40:5:5"]


class Fit(NamedTuple):
    """What ALS is fitted with."""

    rank: int
    alpha: float
    reg_param: float
    max_iter: int
    reg_exponent: float = 1

    @property
    def settings(self) -> list[str]:
        """As arguments of --set."""
        return [f"stage2.als.{name}={value:g}" for name, value in self._asdict().items()]

    def __str__(self) -> str:
        exponent = "" if self.reg_exponent == 1 else f", exponent {self.reg_exponent:g}"
        reg_param = f"regParam {self.reg_param:g}{exponent}"
        return f"rank {self.rank}, alpha {self.alpha:g}, {reg_param}, {self.max_iter} iterations"


def fit(text: str) -> Fit:
    """Read rank:alpha:regParam:iterations, and maybe :exponent."""
    rank, alpha, reg_param, max_iter, *exponent = text.split(":")
    return Fit(int(rank), float(alpha), float(reg_param), int(max_iter), *map(float, exponent))


def pairs(path: Path) -> Iterator[tuple[str, int, str]]:
    """Return visitor, place, and item.

    The split has no times. Items are numbered as they first occur and stand in that order, so that the last of a line
    are the rarest: a validation part of these would be another task than the test. The places are by chance instead.
    """
    chance = random.Random(0)  # noqa: S311 - no secret
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        for line in lines:
            visitor, *items = line.split()
            chance.shuffle(items)
            yield from ((visitor, place, item) for place, item in enumerate(items))


def write(train: Path, test: Path, folder: Path) -> list[str]:
    """Write the log and the holdout; return the settings of stage 1."""
    events, holdout = folder / "events.csv", folder / "holdout.csv"
    with events.open("w") as log:
        log.write("timestamp,visitorid,event,itemid\n")
        log.writelines(f"{FIRST_EVENT + place},{visitor},view,{item}\n" for visitor, place, item in pairs(train))
    with holdout.open("w") as held:
        held.write("visitorid,itemid\n")
        held.writelines(f"{visitor},{item}\n" for visitor, _, item in pairs(test))
    return [f"stage1.data_loader.event_filename={events}", f"stage1.holdout.holdout_filename={holdout}"]


def row(who: str, recall: float, ndcg: float, note: str = "", seconds: str = "") -> None:
    """Print a row of the table."""
    print(f"| {who} | {recall:.4f} | {ndcg:.4f} | {note} | {seconds} |", flush=True)


def values(record: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """Return model -> Recall@20 and NDCG@20."""
    recall, ndcg = metric(record, "recall", K), metric(record, "ndcg", K)
    return {model: (recall[model]["value"], ndcg[model]["value"]) for model in recall}


def divided(train: Path, test: Path) -> str:
    """Say how much of the pairs is in the test file, and how much of those of the most popular items."""
    fitted, held = (Counter(item for _, _, item in pairs(path)) for path in (train, test))
    popular = [item for item, _ in fitted.most_common(POPULAR)]
    shares = [held[item] / (held[item] + fitted[item]) for item in popular]
    whole = held.total() / (held.total() + fitted.total())
    of_popular = f"{statistics.median(shares):.2f} of those of the {POPULAR} most popular items ({min(shares):.2f} to"
    return f"The test file has {whole:.2f} of the pairs, and at the median {of_popular} {max(shares):.2f})."


def searched(minutes: float, folder: str, settings: list[str]) -> tuple[dict[str, Any], str]:
    """Return the parameters that the job tune finds, and what it says of them."""
    record = run("tune", folder, [*SEARCHED, f"tune.tuner.timeout_minutes={minutes:g}", *settings])
    best: dict[str, Any] = record["best"]
    trial = next(trial for trial in record["trials"] if trial["parameters"] == best)
    value = f"NDCG@{K} {trial['value']:.4f} ({trial['low']:.4f}–{trial['high']:.4f}) on the validation part"
    told = f"tune: {len(record['trials'])} trials in {record['seconds']:.0f} s, the best is {shown(best)}: {value}."
    return best, "\n\n".join([told, record["verdict"], *record["notes"]])


def shown(parameters: dict[str, Any]) -> str:
    """Return parameters as text."""
    return ", ".join(f"{name.rpartition('.')[2]} {value:g}" for name, value in parameters.items())


def verdict(found: tuple[float, float], name: str, published: tuple[float, float]) -> str:
    """Say how a fit compares with a published row."""
    shares = [f"{mine / theirs:.3f}" for mine, theirs in zip(found, published, strict=True)]
    met = "reached" if all(mine >= theirs for mine, theirs in zip(found, published, strict=True)) else "missed"
    return f"{name}: {met}; {shares[0]} of its Recall@{K}, {shares[1]} of its NDCG@{K}"


def main() -> None:
    """Print the table, and how the fits compare with what they should reach."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("split", choices=list(PUBLISHED))
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--fits", type=fit, nargs="*", default=[fit(text) for text in FITS], metavar="R:A:L:N")
    parser.add_argument("--tune", type=float, metavar="MINUTES", help="also what a search finds")
    parser.add_argument("--tuned-ranks", type=int, nargs="*", default=[], metavar="RANK", help="other ranks")
    parser.add_argument("--tune-neighbours", type=float, metavar="MINUTES", help="search item_to_item's parameters")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as for the jobs")
    options = parser.parse_args()
    if not options.fits and not options.tune:
        parser.error("give --fits or --tune")
    print(divided(options.train, options.test), end="\n\n")
    print(f"| who | Recall@{K} | NDCG@{K} | settings | s |\n|---|---|---|---|---|")
    for name, published in PUBLISHED[options.split].items():
        row(name, *published, "published")
    found: list[tuple[float, float]] = []
    told: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        settings = [*write(options.train, options.test, Path(folder)), f"stage2.evaluator.cutoffs=[10, {K}]"]
        settings += options.set
        run("stage1", folder, settings)
        walk: dict[str, Any] = {}
        if options.tune_neighbours:
            walk, note = searched(options.tune_neighbours, folder, ["tune.tuner.model=item_to_item", *settings])
            settings += [f"stage2.{name}={value}" for name, value in walk.items()]
            told.append(note)
        fits = list(options.fits)
        if options.tune:
            best, note = searched(options.tune, folder, settings)
            best_found = Fit(**best)
            fits += [*(best_found._replace(rank=rank) for rank in options.tuned_ranks), best_found]
            told.append(note)
        for one in fits:
            record = run("stage2", folder, [*settings, *one.settings])
            of_models = values(record)
            if not found:
                for model in sorted(of_models.keys() - {"als", "recent_popular"}):  # the split has no times
                    row(model, *of_models[model], shown(walk) if model == "item_to_item" else "")
            found.append(of_models["als"])
            row("als", *found[-1], str(one), f"{record['seconds']:.0f}")
    print("".join(f"\n{note}\n" for note in told))
    named = {"What the search has found": found[-1]} if options.tune else {}
    named["The best of the table (chosen by the test file)"] = max(found, key=itemgetter(1))
    for name, value in named.items():
        rows = {of: PUBLISHED[options.split][of] for of in BESIDE[options.split]}
        print("\n" + "\n".join(f"{name} beside {verdict(value, *published)}." for published in rows.items()))


if __name__ == "__main__":
    main()
