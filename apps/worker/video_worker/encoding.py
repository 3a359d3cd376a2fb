"""The job of encoding a video: fetches the file, encodes it with ffmpeg, and verifies and stores the result."""

from typing import Any

from academy import quotas
from academy.adapters.db.django.connections import give_back_connection
from academy.adapters.video.encode import STEPS as ENCODING_STEPS
from academy.adapters.video.encode import Encoding, encode
from academy.adapters.video.errors import VideoError
from academy.adapters.video.probe import MAX_SECONDS
from academy.domain.jobs import JobFailedError
from academy.domain.videos import VIDEO_ENCODING, ClaimedVideo
from academy.quotas import QuotaError
from apps.support.video.services.files import drop_other_attempts, fetch_source, keep_files, sweep_soon
from apps.worker.handlers import Handler, JobProgress
from apps.worker.sweeping import sweep_storage
from apps.worker.workspace import workspace

STEPS = ("fetch", *ENCODING_STEPS, "store")
FETCHED_PERCENT, ENCODED_PERCENT, LAST_PERCENT = 2.0, 95.0, 99.0
"""The progress of the job, in percent, when its file is fetched, encoded and stored. 100 means READY."""


def encode_video(video: ClaimedVideo, progress: JobProgress) -> dict[str, Any]:
    """Encode and store a video, and return `{"hls_path", "duration", "made_bytes"}`.

    Raises JobFailedError for a file that is not a complete video, or that is longer than the academy's remaining quota
    for today.
    """
    report = _Report(progress)

    def count(seconds: float) -> None:
        quotas.count_encoding(video, seconds, at_most=MAX_SECONDS)
        give_back_connection()  # encoding takes minutes, and needs no database

    with workspace() as folder:
        made = folder / "made"
        made.mkdir()
        report.fetched(0)
        source = fetch_source(video, folder, report.fetched)
        try:
            encoded = encode(source, made, report.encoded, count)
        except VideoError as problem:
            raise JobFailedError(problem.code, problem.message) from problem
        except QuotaError as problem:
            raise JobFailedError(problem.code, str(problem)) from problem
        size = sum((made / name).stat().st_size for name in encoded.files)
        keep_files(video, made, encoded.files, report.stored)
    return {"hls_path": f"{video.folder}/{encoded.playlist}", "duration": encoded.duration, "made_bytes": size}


class _Report:
    """Reports fetching, encoding and storing as one progress. Its methods raise the errors of `JobProgress.go_on`."""

    def __init__(self, progress: JobProgress) -> None:
        self._progress = progress
        self._remaining: float | None = None

    def fetched(self, percent: float) -> None:
        self._say("fetch", percent, 0.0, FETCHED_PERCENT)

    def encoded(self, encoding: Encoding) -> None:
        self._remaining = encoding.remaining_seconds
        whole = FETCHED_PERCENT + encoding.percent / 100 * (ENCODED_PERCENT - FETCHED_PERCENT)
        self._progress.report(
            encoding.step, whole, step_percent=encoding.step_percent, remaining=encoding.remaining_seconds
        )
        # Another worker would have to encode from the beginning. So a worker that was asked to stop still finishes an
        # encoding that is nearly done, and gives the other encodings back.
        self._progress.go_on(encoding.remaining_seconds or 0.0)

    def stored(self, percent: float) -> None:
        self._say("store", percent, ENCODED_PERCENT, LAST_PERCENT)

    def _say(self, step: str, percent: float, begin: float, end: float) -> None:
        self._progress.report(step, begin + percent / 100 * (end - begin), step_percent=percent)
        self._progress.go_on(0.0)


HANDLERS: dict[str, Handler[ClaimedVideo]] = {
    VIDEO_ENCODING: Handler(STEPS, encode_video, drop_other_attempts, sweep_storage, sweep_soon)
}
