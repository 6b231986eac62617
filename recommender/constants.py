"""The names of columns, events and sources: each is written once, here."""

from typing import Final

# An event, as the log has it.
TIMESTAMP: Final = "timestamp"  # ms since epoch, UTC
VISITOR: Final = "visitorid"
EVENT: Final = "event"  # the kind of event
ITEM: Final = "itemid"
PAIR: Final = [VISITOR, ITEM]
TRANSACTION: Final = "transactionid"
EVENT_COLUMNS: Final = (TIMESTAMP, VISITOR, EVENT, ITEM, TRANSACTION)
WEIGHT: Final = "weight"  # of the event itself, a rating or a quantity; only if data_loader.columns names its column

# What is known of an event besides, until it is found good.
PROBLEM: Final = "problem"  # what the loader found wrong
RAW: Final = "raw"  # the row as it came
SOURCE_FILE: Final = "source_file"
REASON: Final = "reason"  # why an event is quarantined
REWRITTEN: Final = "rewritten"  # whether an id is a number that lost zeros at its beginning, or text that gained a .0
HEADER: Final = "HEADER"  # the reason of a line that repeats what its file begins with
NO_ELEMENT: Final = "NO_ELEMENT"  # the reason of a row that makes no event, as it has an empty array of items
ROWS: Final = "rows"  # of the log that are this same event
QUARANTINE: Final = "quarantine"
HELD: Final = "held"  # whether an event is held out
USABLE: Final = "usable"  # whether a row of the user's own holdout is fit for use

# Kinds of events.
VIEW: Final = "view"
ADD_TO_CART: Final = "addtocart"
PURCHASE: Final = "transaction"
SEEN: Final = "seen"  # in recommend.exclude_events: every kind

# What the steps add.
SCORE: Final = "score"  # how strongly one visitor prefers one item: the weights of its events together
LAST_TIMESTAMP: Final = "last_timestamp"
LAST_TRAINED: Final = "last_trained"  # last_timestamp, of the training part alone
VISITOR_INDEX: Final = "visitor_index"
ITEM_INDEX: Final = "item_index"
EVENTS: Final = "events"  # a number of events
TRAINED: Final = "trained"
ID: Final = "id"  # MLlib's name of the index in a table of factors
FEATURES: Final = "features"  # MLlib's name of the factors
RANK: Final = "rank"  # position in a list, from 1
SOURCE: Final = "source"
SIMILAR_ITEM: Final = "similar_itemid"
SIMILAR_ITEM_INDEX: Final = "similar_item_index"
TOGETHER_ITEM: Final = "together_itemid"
TOGETHER_ITEM_INDEX: Final = "together_item_index"
VISITORS: Final = "visitors"  # a number of visitors
SIMILARITY: Final = "similarity"
MODEL: Final = "model"
METRIC: Final = "metric"
SEGMENT: Final = "segment"  # a group of visitors that is looked at apart
SEGMENTS: Final = "segments"  # those that a visitor is in
MEANS: Final = "means"  # one of each replicate of the bootstrap
NEIGHBOUR_INDEX: Final = "neighbour_index"

# Where a recommendation comes from.
ALS: Final = "als"
FOLD_IN: Final = "fold_in"
POPULAR: Final = "popular"
RECENT: Final = "recent_popular"
ITEM_TO_ITEM: Final = "item_to_item"
SOURCES: Final = (ALS, FOLD_IN, POPULAR, ITEM_TO_ITEM)  # their positions are stored in snapshots

# The other models that the candidate is judged beside.
LIVE: Final = "live"  # the model that the channel live was made from

DEFAULT_SCORES: Final = {VIEW: 1.0, ADD_TO_CART: 5.0, PURCHASE: 10.0}

# What a source is, for who reads it and for who only looks at it.
# Words for a missing id, case ignored.
NULL_WORDS: Final = ("null", "(null)", "nil", "nan", "na", "<na>", "n/a", "#n/a", "none", "\\N", "undefined", "-")
EARLIEST: Final = "1971-01-01"  # no shop has older events: what is in 1970 is in another unit, or a zero
FORMATS: Final = {  # end of a file's name -> its format
    **dict.fromkeys(("csv", "tsv", "tab", "txt", "dat", "data"), "csv"),
    **dict.fromkeys(("json", "jsonl", "ndjson"), "json"),
    "orc": "orc",
    "parquet": "parquet",
}
