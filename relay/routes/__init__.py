"""Which routes take an incident and why: routes as checked values, and `decide`, a pure function over them."""

from relay.routes.channel_template import Channel, ExpressionChannel, FixedChannel
from relay.routes.evaluate import ChannelFailure, Decision, Outcome, Posting, Trace, decide
from relay.routes.match import Judged, Match
from relay.routes.options import ACTIONS, BROADCAST_KINDS, KINDS, InDoubt, Mention, Options
from relay.routes.route import Post, Route, Siblings

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
