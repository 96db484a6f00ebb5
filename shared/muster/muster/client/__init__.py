"""The client: submit tasks and follow them, from asynchronous or blocking code.

Make one with `muster.connect`; declare stubs with `TaskStub`.
"""

from muster.client.api import TrackerApi
from muster.client.client import Client, SubmitOptions
from muster.client.files import File
from muster.client.result import AsyncResult
from muster.client.settings import ClientSettings
from muster.client.stubs import TaskStub, make_stubs
from muster.client.submission import Submission, prepare
from muster.client.sync import SyncClient, SyncResult
from muster.client.views import TaskStatus

__all__ = [
    "AsyncResult",
    "Client",
    "ClientSettings",
    "File",
    "Submission",
    "SubmitOptions",
    "SyncClient",
    "SyncResult",
    "TaskStatus",
    "TaskStub",
    "TrackerApi",
    "make_stubs",
    "prepare",
]
