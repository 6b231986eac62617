"""A small service that answers as the contract of the interface says, with literal data, for tests of the page."""

import json
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

PAGE = Path(__file__).resolve().parents[2] / "recommender" / "serving" / "page"
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><rect width="8" height="8" fill="#7a9e7e"/></svg>'

NOW = {"run": "2026-11-24", "number": 12, "created_at": "2026-11-24T02:18:00Z"}
CANDIDATE = {"run": "2026-11-25", "number": 3, "created_at": "2026-11-25T02:16:00Z"}
OLDEST = {"run": "2026-11-20", "number": 8, "created_at": "2026-11-20T02:17:00Z"}
BEFORE = {"run": "2026-11-23", "number": 11, "created_at": "2026-11-23T02:17:00Z"}
SCRIPT = "<script>document.title = 'taken over'</script><img src=x onerror=\"document.title = 'taken over'\">"
TITLES = {
    1: "Trail running shoe",
    2: "Rain jacket with a rather long name that does not fit on one line of a telephone",
    3: "Head torch",
    4: SCRIPT,
    5: "נעלי ריצה",
    6: "Water bottle",
}
PICTURES = {1: "pictures/1.svg", 2: "pictures/missing.svg", 3: "javascript:alert(1)"}

KNOWN, UNKNOWN, WITHOUT_TITLES, LONG = "42", "99", "7", "9007199254740993"
LISTS = {
    KNOWN: [
        (1, 0.8214, "als"),
        (2, 0.4473, "als"),
        (3, 0.1302, "als"),
        (4, 0.01372, "fold_in"),
        (5, 22_351, "popular"),
    ],
    WITHOUT_TITLES: [(item, 1 / item, "als") for item in range(4000, 4010)],
    LONG: [(1, 0.5, "als")],
}
LISTS_BEFORE = {KNOWN: [(2, 0.5, "als"), (1, 0.4, "als"), (3, 0.1302, "als"), (6, 0.1, "als")]}
POPULAR = [(5, 22_351.0, "popular"), (6, 812.0, "popular")]
EVENTS = {
    KNOWN: [(6, "view", 1_763_900_000_000), (2, "addtocart", 1_763_800_000_000), (6, "transaction", 1_763_700_000_000)]
}
SHARES = [(6, ["view", "transaction"], 0.9), (2, ["addtocart"], 0.1214), (4, ["view"], -0.2)]
POPULARITY = 0.0186

METRICS = [
    {"model": model, "metric": metric, "k": k, "value": value, "low": low, "high": high, "visitors": 1202}
    for model, metric, k, value, low, high in [
        ("als", "ndcg", 5, 0.0675, 0.0561, 0.0790),
        ("popular", "ndcg", 5, 0.0106, 0.0061, 0.0150),
        ("als", "ndcg", 10, 0.0743, 0.0632, 0.0865),
        ("popular", "ndcg", 10, 0.0135, 0.0093, 0.0182),
        ("als", "coverage", 10, 0.0889, None, None),
        ("popular", "coverage", 10, 0.0027, None, None),
    ]
]
GATE = {
    "metric": "ndcg@10",
    "visitors": 1202,
    "compared": [
        {
            "model": "popular",
            "candidate": 0.0743,
            "other": 0.0135,
            "difference": 0.0608,
            "low": 0.0488,
            "high": 0.0727,
            "passed": True,
        }
    ],
    "reasons": [],
    "live": None,
}


