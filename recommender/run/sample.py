"""Make events that look like those of a shop: RetailRocket's columns, proportions and 4.5 months.

Every event is a function of the seed and its own number alone, so that the same events come out on any cluster, in
parallel and in any amount. Visitors and items have heavy tails. Every visitor has two tastes, each a small range of
items, and most of its events are of its tastes: a model that finds the tastes beats popularity clearly. Of 1,000 events
967 are views, 25 addtocart and 8 transaction; a cart follows a view of the same item minutes later, a transaction the
cart.
"""

import argparse
from collections.abc import Sequence
from math import gcd

from pyspark.sql import Column, DataFrame, SparkSession, functions as F

import recommender.constants as C
from recommender.spark.session import start_session

DEFAULT_EVENTS = 50_000
MAX_EVENTS = 100_000_000

# Of a thousand numbers, the first are views, then carts, then purchases.
_VIEWS, _CARTS = 967, 25
_START = 1_430_622_000_000  # 2015-05-03T03:00:00Z, where RetailRocket's log begins
_SPAN = 137 * 86_400_000  # ms
_EVENTS_PER_VISITOR = 2
_EVENTS_PER_ITEM = 12
_ITEMS_PER_TASTE = 40
_TASTED = 0.85  # the share of events that are of the visitor's tastes
_VISITOR_TAIL = 2.0  # exponent of the inverse distribution: 1 is uniform, more is a heavier head
_ITEM_TAIL = 2.5
_STOCKED = 0.92  # the share of items that are in stock
SAMPLE_ATTRIBUTES = ("category", "brand", "price", "in_stock")  # of the items
_KINDS = {  # category -> one of its items
    "shoes": "shoe",
    "jackets": "jacket",
    "lamps": "lamp",
    "cups": "cup",
    "bags": "bag",
    "books": "book",
    "toys": "toy",
    "plants": "plant",
    "chairs": "chair",
    "clocks": "clock",
    "hats": "hat",
    "bicycles": "bicycle",
}
_BRANDS = ("Arbor", "Brume", "Corvo", "Duna", "Elmer", "Fjord", "Tallin", "Halo", "Iris")
_LOOKS = ("soft", "light", "sturdy", "plain", "striped")
_COLOURS = {  # as a picture has it
    "red": "hsl(4,62%25,48%25)",
    "blue": "hsl(214,62%25,46%25)",
    "green": "hsl(140,42%25,38%25)",
    "yellow": "hsl(45,88%25,50%25)",
    "grey": "hsl(210,8%25,50%25)",
    "brown": "hsl(25,45%25,36%25)",
    "black": "hsl(220,15%25,18%25)",
    "violet": "hsl(275,40%25,50%25)",
}
_SHAPES = (  # of the kinds, in their order, as paths in a square of 8
    "M1 5q2 0 3-2h1l2 2v1H1z",
    "M2 2l4 0 1 2-1 .5V7H2V4.5L1 4z",
    "M3 1h2l1.5 3h-2v2.5H6V7H2v-.5h1.5V4h-2z",
    "M2 2h4v1h1v2H6v1.5H2z",
    "M2 3h.5a1.5 1.5 0 0 1 3 0H6l.5 4h-5z",
    "M1 2q1.5-.5 3 .5q1.5-1 3-.5v4q-1.5-.5-3 .5q-1.5-1-3-.5z",
    "M4 1l.9 2H7L5.4 4.4 6 6.8 4 5.5 2 6.8l.6-2.4L1 3h2.1z",
    "M3 5h2l-.4 2H3.4zM4 5q-3-1-2.5-3.5Q4 2 4 5q0-3 2.5-3.5Q7 4 4 5z",
    "M2.5 1h.8v3h2.2v3h-.8V5H3.3v2h-.8z",
    "M4 1a3 3 0 1 0 .01 0z",
    "M1 5.5h1.2q0-3.5 1.8-3.5t1.8 3.5H7v.7H1z",
    "M2.2 4a1.3 1.3 0 1 0 .01 0zM5.8 4a1.3 1.3 0 1 0 .01 0zM2.2 5l1.5-2.5h1.5L6 5l-.3.1-.7-2.2H3.9L2.5 5.2z",
)
_SCATTER = 7_368_787  # a prime: multiplying by it scatters numbers


