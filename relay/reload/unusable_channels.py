"""Finds the channels of routes.yaml that take no messages."""

from collections.abc import Sequence

from relay.cards.model import Channel, ChannelState
from relay.delivery.channels import remedy_for
from relay.routes.rulebook import Rulebook


def unusable_channels(rulebook: Rulebook, channels: Sequence[Channel]) -> tuple[str, ...]:
    """The fixed channels of the routes that reject messages: each with the reason and what to do, in the file's order.

    A channel whose name is made from an incident does not count: alerts can make up any number of them.
    """
    known = {channel.ref: channel for channel in channels}
    named = ((ref, known[ref]) for ref in rulebook.channel_refs if ref in known)
    used = ((ref, known.get(channel.canonical_ref or ref, channel)) for ref, channel in named)
    return tuple(
        f"{ref}: {channel.reason.replace('_', ' ')}. {remedy_for(channel)}".rstrip()
        for ref, channel in used
        if channel.state is ChannelState.REJECTED
    )