class StubService:
    """The service, on a free port of this machine; what it says of itself can be changed while it runs.

    ready: whether it answers at all. has_previous: whether it keeps a version before. token: that it asks for, empty:
    none. random: the visitor that it gives. refused: why the newest version was not taken over, None: it
    was. asked: the addresses that were asked for. version: that it serves. hidden: items. told: the bodies of
    what was posted. late: what is in an address that is answered
    a second later; empty: none.
    """

    def __init__(self) -> None:
        self.ready, self.has_previous, self.token, self.random = True, True, "", KNOWN
        self.refused: str | None = None
        self.version, self.late = NOW, ""
        self.hidden: list[int] = []
        self.told: list[Mapping[str, Any]] = []
        self.asked: list[str] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                service.asked.append(self.path)
                if service.late and service.late in self.path:
                    time.sleep(1)
                status, type_, body = service.answer(self.path, self.headers.get("Authorization", ""))
                with suppress(ConnectionError):  # who has asked does not want it any more
                    self._send(status, type_, body)

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                service.told.append(body)
                self._send(200, "application/json", json.dumps(service.computed(body)).encode())

            def _send(self, status: int, type_: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", type_)
                self.send_header("Content-Security-Policy", "default-src 'self'; img-src 'self' https: http: data:")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of http.server
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> "StubService":
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """Answer nothing from now on."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, address: str, authorization: str) -> tuple[int, str, bytes]:
        """Return the status, the type and the body of what is at an address."""
        parts = urlsplit(address)
        names = [unquote(name) for name in parts.path.strip("/").split("/")]
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if names[0] != "v1":
            return self._file(names)
        if not self.ready and names[1:] != ["status"]:
            status, found = 503, error("NOT_READY", "no version is loaded")
        elif self.token and authorization != f"Bearer {self.token}":
            status, found = 401, error("UNAUTHORIZED", "a token is wanted")
        else:
            status, found = self._found(names[1:], query)
        return status, "application/json", json.dumps(found).encode()

    def computed(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a list that is computed from what a visitor did in this session."""
        rows = [(6, 0.9, "fold_in"), *LISTS.get(body["visitorid"], [])][: body["k"]]
        items = [
            {**named(item), "rank": rank, "score": score, "source": "fold_in"}
            for rank, (item, score, _) in enumerate(rows, 1)
        ]
        unknown = sum(not event["itemid"].isdecimal() for event in body["events"])
        told = {"version": self.version, "visitorid": body["visitorid"], "source": "fold_in", "known": True}
        return {**told, "items": items, "unknown_items": unknown, "unknown_events": 0}

    def _file(self, names: list[str]) -> tuple[int, str, bytes]:
        if names == ["pictures", "1.svg"]:
            return 200, TYPES[".svg"], SVG
        path = PAGE / ("index.html" if names == [""] else names[-1])
        if not path.is_file():
            return 404, "text/plain", b"not here"
        return 200, f"{TYPES[path.suffix]}; charset=utf-8", path.read_bytes()

    def _found(self, names: list[str], query: Mapping[str, str]) -> tuple[int, Mapping[str, Any]]:  # noqa: C901
        found: Mapping[str, Any]
        match names:
            case ["visitors", visitor, "recommendations"]:
                return self._recommended(visitor, query)
            case ["status"]:
                found = self._status()
            case ["visitors", "random"]:
                found = {"version": self.version, "visitorid": self.random}
            case ["visitors", visitor, "history"]:
                found = self._history(visitor)
            case ["visitors", visitor, "explain", item]:
                found = self._explained(visitor, item)
            case ["items", "hidden"]:
                found = {"version": self.version, "items": [named(item) for item in self.hidden]}
            case ["items", item, "bought-together"]:
                together = [{**named(3), "rank": 1, "visitors": 14}] if item == "2" else []
                found = {"version": self.version, **named(int(item)), "items": together}
            case ["search"]:
                found = self._search(query["q"])
            case ["versions"]:
                found = {"versions": self._versions()}
            case ["items", item, "similar"]:
                found = self._similar(item)
            case _:
                return 404, error("NOT_FOUND", "there is nothing at this address")
        return 200, found

    def _history(self, visitor: str) -> Mapping[str, Any]:
        did = EVENTS.get(visitor, [])
        events = [{**named(item), "event": event, "timestamp": at} for item, event, at in did]
        return {"version": self.version, "visitorid": visitor, "events": events}

    def _explained(self, visitor: str, item: str) -> Mapping[str, Any]:
        shares = [{**named(each), "events": kinds, "share": share} for each, kinds, share in SHARES]
        score = sum(share for _, _, share in SHARES) + POPULARITY
        told = {"version": self.version, "visitorid": visitor, **named(int(item)), "score": score}
        return {**told, "popularity": POPULARITY, "shares": shares}

    def _search(self, text: str) -> Mapping[str, Any]:
        items = [named(item) for item, title in TITLES.items() if text.lower() in title.lower()]
        return {"version": self.version, "visitors": [each for each in LISTS if each.startswith(text)], "items": items}

    def _versions(self) -> list[Mapping[str, Any]]:
        kept = [
            ("candidate", CANDIDATE, 1.1),
            ("live", self.version, 1.0),
            ("live", BEFORE, 0.8),
            ("live", OLDEST, 0.7),
        ]
        return [
            {
                "channel": channel,
                **version,
                "is_served": version == self.version,
                "metrics": [
                    {**row, **{name: row[name] and row[name] * better for name in ("value", "low", "high")}}
                    for row in METRICS
                ],
                "gate": GATE,
            }
            for channel, version, better in kept
            if self.has_previous
        ]

    def _similar(self, item: str) -> Mapping[str, Any]:
        others = [each for each in TITLES if str(each) != item]
        similar = [{**named(each), "rank": rank, "similarity": 1 / rank} for rank, each in enumerate(others, 1)]
        return {"version": self.version, "itemid": item, "items": similar}

    def _recommended(self, visitor: str, query: Mapping[str, str]) -> tuple[int, Mapping[str, Any]]:
        if len(visitor) > 200:
            return 422, error("REQUEST_INVALID", "an id has at most 200 characters")
        version, lists = self.version, LISTS
        if query.get("version") == "candidate":
            version, lists = CANDIDATE, LISTS_BEFORE
        if query.get("version") in {"previous", "11"}:
            if not self.has_previous:
                return 404, error("VERSION_UNKNOWN", "no previous version is kept")
            version, lists = BEFORE, LISTS_BEFORE
        known = visitor in lists
        rows = [row for row in lists.get(visitor, POPULAR) if not query.get("filter") or row[0] % 2][
            : int(query.get("k", 10))
        ]
        items = [
            {**named(item), "rank": rank, "score": score, "source": source}
            for rank, (item, score, source) in enumerate(rows, 1)
        ]
        source = "published" if known else "popular"
        answer = {"version": version, "visitorid": visitor, "source": source, "known": known, "items": items}
        return 200, {**answer, "unknown_items": 0, "unknown_events": 0}

    def _status(self) -> Mapping[str, Any]:
        reload = {"at": "2026-11-24T02:19:00Z", "error": self.refused}
        if not self.ready:
            return {
                **dict.fromkeys(("version", "previous", "age_seconds", "counts", "gate")),
                "ready": False,
                "draining": False,
                "metrics": [],
                "channel": "live",
                "last_reload": reload if self.refused else None,
                "failures": int(self.refused is not None),
                "workers": 2,
                "uptime_seconds": 3,
            }
        return {
            "ready": True,
            "draining": False,
            "version": self.version,
            "age_seconds": 19_800,
            "counts": {"visitors": 19_284, "items": 4_150, "lists": 19_284},
            "metrics": METRICS,
            "gate": GATE,
            "channel": "live",
            "previous": BEFORE,
            "last_reload": reload,
            "failures": int(self.refused is not None),
            "workers": 2,
            "uptime_seconds": 86_400,
            "hidden": len(self.hidden),
            "event_kinds": ["view", "addtocart", "transaction"],
            "attributes": {"category": ["shoes", "jackets"], "in_stock": ["true", "false"]},
        }


def named(item: int) -> dict[str, Any]:
    return {"itemid": str(item), "title": TITLES.get(item), "picture": PICTURES.get(item)}


def error(id_: str, sentence: str) -> Mapping[str, Any]:
    return {"type": "about:blank", "title": "", "status": 0, "detail": sentence, "id": id_}
