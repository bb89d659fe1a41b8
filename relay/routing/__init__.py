"""Which routes take an incident and why: routes as checked values, and `decide`, a pure function over them."""

from relay.routing.channel import Channel, ExpressionChannel, FixedChannel
from relay.routing.conditions import Judged, Match
from relay.routing.options import ACTIONS, BROADCAST_KINDS, KINDS, InDoubt, Mention, Options
from relay.routing.route import Post, Route, Siblings
from relay.routing.walk import ChannelFailure, Decision, Outcome, Posting, Trace, decide

__all__ = [
    "ACTIONS",
    "BROADCAST_KINDS",
    "KINDS",
    "Channel",
    "ChannelFailure",
    "Decision",
    "ExpressionChannel",
    "FixedChannel",
    "InDoubt",
    "Judged",
    "Match",
    "Mention",
    "Options",
    "Outcome",
    "Post",
    "Posting",
    "Route",
    "Siblings",
    "Trace",
    "decide",
]
