"""The OpenAPI description as a page for people, without scripts, for use offline and behind a strict policy."""

import json
from collections.abc import Mapping
from html import escape
from typing import Any


def docs_page(description: Mapping[str, Any]) -> str:
    """Return an OpenAPI description as a page for people.

    >>> "<h2><code>GET /livez</code></h2>" in docs_page({"info": {"title": "t", "version": "1", "description": ""},
    ...     "paths": {"/livez": {"get": {"description": "Answer.", "responses": {"200": {"description": "Good"}}}}}})
    True
    """
    info = description["info"]
    title = escape(f"{info['title']} {info['version']}")
    operations = [
        _operation(method, path, operation, description.get("components", {}).get("schemas", {}))
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    ]
    return (
        f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="stylesheet" href="static/docs.css"></head>\n<body>\n<main>'
        f"<h1>{title}</h1>\n<p>{escape(info.get('description', ''))} "
        'For machines: <a href="openapi.json">openapi.json</a>.</p>\n'
        + "\n".join(operations)
        + "\n</main>\n</body></html>"
    )


def _operation(method: str, path: str, operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    rows = [
        (parameter["name"], parameter["in"], _constraint(parameter.get("schema", {})), parameter.get("description", ""))
        for parameter in operation.get("parameters", ())
    ]
    answers = [(status, answer.get("description", "")) for status, answer in operation["responses"].items()]
    body = _body(operation["requestBody"], schemas) if "requestBody" in operation else ""
    return "\n".join(
        [
            f"<section><h2><code>{escape(method.upper())} {escape(path)}</code></h2>",
            f"<p>{escape(operation.get('description', ''))}</p>{body}",
            _table(("parameter", "in", "values", "meaning"), rows) if rows else "",
            _table(("status", "meaning"), answers),
            "</section>",
        ]
    )


def _body(described: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    """Return the keys of a JSON body, and an example."""
    schema = schemas[described["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]]
    rows = [(name, each.get("description", "")) for name, each in schema["properties"].items()]
    examples = "".join(f"<pre>{escape(json.dumps(each))}</pre>" for each in schema.get("examples", ()))
    return _table(("key of the body", "meaning"), rows) + examples


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
