"""Stopping mails without signing in, by the signed link of a mail. Making links is the notify service's.

A link is only looked at by GET: scanners of mail follow every link. What stops the mails is POST, by the button of the
page or by the mail program itself (RFC 8058).
"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from rotc.errors import WeakUnsubscribeKey
from rotc.mail_accounts import stop_mail
from rotc.unsubscription import PATH, parse_keys, user_of

from tracker_service.api.context import Api, TheApi
from tracker_service.api.errors import ApiError

router = APIRouter()

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Mail alerts</title>
<style>
body {{ margin: 0; font: 16px/1.5 Arial, Helvetica, sans-serif; color: #16181D; background: #F5F7FA; }}
header {{ padding: 18px 24px; background: #14284B; border-bottom: 4px solid #B8902F; color: #FFFFFF; font-size: 20px; }}
main {{ max-width: 560px; margin: 32px auto; padding: 8px 24px; }}
button {{ padding: 11px 22px; border: 0; border-radius: 4px; background: #4B5B2A; color: #FFFFFF; font-size: 16px; }}
</style></head>
<body><header>Mail alerts</header><main>{content}</main></body>
</html>
"""
_ASK = "<p>Shall the unit stop sending you mail?</p><form method='post'><button>Stop mail alerts</button></form>"
_DONE = "<p>You get no more mail. In the app, your settings turn it on again.</p>"
_UNKNOWN = "<p>This link is not complete or not one of ours. In the app, your settings turn mail off.</p>"
#: Nobody else may frame the page or send its form elsewhere; the token stays out of other sites' logs.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


@router.get(PATH, tags=["notifications"])
async def ask_before_stopping_mail(api: TheApi, request: Request, token: str = "") -> Response:
    """Public. A page with one button; changes nothing."""
    return _page(_ASK) if _user(api, request, token) is not None else _page(_UNKNOWN, 404)


@router.post(PATH, tags=["notifications"])
async def stop_mail_of_a_link(api: TheApi, request: Request, token: str = "") -> Response:
    """Public. Turns `email_alerts` off for the account of the link; asked again, it changes nothing."""
    user_id = _user(api, request, token)
    if user_id is None:
        return _page(_UNKNOWN, 404)
    async with api.pool.acquire() as connection:
        known = await stop_mail(connection, user_id)
    return _page(_DONE) if known else _page(_UNKNOWN, 404)


def _user(api: Api, request: Request, token: str) -> int | None:
    api.limit.count(f"mail {request.client.host if request.client else 'unknown'}")
    try:
        keys = parse_keys(api.tracker.unsubscribe_keys.get_secret_value())
    except WeakUnsubscribeKey as error:
        raise ApiError(503, str(error)) from None
    if not keys:
        raise ApiError(503, "mail cannot be stopped by links here: UNSUBSCRIBE_KEYS is not set")
    return user_of(token, keys)


def _page(content: str, status: int = 200) -> Response:
    return Response(_PAGE.format(content=content), status, _HEADERS, "text/html")
