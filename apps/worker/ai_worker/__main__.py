from apps.worker.start import Parts, start


def parts() -> Parts:
    from apps.worker.ai_worker.dispatcher import HANDLERS  # noqa: PLC0415 - needs set-up
    from apps.worker.store import AiJobs  # noqa: PLC0415 - needs set-up

    return AiJobs(), HANDLERS


if __name__ == "__main__":
    start("ai_worker", "ai", parts)
