"""Every recipe of docs/your-data.md loads a few invented rows in the shape of its data set."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from recommender.run.config import parse_config
from recommender.stage1.main import Stage1

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "your-data.md").read_text(encoding="utf-8")
RECIPES = dict(re.findall(r"^### (.+?)\n(?:(?!^##).)*?^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))

# Visitor, item, minute: what happened, in all of the data sets. The second event is seen again, later.
SEEN = [(1, 11, 0), (2, 11, 1), (1, 12, 2), (3, 13, 3), (2, 12, 4), (3, 11, 5), (4, 13, 6), (2, 11, 7), (5, 12, 8)]
KINDS = (0, 1, 0, 2, 0, 0, 1, 0, 0)  # of each: a view, a cart, an order
OURS = ("view", "addtocart", "transaction")
START = 1_556_668_800  # 2019-05-01, in s


def lines(rows: Iterable[Any], header: str = "") -> str:
    return "".join(f"{line}\n" for line in ([header] if header else []) + list(rows))


def stars(position: int) -> float:
    return position % 5 + 1


def at(minute: int) -> str:
    return f"2019-05-01T00:{minute:02}:00"


def rated(delimiter: str, order: str = "{v}{d}{i}{d}{r}{d}{s}", header: str = "") -> str:
    return lines(
        (order.format(v=v, i=i, r=stars(n), s=START + 60 * m, d=delimiter) for n, (v, i, m) in enumerate(SEEN)), header
    )


def objects(rows: Iterable[dict[str, Any]]) -> str:
    return lines(map(json.dumps, rows))


def segment() -> str:
    names = ("Product Viewed", "Product Added", "Order Completed")
    rows = [
        {
            "type": "track",
            "event": names[kind],
            "anonymousId": f"a-{v}",
            "timestamp": f"{at(m)}.000Z",
            "properties": {"products": [{"product_id": f"p-{i}"}]} if kind == 2 else {"product_id": f"p-{i}"},
        }
        for (v, i, m), kind in zip(SEEN, KINDS, strict=True)
    ]
    return objects([*rows, {"type": "page", "anonymousId": "a-9", "timestamp": f"{at(9)}.000Z"}])


def ga4() -> str:
    names = ("view_item", "add_to_cart", "purchase")
    rows = [
        {
            "event_date": "20190501",
            "event_timestamp": str((START + 60 * m) * 10**6),
            "event_name": names[kind],
            "user_pseudo_id": f"10.{v}",
            "items": [{"item_id": f"G{i}", "price": 1.5}],
        }
        for (v, i, m), kind in zip(SEEN, KINDS, strict=True)
    ]
    return objects([*rows, {**rows[0], "event_name": "page_view", "items": []}])


def clicks() -> str:
    return lines(f"{v},{at(m)}.672Z,{i},0" for v, i, m in SEEN)


def otto() -> str:
    names = ("clicks", "carts", "orders")
    events: dict[int, list[Any]] = {}
    for (v, i, m), kind in zip(SEEN, KINDS, strict=True):
        events.setdefault(v, []).append({"aid": i, "ts": (START + 60 * m) * 1000, "type": names[kind]})
    return objects({"session": v, "events": its} for v, its in events.items())


# Recipe -> file below /data -> its text.
FILES: dict[str, dict[str, str | bytes]] = {
    "MovieLens 100K": {"ml-100k/u.data": rated("\t")},
    "MovieLens 1M": {"ml-1m/ratings.dat": rated("::")},
    "MovieLens 25M": {"ml-25m/ratings.csv": rated(",", header="userId,movieId,rating,timestamp")},
    "Amazon ratings": {"amazon/ratings_Books.csv": rated(",", "A{v}{d}00{i}{d}{r:.1f}{d}{s}")},
    "Amazon reviews": {
        "amazon/reviews_Books_5.json": objects(
            {"reviewerID": f"A{v}", "asin": f"00{i}", "overall": stars(n), "unixReviewTime": START + 60 * m}
            for n, (v, i, m) in enumerate(SEEN)
        )
    },
    "RetailRocket": {
        "retailrocket/events.csv": lines(
            (
                f"{(START + 60 * m) * 1000},{v},{OURS[kind]},{i},{m if kind > 1 else ''}"
                for (v, i, m), kind in zip(SEEN, KINDS, strict=True)
            ),
            "timestamp,visitorid,event,itemid,transactionid",
        ),
        "retailrocket/category_tree.csv": "categoryid,parentid\n1,0\n",
    },
    "REES46": {
        "rees46/2019-Oct.csv": lines(
            (
                f"{at(m).replace('T', ' ')} UTC,{('view', 'cart', 'purchase')[kind]},{i},205,tv,acme,9.9,{v},abc-{v}"
                for (v, i, m), kind in zip(SEEN, KINDS, strict=True)
            ),
            "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session",
        )
    },
    "Yoochoose": {"yoochoose/yoochoose-clicks.dat": clicks()},
    "Yoochoose with purchases": {
        "yoochoose/yoochoose-clicks.dat": clicks(),
        "yoochoose/yoochoose-buys.dat": "3,2019-05-01T00:30:00.100Z,13,1046,1\n",
    },
    "Taobao": {
        "taobao/UserBehavior.csv": lines(
            f"{v},{i},77,{('pv', 'cart', 'buy')[kind]},{START + 60 * m}"
            for (v, i, m), kind in zip(SEEN, KINDS, strict=True)
        )
    },
    "Instacart": {
        "instacart/orders.csv": lines(
            (f"{n},{v},prior,{n + 1},2,08,{'' if n < 2 else '30.0'}" for n, (v, _, _) in enumerate(SEEN)),
            "order_id,user_id,eval_set,order_number,order_dow,order_hour_of_day,days_since_prior_order",
        ),
        "instacart/order_products__prior.csv": lines(
            (f"{n},{i},1,0" for n, (_, i, _) in enumerate(SEEN)), "order_id,product_id,add_to_cart_order,reordered"
        ),
    },
    "H&M": {
        "hm/transactions_train.csv": lines(
            (f"2018-09-{20 + m},c{v},0{i},0.05,1" for v, i, m in [*SEEN, SEEN[0]]),
            "t_dat,customer_id,article_id,price,sales_channel_id",
        )
    },
    "Online Retail": {
        "online-retail.csv": lines(
            [
                *(
                    f"53{n},S{i},Café,{n + 1},12/1/2010 8:{m:02},2.55,178{v},United Kingdom"
                    for n, (v, i, m) in enumerate(SEEN)
                ),
                "540,S11,Café,1,12/1/2010 9:00,2.55,,United Kingdom",
                "C541,S11,Café,-1,12/1/2010 9:01,2.55,1781,United Kingdom",
            ],
            "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country",
        ).encode("windows-1252")
    },
    "OTTO": {"otto/train.jsonl": otto()},
    "Diginetica": {
        "diginetica/train-item-views.csv": lines(
            (f"{v};NA;{i};{m * 1000};2016-05-{m + 1:02}" for v, i, m in SEEN),
            "sessionId;userId;itemId;timeframe;eventdate",
        )
    },
    "Last.fm 1K": {
        "lastfm-1k/userid-timestamp-artid-artname-traid-traname.tsv": lines(
            f'user_{v}\t{at(m)}Z\t{"" if i == 11 else "0b-1"}\t"Weird {i}" Al\t\tTrack "{n}'
            for n, (v, i, m) in enumerate(SEEN)
        )
    },
    "Last.fm 360K": {
        "lastfm-360k/usersha1-artmbid-artname-plays.tsv": lines(
            f"u{v}\t0b-1\tartist {i}\t{10 * n + 1}" for n, (v, i, _) in enumerate(SEEN)
        )
    },
    "GA4": {"ga4/events_20190501.json": ga4()},
    "Segment": {"segment/track.json": segment()},
    "Segment with orders": {"segment/track.json": segment()},
}

PAIRS = {(v, i) for v, i, _ in SEEN}
# How a data set writes a visitor and an item; numbers, unless it is said here.
WRITTEN: dict[str, tuple[str, str]] = {
    "Amazon ratings": ("A{}", "00{}"),
    "Amazon reviews": ("A{}", "00{}"),
    "H&M": ("c{}", "0{}"),
    "Online Retail": ("178{}", "S{}"),
    "Last.fm 1K": ("user_{}", '"Weird {}" Al'),
    "Last.fm 360K": ("u{}", "artist {}"),
    "GA4": ("10.{}", "G{}"),
    "Segment": ("a-{}", "p-{}"),
    "Segment with orders": ("a-{}", "p-{}"),
}
ORDERED = {(3, 13)}  # the only pair whose only event is an order
RATINGS = {(v, i): stars(n) for n, (v, i, _) in enumerate(SEEN)}  # of a pair, the last one
AMOUNTS = {pair: sum(n + 1.0 for n, (v, i, _) in enumerate(SEEN) if (v, i) == pair) for pair in PAIRS}
PLAYS = {pair: sum(10.0 * n + 1 for n, (v, i, _) in enumerate(SEEN) if (v, i) == pair) for pair in PAIRS}
WEIGHTS: dict[str, dict[tuple[int, int], float]] = {
    **{name: RATINGS for name in RECIPES if name.startswith(("MovieLens", "Amazon"))},
    "Online Retail": AMOUNTS,
    "Last.fm 360K": PLAYS,
}


def test_every_recipe_has_its_rows() -> None:
    assert set(RECIPES) == set(FILES)
    assert PAGE.count("```yaml") == len(RECIPES)


def stage_of(name: str, folder: Path) -> Stage1:
    """Return stage 1 as a recipe configures it, on the invented rows."""
    for file, content in FILES[name].items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    return Stage1(parse_config(RECIPES[name].replace("/data/", f"{folder}/")).stage("stage1"))


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_loads_and_weighs_the_events_of_its_data_set(spark: SparkSession, tmp_path: Path, name: str) -> None:
    stage = stage_of(name, tmp_path)
    try:
        events = stage.log.load()
        rows = stage.scoring.grouped(events, ["visitorid", "itemid", "event"]).collect()
        assert stage.log.quarantined == {}
    finally:
        stage.release()
    visitor, item = WRITTEN.get(name, ("{}", "{}"))
    pairs = {(visitor.format(v), item.format(i)): (v, i) for v, i in PAIRS}
    expected = PAIRS - ORDERED if name == "Segment" else PAIRS
    assert {pairs[str(row.visitorid), str(row.itemid)] for row in rows} == expected
    assert {row.event for row in rows} <= set(stage.steps.score_events.score_map)
    if name in WEIGHTS:
        assert {pairs[str(row.visitorid), str(row.itemid)]: row.score for row in rows} == WEIGHTS[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_runs_through_all_of_stage_1(spark: SparkSession, tmp_path: Path, name: str) -> None:
    tables = stage_of(name, tmp_path).execute_persist(str(tmp_path / "out"))
    assert tables["scores"].count() > 0
