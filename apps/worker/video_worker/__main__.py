from apps.worker.start import Parts, start


def parts() -> Parts:
    from apps.worker.video_worker.encoding import HANDLERS  # noqa: PLC0415 - needs set-up
    from apps.worker.video_worker.store import Videos  # noqa: PLC0415 - needs set-up

    return Videos(), HANDLERS


if __name__ == "__main__":
    start("video_worker", "video", parts)
