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
    "ChannelFailure",
    "ConditionResult",
    "ExpressionChannel",
    "FixedChannel",
    "InDoubtPolicy",
    "Match",
    "Mention",
    "Options",
    "Post",
    "Posting",
    "Route",
    "RouteChannel",
    "RouteList",
    "RouteOutcome",
    "RouteTrace",
    "RoutingDecision",
    "evaluate_routes",
]
