"""Reads letters of every class by the old pipeline, plain Tesseract and ours; exits with 1 when a target is missed.

    python tests/load/ocr_bench.py [--classes "askew,turned 90"] [--seeds 1,2,3] [--jobs 2] [--without-old] [--json]

The letters and the pipelines are in ocr_pipelines.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from ocr_pipelines import PIPELINES, LetterClass, Trial, all_classes, trial

#: A turned or skewed letter is read as well as the same letter upright, but for this share of its words.
AS_WELL = 0.01
#: And any letter this well, in writing of this many pixels and more.
WELL, WELL_FROM = 0.95, 14
#: Processor time on clean upright letters, in times of one plain pass.
MOST_TIME = 1.5
#: Shares are fractions of some 300 words: equal ones may differ in the last bit.
_EQUAL = 1e-9

Results = Mapping[str, Mapping[str, Trial]]
Say = Callable[[str], object]


def measure(classes: Sequence[LetterClass], pipelines: Sequence[str], jobs: int, say: Say) -> Results:
    """Every pipeline on every class, told class by class."""
    results: dict[str, dict[str, Trial]] = {}
    say(f"{'class':<28}" + "".join(f"{name:>9}" for name in pipelines) + "   words read")
    with ProcessPoolExecutor(jobs) as pool:
        running = [(letters, [pool.submit(trial, letters, name) for name in pipelines]) for letters in classes]
        for letters, futures in running:
            trials = [future.result() for future in futures]
            results[letters.name] = {found.pipeline: found for found in trials}
            say(f"{letters.name:<28}" + "".join(f"{found.accuracy:>9.3f}" for found in trials))
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
        if ours.letters.size >= WELL_FROM and ours.accuracy < WELL:
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


def as_json(results: Results, missed: Sequence[str]) -> str:
    """What was printed, for programs."""
    accuracy = {
        name: {pipeline: round(found.accuracy, 4) for pipeline, found in trials.items()}
        for name, trials in results.items()
    }
    return json.dumps({"accuracy": accuracy, "times_one_plain_pass": time_ratio(results), "missed": missed})


def main() -> int:
    options = _options()
    say: Say = (lambda line: None) if options.json else partial(print, flush=True)
    wanted = [part.strip() for part in options.classes.split(",")]
    seeds = [int(seed) for seed in options.seeds.split(",")]
    classes = [letters for letters in all_classes(seeds) if any(part in letters.name for part in wanted)]
    pipelines = [name for name in PIPELINES if not (options.without_old and name == "old")]
    results = measure(classes, pipelines, options.jobs, say)
    ratio, missed = time_ratio(results), complaints(results)
    if ratio is not None:
        say(f"processor time on clean upright letters: {ratio:.2f} times one plain pass")
    for sentence in missed:
        say(f"MISSED {sentence}")
    if not missed:
        say("every target is met")
    if options.json:
        print(as_json(results, missed))  # noqa: T201
    return 1 if missed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--classes", default="", help="parts of their names, separated by commas; all when empty")
    parser.add_argument("--seeds", default="1,2,3", help="of noise, low contrast and photographs: each another letter")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--without-old", action="store_true")
    parser.add_argument("--json", action="store_true", help="one object instead of the table")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
