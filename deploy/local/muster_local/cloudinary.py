"""An HTTP server that speaks Cloudinary's upload API, so that its official SDK works offline. Transforms no picture.

Run as `python -m muster_local.cloudinary --port 8090 --folder FILES`, with CLOUDINARY_CLOUD_NAME, CLOUDINARY_API_KEY
and CLOUDINARY_API_SECRET in the environment; a client's `upload_prefix` is then "http://127.0.0.1:8090".
"""

import argparse
import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from muster_local import cloudinary_requests as requests
from muster_local.cloudinary_requests import LARGEST_BODY_BYTES, Refusal
from muster_local.cloudinary_signature import is_signed, sign_answer, string_to_sign
from muster_local.cloudinary_store import Asset, AssetStore
from muster_local.ports import LOOPBACK

_TRANSFORMING = ("transformation", "eager", "format")
_CROSS_SITE = {"X-Content-Type-Options": "nosniff", "Cache-Control": "public, max-age=2592000"}


@dataclass(frozen=True)
class CloudinaryAccount:
    """The one account the server knows."""

    cloud_name: str
    api_key: str
    api_secret: str = field(repr=False)


def create_app(account: CloudinaryAccount, folder: Path) -> Starlette:
    """The ASGI application; `folder` keeps the files over restarts."""
    server = _Server(account, AssetStore(folder / account.cloud_name.encode().hex()))
    return Starlette(
        middleware=[Middleware(_BodyLimit)],
        routes=[
            Route("/v1_1/{cloud}/{type}/upload", server.upload, methods=["POST"]),
            Route("/v1_1/{cloud}/{type}/destroy", server.destroy, methods=["POST"]),
            Route("/{cloud}/{type}/upload/{path:path}", server.deliver, methods=["GET", "HEAD"]),
            Route("/livez", _alive),
            Route("/readyz", _alive),
        ],
        exception_handlers={Refusal: _refuse, HTTPException: _refuse_http},
    )


