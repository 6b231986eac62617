"""What a page of HTML holds: its text, its numbers with their exact values, and its tags."""

from html.parser import HTMLParser


class Page(HTMLParser):
    """A page that is read.

    Init parameters:
        source: the page.

    Attributes:
        numbers: (exact value, shown text) of each number. tags: names of all elements. text: without styles.
        sections: heading -> text below it.
    """

    def __init__(self, source: str) -> None:
        super().__init__()
        self.numbers: list[tuple[float, str]] = []
        self.tags: list[str] = []
        self.text = ""
        self.sections: dict[str, str] = {"": ""}
        self._open: list[str] = []
        self._value: float | None = None
        self._heading = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._open.append(tag)
        if tag == "data":
            self._value = float(dict(attrs)["value"] or "nan")
        if tag == "h2":
            self._heading = ""

    def handle_startendtag(self, tag: str, attrs: object) -> None:  # noqa: ARG002
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass
        if tag == "data":
            self._value = None
        if tag in {"td", "th", "p", "li", "h1", "h2", "dd", "dt"}:
            self._add(" ")

    def handle_data(self, data: str) -> None:
        if "style" in self._open:
            return
        if "h2" in self._open:
            self._heading += data
            self.sections.setdefault(self._heading, "")
        elif self._value is not None:
            self.numbers.append((self._value, data))
        self._add(data)

    def _add(self, data: str) -> None:
        self.text += data
        if "h2" not in self._open:
            self.sections[self._heading] += data

    @property
    def values(self) -> set[float]:
        return {value for value, _ in self.numbers}
