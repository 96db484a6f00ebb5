"""Reads letters of every class by the old pipeline, plain Tesseract and ours; exits with 1 when a target is missed.

    python tests/load/ocr_bench.py [--classes "askew,turned 90"] [--jobs 2] [--without-old]

The letters and the pipelines are in ocr_pipelines.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor

from ocr_pipelines import PIPELINES, LetterClass, Trial, all_classes, trial

#: A turned or skewed letter is read as well as the same letter upright, but for this share of its words.
AS_WELL = 0.01
#: And this well, in writing of this many pixels and more.
WELL, WELL_FROM = 0.95, 14
#: Processor time on clean upright letters, in times of one plain pass.
MOST_TIME = 1.5
#: Shares are fractions of some 300 words: equal ones may differ in the last bit.
_EQUAL = 1e-9

Results = Mapping[str, Mapping[str, Trial]]


def measure(classes: Sequence[LetterClass], pipelines: Sequence[str], jobs: int) -> Results:
    """Every pipeline on every class, printed class by class."""
    results: dict[str, dict[str, Trial]] = {}
    print(f"{'class':<24}" + "".join(f"{name:>9}" for name in pipelines) + "   words read", flush=True)  # noqa: T201
    with ProcessPoolExecutor(jobs) as pool:
        running = [(letters, [pool.submit(trial, letters.name, name) for name in pipelines]) for letters in classes]
        for letters, futures in running:
            trials = [future.result() for future in futures]
            results[letters.name] = {found.pipeline: found for found in trials}
            print(f"{letters.name:<24}" + "".join(f"{found.accuracy:>9.3f}" for found in trials), flush=True)  # noqa: T201
    return results


def complaints(results: Results) -> list[str]:
    """A sentence for each target that is missed."""
    return [*_not_as_well(results), *_worse_than_plain(results), *_too_slow(results)]


def _not_as_well(results: Results) -> Iterable[str]:
    for name, trials in results.items():
        ours = trials["ours"]
        upright = results.get(f"upright, {ours.letters.size} px")
        moved = ours.letters.harm.startswith(("turned", "askew"))
        if moved and upright and ours.accuracy < upright["ours"].accuracy - AS_WELL - _EQUAL:
            yield f"{name}: {ours.accuracy:.3f}, and upright {upright['ours'].accuracy:.3f}"
        if (moved or ours.letters.upright) and ours.letters.size >= WELL_FROM and ours.accuracy < WELL:
            yield f"{name}: {ours.accuracy:.3f}, not {WELL}"


def _worse_than_plain(results: Results) -> Iterable[str]:
    for name, trials in results.items():
        if trials["ours"].accuracy < trials["plain"].accuracy - _EQUAL:
            yield f"{name}: {trials['ours'].accuracy:.3f}, and plain Tesseract {trials['plain'].accuracy:.3f}"


def time_ratio(results: Results) -> float | None:
    """Processor time of ours on clean upright letters, in times of a plain pass; None when there are none."""
    upright = [trials for trials in results.values() if trials["ours"].letters.upright]
    if not upright:
        return None
    return sum(trials["ours"].seconds for trials in upright) / sum(trials["plain"].seconds for trials in upright)


def _too_slow(results: Results) -> Iterable[str]:
    ratio = time_ratio(results)
    if ratio is not None and ratio > MOST_TIME:
        yield f"clean upright letters take {ratio:.2f} times as long as one plain pass, not at most {MOST_TIME}"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--classes", default="", help="parts of their names, separated by commas; all when empty")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--without-old", action="store_true")
    options = parser.parse_args()
    wanted = [part.strip() for part in options.classes.split(",")]
    classes = [letters for letters in all_classes() if any(part in letters.name for part in wanted)]
    pipelines = [name for name in PIPELINES if not (options.without_old and name == "old")]
    results = measure(classes, pipelines, options.jobs)
    ratio = time_ratio(results)
    if ratio is not None:
        print(f"processor time on clean upright letters: {ratio:.2f} times one plain pass")  # noqa: T201
    missed = complaints(results)
    for sentence in missed:
        print(f"MISSED {sentence}")  # noqa: T201
    if not missed:
        print("every target is met")  # noqa: T201
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
