"""The pages of the service: the explorer, and the description of the interface; nothing comes from elsewhere."""

import hashlib
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI, Request, Response

from recommender.serving.refusals import RequestError

PAGE: Final = Path(__file__).parent / "page"
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
_POLICY: Final = "default-src 'self'; img-src 'self' https: http: data:; frame-ancestors 'none'; base-uri 'none'"


def add_pages(api: FastAPI, folder: Path = PAGE) -> None:
    """Add / and the files beside it, /static/NAME, and /docs; they are read once, now."""
    files = {path.name: path.read_bytes() for path in sorted(folder.glob("*")) if path.suffix in _TYPES}

    @api.get("/", include_in_schema=False)
    async def index(request: Request) -> Response:
        return _file(request, files, "index.html")

    @api.get("/static/{name}", include_in_schema=False)
    async def static(request: Request, name: str) -> Response:
        return _file(request, files, name)

    @api.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> Response:
        return _sent(request, docs_page(api.openapi()).encode(), ".html")


def _file(request: Request, files: Mapping[str, bytes], name: str) -> Response:
    if name not in files:
        raise RequestError(404, "NOT_FOUND", "there is nothing here; see /docs")
    return _sent(request, files[name], Path(name).suffix)


def _sent(request: Request, content: bytes, suffix: str) -> Response:
    tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache", "Content-Security-Policy": _POLICY}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=_TYPES[suffix])


def docs_page(description: Mapping[str, Any]) -> str:
    """Return an OpenAPI description as a page for people.

    >>> "<h2><code>GET /livez</code></h2>" in docs_page({"info": {"title": "t", "version": "1", "description": ""},
    ...     "paths": {"/livez": {"get": {"description": "Answer.", "responses": {"200": {"description": "Good"}}}}}})
    True
    """
    info = description["info"]
    title = escape(f"{info['title']} {info['version']}")
    operations = [
        _operation(method, path, operation)
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    ]
    return (
        f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"></head>\n<body>\n<main>'
        f"<h1>{title}</h1>\n<p>{escape(info.get('description', ''))} "
        'For machines: <a href="openapi.json">openapi.json</a>.</p>\n'
        + "\n".join(operations)
        + "\n</main>\n</body></html>"
    )


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    rows = [
        (parameter["name"], parameter["in"], _constraint(parameter.get("schema", {})), parameter.get("description", ""))
        for parameter in operation.get("parameters", ())
    ]
    answers = [(status, answer.get("description", "")) for status, answer in operation["responses"].items()]
    body = "<p>Body: JSON, see openapi.json.</p>" if "requestBody" in operation else ""
    return "\n".join(
        [
            f"<section><h2><code>{escape(method.upper())} {escape(path)}</code></h2>",
            f"<p>{escape(operation.get('description', ''))}</p>{body}",
            _table(("parameter", "in", "values", "meaning"), rows) if rows else "",
            _table(("status", "meaning"), answers),
            "</section>",
        ]
    )


def _constraint(schema: Mapping[str, Any]) -> str:
    """Return in a few words what values a parameter takes."""
    words = [str(schema.get("type", ""))] if "enum" not in schema else [" or ".join(map(str, schema["enum"]))]
    if "minimum" in schema:
        words.append(f"{schema['minimum']} to {schema.get('maximum', '')}")
    if "maxLength" in schema:
        words.append(f"at most {schema['maxLength']} characters")
    if "default" in schema and schema["default"] != []:
        words.append(f"default {schema['default']}")
    return ", ".join(filter(None, words))


def _table(head: tuple[str, ...], rows: list[Any]) -> str:
    def row(cells: tuple[Any, ...], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(str(cell))}</{tag}>" for cell in cells) + "</tr>"

    return "<table>" + row(head, "th") + "".join(row(cells, "td") for cells in rows) + "</table>"
