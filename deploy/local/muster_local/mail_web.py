"""The pages and the JSON in which the local server's mails can be read. Takes no mail itself."""

from __future__ import annotations

import json
import re
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from muster_local.mail_store import MailStore, RefusalRules, StoredMail

_SHOWN = 200
_TOLD = ("From", "To", "Date", "Message-ID", "List-Unsubscribe", "List-Unsubscribe-Post", "Auto-Submitted")
#: A mail is a stranger's: no script, nothing from elsewhere, an origin of its own.
_STRICT = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_OURS = "default-src 'none'; style-src 'self'; frame-src 'self'"

_pages = Environment(
    loader=PackageLoader("muster_local", "mail_pages"),
    autoescape=select_autoescape(("html",)),
    undefined=StrictUndefined,
    trim_blocks=True,
)


def create_app(store: MailStore) -> Starlette:
    """The application over one store."""
    web = _Web(store)
    return Starlette(
        routes=[
            Route("/", web.listing),
            Route("/style.css", _style),
            Route("/messages/{id:int}", web.message),
            Route("/messages/{id:int}/html", web.html),
            Route("/messages/{id:int}.eml", web.eml),
            Route("/api/messages", web.as_json, methods=["GET"]),
            Route("/api/messages", web.clear, methods=["DELETE"]),
            Route("/api/messages/{id:int}", web.one_as_json),
            Route("/api/count", web.count),
            Route("/api/rules", web.set_rules, methods=["PUT"]),
            Route("/api/hold", web.set_hold, methods=["PUT"]),
            Route("/readyz", _alive),
        ]
    )


class _Web:
    """One handler for each route."""

    def __init__(self, store: MailStore) -> None:
        self._store = store

    async def listing(self, request: Request) -> Response:
        newest = [mail.summary() for _, mail in zip(range(_SHOWN), self._store.mails, strict=False)]
        return _page("list.html", mails=newest, total=len(self._store.mails))

    async def message(self, request: Request) -> Response:
        mail = self._find(request)
        message = mail.message
        headers = [(name, str(message[name])) for name in _TOLD if message[name] is not None]
        return _page(
            "message.html", mail=mail.summary(), headers=headers, text=mail.part("plain"),
            has_html=mail.part("html") is not None,
        )  # fmt: skip

    async def html(self, request: Request) -> Response:
        return HTMLResponse(self._find(request).part("html") or "", headers={"Content-Security-Policy": _STRICT})

    async def eml(self, request: Request) -> Response:
        mail = self._find(request)
        disposition = {"Content-Disposition": f'attachment; filename="{mail.id}.eml"'}
        return Response(mail.data, media_type="message/rfc822", headers=disposition)

    async def as_json(self, request: Request) -> Response:
        """The newest first; `?to=` names a recipient."""
        wanted = request.query_params.get("to")
        return JSONResponse(
            [mail.summary() for mail in self._store.mails if wanted is None or wanted in mail.recipients]
        )

    async def one_as_json(self, request: Request) -> Response:
        mail = self._find(request)
        headers = [[name, str(value)] for name, value in mail.message.items()]
        body = {"headers": headers, "text": mail.part("plain"), "html": mail.part("html")}
        return JSONResponse({**mail.summary(), **body})

    async def count(self, request: Request) -> Response:
        return JSONResponse({"mails": len(self._store.mails), "connections": self._store.connections})

    async def clear(self, request: Request) -> Response:
        self._store.mails.clear()
        return Response(status_code=204)

    async def set_rules(self, request: Request) -> Response:
        """`{"temporary": regex, "temporary_times": n, "permanent": regex}`: which addresses are refused from now on."""
        try:
            asked: dict[str, Any] = json.loads(await request.body())
            self._store.rules = RefusalRules(**asked)
        except (ValueError, TypeError, re.error) as error:
            return PlainTextResponse(f"not rules: {error}", 400)
        return JSONResponse(asked)

    async def set_hold(self, request: Request) -> Response:
        """`{"at": n}`: from so many mails on, a mail is taken and its client hears nothing; 0 ends it."""
        try:
            at = int(json.loads(await request.body())["at"])
        except (ValueError, TypeError, KeyError):
            return PlainTextResponse('not a hold: give {"at": number of mails}', 400)
        self._store.hold(at)
        return JSONResponse({"at": at})

    def _find(self, request: Request) -> StoredMail:
        mail = self._store.find(request.path_params["id"])
        if mail is None:
            raise HTTPException(404, "There is no such mail.")
        return mail


def _page(name: str, **facts: object) -> Response:
    return HTMLResponse(_pages.get_template(name).render(**facts), headers={"Content-Security-Policy": _OURS})


async def _style(_request: Request) -> Response:
    return Response(_pages.get_template("style.css").render(), media_type="text/css")


async def _alive(_request: Request) -> Response:
    return PlainTextResponse("ok")
