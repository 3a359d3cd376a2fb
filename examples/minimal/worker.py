"""A worker: any Python program that can reach Redis. It needs no Django."""

import os
import time

from realtime.publish import Publisher

publisher = Publisher.from_url(os.environ["REDIS_URL"])
attempt = time.time_ns() // 1_000_000  # higher in each run, since Redis rejects lower ones; a real job counts attempts

for percent in (0, 50, 100):
    publisher.progress(tenant_id=1, topic="job:1", attempt=attempt, percent=percent)
publisher.status(tenant_id=1, topic="job:1", attempt=attempt, status="DONE", data={"answer": 42})
publisher.close()
