"""The CPU time to evaluate a share against many routes, compared with the time to accept it (microseconds)."""

import time

from benchmarks.measure import SAMPLE
from benchmarks.table import Figure
from relay.bigpanda.webhook.parsing import parse_share
from relay.cards.plan import plan
from relay.routes.parser.parse import parse_rulebook

TENTH = 0.1


def measure(accepting: float, *, times: int = 100) -> list[Figure]:
    share = parse_share(SAMPLE.read_bytes(), {}, time.time())
    took = {}
    for count in (1, 10, 100, 1000):
        rulebook = parse_rulebook(_routes(count))
        took[count] = min(_microseconds(rulebook, share, times) for _ in range(5))
    times_per_count = ", ".join(f"{count:,}: {each:.0f} us" for count, each in took.items())
    part = max(0.0, took[1000] - took[1]) / accepting
    return [
        Figure(
            what="evaluating 1 to 1,000 routes, where the last one matches",
            measured=f"{times_per_count}; 1,000 routes add {part:.2f} of the time to accept a share",
            wanted="at most 0.1 of the time to accept a share",
            met=part <= TENTH,
            note=f"CPU time; accepting a share takes {accepting:.0f} us",
        )
    ]


def _routes(count: int) -> str:
    """Return typical routes: conditions for an environment, a status and a tag with one of several values."""
    rows = [
        f"  - {{name: r{number}, match: {{environment: [Production-{number}, 'P{number} *'], status: critical, "
        f"tags: {{team: team-{number}, service: {{not: '*-canary'}}}}}}, post: [C0{number:08}]}}\n"
        for number in range(count - 1)
    ]
    return "version: 1\nroutes:\n" + "".join(rows) + "  - {name: last, post: [C0LAST00001]}\n"


def _microseconds(rulebook: object, share: object, times: int) -> float:
    started = time.process_time()
    for _ in range(times):
        plan(rulebook, None, [], share, {})  # type: ignore[arg-type]  # they come from the loaders above
    return (time.process_time() - started) / times * 1e6
