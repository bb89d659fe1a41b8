"""Which routes take an incident and why: routes as checked values, and `decide`, a pure function over them."""

from relay.routes.channel_template import ExpressionChannel, FixedChannel, RouteChannel
from relay.routes.evaluate import ChannelFailure, Posting, RouteOutcome, RouteTrace, RoutingDecision, evaluate_routes
from relay.routes.match import ConditionResult, Match
from relay.routes.options import ACTIONS, BROADCAST_KINDS, KINDS, InDoubtPolicy, Mention, Options
from relay.routes.route import Post, Route, RouteList

__all__ = [
    "ACTIONS",
    "BROADCAST_KINDS",
    "KINDS",
    "RouteChannel",
    "ChannelFailure",
    "RoutingDecision",
    "ExpressionChannel",
    "FixedChannel",
    "InDoubtPolicy",
    "ConditionResult",
    "Match",
    "Mention",
    "Options",
    "RouteOutcome",
    "Post",
    "Posting",
    "Route",
    "RouteList",
    "RouteTrace",
    "evaluate_routes",
]
