"""Whether a certificate is genuine, for whoever holds it in hands. Making certificates is the reports service's."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from rotc import issued_certificates
from rotc.certificates import grouped, normal_code, parse_keys
from rotc.errors import WeakCertificateKey

from tracker_service.api.context import Api, TheApi
from tracker_service.api.errors import ApiError, json_response

router = APIRouter(prefix="/api")


@router.get("/certificates/verify/{code}", tags=["certificates"])
async def verify_certificate(api: TheApi, request: Request, code: str) -> Response:
    """Public. What the certificate with this code says, or `{"valid": false}`; one look-up by key, no search.

    Codes have 100 bits and callers are counted, so that guessing them is hopeless.
    """
    api.limit.count(f"verify {request.client.host if request.client else 'unknown'}")
    keys = _keys(api)
    plain = normal_code(code)
    if plain is None:
        return json_response({"valid": False})
    async with api.pool.acquire() as connection:
        found = await issued_certificates.find(connection, plain, keys)
    if found is None:
        return json_response({"valid": False})
    certificate, issued_at = found
    body = {
        "valid": True, "code": grouped(plain), "cadet_name": certificate.cadet_name,
        "activity_id": certificate.activity_id, "activity": certificate.activity_title,
        "activity_date": certificate.activity_date, "issued_at": issued_at,
    }  # fmt: skip
    return json_response(body)


def _keys(api: Api) -> tuple[bytes, ...]:
    try:
        keys = parse_keys(api.tracker.certificate_keys.get_secret_value())
    except WeakCertificateKey as error:
        raise ApiError(503, str(error)) from None
    if not keys:
        raise ApiError(503, "certificates cannot be verified here: CERTIFICATE_KEYS is not set")
    return keys