class _Server:
    def __init__(self, account: CloudinaryAccount, store: AssetStore) -> None:
        self._account = account
        self._store = store

    async def upload(self, request: Request) -> Response:
        kind = _resource_type(request, "image", "raw", "auto")
        async with request.form(max_files=1, max_fields=50, max_part_size=LARGEST_BODY_BYTES) as form:
            parameters = requests.parameters(form)
            self._authorise(request, parameters)
            if any(parameters.get(name) for name in _TRANSFORMING):
                raise Refusal(
                    400, "The local server transforms no picture: leave out transformation, eager and format."
                )
            data, name = await requests.file(form)
        kind, content = await asyncio.to_thread(requests.examine, kind, data, name)
        public_id = requests.public_id_of(parameters, kind, name)
        existing = self._store.find(kind, public_id)
        if existing and parameters.get("overwrite", "true") in ("false", "0"):
            return JSONResponse({**self._describe(request, existing), "existing": True})
        asset = await asyncio.to_thread(self._store.put, kind, public_id, content)
        return JSONResponse({**self._describe(request, asset), **({"overwritten": True} if existing else {})})

    async def destroy(self, request: Request) -> Response:
        kind = _resource_type(request, "image", "raw")
        async with request.form(max_files=0, max_fields=50) as form:
            parameters = requests.parameters(form)
        self._authorise(request, parameters)
        public_id = parameters.get("public_id")
        if not public_id:
            raise Refusal(400, "Missing required parameter - public_id")
        removed = await asyncio.to_thread(self._store.remove, kind, public_id)
        return JSONResponse({"result": "ok" if removed else "not found"})

    async def deliver(self, request: Request) -> Response:
        kind = _resource_type(request, "image", "raw")
        asset = None
        if request.path_params["cloud"] == self._account.cloud_name:
            asset = self._find_delivered(kind, request.path_params["path"])
        if asset is None:
            headers = {"X-Cld-Error": "Resource not found"}
            return PlainTextResponse("Resource not found", 404, headers=headers)
        headers = {**_CROSS_SITE, "ETag": f'"{asset.etag}"'}
        return FileResponse(self._store.file(asset), media_type=asset.content_type, headers=headers)

    def _find_delivered(self, kind: str, path: str) -> Asset | None:
        # The version only makes the URL new for caches; what is delivered is always the current file.
        version, _, rest = path.partition("/")
        public_id = rest if version[:1] == "v" and version[1:].isdigit() else path
        if kind == "raw":
            return self._store.find(kind, public_id)
        stem, _, extension = public_id.rpartition(".")
        asset = self._store.find(kind, stem)
        return asset if asset and asset.format == extension else None

    def _authorise(self, request: Request, parameters: Mapping[str, str]) -> None:
        account = self._account
        if request.path_params["cloud"] != account.cloud_name:
            raise Refusal(401, f"Invalid cloud_name {request.path_params['cloud']}")
        if not parameters.get("signature"):
            raise Refusal(400, "Upload preset must be specified when using unsigned upload")
        if parameters.get("api_key") != account.api_key:
            raise Refusal(401, f"Unknown API key {parameters.get('api_key', '')}")
        if not is_signed(parameters, account.api_secret):
            expected = string_to_sign(parameters, escaped=True)
            raise Refusal(401, f"Invalid Signature {parameters['signature']}. String to sign - '{expected}'.")
        requests.check_fresh(parameters.get("timestamp", ""))

    def _describe(self, request: Request, asset: Asset) -> dict[str, Any]:
        raw = asset.resource_type == "raw"
        name = asset.public_id if raw else f"{asset.public_id}.{asset.format}"
        path = f"{self._account.cloud_name}/{asset.resource_type}/upload/v{asset.version}/{name}"
        url = f"{request.base_url}{path}"
        answer = {
            "asset_id": asset.asset_id,
            "public_id": asset.public_id,
            "version": asset.version,
            "signature": sign_answer(asset.public_id, asset.version, self._account.api_secret),
            "resource_type": asset.resource_type,
            "type": "upload",
            "created_at": asset.created_at,
            "tags": [],
            "bytes": asset.bytes,
            "etag": asset.etag,
            "placeholder": False,
            "url": url,
            # The same: a certificate that clients trust cannot be had for 127.0.0.1.
            "secure_url": url,
            "original_filename": asset.original_filename,
        }
        return answer if raw else {**answer, "width": asset.width, "height": asset.height, "format": asset.format}


def _resource_type(request: Request, *known: str) -> str:
    kind: str = request.path_params["type"]
    if kind not in known:
        raise Refusal(400, f"Invalid resource type {kind}: the local server knows {', '.join(known)}.")
    return kind


class _BodyLimit:
    """Stops reading a request whose body is larger than any permitted file, whatever its headers promise."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        read = 0

        async def counting() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > LARGEST_BODY_BYTES:
                raise Refusal(400, f"File size too large. Maximum is {requests.LARGEST_FILE_BYTES}.")
            return message

        await self._app(scope, counting, send)


async def _alive(_request: Request) -> Response:
    return PlainTextResponse("ok")


async def _refuse(_request: Request, error: Exception) -> Response:
    status = error.status if isinstance(error, Refusal) else 500
    printable = "".join(character if " " <= character <= "~" else "?" for character in str(error)[:200])
    return JSONResponse({"error": {"message": str(error)}}, status, headers={"X-Cld-Error": printable})


async def _refuse_http(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    message = error.detail if isinstance(error, HTTPException) else "Internal error"
    return JSONResponse({"error": {"message": message}}, status)


def main() -> None:
    """Serve on 127.0.0.1 until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m muster_local.cloudinary", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True, help="where the files are kept")
    arguments = parser.parse_args()
    names = ("CLOUDINARY_CLOUD_NAME", "CLOUDINARY_API_KEY", "CLOUDINARY_API_SECRET")
    missing = [name for name in names if not os.environ.get(name)]
    if missing:
        parser.error(f"missing in the environment: {', '.join(missing)}")
    app = create_app(CloudinaryAccount(*(os.environ[name] for name in names)), arguments.folder)
    uvicorn.run(app, host=LOOPBACK, port=arguments.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
