"""What Prometheus is told: the one place where relay's metrics have their names.

Whoever does the work says what happened (`share`, `slack_call`, `carried`, ...). What the database knows better, such
as the work that is due, is asked of it when Prometheus comes, and handed to `exposition`. Names and units follow
https://prometheus.io/docs/practices/naming. No label holds anything of an alert but a channel's name, and labels that
others choose (integrations, lanes, templates) are bounded in number.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter
from typing import Final, Literal, NamedTuple

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from relay import __version__
from relay.bigpanda.calls import BigPandaCall
from relay.bigpanda.outcomes import RejectionCause as BigPandaKind
from relay.bigpanda.outcomes import TaskDone, TaskOutcome
from relay.bigpanda.outcomes import TaskRejected as BigPandaRefused
from relay.bigpanda.webhook.share import INTEGRATION_HEADER
from relay.slack.methods import Method
from relay.slack.outcomes import Delivered, Read, Rejected, RejectionScope, Retryable, SlackOutcome
from relay.store import Backlog

MessageKind = Literal["root", "reply", "edit"]
"""What goes to Slack: a card, a reply in its thread, the card once more."""

OTHERS: Final = "(others)"
"""The label of all that would be too many."""
MOST_INTEGRATIONS: Final = 50
MOST_LANES: Final = 100
MOST_TEMPLATES: Final = 200

_QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_CALL = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SHOWN = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)


_PROBLEMS = (
    (400, "not_json"),
    (400, "no_incident"),
    (401, "unauthorized"),
    (413, "too_large"),
    (503, "not_stored"),
    (503, "unexpected_error"),
)
"""Of what requests are answered with, that which an operator is to hear of."""


class Described(NamedTuple):
    """One metric: what it means, and its labels; a histogram has `buckets` (upper bounds, in seconds)."""

    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


COUNTERS: Mapping[str, Described] = {
    "relay_shares_total": Described(
        "Bodies that came with a valid key, by what became of them and by integration", ("outcome", "integration")
    ),
    "relay_http_problems_total": Described(
        "Requests that were answered with an error, by status and reason", ("status", "reason")
    ),
    "relay_cards_total": Described("Cards posted (root) and edited, by what came of it", ("what", "outcome")),
    "relay_entries_total": Described("Entries sent to threads, by what came of it", ("outcome",)),
    "relay_slack_calls_total": Described(
        "Calls of Slack's Web API, by method, outcome and reason", ("method", "outcome", "reason")
    ),
    "relay_slack_rate_limited_total": Described("Calls that Slack refused for haste (429), by method", ("method",)),
    "relay_clicks_total": Described(
        "What people pressed and sent in Slack, by what became of it", ("action", "outcome")
    ),
    "relay_errands_total": Described(
        "What BigPanda was told or asked, by kind and what came of it", ("kind", "outcome")
    ),
    "relay_bigpanda_calls_total": Described(
        "Calls of BigPanda's API, by what came of them", ("call", "outcome", "reason")
    ),
    "relay_template_failures_total": Described(
        "Templates, or parts of one, that failed at run time and were left out, by file", ("template",)
    ),
}

HISTOGRAMS: Mapping[str, Described] = {
    "relay_accept_duration_seconds": Described("From a share's body being read to its being kept", (), _QUICK),
    "relay_slack_call_duration_seconds": Described("What a call of Slack's Web API takes", ("method",), _CALL),
    "relay_bigpanda_call_duration_seconds": Described("What a call of BigPanda's API takes", ("call",), _CALL),
    "relay_shown_delay_seconds": Described(
        "From a share to Slack showing what it told; the `wait` of a route is left out", ("what",), _SHOWN
    ),
}

GAUGES: Mapping[str, Described] = {
    "relay_build_info": Described("Always 1; the label is relay's version", ("version",)),
    "relay_last_share_timestamp_seconds": Described("When a share was kept last, repeats included; 0 before the first"),
    "relay_due_work": Described("Cards with work that is due and not done, by channel and kind", ("lane", "track")),
    "relay_oldest_due_age_seconds": Described(
        "How long the oldest of that work has been waiting, by channel and kind", ("lane", "track")
    ),
    "relay_due_errands": Described("What BigPanda is to be told or asked, and is due"),
    "relay_oldest_errand_age_seconds": Described("How long ago the oldest of what is not done yet was asked for"),
    "relay_bigpanda_credentials_valid": Described("0 from when BigPanda refuses relay's key until it takes it, else 1"),
    "relay_socket_mode_connected": Described("0 where Socket Mode is used and there is no connection, else 1"),
    "relay_attempts_in_doubt": Described("Messages of which nobody knows whether Slack has them"),
    "relay_dead_letters": Described("Open dead letters: what Slack refused for good"),
    "relay_quarantined_bodies": Described("Refused bodies that are kept for the operator"),
    "relay_database_size_bytes": Described("What the database takes; on SQLite without its write-ahead log"),
    "relay_database_up": Described(
        "1 where a share could be kept at this scrape, since the database was written, else 0"
    ),
    "relay_delivering": Described("1 on the relay that delivers: of several on one PostgreSQL there is one"),
    "relay_slack_credentials_valid": Described("1 from when Slack knew the token until it refuses it, else 0"),
    "relay_config_info": Described("Always 1; the label is the hash of the live routes and templates", ("hash",)),
    "relay_config_last_reload_successful": Described(
        "1 where the last edit of routes and templates is live, 0 where it is faulty"
    ),
    "relay_config_last_reload_success_timestamp_seconds": Described(
        "When routes and templates were read without a fault last"
    ),
}


class Metrics:
    """The metrics of one relay, in a registry of their own."""

    def __init__(self) -> None:
        """Register all of them, so that each is there from the first scrape on."""
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._counters = {
            name: Counter(name, told.meaning, told.labels, registry=self.registry) for name, told in COUNTERS.items()
        }
        self._gauges = {
            name: Gauge(name, told.meaning, told.labels, registry=self.registry) for name, told in GAUGES.items()
        }
        self._histograms = {
            name: Histogram(name, told.meaning, told.labels, buckets=told.buckets, registry=self.registry)
            for name, told in HISTOGRAMS.items()
        }
        self._integrations = _Names(MOST_INTEGRATIONS)
        self._templates = _Names(MOST_TEMPLATES)
        self._last_share = 0.0
        self._set("relay_build_info", 1, __version__)
        self._begin_at_nought()

    def _begin_at_nought(self) -> None:
        """Show what alerts are about before it happens: to Prometheus the step from nothing to 1 is no increase."""
        self._counters["relay_shares_total"].labels("not_kept", "default")
        for status, reason in _PROBLEMS:
            self._counters["relay_http_problems_total"].labels(str(status), reason)
        for method in Method:
            self._counters["relay_slack_rate_limited_total"].labels(method.value)
        self._counters["relay_errands_total"].labels("callback", "dropped")
        self._set("relay_bigpanda_credentials_valid", 1)
        self._set("relay_socket_mode_connected", 1)

    # The way in

    def record_share(self, outcome: str, headers: Mapping[str, str], kept_at: float | None = None) -> None:
        """A body came in with these headers; `kept_at` (Unix seconds) where it was kept."""
        self._count("relay_shares_total", outcome, self._integrations.known(_integration(headers)))
        if kept_at is not None:
            self._last_share = max(self._last_share, kept_at)

    @contextmanager
    def time_accept(self) -> Iterator[None]:
        """Time what the block does; where it raises, nothing was kept, and it does not count."""
        started = perf_counter()
        yield
        self._time("relay_accept_duration_seconds", perf_counter() - started)

    def record_http_problem(self, status: int, reason: str) -> None:
        """A request was answered with an error."""
        self._count("relay_http_problems_total", str(status), reason)

    # The way out

    def record_slack_call(self, method: Method, answer: SlackOutcome, seconds: float) -> None:
        """Slack was called, and this is what came of it: the observer that `relay.slack.client` takes."""
        self._count("relay_slack_calls_total", method.value, answer.outcome, answer.reason)
        self._time("relay_slack_call_duration_seconds", seconds, method.value)
        match answer:
            case Retryable(reason="rate_limited"):
                self._count("relay_slack_rate_limited_total", method.value)
            case Rejected(scope=RejectionScope.CREDENTIALS):
                self._set("relay_slack_credentials_valid", 0)
            case Delivered() | Read():
                self._set("relay_slack_credentials_valid", 1)
            case _:
                pass

    def record_sent(self, what: MessageKind, answer: SlackOutcome, *, entries: int, delay: float) -> None:
        """A message was sent, or was not: it told so many entries, so many seconds after what it tells."""
        if what == "reply":
            self._count("relay_entries_total", answer.outcome, by=entries)
        else:
            self._count("relay_cards_total", what, answer.outcome)
        if isinstance(answer, Delivered):
            self._time("relay_shown_delay_seconds", max(0.0, delay), what)

    def record_skipped(self, what: MessageKind, reason: str) -> None:
        """Nothing had to be sent: Slack shows it already (`unchanged`), or it was over before its time came."""
        if what != "reply":
            self._count("relay_cards_total", what, reason)

    def record_template_failure(self, template: str) -> None:
        """A template, or a part of one, was left out."""
        self._count("relay_template_failures_total", self._templates.known(template))

    # Both ways

    def record_click(self, action: str, outcome: str) -> None:
        """Somebody pressed a button or sent a modal, and this became of it."""
        self._count("relay_clicks_total", action, outcome)

    def record_task(self, kind: str, outcome: str) -> None:
        """BigPanda was told or asked something, or will be later."""
        self._count("relay_errands_total", kind, outcome)

    def record_bigpanda_call(self, call: BigPandaCall, ruling: TaskOutcome, seconds: float) -> None:
        """BigPanda was called, and this is what came of it: the observer that `relay.bigpanda.client` takes."""
        self._count("relay_bigpanda_calls_total", call.value, ruling.outcome, ruling.reason)
        self._time("relay_bigpanda_call_duration_seconds", seconds, call.value)
        match ruling:
            case BigPandaRefused(cause=BigPandaKind.CREDENTIALS):
                self._set("relay_bigpanda_credentials_valid", 0)
            case TaskDone():
                self._set("relay_bigpanda_credentials_valid", 1)
            case _:
                pass

    def record_socket_mode(self, *, connected: bool) -> None:
        """Slack can, or cannot, tell over Socket Mode what people do."""
        self._set("relay_socket_mode_connected", connected)

    # The house

    def record_configuration(self, digest: str, loaded_at: float, *, successful: bool) -> None:
        """The hash of what is live, when it was read (Unix seconds), and whether the last reading found no fault."""
        self._gauges["relay_config_info"].clear()
        self._set("relay_config_info", 1, digest)
        self._set("relay_config_last_reload_successful", successful)
        self._set("relay_config_last_reload_success_timestamp_seconds", loaded_at)

    def exposition(self, backlog: Backlog | None, *, writable: bool, delivering: bool) -> tuple[bytes, str]:
        """All of it as Prometheus reads it, and its content type; without a backlog where the database cannot be read.

        `writable` says whether the database took a write: on a full disk, or behind a lock, it may still be read.
        """
        self._set("relay_delivering", delivering)
        self._set("relay_database_up", writable)
        if backlog is not None:
            self._tell(backlog)
        self._set("relay_last_share_timestamp_seconds", self._last_share)
        return generate_latest(self.registry), CONTENT_TYPE_LATEST

    def _tell(self, backlog: Backlog) -> None:
        self._tell_lanes(backlog)
        self._set("relay_attempts_in_doubt", backlog.in_doubt)
        self._set("relay_dead_letters", backlog.dead_letters)
        self._set("relay_due_errands", backlog.due_tasks)
        self._set("relay_oldest_errand_age_seconds", backlog.oldest_task_age)
        self._set("relay_quarantined_bodies", backlog.quarantined_bodies)
        self._set("relay_database_size_bytes", backlog.size_bytes)
        self._last_share = max(self._last_share, backlog.last_share_at)

    def _tell_lanes(self, backlog: Backlog) -> None:
        """Of more lanes than can be named, those are whose work has waited longest; the others make one."""
        due, oldest = self._gauges["relay_due_work"], self._gauges["relay_oldest_due_age_seconds"]
        due.clear()
        oldest.clear()
        longest_first = sorted(backlog.channels, key=lambda lane: lane.age, reverse=True)
        names = _Names(MOST_LANES)
        for lane in reversed([(names.known(lane.channel), lane) for lane in longest_first]):  # the longest is set last
            name, work = lane
            due.labels(name, work.track).inc(work.cards)
            oldest.labels(name, work.track).set(work.age)

    def _count(self, name: str, *labels: str, by: int = 1) -> None:
        self._counters[name].labels(*labels).inc(by)

    def _set(self, name: str, value: float, *labels: str) -> None:
        gauge = self._gauges[name]
        (gauge.labels(*labels) if labels else gauge).set(value)

    def _time(self, name: str, seconds: float, *labels: str) -> None:
        histogram = self._histograms[name]
        (histogram.labels(*labels) if labels else histogram).observe(seconds)


class _Names:
    """So many names, first come; all that come later are `(others)`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: set[str] = set()

    def known(self, name: str) -> str:
        if name not in self._known and len(self._known) >= self._most:
            return OTHERS
        self._known.add(name)
        return name


def _integration(headers: Mapping[str, str]) -> str:
    named = next((value for name, value in headers.items() if name.lower() == INTEGRATION_HEADER), "")
    return named.strip()[:64] or "default"
