"""Words of Alertmanager, PagerDuty and other tools that people write in routes.yaml, and what relay has instead."""

from collections.abc import Mapping
from typing import Final

_POST: Final = "; write post: [channel]"
_MATCH: Final = "; write the conditions under match"
_OPEN: Final = "; for every open incident write active: true"
_STATE: Final = "; did you mean '{0}'?"

FOREIGN_KEYS: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("receiver", "receivers", "to", "notify", "send_to", "target", "targets", "destination", "slack_configs"), _POST
    ),
    **dict.fromkeys(
        ("matchers", "match_re", "matcher", "when", "if", "filter", "filters", "conditions", "where", "selector"),
        _MATCH,
    ),
    **dict.fromkeys(("labels", "label"), "; write tags: {name: value} under match"),
    **dict.fromkeys(("annotations", "annotation"), "; write alert_tags: {name: value} under match"),
    **dict.fromkeys(("group_wait", "group_interval"), "; gather batches entries, wait delays the card"),
    "group_by": "; BigPanda decides which alerts are one incident",
    "repeat_interval": "; relay never repeats a card, it edits it",
    **dict.fromkeys(
        ("default", "default_route", "default_channel", "catch_all"), "; write fallback: channel at the top"
    ),
    **dict.fromkeys(("rules", "children"), "; write routes"),
    **dict.fromkeys(("id", "title"), "; write name"),
    **dict.fromkeys(("description", "comment"), "; write note"),
    **dict.fromkeys(
        ("oncall", "ping", "pings", "owner", "owners", "users_to_notify", "mentions", "notify_users"),
        "; write mention in a post item",
    ),
    **dict.fromkeys(("delay", "after", "for"), "; write wait"),
    **dict.fromkeys(("mute", "silence", "silenced", "drop", "ignore"), "; write post: [] to drop incidents"),
    **dict.fromkeys(("timezone", "time_zone", "tz", "location"), "; write zone: Europe/Berlin at the top"),
    **dict.fromkeys(
        ("time_intervals", "schedule", "schedules", "business_hours", "time_restrictions", "support_hours"),
        "; write hours at the top, and name them in quiet or hold",
    ),
    **dict.fromkeys(
        ("mute_time_intervals", "active_time_intervals", "quiet_hours", "mute_timings"),
        "; write hours at the top, and quiet: {during: [night]} or quiet: {outside: [office]} here",
    ),
    **dict.fromkeys(("dry_run", "dryrun", "test_mode", "preview", "simulate"), "; write shadow: true"),
    "disabled": "; write enabled: false",
    **dict.fromkeys(("stop", "break"), "; the first route that matches ends the search, unless it has continue: true"),
}
"""Keys of other tools -> the end of the message."""

FOREIGN_STATES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("ok", "closed", "close", "normal", "up", "recovered", "cleared"), _STATE.format("resolved")),
    **dict.fromkeys(("open", "firing", "problem", "triggered", "alerting", "active", "down", "new"), _OPEN),
    **dict.fromkeys(
        ("error", "fatal", "high", "major", "emergency", "disaster", "p1", "sev1"), _STATE.format("critical")
    ),
    **dict.fromkeys(("minor", "medium", "average", "moderate", "p2", "sev2"), _STATE.format("warning")),
    **dict.fromkeys(("nodata", "no_data", "indeterminate", "none", "info"), _STATE.format("unknown")),
}
"""States of other tools, casefolded -> the end of the message."""
