import os


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    os.environ.setdefault("PROCESS_NAME", "ai_worker")
    import django  # noqa: PLC0415 - the environment comes first

    from config.environment import sentences_alone  # noqa: PLC0415

    with sentences_alone():
        django.setup()
    from django.conf import settings  # noqa: PLC0415 - needs set-up

    from academy.adapters.queue.sqs import AI_QUEUE, SqsJobQueue  # noqa: PLC0415 - needs set-up
    from apps.worker.ai_worker.dispatcher import HANDLERS  # noqa: PLC0415 - needs set-up
    from apps.worker.loop import Worker  # noqa: PLC0415 - needs set-up
    from apps.worker.timing import Timing  # noqa: PLC0415 - needs set-up

    Worker(SqsJobQueue(AI_QUEUE), HANDLERS, settings.AI_WORKER_MAX_CONCURRENCY, Timing.from_settings()).run()


if __name__ == "__main__":
    main()
