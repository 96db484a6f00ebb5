"""The list of an activity's pictures: a JSON array of URLs in a text column. Pure; reads and writes no table."""

import json

from rotc.errors import DamagedImages
from rotc.stored_url import public_id_of, same_file


def parse(text: str | None, activity_id: int) -> list[str]:
    """The URLs in the column; nothing stored is an empty list.

    Raises: DamagedImages when the text is something else: guessing at it could lose pictures.
    """
    if text is None or not text.strip():
        return []
    try:
        urls = json.loads(text)
    except ValueError as error:
        raise DamagedImages(activity_id) from error
    if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
        raise DamagedImages(activity_id)
    return urls


def render(urls: list[str]) -> str:
    """The column's text for these URLs, as the backend would write it."""
    return json.dumps(urls)


def with_url(urls: list[str], url: str) -> list[str]:
    """The list with this picture in it once: in place of an older version of the same file, or else at the end."""
    kept = [url if same_file(old, url) else old for old in urls]
    return list(dict.fromkeys(kept if url in kept else [*kept, url]))


def without_file(urls: list[str], public_id: str) -> list[str]:
    """The list without any version of this file."""
    return [url for url in urls if public_id_of(url) != public_id]
