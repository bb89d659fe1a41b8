"""The way out: what is due is rendered, carried to Slack, and what came of it is written down.

    sender      holds the right to deliver, and starts and stops the rest
    pump        one kind of work (posts, edits): picks what is due when its budget allows a call
    courier     carries one step to Slack, and keeps what follows from the answer
    directory   finds the channels, and joins them before the first post

Nothing here is needed to be right: a restart reads what is due from the store.
"""

from relay.delivery.service import DeliveryHealth, DeliveryService

__all__ = ["DeliveryHealth", "DeliveryService"]