def sample_events(spark: SparkSession, events: int = DEFAULT_EVENTS, seed: int = 0) -> DataFrame:
    """Return generated events.

    Args:
        events: how many, 1 to 100 million. There are about half as many visitors and a twelfth as many items.
        seed: other seeds give other events.

    Returns:
        timestamp long (ms since epoch, UTC), visitorid long, event string, itemid long, transactionid string (null
        unless the event is a transaction); row order undefined.
    """
    visitors = max(events // _EVENTS_PER_VISITOR, 10)
    tastes = max(events // _EVENTS_PER_ITEM // _ITEMS_PER_TASTE, 4)
    items = tastes * _ITEMS_PER_TASTE
    place = F.col(C.ID) % 1000
    is_cart, is_purchase = place.between(_VIEWS, _VIEWS + _CARTS - 1), place >= _VIEWS + _CARTS
    # A cart belongs to one of the views of its thousand, a purchase to one of the carts, and so to that view.
    turn = F.when(is_cart, place - _VIEWS).when(is_purchase, place - _VIEWS - _CARTS)
    view = F.when(turn.isNull(), F.col(C.ID)).otherwise(F.col(C.ID) - place + turn * (_VIEWS // _CARTS))

    def draw(salt: str, *keys: Column) -> Column:
        """Return a number in [0, 1) that depends on the seed, the salt and the keys."""
        return F.pmod(F.xxhash64(F.lit(seed), F.lit(salt), *keys), F.lit(2**40)) / float(2**40)

    base = spark.range(events).select(
        C.ID,
        F.when(is_purchase, C.PURCHASE).when(is_cart, C.ADD_TO_CART).otherwise(C.VIEW).alias(C.EVENT),
        view.alias("view"),
        _power(draw("visitor", view), visitors, _VISITOR_TAIL).alias("number"),
    )
    number, view = F.col("number"), F.col("view")
    taste = _power(draw("taste", number, F.floor(draw("which", view) * 2)), tastes, 1.2)
    any_taste = F.floor(draw("any", view) * tastes)
    within = _power(draw("within", view), _ITEMS_PER_TASTE, _ITEM_TAIL)
    item = F.when(draw("tasted", view) < _TASTED, taste).otherwise(any_taste) * _ITEMS_PER_TASTE + within
    moment = _START + draw("start", number) * (0.8 * _SPAN) + F.pow(draw("moment", view), F.lit(2)) * (0.2 * _SPAN)
    minutes = F.when(F.col(C.EVENT) == C.VIEW, 0).when(F.col(C.EVENT) == C.ADD_TO_CART, 3).otherwise(11)
    return base.select(
        (F.floor(moment) + minutes * 60_000).cast("long").alias(C.TIMESTAMP),
        _scattered(number, visitors).alias(C.VISITOR),
        C.EVENT,
        _scattered(item, items).alias(C.ITEM),
        F.when(F.col(C.EVENT) == C.PURCHASE, F.col(C.ID).cast("string")).alias(C.TRANSACTION),
    )


def sample_items(spark: SparkSession, events: int = DEFAULT_EVENTS, seed: int = 0) -> DataFrame:
    """Return what the shop knows of the items of as many generated events: the items of a taste are of one category.

    Returns:
        itemid long, title string, picture string (a small drawing, as a data URL), category string, brand string, price
        double, in_stock boolean; one row per item, order undefined.
    """
    items = max(events // _EVENTS_PER_ITEM // _ITEMS_PER_TASTE, 4) * _ITEMS_PER_TASTE
    number = F.col(C.ID)
    taste, within = F.floor(number / _ITEMS_PER_TASTE), number % _ITEMS_PER_TASTE

    def draw(salt: str) -> Column:
        return F.pmod(F.xxhash64(F.lit(seed), F.lit(salt), number), F.lit(2**40)) / float(2**40)

    kind, brand = _one_of(list(_KINDS), taste), _one_of(_BRANDS, F.xxhash64(taste, F.floor(within / 7)))
    place, look = within + taste, _one_of(_LOOKS, taste + F.floor(within / len(_COLOURS)))
    colour, paint, ground = (
        _one_of(list(_COLOURS), place),
        _one_of(list(_COLOURS.values()), place),
        (taste * 47 % 360).cast("int").cast("string"),
    )
    shape = _one_of(_SHAPES, taste)
    picture = F.concat(
        F.lit("data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 8'><path fill='hsl("),
        *(
            ground,
            F.lit(",45%25,88%25)' d='M0 0h8v8H0z'/><path fill='"),
            paint,
            F.lit("' d='"),
            shape,
            F.lit("'/></svg>"),
        ),
    )
    return spark.range(items).select(
        _scattered(number, items).alias(C.ITEM),
        F.concat_ws(" ", brand, look, colour, _one_of(list(_KINDS.values()), taste)).alias("title"),
        picture.alias("picture"),
        kind.alias("category"),
        brand.alias("brand"),
        F.round(5 + 195 * F.pow(draw("price"), F.lit(2)), 2).alias("price"),
        (draw("stock") < _STOCKED).alias("in_stock"),
    )


def _one_of(values: Sequence[str], number: Column) -> Column:
    """Return the value at a place, again from the first after the last."""
    place = F.pmod(number, F.lit(len(values))).cast("int")
    return F.element_at(F.array(*(F.lit(value) for value in values)), place + 1)


def _power(uniform: Column, count: int, tail: float) -> Column:
    """Turn a uniform draw into a number below `count`, small ones more often the larger `tail` is."""
    return F.floor(F.pow(uniform, F.lit(tail)) * count).cast("long")


def _scattered(number: Column, count: int) -> Column:
    """Give the numbers below `count` another order, so that an id does not show how active it is."""
    factor = _SCATTER
    while gcd(factor, count) > 1:
        factor += 2
    return F.pmod(number * factor, F.lit(count)).cast("long")


def parser(program: str = "spark-submit jobs/sample.py") -> argparse.ArgumentParser:
    """Return the parser of the arguments."""
    made = argparse.ArgumentParser(prog=program, description="Make events like a shop's.")
    made.add_argument("--events", type=int, default=DEFAULT_EVENTS, help="how many (default: %(default)s)")
    made.add_argument("--seed", type=int, default=0, help="other seeds give other events (default: %(default)s)")
    made.add_argument("--out", required=True, metavar="FOLDER", help="new folder; CSV files if it ends in .csv")
    return made


def main(arguments: Sequence[str] | None = None, program: str = "spark-submit jobs/sample.py") -> int:
    """Write generated events to a new Parquet folder, or to CSV files where its name ends so."""
    made = parser(program)
    options = made.parse_args(arguments)
    if not 1 <= options.events <= MAX_EVENTS:
        made.error(f"--events must be 1..{MAX_EVENTS}, got {options.events}")
    spark = start_session(f"sample {options.events} events")
    try:
        writer = sample_events(spark, options.events, options.seed).write
        if options.out.endswith(".csv"):
            writer.csv(options.out, header=True)
        else:
            writer.parquet(options.out)
    finally:
        spark.stop()
    print(f"{options.events:,} events in {options.out}")
    return 0
