"""The tables of benchmarks/topk.py."""

import statistics
from dataclasses import dataclass, field
from pathlib import Path

GENERATED = "generated"  # so the names of generated factors begin
CORES = 2
AIM_TIME, AIM_CPU, AIM_HEAVY, AIM_EQUAL_NORMS = 10, 25, 1.5, 1.3


@dataclass
class Factors:
    """A set of factors to rank with."""

    name: str
    folder: Path
    rank: int
    is_real: bool
    size: int = 0  # visitors


@dataclass
class Found:
    """What was measured: per factors and k the figures of each contender, and those of the kernel."""

    ranked: dict[tuple[str, int, int], dict[str, dict[str, float]]] = field(default_factory=dict)
    kernel: dict[tuple[str, int, int, bool], dict[str, float]] = field(default_factory=dict)


def median(runs: list[dict[str, float]]) -> dict[str, float]:
    """Return the median of each figure."""
    return {name: statistics.median(each[name] for each in runs) for name in runs[0]}


def cpu(figures: dict[str, float]) -> float:
    """Return the CPU seconds of the JVM and of Python."""
    return figures["java"] + figures["python"]


def ranked_head() -> str:
    """Return the head of the table of the rankings."""
    names = ["factors", "rank", "k", "who", "s", "visitors/s", "CPU JVM, s", "CPU Python, s", "peak MB"]
    names += ["s, of ours", "CPU, of ours", "arithmetic"]
    return f"Ranking everybody: time, CPU time, and memory\n\n| {' | '.join(names)} |\n|{'---|' * len(names)}"


def ranked_row(factors: Factors, k: int, name: str, found: Found) -> str:
    """Return the row of a contender in the table of the rankings."""
    place = factors.name, factors.rank, k
    start = f"| {factors.name} | {factors.rank} | {k} | {name}"
    figures, kernel = found.ranked[place], found.kernel.get((*place, False))
    if name not in figures:
        return f"{start} | failed | | | | | | | |"
    own, ours = figures[name], figures.get("ours")
    cells = [f"{own['seconds']:.1f}", f"{factors.size / own['seconds']:,.0f}", f"{own['java']:.1f}"]
    cells += [f"{own['python']:.1f}", f"{own['peak'] / 1e6:,.0f}"]
    cells += [f"{own['seconds'] / ours['seconds']:.2f}", f"{cpu(own) / cpu(ours):.2f}"] if ours else ["", ""]
    has_share = name == "ours" and kernel
    cells.append(f"{kernel['ours'] * factors.size / 1000 / own['seconds'] / CORES:.0%}" if has_share else "")
    return f"{' | '.join([start, *cells])} |"


def kernel_table(found: Found) -> str:
    """Return the table of the kernel, nothing if it was not measured."""
    if not found.kernel:
        return ""
    rows = [
        "\nThe kernel alone, on one thread: CPU seconds per 1,000 visitors, and the share of the scores it computed\n",
        "| factors | rank | k | product | chunk selection | ours | ours / product | ours / chunk selection | scored |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for (name, rank, k, equal_norms), figures in found.kernel.items():
        product, chunks, ours = (figures[one] for one in ("product", "chunk_selection", "ours"))
        scored = "" if figures["scored"] is None else f"{figures['scored']:.1%}"
        cells = [f"{name}, equal norms" if equal_norms else name, str(rank), str(k)]
        cells += [f"{product:.3f}", f"{chunks:.3f}", f"{ours:.3f}", f"{ours / product:.2f}", f"{ours / chunks:.2f}"]
        rows.append(f"| {' | '.join([*cells, scored])} |")
    return "\n".join(rows)


def aims_table(found: Found) -> str:
    """Return the table of what we aim at: the worst of all ranks and k counts."""
    rows = ["\nWhat we aim at, in the worst of the cases above\n", "| aim | factors | figure | |", "|---|---|---|---|"]
    for name in dict.fromkeys(name for name, _, _ in found.ranked):
        mllib, implicit = (_pairs(found, name, peer) for peer in ("MLlib", "implicit"))
        faster = [peer["seconds"] / ours["seconds"] for peer, ours in mllib]
        rows.append(f"| times as fast as MLlib | {name} | {verdict(faster, AIM_TIME)} |")
        cheaper = [cpu(peer) / cpu(ours) for peer, ours in mllib]
        rows.append(f"| CPU of MLlib, of ours | {name} | {verdict(cheaper, AIM_CPU)} |")
        if name.startswith(GENERATED):
            faster = [peer["seconds"] / ours["seconds"] for peer, ours in implicit]
            rows.append(f"| times as fast as implicit, with all of Spark | {name} | {verdict(faster, 1)} |")
    real, equal = [], []
    for (name, _, _, equal_norms), each in found.kernel.items():
        if equal_norms:
            equal.append(each["ours"] / each["chunk_selection"])
        elif not name.startswith(GENERATED):
            real.append(each["ours"] / each["product"])
    rows.append(f"| kernel, of the time of the plain product | of a real fit | {verdict(real, 1, is_least=False)} |")
    figure = verdict(equal, AIM_EQUAL_NORMS, is_least=False)
    rows.append(f"| kernel, of the time of the product with chunk selection | equal norms | {figure} |")
    return "\n".join(rows)


def _pairs(found: Found, factors: str, peer: str) -> list[tuple[dict[str, float], dict[str, float]]]:
    """Return the figures of a peer and ours, where there are both."""
    cases = [each for (name, _, _), each in found.ranked.items() if name == factors]
    return [(each[peer], each["ours"]) for each in cases if {peer, "ours"} <= each.keys()]


def verdict(figures: list[float], limit: float, is_least: bool = True) -> str:
    """Say whether all figures are at least, or at most, a limit."""
    wanted = f"{'at least' if is_least else 'at most'} {limit:g}"
    if not figures:
        return f"{wanted} | not measured"
    worst = min(figures) if is_least else max(figures)
    short = limit / worst if is_least else worst / limit
    return f"{worst:.2f}, {wanted} | {'met' if short <= 1 else f'missed by a factor of {short:.2f}'}"
