"""`python -m benchmarks.remaining [--encodes 20] [--longest 40]`: how true reported remaining times are.

Videos of 10 to 40 seconds and several sizes are encoded by the product's own code, with the real ffmpeg: one alone,
then a pair, then one alone, and so on. The second of a pair begins while the first is under way, so that the pace of
the first drops. The pace rises again when one of the two ends. Each report is kept with its time. After the end of an
encoding, each `remaining_seconds` that was reported from 50 % on is compared with the time that really remained. The
difference, |reported - true|, is shown in two ways:

* as a share of the duration of the whole encoding;
* in seconds.

The reported percent must never decrease.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from random import Random
from statistics import median, quantiles
from threading import Event

from academy.adapters.video.encode import Encoding, encode
from academy.adapters.video.sample import make_sample

SEED = 11
SHORTEST, LONGEST = 10, 40
SIZES = ((640, 360), (854, 480), (1280, 720))
MAX_ENCODES, MAX_SECONDS = 40, 300
HALF, PAIR_BEGINS = 50.0, 30.0
"""Reports are judged from `HALF` percent on. The second encoding of a pair begins when the first has reached
`PAIR_BEGINS` percent."""
PATIENCE_SECONDS = 300.0


@dataclass
class Run:
    """One encoding, and its reports with their times. `in_pair`: whether another encoding ran at the same time."""

    source: Path
    in_pair: bool
    told: list[tuple[float, Encoding]] = field(default_factory=list)
    began: float = 0.0
    ended: float = 0.0
    under_way: Event = field(default_factory=Event)

    @property
    def seconds(self) -> float:
        return self.ended - self.began

    def encode(self) -> None:
        self.began = time.monotonic()
        try:
            with tempfile.TemporaryDirectory() as folder:
                encode(self.source, Path(folder), self._hear)
                self.ended = time.monotonic()
        finally:
            self.under_way.set()
        if any(later.percent < earlier.percent for (_, earlier), (_, later) in pairwise(self.told)):
            raise ValueError(f"The percent of {self.source.name} went back.")

    def _hear(self, encoding: Encoding) -> None:
        self.told.append((time.monotonic(), encoding))
        if encoding.percent >= PAIR_BEGINS:
            self.under_way.set()

    def errors(self) -> list[float]:
        """Return by how many seconds each report from `HALF` percent on was wrong."""
        return [
            abs(encoding.remaining_seconds - (self.ended - at))
            for at, encoding in self.told
            if encoding.percent >= HALF and encoding.remaining_seconds is not None
        ]


def make_runs(folder: Path, encodes: int, longest: int) -> list[list[Run]]:
    """Return groups of runs: one run, a pair, one run, and so on, `encodes` runs in all."""
    random = Random(SEED)  # noqa: S311 - no secret
    groups: list[list[Run]] = []
    left = encodes
    while left:
        size = min(left, 1 + len(groups) % 2)
        left -= size
        sources = [_make_source(folder / f"{left + number}.mp4", random, longest) for number in range(size)]
        groups.append([Run(source, size > 1) for source in sources])
    return groups


def _make_source(path: Path, random: Random, longest: int) -> Path:
    width, height = random.choice(SIZES)
    make_sample(path, random.randint(SHORTEST, longest), width=width, height=height)
    return path


def encode_together(group: list[Run]) -> None:
    """Encode the group. Each encoding begins when the previous one is under way. If one fails, raise its error."""
    with ThreadPoolExecutor(len(group)) as pool:
        futures = []
        for run in group:
            futures.append(pool.submit(run.encode))
            run.under_way.wait(PATIENCE_SECONDS)
        for future in futures:
            future.result(PATIENCE_SECONDS)


def lines(runs: list[Run]) -> Iterator[str]:
    took = [run.seconds for run in runs]
    yield f"each took {min(took):.1f} to {max(took):.1f} s, half of them up to {median(took):.1f} s"
    for who, chosen in (
        ("all", runs),
        ("alone", [run for run in runs if not run.in_pair]),
        ("in pairs", [run for run in runs if run.in_pair]),
    ):
        seconds = [error for run in chosen for error in run.errors()]
        shares = [100 * error / run.seconds for run in chosen for error in run.errors()]
        if len(seconds) > 1:
            yield (
                f"{who:<10}{len(seconds):>6} told from half-way on: off by {median(shares):.1f} % (median), "
                f"{ninth_tenth(shares):.1f} % (90th percentile); {median(seconds):.2f} s, {ninth_tenth(seconds):.2f} s"
            )
    yield "percent never went back"


def ninth_tenth(values: list[float]) -> float:
    """Return the 90th percentile."""
    return quantiles(values, n=10, method="inclusive")[-1]


def number(least: int, most: int) -> Callable[[str], int]:
    """Return a converter for argparse that accepts only whole numbers from `least` to `most`."""

    def read(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} to {most}")
        return int(text)

    return read


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.remaining", description="How true remaining times are.")
    parser.add_argument("--encodes", type=number(1, MAX_ENCODES), default=20, metavar="N")
    seconds = number(SHORTEST, MAX_SECONDS)
    parser.add_argument("--longest", type=seconds, default=LONGEST, metavar="SECONDS", help="of video (default: 40)")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        groups = make_runs(Path(folder), chosen.encodes, chosen.longest)
        for group in groups:
            encode_together(group)
    print("\n".join(lines([run for group in groups for run in group])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
