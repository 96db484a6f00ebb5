"""`.delay()` as the reference document's examples write it, and the blocking client under it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import httpx
import pytest
from muster.client import Client, ClientSettings, Submission, SyncClient, TaskStub, TrackerApi, make_stubs
from muster.contracts.catalog import TaskDescription
from muster.contracts.errors import ClientError, SubmitRefused, TaskFailed


class Recorder:
    """A transport that keeps what it was given."""

    refers_to_files = False

    def __init__(self) -> None:
        self.taken: list[Submission] = []
        self.closed = 0

    async def submit(self, submission: Submission, *, timeout: float) -> str:
        self.taken.append(submission)
        return submission.task_id

    async def submit_many(self, submissions: Iterable[Submission], *, timeout: float) -> list[str]:
        self.taken.extend(submissions)
        return [submission.task_id for submission in self.taken]

    async def close(self) -> None:
        self.closed += 1


def answer(request: httpx.Request) -> httpx.Response:
    task_id = request.url.path.split("/")[3]
    if request.url.path.endswith("/revoke"):
        return httpx.Response(202, json={"message": "ok", "task_id": task_id, "terminated": False})
    status = "FAILURE" if task_id == "bad" else "SUCCESS"
    return httpx.Response(200, json={"task_id": task_id, "status": status, "result": {"ok": 1}, "error": "no image"})


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def client(recorder: Recorder) -> Iterator[SyncClient]:
    async def make() -> Client:
        return Client(recorder, TrackerApi(ClientSettings(), transport=httpx.MockTransport(answer)))

    with SyncClient(make) as client:
        yield client


@pytest.fixture
def compress(client: SyncClient) -> TaskStub:
    names = ("image_data", "entity_type", "entity_id", "max_size", "quality")
    return TaskStub("media", "compress_and_upload_image", names, lambda: client)


def test_delay_names_positional_arguments_and_keeps_named_ones(compress: TaskStub, recorder: Recorder) -> None:
    result = compress.delay(b"\x00", "profile_pic", 7, quality=70)
    (taken,) = recorder.taken
    assert result.id == taken.task_id
    assert (taken.task_type, taken.service) == ("compress_and_upload_image", "media")
    assert taken.body == b'{"image_data":"AA==","entity_type":"profile_pic","entity_id":7,"quality":70}'


@pytest.mark.parametrize(
    ("args", "kwargs", "sentence"),
    [
        ((1, 2, 3, 4, 5, 6), {}, "takes 5 positional arguments, 6 were given"),
        ((1,), {"image_data": 2}, "several values for image_data"),
        ((), {"colour": 2}, "does not know colour"),
    ],
)
def test_arguments_that_fit_no_parameter_are_a_type_error(
    compress: TaskStub, args: tuple[Any, ...], kwargs: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(TypeError, match=sentence):
        compress.delay(*args, **kwargs)


def test_apply_async_takes_celerys_options(compress: TaskStub, recorder: Recorder) -> None:
    compress.apply_async(("x", "profile_pic", 7), countdown=60, expires=3600, queue="bulk", task_id="mine")
    (taken,) = recorder.taken
    assert (taken.task_id, taken.lane) == ("mine", "bulk")
    assert taken.due is not None
    assert taken.expires is not None


@pytest.mark.parametrize(("priority", "lane"), [(9, "high"), (5, "default"), (0, "bulk")])
def test_a_priority_chooses_a_lane(compress: TaskStub, recorder: Recorder, priority: int, lane: str) -> None:
    compress.apply_async(("x", "profile_pic", 7), priority=priority)
    assert recorder.taken[0].lane == lane


def test_a_priority_outside_celerys_range_is_refused(compress: TaskStub) -> None:
    with pytest.raises(SubmitRefused, match="0 to 9"):
        compress.apply_async((), priority=10)


def test_the_result_answers_celerys_questions(client: SyncClient) -> None:
    good, bad = client.result("good"), client.result("bad")
    assert (good.status, good.ready(), good.successful(), good.failed()) == ("SUCCESS", True, True, False)
    assert good.result == good.get(timeout=5) == {"ok": 1}
    assert (bad.state, bad.failed(), bad.result) == ("FAILURE", True, "no image")
    with pytest.raises(TaskFailed):
        bad.get(timeout=5)
    good.revoke(terminate=True)


def test_stubs_are_made_from_the_catalog(client: SyncClient, recorder: Recorder) -> None:
    schema = {"type": "object", "properties": {"public_id": {"type": "string"}}}
    listed = [TaskDescription(task_type="delete_cloudinary_image", service="media", parameters=schema)]
    make_stubs(listed, lambda: client)["delete_cloudinary_image"].delay("rotc/a")
    assert recorder.taken[0].body == b'{"public_id":"rotc/a"}'


def test_many_threads_share_one_client(client: SyncClient, recorder: Recorder) -> None:
    threads = [threading.Thread(target=lambda: client.submit("greet", {})) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len({taken.task_id for taken in recorder.taken}) == 16


def test_closing_hands_over_and_the_client_can_be_used_again(client: SyncClient, recorder: Recorder) -> None:
    client.submit("greet", {})
    client.close()
    assert recorder.closed == 1
    client.submit("greet", {})
    assert len(recorder.taken) == 2


def test_the_blocking_client_refuses_to_block_its_own_loop(client: SyncClient) -> None:
    async def misuse(_: Client) -> None:
        client.submit("greet", {})

    with pytest.raises(ClientError, match="on its own event loop"):
        client.run(misuse)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_a_forked_child_gets_connections_of_its_own(client: SyncClient) -> None:
    client.submit("greet", {})
    child = os.fork()
    if child == 0:
        # A web server forks after the module was imported and used; a parent's thread does not live here.
        try:
            os._exit(0 if client.submit("greet", {}).id else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    client.submit("greet", {})
