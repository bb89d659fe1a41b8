"""The story: what happens in BigPanda in one night, and what people do in Slack meanwhile, as steps.

A step of BigPanda becomes a full snapshot of one incident, like every share; what earlier steps said still holds. Each
step applies only the differences from the step before, so that actions of readers with the buttons stay.
"""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final

Body = dict[str, Any]

MINUTE: Final = 60.0


@dataclass(frozen=True, slots=True)
class Offset:
    """A moment so many seconds after the step; before it, if negative."""

    seconds: float


NOW: Final = Offset(0)
_BLOCKS: Final = frozenset({"incidentTags", "metadata", "relatedChanges"})


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentStep:
    """A change of an incident in BigPanda, `pause` seconds after the step before; `caption` tells it to the reader.

    `changes` are fields of the incident and blocks beside it (`_BLOCKS`), with moments as `Offset`; `event` is
    BigPanda's name of the event.
    """

    incident: str
    pause: float
    caption: str
    event: str
    changes: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class UserStep:
    """What a user does in Slack on an incident's card in a channel, `pause` seconds after the step before.

    `action` is the action of a button (`relay_assign`), and `values` are the input for its modal, if it opens one.
    Without an action, `text` is written into the card's thread.
    """

    incident: str
    pause: float
    caption: str
    user: str
    channel: str
    action: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FloodStep:
    """Changes of many incidents in BigPanda at once."""

    pause: float
    caption: str
    steps: tuple[IncidentStep, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandStep:
    """What a user types in a channel of Slack after `/relay`; `{run}` is the number of the story's run, from 1."""

    pause: float
    caption: str
    user: str
    channel: str
    text: str


StoryStep = IncidentStep | UserStep | FloodStep | CommandStep


class ShareBuilder:
    """Builds the shares of the steps, from what earlier steps said of each incident."""

    def __init__(self, sample: Body) -> None:
        """Start with the documented sample; every other incident has its shape."""
        self._sample = sample
        self._bodies: dict[str, Body] = {}

    def share(self, step: IncidentStep, now: float) -> Body:
        """The share of this step, at that moment."""
        body = self._bodies.setdefault(step.incident, self._first(step.incident))
        body["incident"] |= {"changedOn": NOW, "updatedOn": NOW}
        for name, value in step.changes.items():
            (body if name in _BLOCKS else body["incident"])[name] = value
        body["event_types"] = [{"event": step.event, "time": NOW}]
        share: Body = _at(body, now)
        # A comment is part of one share only.
        metadata = {name: value for name, value in share["metadata"].items() if name != "comment"}
        self._bodies[step.incident] = {**share, "metadata": metadata}
        return deepcopy(share)

    def _first(self, incident: str) -> Body:
        body = deepcopy(self._sample)
        body["incident"]["id"] = incident
        body["metadata"] |= _metadata(AUTOSHARE)
        return {name: body[name] for name in ("incident", "links", "metadata")}


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
"""The channels; those of the two teams have the names of their user groups."""


@dataclass(frozen=True, slots=True)
class StoryPerson:
    """A person with their ids in BigPanda and in Slack; `handle` is the user group that they are in."""

    bigpanda: str
    slack: str
    name: str
    email: str
    handle: str = ""

    def as_share(self) -> Body:
        """The person in a share."""
        return {"userId": self.bigpanda, "name": self.name, "email": self.email}


ANN: Final = StoryPerson("5506e4fbe7e0e400000000a1", "U0ANNLEE01", "Ann Lee", "ann@example.com", DATABASE_CHANNEL)
DANA: Final = StoryPerson("5506e4fbe7e0e400000000d1", "U0DANALEV1", "Dana Levi", "dana@example.com", BILLING_CHANNEL)
BEN: Final = StoryPerson("5506e4fbe7e0e400000000b1", "U0BENOKA01", "Ben Okafor", "ben@example.com")
PEOPLE: Final = (ANN, DANA, BEN)
"""The test users of the page."""

AUTOSHARE: Final = "AutoShare"
_ENVIRONMENTS: Final = {"Production": "55550bc8c481fd1100abc3a1", "Staging": "55550bc8c481fd1100abc3a2"}
"""Ids of environments in BigPanda's API by name."""

_RESOLVED: Final[Body] = {"status": "Ok", "active": False, "resolved": True, "endedOn": NOW}


def prologue() -> Iterator[IncidentStep | UserStep]:
    """What the channels already show when the story starts."""
    yield _start(
        "db-replica",
        0,
        "A database falls behind",
        _alert("db-117", "replication lag", "replication lag is 97 %", "Critical"),
        startedOn=Offset(-2 * MINUTE),
        incidentTags=_tags(itd_priority_1=1000, service="checkout", team="database"),
    )
    yield UserStep(
        incident="db-replica",
        pause=6 * MINUTE,
        caption="Ann clicks “Assign to me”: relay asks BigPanda, and the card shows what BigPanda confirms",
        user=ANN.slack,
        channel=DATABASE_CHANNEL,
        action="relay_assign",
    )
    certificate = _alert("shop.example.com", "certificate", "expires in 6 days", "Warning")
    tags = _tags(team="web")
    yield _start("certificate", 3 * MINUTE, "A certificate is about to expire", certificate, incidentTags=tags)
    yield UserStep(
        incident="db-replica",
        pause=2 * MINUTE,
        caption="Ann replies in the database's thread; the reply becomes a comment in BigPanda",
        user=ANN.slack,
        channel=DATABASE_CHANNEL,
        text="Failing over to db-118.",
    )
    yield _end("db-replica", 7 * MINUTE, "The database has recovered")
    backup = _alert("backup-02", "nightly backup", "exit status 2", "Warning")
    metadata = _metadata(AUTOSHARE, environment="Staging")
    yield _start("nightly", 4 * MINUTE, "Staging's backup fails: nobody is pinged", backup, metadata=metadata)


def story(sample: Body) -> Iterator[IncidentStep | UserStep]:
    """The life of the documented sample, with other incidents around it."""
    before = {"status": "Warning", "description": "CPU is 81%", "startedOn": Offset(-2 * MINUTE)}
    worse = {"status": "Critical", "description": "CPU is 98%", "startedOn": Offset(-17 * MINUTE)}
    busy = [{**alert, **before} for alert in sample["incident"]["alerts"]]
    busier = [{**alert, **worse} for alert in busy]
    third = _alert("web7", "CPU", "CPU is 96%", "Critical", **{"run-book": "https://mywiki.com/web7/modiin-prod"})
    ended = [{**alert, "status": "Ok", "active": False, "endedOn": NOW} for alert in (*busier, third)]
    yield _step(
        20,
        "Two hosts are busy: BigPanda correlates their alerts and shares the incident",
        "incident#new",
        status="Warning",
        severity="Warning",
        active=True,
        startedOn=Offset(-2 * MINUTE),
        alerts=busy,
    )
    yield _step(
        40,
        "Its tags arrive late: the card shows them, and the billing team's route matches",
        "incident-tag#upserted",
        incidentTags=[*sample["incidentTags"], *_tags(service="invoices", team="billing")],
    )
    metadata = _metadata("Engineer", **_assigned(DANA))
    yield _step(6 * MINUTE, "The incident is assigned to Dana", "incident#assigned", metadata=metadata)
    comment = "The invoice run started twice.\nStopping the second one."
    metadata = _metadata(DANA.name, comment=comment, **_assigned(DANA))
    yield _step(3 * MINUTE, "Dana comments on what she has found", "incident#commented", metadata=metadata)
    caption = "It gets worse: critical. A reply pings the team, since an edit pings nobody"
    critical: Body = {"status": "Critical", "severity": "Critical", "alerts": busier}
    yield _step(4 * MINUTE, caption, "incident#updated", **critical)
    caption = "Another alert joins, and BigPanda suspects a change"
    joined = [*busier, third]
    yield _step(2 * MINUTE, caption, "incident#updated", alerts=joined, relatedChanges=_changes(sample))
    disk = _alert("log-3", "disk", "/var is 88 % full", "Warning")
    yield _start("disk", 2 * MINUTE, "On another host a disk fills up", disk, incidentTags=_tags(team="logging"))
    yield UserStep(
        incident=BILLING_INCIDENT,
        pause=1 * MINUTE,
        caption="Dana clicks “Comment”, and fills in the modal",
        user=DANA.slack,
        channel=BILLING_CHANNEL,
        action="relay_comment",
        values={"text": "Rolling Mando-001 back, should be over in half an hour."},
    )
    caption = "The change is being rolled back: snoozed for half an hour"
    snooze = {"snoozed": True, "wake": Offset(30 * MINUTE), "autoCancel": True}
    yield _step(2 * MINUTE, caption, "incident#snoozed", status="Acknowledged", snooze=snooze)
    caption = "All alerts have ended: resolved, and the card gets shorter"
    awake = {"snoozed": False, "wake": None, "autoCancel": False}
    yield _step(14 * MINUTE, caption, "incident#resolved", snooze=awake, alerts=ended, **_RESOLVED)
    yield _end("disk", 2 * MINUTE, "The disk has free space again")
    yield _step(
        7 * MINUTE,
        "It comes back: reopened in the same thread, and announced in the channel",
        "incident#reopened",
        status="Critical",
        active=True,
        resolved=False,
        endedOn=None,
        alerts=[busier[0], *ended[1:]],
    )
    yield _step(11 * MINUTE, "And it is resolved for good", "incident#resolved", alerts=ended, **_RESOLVED)


HOSTS: Final = tuple(f"web-{number}" for number in range(21, 30))
"""The hosts of rack 7."""


def flood() -> Iterator[StoryStep]:
    """A rack fails: a storm, and a mute while somebody works on it."""
    caption = "A switch fails, and with it nine hosts: relay posts the first cards, and one card names all others"
    yield FloodStep(pause=4 * MINUTE, caption=caption, steps=tuple(map(_unreachable, HOSTS)))
    yield CommandStep(
        pause=2 * MINUTE,
        caption="Ben replaces the switch; /relay mute holds new cards and pings of the rack meanwhile",
        user=BEN.slack,
        channel=NOC_CHANNEL,
        text="mute rack=r7 30m --unless never replacing the switch",
    )
    late = _alert("web-30", "ping", "no answer for 2 minutes", "Critical")
    caption = "Another host of the rack fails: it is muted, and a list says so"
    yield _start("web-30", 5 * MINUTE, caption, late, incidentTags=_tags(rack="r7", team="web"))
    ends = tuple(_end(host, 0, "") for host in (*HOSTS, "web-30"))
    yield FloodStep(pause=12 * MINUTE, caption="The new switch works: all hosts are back", steps=ends)
    yield CommandStep(
        pause=1 * MINUTE,
        caption="Ben ends the mute. Nothing is open any more, so there is no catch-up",
        user=BEN.slack,
        channel=NOC_CHANNEL,
        text="unmute {run}",
    )


def _unreachable(host: str) -> IncidentStep:
    alert = _alert(host, "ping", "no answer for 2 minutes", "Critical")
    return _start(host, 0, "", alert, incidentTags=_tags(rack="r7", team="web"))


def _step(pause: float, caption: str, event: str, *, incident: str = BILLING_INCIDENT, **changes: Any) -> IncidentStep:
    """A step of the documented sample, or of another incident."""
    return IncidentStep(incident=incident, pause=pause, caption=caption, event=event, changes=changes)


def _start(incident: str, pause: float, caption: str, alert: Body, **changes: Any) -> IncidentStep:
    first = {"status": alert["status"], "severity": alert["status"], "startedOn": NOW, "alerts": [alert]}
    return _step(pause, caption, "incident#new", incident=incident, **{**first, **changes})


def _end(incident: str, pause: float, caption: str) -> IncidentStep:
    return _step(pause, caption, "incident#resolved", incident=incident, **_RESOLVED, alerts=[])


def _alert(host: str, check: str, text: str, status: str, **tags: str) -> Body:
    return {
        "id": f"alert-{host}",
        "status": status,
        "active": True,
        "startedOn": NOW,
        "primaryProperty": "host",
        "secondaryProperty": "check",
        "sourceSystem": "nagios.est",
        "description": text,
        "tags": [{"name": name, "value": value} for name, value in {"host": host, "check": check, **tags}.items()],
    }


def _tags(**values: Any) -> list[Body]:
    return [{"id": name, "value": value} for name, value in values.items()]


def _metadata(sender: str, *, environment: str = "Production", **more: Any) -> Body:
    place = {"environment": environment, "environment_id": _ENVIRONMENTS[environment]}
    return {"sender": {"name": sender}, **place, **more}


def _assigned(to: StoryPerson) -> Body:
    return {"assignee": to.as_share(), "assigner": {"name": "Engineer"}}


def _changes(sample: Body) -> Sequence[Body]:
    """The sample's change, with words in place of its placeholders, and ended just before the incident started."""
    [related] = deepcopy(sample["relatedChanges"])
    times = {"start": Offset(-40 * MINUTE), "end": Offset(-25 * MINUTE)}
    related["change"] |= {"summary": "Second invoice worker", **times}
    return [related]
