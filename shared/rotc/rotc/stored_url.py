"""Which stored file a URL points at. Pure text; says nothing on whether the file exists.

A delivery URL reads `https://host/[cloud/]image/upload/[signature/][transformations/][v123/]folder/name.jpg`: the
public id is `folder/name` for images and videos, whose extension is only a format, and `folder/name.pdf` for raw files.
"""

import re
from urllib.parse import unquote, urlsplit

_KIND = re.compile(r"/(?P<kind>image|video|raw)/(?:upload|private|authenticated)/(?P<rest>.+)$")
_VERSION = re.compile(r"v\d+")
_SIGNATURE = re.compile(r"s--[\w-]+--")
_TRANSFORMATION = re.compile(r"[a-z]{1,3}_[^/]+")
_PLAIN_RUN = re.compile(r"[A-Za-z0-9_-]+")


def _without_prefixes(segments: list[str]) -> list[str]:
    """What follows the version or, in a URL without one, the signature and the transformations."""
    for position, segment in enumerate(segments[:-1]):
        if _VERSION.fullmatch(segment):
            return segments[position + 1 :]
    kept = list(segments)
    while len(kept) > 1 and (_SIGNATURE.fullmatch(kept[0]) or _TRANSFORMATION.fullmatch(kept[0])):
        kept.pop(0)
    return kept


def public_id_of(url: str) -> str | None:
    """The public id inside a delivery URL; None for anything else (a path, a `data:` URL, another site)."""
    if not url.startswith(("https://", "http://")):
        return None
    try:
        path = urlsplit(url).path
    except ValueError:
        return None
    found = _KIND.search(path)
    if found is None:
        return None
    public_id = unquote("/".join(_without_prefixes(found["rest"].split("/"))))
    if found["kind"] == "raw":
        return public_id
    folder, slash, name = public_id.rpartition("/")
    stem, dot, _ = name.rpartition(".")
    return folder + slash + (stem if dot else name)


def same_file(url: str, other: str) -> bool:
    """Whether two URLs point at one file: equal, or two versions of the same public id."""
    return url == other or ((mine := public_id_of(url)) is not None and mine == public_id_of(other))


def plain_run(public_id: str) -> str:
    """The longest part of a public id that no URL or JSON encoding changes: what a search for its URLs may look for."""
    return max(_PLAIN_RUN.findall(public_id), key=len, default="")
