"""The explorer at / with its files below /static, and the description of the interface at /docs."""

from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from starlette.staticfiles import StaticFiles

from recommender.serving.docs_page import docs_page

PAGE: Final = Path(__file__).parent / "page"
_HEADERS: Final = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' https: http: data:; frame-ancestors 'none'; base-uri 'none'"
    ),
}


class PageFiles(StaticFiles):
    """The files of the page, which a browser asks for again, and which load nothing from elsewhere."""

    def file_response(self, *arguments: Any, **options: Any) -> Response:
        """Return a file, or that it has not changed."""
        response = super().file_response(*arguments, **options)
        response.headers.update(_HEADERS)
        return response


def add_pages(api: FastAPI, *, explorer: bool = True) -> None:
    """Add the pages.

    Args:
        api: the application. explorer: whether / is served; /docs always is.
    """
    files = PageFiles(directory=PAGE)
    api.mount("/static", files)

    @api.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return Response(docs_page(api.openapi()), media_type="text/html", headers=_HEADERS)

    if explorer:

        @api.get("/", include_in_schema=False)
        async def index(request: Request) -> Response:
            return await files.get_response("index.html", request.scope)
