"""The publishers for workers: `from realtime.publish import Publisher, AsyncPublisher, Step`. They need no Django."""

from realtime.publish.async_publisher import AsyncPublisher
from realtime.publish.pacing import Pace
from realtime.publish.publisher import Publisher
from realtime.records.record import Step

__all__ = ["AsyncPublisher", "Pace", "Publisher", "Step"]
