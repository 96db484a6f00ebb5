"""What a 24-megapixel photo costs, in time and memory, beside the same work without shrinking while decoding."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

# In a process of its own, whose peak of memory the kernel counts (getrusage would begin at the parent's).
MEASURE = """
import json, re, sys, time
from pathlib import Path
from media_service.domain import compression
if sys.argv[2] == "whole":
    compression.decode = lambda image, size: image.load()
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
data = Path(sys.argv[1]).read_bytes()
before = peak()
start = time.process_time()
result = compression.compress_image(data, compression.CompressionOptions())
seconds = time.process_time() - start
print(json.dumps({"seconds": seconds, "megabytes": (peak() - before) / 1024, "width": result.width}))
"""


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "24mp.jpg"
    noise = Image.effect_noise((1500, 1000), 60).resize((6000, 4000))
    gradient = Image.linear_gradient("L").resize((6000, 4000))
    Image.merge("RGB", (noise, gradient, noise)).save(path, "JPEG", quality=92)
    return path


def measured(photo: Path, how: str) -> dict[str, float]:
    command = [sys.executable, "-c", MEASURE, str(photo), how]
    answer = subprocess.run(command, check=True, capture_output=True)  # noqa: S603  our own script
    found: dict[str, float] = json.loads(answer.stdout)
    return found


def test_a_24_megapixel_photo_is_shrunk_while_decoding(photo: Path) -> None:
    shrunk, whole = measured(photo, "shrunk"), measured(photo, "whole")

    print(f"shrunk while decoding: {shrunk}, decoded whole: {whole}")  # noqa: T201  the figures of the README
    assert shrunk["width"] == whole["width"] == 1620
    assert shrunk["megabytes"] < 0.6 * whole["megabytes"]
    assert shrunk["seconds"] < 0.9 * whole["seconds"]
