"""The metrics of relay for Prometheus: the one table of their names, and where they are counted.

Components report what happened (`record_share`, `record_slack_call`, ...). The backlog is read from the database at
every scrape, and given to `exposition`. Names and units follow https://prometheus.io/docs/practices/naming. No label
holds any text of an alert, apart from a channel's name. Labels that others choose (integrations, channels, templates)
have a limited number of values.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
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
from relay.bigpanda.outcomes import RejectionCause, TaskDone, TaskOutcome, TaskRejected
from relay.bigpanda.webhook.share import INTEGRATION_HEADER
from relay.cards.attention import POST_REASONS
from relay.cards.milestones import Milestone
from relay.cards.model import ShareOutcome
from relay.cards.reminding import Blocked
from relay.cards.summaries import SummaryOutcome
from relay.model.errors import ShareError
from relay.model.incident import State
from relay.slack.methods import Method
from relay.slack.outcomes import Delivered, Read, Rejected, RejectionScope, Retryable, SlackOutcome
from relay.store.types import Backlog

MessageKind = Literal["root", "reply", "edit"]
"""What is sent to Slack: a card, a reply in its thread, an edit of the card."""

OTHERS: Final = "(others)"
"""The label value for everything beyond the limits below."""
MAX_INTEGRATIONS: Final = 50
MAX_CHANNELS: Final = 100
MAX_TEMPLATES: Final = 200
MAX_ROUTES: Final = 200
FALLBACK: Final = "(fallback)"
"""The label value for cards that no route asked for."""

NOT_STORED: Final = "not_stored"
PLANNING_FAILED: Final = "planning_failed"
SHARE_OUTCOMES: Final = frozenset(
    {*map(str, ShareOutcome), *(each.reason for each in ShareError.__subclasses__()), NOT_STORED, PLANNING_FAILED}
)
"""The values of the label `outcome` of `relay_shares_total`; `docs/operating.md` says what they mean."""

SUMMARY_OUTCOMES: Final = tuple(each for each in SummaryOutcome if each is not SummaryOutcome.BEGUN)
"""The values of the label `outcome` of `relay_summaries_total`."""

_ACCEPT_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_CALL_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_DELIVERY_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)
_HUMAN_SECONDS = (60.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0, 86400.0, 259200.0, 604800.0)

_ALERTED_PROBLEMS = (
    (400, "not_json"),
    (400, "no_incident"),
    (400, "too_costly"),
    (401, "unauthorized"),
    (404, "wrong_address"),
    (405, "wrong_address"),
    (413, "too_large"),
    (431, "head_too_large"),
    (503, "busy"),
    (503, "too_many_connections"),
    (503, "not_stored"),
    (503, "unexpected_error"),
)
"""The HTTP errors that alert rules count: status and reason."""


class Metric(NamedTuple):
    """One metric; a histogram has `buckets` (upper bounds in seconds)."""

    type: Literal["counter", "histogram", "gauge"]
    labels: tuple[str, ...]
    help: str
    buckets: tuple[float, ...] = ()


METRICS: Mapping[str, Metric] = {
    "relay_shares_total": Metric("counter", ("outcome", "integration"), "Bodies with a valid key, by their outcome"),
    "relay_http_problems_total": Metric("counter", ("status", "reason"), "Requests answered with an error"),
    "relay_cards_total": Metric("counter", ("message", "outcome"), "Cards posted (root) and edited (edit)"),
    "relay_entries_total": Metric("counter", ("outcome",), "Entries sent to threads"),
    "relay_slack_calls_total": Metric("counter", ("method", "outcome", "reason"), "Calls to Slack's Web API"),
    "relay_slack_rate_limited_total": Metric("counter", ("method",), "Calls that Slack rate-limited (429)"),
    "relay_clicks_total": Metric("counter", ("action", "outcome"), "Button presses and modals from Slack"),
    "relay_commands_total": Metric("counter", ("verb", "outcome"), "Commands, shortcuts and `Why?` from Slack"),
    "relay_bigpanda_tasks_total": Metric("counter", ("kind", "outcome"), "Attempts at tasks for BigPanda"),
    "relay_bigpanda_calls_total": Metric("counter", ("call", "outcome", "reason"), "Calls to BigPanda's API"),
    "relay_template_failures_total": Metric("counter", ("template",), "Failed templates, or parts of one, left out"),
    "relay_accept_duration_seconds": Metric(
        "histogram", (), "Time from reading a share to its commit", _ACCEPT_SECONDS
    ),
    "relay_slack_call_duration_seconds": Metric(
        "histogram", ("method",), "Duration of a call to Slack's Web API", _CALL_SECONDS
    ),
    "relay_bigpanda_call_duration_seconds": Metric(
        "histogram", ("call",), "Duration of a call to BigPanda's API", _CALL_SECONDS
    ),
    "relay_delivery_delay_seconds": Metric(
        "histogram", ("message",), "Time from a share to its message in Slack, without `wait`", _DELIVERY_SECONDS
    ),
    "relay_open_incidents": Metric("gauge", ("state",), "Open incidents, as `relay incidents --open` lists them"),
    "relay_held_cards": Metric("gauge", ("reason",), "Cards that are not posted yet, by what holds them"),
    "relay_cards_with_held_pings": Metric("gauge", (), "Cards with pings that were not sent yet"),
    "relay_oldest_due_catch_up_age_seconds": Metric(
        "gauge", (), "How long ago the oldest held ping could have been sent"
    ),
    "relay_open_storms": Metric("gauge", (), "Storms that are not over"),
    "relay_oldest_storm_change_age_seconds": Metric(
        "gauge", (), "Age of the oldest change that the card of an open storm does not show"
    ),
    "relay_active_mutes": Metric("gauge", (), "Mutes that hold cards and pings now"),
    "relay_pings_total": Metric("counter", ("route",), "Messages in Slack that pinged somebody"),
    "relay_reminders_total": Metric("counter", ("route", "kind"), "Reminders, and messages of `then` (`kind`)"),
    "relay_reminders_blocked_total": Metric("counter", ("reason",), "Attempts at reminders that could not be sent"),
    "relay_summaries_total": Metric("counter", ("outcome",), "Summaries, by result"),
    "relay_shadow_cards_total": Metric("counter", ("route",), "Cards that routes in shadow would have made"),
    "relay_time_to_assign_seconds": Metric(
        "histogram", ("severity",), "Time from the first share of an episode to its first assignment", _HUMAN_SECONDS
    ),
    "relay_time_to_resolve_seconds": Metric(
        "histogram", ("severity",), "Time from the first share of an episode to its first resolution", _HUMAN_SECONDS
    ),
    "relay_build_info": Metric("gauge", ("version",), "Always 1; the label is relay's version"),
    "relay_last_share_timestamp_seconds": Metric("gauge", (), "When the last share was saved; 0: never"),
    "relay_due_work": Metric("gauge", ("channel", "work"), "Cards with a due post or edit"),
    "relay_oldest_due_age_seconds": Metric("gauge", ("channel", "work"), "Age of the oldest due post or edit"),
    "relay_due_bigpanda_tasks": Metric("gauge", (), "Tasks for BigPanda that are due"),
    "relay_oldest_bigpanda_task_age_seconds": Metric("gauge", (), "Age of the oldest open task for BigPanda"),
    "relay_bigpanda_credentials_valid": Metric("gauge", (), "0 while BigPanda rejects relay's key, else 1"),
    "relay_socket_mode_connected": Metric("gauge", (), "0 if Socket Mode is in use and not connected, else 1"),
    "relay_rate_limited_seconds": Metric(
        "gauge", ("method",), "Seconds until a rate-limited method may be called again"
    ),
    "relay_attempts_in_doubt": Metric("gauge", (), "Messages in doubt: Slack's answer was lost"),
    "relay_unplanned_shares": Metric("gauge", (), "Stored shares that are not planned yet, or could not be planned"),
    "relay_failed_shares": Metric("gauge", (), "Shares that could not be planned, and are in no card yet"),
    "relay_oldest_unplanned_share_age_seconds": Metric("gauge", (), "Age of the oldest share that is not planned"),
    "relay_dead_letters": Metric("gauge", (), "Cards with an open dead letter: Slack rejected something for good"),
    "relay_quarantined_bodies": Metric("gauge", (), "Invalid bodies that are stored for the operator"),
    "relay_database_size_bytes": Metric("gauge", (), "Size of the database; on SQLite without its write-ahead log"),
    "relay_database_up": Metric("gauge", (), "1 if the database accepted a write at this scrape, else 0"),
    "relay_pg_notify_working": Metric("gauge", (), "0 while PostgreSQL's notifications do not arrive, else 1"),
    "relay_clock_skew_seconds": Metric(
        "gauge", (), "How far this machine's clock is ahead of PostgreSQL's; 0 on SQLite"
    ),
    "relay_delivering": Metric("gauge", (), "1 on the relay that delivers; only one of several on one PostgreSQL does"),
    "relay_slack_credentials_valid": Metric(
        "gauge", (), "1 while Slack accepts the token and it belongs to the cards' workspace and bot, else 0"
    ),
    "relay_config_info": Metric("gauge", ("hash",), "Always 1; the label is the hash of the live routes and templates"),
    "relay_config_last_reload_successful": Metric("gauge", (), "1 if the last edit is live, 0 if it is invalid"),
    "relay_config_last_reload_success_timestamp_seconds": Metric("gauge", (), "When a valid edit was loaded last"),
}

_TIMES: Mapping[Milestone, str] = {
    Milestone.ASSIGNED: "relay_time_to_assign_seconds",
    Milestone.RESOLVED: "relay_time_to_resolve_seconds",
}
_BACKLOG_GAUGES: Mapping[str, Callable[[Backlog], float]] = {
    "relay_attempts_in_doubt": lambda backlog: backlog.in_doubt,
    "relay_cards_with_held_pings": lambda backlog: backlog.cards_with_held_pings,
    "relay_oldest_due_catch_up_age_seconds": lambda backlog: backlog.catch_up_age,
    "relay_open_storms": lambda backlog: backlog.open_storms,
    "relay_oldest_storm_change_age_seconds": lambda backlog: backlog.storm_change_age,
    "relay_active_mutes": lambda backlog: backlog.active_mutes,
    "relay_unplanned_shares": lambda backlog: backlog.unplanned_shares,
    "relay_failed_shares": lambda backlog: backlog.failed_shares,
    "relay_oldest_unplanned_share_age_seconds": lambda backlog: backlog.oldest_unplanned_age,
    "relay_dead_letters": lambda backlog: backlog.dead_letters,
    "relay_due_bigpanda_tasks": lambda backlog: backlog.due_tasks,
    "relay_oldest_bigpanda_task_age_seconds": lambda backlog: backlog.oldest_task_age,
    "relay_quarantined_bodies": lambda backlog: backlog.quarantined_bodies,
    "relay_database_size_bytes": lambda backlog: backlog.size_bytes,
}
"""The gauges that show one figure of the backlog."""

OPEN_STATES: Final = tuple(state for state in State if state is not State.RESOLVED)
"""The states of open incidents."""


class Metrics:
    """The metrics of one relay, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}
        for name, (kind, labels, text, buckets) in METRICS.items():
            match kind:
                case "counter":
                    self._counters[name] = Counter(name, text, labels, registry=self.registry)
                case "gauge":
                    self._gauges[name] = Gauge(name, text, labels, registry=self.registry)
                case "histogram":
                    self._histograms[name] = Histogram(name, text, labels, registry=self.registry, buckets=buckets)
        self._integrations = _LabelValues(MAX_INTEGRATIONS)
        self._templates = _LabelValues(MAX_TEMPLATES)
        self._routes = _LabelValues(MAX_ROUTES)
        self._routes.limit(FALLBACK)  # it has its own label, whatever comes first
        self._last_share_at = 0.0
        self._set("relay_build_info", 1, __version__)
        self._show_alerted()

    def _show_alerted(self) -> None:
        """Show the counters of alert rules before anything happens: for Prometheus, none to 1 is no increase."""
        self._counters["relay_shares_total"].labels(NOT_STORED, "default")
        for status, reason in _ALERTED_PROBLEMS:
            self._counters["relay_http_problems_total"].labels(str(status), reason)
        for method in Method:
            self._counters["relay_slack_rate_limited_total"].labels(method.value)
        self._counters["relay_bigpanda_tasks_total"].labels("callback", "dropped")
        for why in Blocked:
            self._counters["relay_reminders_blocked_total"].labels(why.value)
        for outcome in SUMMARY_OUTCOMES:
            self._counters["relay_summaries_total"].labels(outcome.value)
        self._set("relay_bigpanda_credentials_valid", 1)
        self._set("relay_socket_mode_connected", 1)

    # From BigPanda

    def record_share(self, outcome: str, headers: Mapping[str, str], saved_at: float | None = None) -> None:
        """Count a body with these headers by one of `SHARE_OUTCOMES`; `saved_at` (Unix seconds) if it was saved."""
        integration = next((value for name, value in headers.items() if name.lower() == INTEGRATION_HEADER), "")
        label = self._integrations.limit(integration.strip()[:64] or "default")
        self._count("relay_shares_total", outcome, label)
        if saved_at is not None:
            self._last_share_at = max(self._last_share_at, saved_at)

    def record_shadow(self, routes: Iterable[str]) -> None:
        """Count the cards that these routes in shadow would have made."""
        for route in routes:
            self._count("relay_shadow_cards_total", self._routes.limit(route))

    def record_times_taken(self, durations: Mapping[Milestone, float], severity: State) -> None:
        """Time what an incident of that severity reached for the first time in its episode."""
        for milestone, seconds in durations.items():
            self._time(_TIMES[milestone], seconds, severity.value)

    @contextmanager
    def time_accept(self) -> Iterator[None]:
        """Time what the block does; if it raises, nothing was saved, and it does not count."""
        started = perf_counter()
        yield
        self._time("relay_accept_duration_seconds", perf_counter() - started)

    def record_http_problem(self, status: int, reason: str) -> None:
        """Count a request that was answered with an error."""
        self._count("relay_http_problems_total", str(status), reason)

    # To Slack

    def record_slack_call(self, method: Method, answer: SlackOutcome, seconds: float) -> None:
        """Count a call to Slack and its answer; `relay.slack.client` calls this."""
        self._count("relay_slack_calls_total", method.value, answer.outcome, answer.reason)
        self._time("relay_slack_call_duration_seconds", seconds, method.value)
        match answer:
            case Retryable(reason="rate_limited"):
                self._count("relay_slack_rate_limited_total", method.value)
            case Rejected(scope=RejectionScope.CREDENTIALS) if method is not Method.OPEN_SOCKET:  # another token
                self._set("relay_slack_credentials_valid", 0)
            case Delivered() | Read() if method is not Method.OPEN_SOCKET:
                self._set("relay_slack_credentials_valid", 1)
            case _:
                pass

    def record_sent(self, message: MessageKind, answer: SlackOutcome, *, entries: int, delay: float) -> None:
        """Count a message that was sent, with its number of entries and the seconds since what it reports."""
        if message == "reply":
            self._count("relay_entries_total", answer.outcome, by=entries)
        else:
            self._count("relay_cards_total", message, answer.outcome)
        if isinstance(answer, Delivered):
            self._time("relay_delivery_delay_seconds", max(0.0, delay), message)

    def record_ping(self, route: str) -> None:
        """Count a message that is in Slack and pinged somebody, by the route of its card; empty: the fallback."""
        self._count("relay_pings_total", self._routes.limit(route or FALLBACK))

    def record_summary(self, outcome: SummaryOutcome) -> None:
        """Count a slot of a summary that is done."""
        self._count("relay_summaries_total", outcome)

    def record_reminder(self, route: str, kind: str) -> None:
        """Count a reminder (`kind` is `reminder`), or a turn of `then`, by the route of its card."""
        self._count("relay_reminders_total", self._routes.limit(route or FALLBACK), kind)

    def record_blocked_reminders(self, why: Blocked, number: int) -> None:
        """Count reminders that could not be sent, since nobody knows who has the incidents."""
        self._count("relay_reminders_blocked_total", why.value, by=number)

    def record_skipped(self, message: MessageKind, reason: str) -> None:
        """Count a message that was not needed: Slack shows it already (`unchanged`), or it was cancelled."""
        if message != "reply":
            self._count("relay_cards_total", message, reason)

    def record_template_failure(self, template: str) -> None:
        """Count a template, or a part of one, that failed and was left out."""
        self._count("relay_template_failures_total", self._templates.limit(template))

    # From Slack, and to BigPanda

    def record_click(self, action: str, outcome: str) -> None:
        """Count a button press or a modal."""
        self._count("relay_clicks_total", action, outcome)

    def record_command(self, verb: str, outcome: str) -> None:
        """Count a question or a command of a person; `verb` is one of relay's own words."""
        self._count("relay_commands_total", verb, outcome)

    def record_task(self, kind: str, outcome: str) -> None:
        """Count a try of a task for BigPanda."""
        self._count("relay_bigpanda_tasks_total", kind, outcome)

    def record_bigpanda_call(self, call: BigPandaCall, answer: TaskOutcome, seconds: float) -> None:
        """Count a call to BigPanda and its answer; `relay.bigpanda.client` calls this."""
        self._count("relay_bigpanda_calls_total", call.value, answer.outcome, answer.reason)
        self._time("relay_bigpanda_call_duration_seconds", seconds, call.value)
        match answer:
            case TaskRejected(cause=RejectionCause.CREDENTIALS):
                self._set("relay_bigpanda_credentials_valid", 0)
            case TaskDone():
                self._set("relay_bigpanda_credentials_valid", 1)
            case _:
                pass

    def record_socket_mode(self, *, connected: bool) -> None:
        """Set whether the connection over Socket Mode is open."""
        self._set("relay_socket_mode_connected", connected)

    def record_unusable_token(self) -> None:
        """Set that Slack accepts the token, but that it is not that of the cards; the next call to Slack resets it."""
        self._set("relay_slack_credentials_valid", 0)

    def record_pauses(self, pauses: Mapping[str, float]) -> None:
        """Set which methods of Slack and BigPanda are rate-limited, and for how many more seconds."""
        self._gauges["relay_rate_limited_seconds"].clear()
        for method, seconds in pauses.items():
            self._set("relay_rate_limited_seconds", seconds, method)

    # Relay itself

    def record_configuration(self, digest: str, loaded_at: float, *, successful: bool) -> None:
        """Set the hash of the live configuration, its time (Unix seconds), and whether the last edit is valid."""
        self._gauges["relay_config_info"].clear()
        self._set("relay_config_info", 1, digest)
        self._set("relay_config_last_reload_successful", successful)
        self._set("relay_config_last_reload_success_timestamp_seconds", loaded_at)

    def record_notifications(self, *, received: bool) -> None:
        """Set whether PostgreSQL's notifications reach this relay, as far as it needs them."""
        self._set("relay_pg_notify_working", received)

    def record_clock_skew(self, seconds: float) -> None:
        """Set how far the machine's clock is ahead of the database's."""
        self._set("relay_clock_skew_seconds", seconds)

    def exposition(
        self, backlog: Backlog | None, *, writable: bool, delivering: bool, slack_paused: bool = False
    ) -> tuple[bytes, str]:
        """Return all metrics in Prometheus' format, and its content type; no backlog if the database cannot be read.

        `writable` says whether the database took a write: with a full disk, or a lock, it can still be read.
        `slack_paused` says that relay makes no calls to Slack, so that cards that are due are held.
        """
        self._set("relay_delivering", delivering)
        self._set("relay_database_up", writable)
        if backlog is not None:
            self._set_channels(backlog)
            held = backlog.held(slack_paused=slack_paused)
            for reason in POST_REASONS:
                self._set("relay_held_cards", held.get(reason, 0), reason.value)
            for state in OPEN_STATES:
                self._set("relay_open_incidents", backlog.open_incidents.get(state, 0), state.value)
            for name, value_of in _BACKLOG_GAUGES.items():
                self._set(name, value_of(backlog))
            self._last_share_at = max(self._last_share_at, backlog.last_share_at)
        self._set("relay_last_share_timestamp_seconds", self._last_share_at)
        return generate_latest(self.registry), CONTENT_TYPE_LATEST

    def _set_channels(self, backlog: Backlog) -> None:
        """Name the channels whose work has waited longest; those beyond the limit count together."""
        due, oldest = self._gauges["relay_due_work"], self._gauges["relay_oldest_due_age_seconds"]
        due.clear()
        oldest.clear()
        longest_first = sorted(backlog.channels, key=lambda channel: channel.age, reverse=True)
        names = _LabelValues(MAX_CHANNELS)
        named = [(names.limit(channel.channel), channel) for channel in longest_first]
        for name, channel in reversed(named):  # if several count together, the oldest is set last
            due.labels(name, channel.work).inc(channel.cards)
            oldest.labels(name, channel.work).set(channel.age)

    def _count(self, name: str, *labels: str, by: int = 1) -> None:
        self._counters[name].labels(*labels).inc(by)

    def _set(self, name: str, value: float, *labels: str) -> None:
        gauge = self._gauges[name]
        (gauge.labels(*labels) if labels else gauge).set(value)

    def _time(self, name: str, seconds: float, *labels: str) -> None:
        histogram = self._histograms[name]
        (histogram.labels(*labels) if labels else histogram).observe(seconds)


class _LabelValues:
    """The first values of a label, up to a limit; later ones become `(others)`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: set[str] = set()

    def limit(self, value: str) -> str:
        if value not in self._known and len(self._known) >= self._most:
            return OTHERS
        self._known.add(value)
        return value
