"""The story: what BigPanda would share in one night, and what people do in Slack meanwhile, as steps.

The documented sample lives its life in it. A step of BigPanda's is a full snapshot of one incident, as every share is
one: what an earlier step said of the incident still holds. What readers do by the buttons stays: of each step only what
it tells otherwise than the one before it comes about.
"""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final

Body = dict[str, Any]

MINUTE: Final = 60.0


@dataclass(frozen=True, slots=True)
class Offset:
    """A moment so many seconds after the step; before it, where that is negative."""

    seconds: float


NOW: Final = Offset(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareStep:
    """What happens `pause` seconds after the step before, in words (`caption`), and as BigPanda tells it.

    `incident` says whose share it is. `changes` are fields of the incident and `beside` blocks beside it, both with
    moments as `After`; `event` is BigPanda's name of what happened.
    """

    incident: str
    pause: float
    caption: str
    event: str = "incident#updated"
    changes: Mapping[str, Any] = field(default_factory=dict)
    beside: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserStep:
    """What somebody does in Slack `pause` seconds after the step before, at an incident's card in a channel.

    `action` is the action of a button (`relay_assign`), whose modal is then filled in with `values` where there are
    any; or empty, where `text` is written into the card's thread.
    """

    incident: str
    pause: float
    caption: str
    user: str
    channel: str
    action: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    text: str = ""


class ShareBuilder:
    """What has been told of each incident so far."""

    def __init__(self, sample: Body) -> None:
        """Begin with the documented sample; every other incident has its shape."""
        self._sample = sample
        self._bodies: dict[str, Body] = {}

    def share(self, step: ShareStep, now: float) -> Body:
        """The share of this step, at that moment."""
        body = self._bodies.setdefault(step.incident, self._first(step.incident))
        body["incident"] |= {"changedOn": NOW, "updatedOn": NOW, **step.changes}
        body |= step.beside
        body["event_types"] = [{"event": step.event, "time": NOW}]
        told: Body = _at(body, now)
        self._bodies[step.incident] = _at(_told_once(body), now)
        return deepcopy(told)

    def _first(self, incident: str) -> Body:
        body = deepcopy(self._sample)
        body["incident"]["id"] = incident
        body["metadata"] |= _by(AUTOSHARE)
        return {name: body[name] for name in ("incident", "links", "metadata")}


def _told_once(body: Body) -> Body:
    """A comment is told by one share alone."""
    metadata = {name: value for name, value in body["metadata"].items() if name != "comment"}
    return {**body, "metadata": metadata}


def _at(value: Any, now: float) -> Any:
    """The value with its moments as Unix seconds."""
    match value:
        case Offset(seconds):
            return int(now + seconds)
        case Mapping():
            return {name: _at(part, now) for name, part in value.items()}
        case list() | tuple():
            return [_at(part, now) for part in value]
        case _:
            return value


BILLING_INCIDENT: Final = "5555370aabc20a001145d6g9"
"""The id of the documented sample."""

NOC_CHANNEL, BILLING_CHANNEL, DATABASE_CHANNEL = "noc", "billing-oncall", "db-oncall"
"""The channels; the two of the teams bear the names of their user groups."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryPerson:
    """Somebody of the night, with their ids in BigPanda and in Slack; `handle` is the user group that they are in."""

    bigpanda: str
    slack: str
    name: str
    email: str
    handle: str = ""

    def as_share(self) -> Body:
        """As BigPanda's shares name them."""
        return {"userId": self.bigpanda, "name": self.name, "email": self.email}


ANN: Final = StoryPerson(
    bigpanda="5506e4fbe7e0e400000000a1",
    slack="U0ANNLEE01",
    name="Ann Lee",
    email="ann@example.com",
    handle=DATABASE_CHANNEL,
)
DANA: Final = StoryPerson(
    bigpanda="5506e4fbe7e0e400000000d1",
    slack="U0DANALEV1",
    name="Dana Levi",
    email="dana@example.com",
    handle=BILLING_CHANNEL,
)
BEN: Final = StoryPerson(
    bigpanda="5506e4fbe7e0e400000000b1", slack="U0BENOKA01", name="Ben Okafor", email="ben@example.com"
)
PEOPLE: Final = (ANN, DANA, BEN)
"""Who the readers of the page may be."""

AUTOSHARE: Final = "AutoShare"
_ENVIRONMENTS: Final = {"Production": "55550bc8c481fd1100abc3a1", "Staging": "55550bc8c481fd1100abc3a2"}
"""Names of environments, with their ids, by which BigPanda's API knows them."""


def prologue() -> Iterator[ShareStep | UserStep]:
    """What stands in the channels already when the story begins."""
    yield ShareStep(
        incident="db-replica",
        pause=0,
        caption="A database falls behind",
        event="incident#new",
        changes={
            "status": "Critical",
            "severity": "Critical",
            "startedOn": Offset(-2 * MINUTE),
            "alerts": [_alert("db-117", "replication lag", "replication lag is 97 %", "Critical")],
        },
        beside={"incidentTags": [_tag("itd_priority_1", 1000), _tag("service", "checkout"), _tag("team", "database")]},
    )
    yield UserStep(
        incident="db-replica",
        pause=6 * MINUTE,
        caption="Ann presses “Assign to me”: BigPanda is asked, and what it confirms shows on the card",
        user=ANN.slack,
        channel=DATABASE_CHANNEL,
        action="relay_assign",
    )
    yield ShareStep(
        incident="certificate",
        pause=3 * MINUTE,
        caption="A certificate is about to expire",
        event="incident#new",
        changes={
            "status": "Warning",
            "severity": "Warning",
            "startedOn": NOW,
            "alerts": [_alert("shop.example.com", "certificate", "expires in 6 days", "Warning")],
        },
        beside={"incidentTags": [_tag("team", "web")]},
    )
    yield UserStep(
        incident="db-replica",
        pause=2 * MINUTE,
        caption="Ann writes into the database's thread, which becomes a comment in BigPanda",
        user=ANN.slack,
        channel=DATABASE_CHANNEL,
        text="Failing over to db-118.",
    )
    yield ShareStep(
        incident="db-replica",
        pause=7 * MINUTE,
        caption="The database is well again",
        event="incident#resolved",
        changes={"status": "Ok", "active": False, "resolved": True, "endedOn": NOW, "alerts": []},
    )
    yield ShareStep(
        incident="nightly",
        pause=4 * MINUTE,
        caption="Staging's backup fails, which nobody is woken for",
        event="incident#new",
        changes={
            "status": "Warning",
            "severity": "Warning",
            "startedOn": NOW,
            "alerts": [_alert("backup-02", "nightly backup", "exit status 2", "Warning")],
        },
        beside={"metadata": _by(AUTOSHARE, environment="Staging")},
    )


def story(sample: Body) -> Iterator[ShareStep | UserStep]:
    """The documented sample's life, with others around it."""
    one, other = (_milder(alert) for alert in sample["incident"]["alerts"])
    worse = [_worse(alert) for alert in (one, other)]
    third = _alert("web7", "CPU", "CPU is 96%", "Critical", book="https://mywiki.com/web7/modiin-prod")
    over = [{**alert, "status": "Ok", "active": False, "endedOn": NOW} for alert in (*worse, third)]
    step = _Life()
    yield step(
        20,
        "Two hosts are busy: BigPanda correlates their alerts and shares the incident",
        "incident#new",
        status="Warning",
        severity="Warning",
        active=True,
        startedOn=Offset(-2 * MINUTE),
        alerts=[one, other],
    )
    yield step(
        40,
        "Its tags arrive late: they show on the card, and by them the incident reaches its own channel",
        "incident-tag#upserted",
        beside={"incidentTags": [*sample["incidentTags"], _tag("service", "invoices"), _tag("team", "billing")]},
    )
    yield step(
        6 * MINUTE,
        "Somebody is asked to look at it",
        "incident#assigned",
        beside={"metadata": _by("Engineer", **_assigned(DANA))},
    )
    yield step(
        3 * MINUTE,
        "Dana says what she found",
        "incident#commented",
        beside={
            "metadata": _by(
                DANA.name,
                comment="The invoice run started twice.\nStopping the second one.",
                **_assigned(DANA),
            )
        },
    )
    yield step(
        4 * MINUTE,
        "It gets worse: critical, and now its people are mentioned, since an edit would wake nobody",
        "incident#updated",
        status="Critical",
        severity="Critical",
        alerts=worse,
    )
    yield step(
        2 * MINUTE,
        "Another alert joins, and BigPanda suspects a change",
        "incident#updated",
        alerts=[*worse, third],
        beside={"relatedChanges": _changes(sample)},
    )
    yield ShareStep(
        incident="disk",
        pause=2 * MINUTE,
        caption="Elsewhere a disk fills up",
        event="incident#new",
        changes={
            "status": "Warning",
            "severity": "Warning",
            "startedOn": NOW,
            "alerts": [_alert("log-3", "disk", "/var is 88 % full", "Warning")],
        },
        beside={"incidentTags": [_tag("team", "logging")]},
    )
    yield UserStep(
        incident=BILLING_INCIDENT,
        pause=1 * MINUTE,
        caption="Dana presses “Comment”, and fills in what Slack asks her",
        user=DANA.slack,
        channel=BILLING_CHANNEL,
        action="relay_comment",
        values={"text": "Rolling Mando-001 back, should be over in half an hour."},
    )
    yield step(
        2 * MINUTE,
        "The change is being rolled back: snoozed for half an hour",
        "incident#snoozed",
        status="Acknowledged",
        snooze={"snoozed": True, "wake": Offset(30 * MINUTE), "autoCancel": True},
    )
    yield step(
        14 * MINUTE,
        "All alerts are over: resolved, and the card shrinks",
        "incident#resolved",
        status="Ok",
        active=False,
        resolved=True,
        endedOn=NOW,
        snooze={"snoozed": False, "wake": None, "autoCancel": False},
        alerts=over,
    )
    yield ShareStep(
        incident="disk",
        pause=2 * MINUTE,
        caption="The disk has room again",
        event="incident#resolved",
        changes={"status": "Ok", "active": False, "resolved": True, "endedOn": NOW, "alerts": []},
    )
    yield step(
        7 * MINUTE,
        "It comes back: reopened, in the same thread, and in the channel, too",
        "incident#reopened",
        status="Critical",
        active=True,
        resolved=False,
        endedOn=None,
        alerts=[worse[0], *over[1:]],
    )
    yield step(
        11 * MINUTE,
        "And is over for good",
        "incident#resolved",
        status="Ok",
        active=False,
        resolved=True,
        endedOn=NOW,
        alerts=over,
    )


@dataclass(frozen=True, slots=True)
class _Life:
    """Steps of the documented sample."""

    incident: str = BILLING_INCIDENT

    def __call__(
        self, pause: float, caption: str, event: str, *, beside: Mapping[str, Any] | None = None, **changes: Any
    ) -> ShareStep:
        return ShareStep(
            incident=self.incident, pause=pause, caption=caption, event=event, changes=changes, beside=beside or {}
        )


def _alert(host: str, check: str, text: str, status: str, *, book: str = "") -> Body:
    tags = [{"name": "host", "value": host}, {"name": "check", "value": check}]
    return {
        "id": f"alert-{host}",
        "status": status,
        "active": True,
        "startedOn": NOW,
        "primaryProperty": "host",
        "secondaryProperty": "check",
        "sourceSystem": "nagios.est",
        "description": text,
        "tags": [*tags, {"name": "run-book", "value": book}] if book else tags,
    }


def _milder(alert: Body) -> Body:
    """The sample's alert before it got so bad."""
    return {**alert, "status": "Warning", "description": "CPU is 81%", "startedOn": Offset(-2 * MINUTE)}


def _worse(alert: Body) -> Body:
    return {**alert, "status": "Critical", "description": "CPU is 98%", "startedOn": Offset(-17 * MINUTE)}


def _tag(name: str, value: Any) -> Body:
    return {"id": name, "value": value}


def _by(sender: str, *, environment: str = "Production", **more: Any) -> Body:
    place = {"environment": environment, "environment_id": _ENVIRONMENTS[environment]}
    return {"sender": {"name": sender}, **place, **more}


def _assigned(to: StoryPerson) -> Body:
    return {"assignee": to.as_share(), "assigner": {"name": "Engineer"}}


def _changes(sample: Body) -> Sequence[Body]:
    """The sample's change, with words in place of its placeholders, and ended just before the trouble began."""
    [related] = deepcopy(sample["relatedChanges"])
    related["change"] |= {
        "summary": "Second invoice worker",
        "start": Offset(-40 * MINUTE),
        "end": Offset(-25 * MINUTE),
    }
    return [related]
