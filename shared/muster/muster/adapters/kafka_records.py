"""Reads fetched records whose header names are no UTF-8, which any client may write. aiokafka reads all the others.

aiokafka (0.14) raises UnicodeDecodeError out of the fetched batch: the partition then stands still for ever, for every
reader, and records before it in the batch are skipped. Delete this once aiokafka reads such a record itself; the tests
in test_kafka_records.py say so.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords, _MemoryRecordsPy


def install() -> None:
    """Have every consumer of this process read in this way."""
    fetcher.MemoryRecords = LenientRecords


class LenientRecords:
    """What a fetch brought, batch by batch."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._records = MemoryRecords(data)
        self._number = 0
        self.has_next = self._records.has_next
        self.size_in_bytes = self._records.size_in_bytes

    def next_batch(self) -> Any:
        batch = self._records.next_batch()
        number, self._number = self._number, self._number + 1
        return batch if batch is None else _Batch(batch, self._data, number)


class _Batch:
    """A batch of aiokafka's; the records that it cannot read are read once more, slowly."""

    def __init__(self, batch: Any, data: bytes, number: int) -> None:
        self._batch = batch
        self._data = data
        self._number = number

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        read = 0
        try:
            for record in self._batch:
                read += 1
                yield record
        except UnicodeDecodeError:
            rest = iter(_LenientBatch(self._raw()))
            for _ in range(read):
                next(rest)
            yield from rest

    def _raw(self) -> Any:
        slices = _MemoryRecordsPy(self._data)
        for _ in range(self._number):
            slices.next_batch()
        return slices._next_slice


class _LenientBatch(_DefaultRecordBatchPy):  # type: ignore[misc]  # aiokafka has no types
    """aiokafka's own reader in Python, on a buffer whose slices decode whatever they hold."""

    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer = _Lenient(self._buffer)  # type: ignore[has-type]


class _Lenient(bytearray):
    def __getitem__(self, where: Any) -> Any:
        found = super().__getitem__(where)
        return _Name(found) if isinstance(where, slice) else found


class _Name(bytearray):
    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        # A name that can be written again, unlike one with surrogates.
        return bytes(self).decode(encoding, "backslashreplace")
