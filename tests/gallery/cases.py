"""Cards and replies of every state, kind and unusual shape, each with a name.

The tests compare their text with `approved/`; `make gallery` draws them as pictures.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from itertools import chain, combinations
from typing import Any

from relay.cards.draw import DIVERSIONS, SMALL_PRINT, buttons, is_muted, notice_lines, stale_style
from relay.cards.model import Card
from relay.cards.notices import MAY_REPEAT, NO_EDITS, REPOSTED, Notice, NoticeKind, Notices
from relay.config.template_files import load_packaged
from relay.model.buttons import ACTION_WORDS
from relay.model.entry_kinds import ENTRY_TEMPLATES
from relay.model.incident import Alert, Change, Environment, Incident, Person, Snooze, State, Tag
from relay.model.struct import replace
from relay.model.tag_labels import readable_tag_name
from relay.rendering.card import render_card, render_pointer
from relay.rendering.context import template_variables
from relay.rendering.library import TemplateLibrary
from relay.rendering.reply import render_reply
from relay.rendering.request import RenderRequest
from relay.routes.evaluate import ChannelFailure
from relay.routes.options import Options
from relay.slack.message import Message
from tests.gallery.bulletins import BROKEN, FOLDER, BulletinCase, bulletins

NOW = int(datetime(2026, 5, 3, 3, 24, tzinfo=UTC).timestamp())
MINUTE, HOUR, DAY = 60, 3_600, 86_400
PEOPLE = {"groups": {"S0DBONCALL": "db-oncall"}, "users": {"U0ANN": "Ann Lee"}, "channels": {"C0DB": "db-oncall"}}
PAGE = "https://a.bigpanda.io/#/app/overview/5c1e"
TEMPLATES = ("incident", "compact")

_BROKEN = {f"broken/{name}.j2": "{{ 1 // 0 }}" for name in ("card", *ENTRY_TEMPLATES)}


@cache
def _library() -> TemplateLibrary:
    return TemplateLibrary({**load_packaged(), **_BROKEN}, packaged=load_packaged())


@dataclass(frozen=True, kw_only=True)
class Case:
    """A card, or with `entries` a reply in its thread."""

    name: str
    incident: Incident
    entries: Sequence[Mapping[str, Any]] = ()
    mentions: tuple[str, ...] = ()
    notices: Notices = ()
    actions: tuple[str, ...] = ()
    previous: Mapping[str, Any] | None = None
    template: str | None = None
    pointer: bool = False
    show_tags: tuple[str, ...] = ("priority", "service", "team")
    folders: tuple[str, ...] = field(default=TEMPLATES)

    def draw(self, folder: str) -> Message:
        """Render it with the templates of this folder."""
        options = Options(actions=self.actions)
        card = Card(incident="", channel="", episode=1, options=options, notices=self.notices)
        variables = template_variables(
            self.incident, muted=is_muted(card), show_tags=self.show_tags, previous=self.previous
        )
        request = RenderRequest(
            variables=variables,
            mentions=self.mentions,
            diversions=tuple(notice_lines(card, DIVERSIONS)),
            notices=tuple(notice_lines(card, SMALL_PRINT)),
            buttons=buttons(self.incident, card),
            **stale_style(card),
        )
        if self.pointer:
            return render_pointer(request, "C0DB", "https://team.slack.com/archives/C0DB/p1").message
        template = self.template or folder
        if self.entries:
            return render_reply(_library(), template, request, self.entries).message
        return render_card(_library(), template, request).message


def alert(host: str, text: str = "", state: State = State.CRITICAL, **more: Any) -> Alert:
    """One alert of a host."""
    tags = {"host": (host,), "check": (more.pop("check", "replication lag"),)}
    if book := more.pop("book", f"https://wiki.example.com/run/{host}"):
        tags["run-book"] = (book,)
    return Alert(
        id=more.pop("id", f"a-{host}"),
        state=state,
        active=state is not State.RESOLVED,
        primary="host",
        secondary="check",
        description=text,
        started=NOW - 12 * MINUTE,
        tags={**tags, **more.pop("tags", {})},
        **more,
    )


def tag(name: str, *values: str) -> Tag:
    """One tag of an incident."""
    return Tag(id=name, name=readable_tag_name(name), values=values)


_CHANGE = Change(
    id="c1",
    identifier="CHG-4711",
    summary="Raise max_connections on the primary",
    status="Done",
    url="https://changes.example.com/CHG-4711",
    certainty="SUSPECT",
    end=NOW - 52 * MINUTE,
)

DB = Incident(
    id="5c1e",
    state=State.CRITICAL,
    reported_status="critical",
    severity=State.CRITICAL,
    active=True,
    started=NOW - 12 * MINUTE,
    changed=NOW,
    title="db-117 · replication lag",
    alerts=(
        alert("db-117", "replication lag is 97 %"),
        alert("db-118", "replication lag is 91 %"),
        alert("db-119", "replication lag is 55 %", State.WARNING),
    ),
    tags=(tag("itd_priority_1", "P1"), tag("service", "checkout"), tag("team", "database")),
    environment=Environment(name="Production"),
    links={"landing_page": PAGE},
    sender=Person(name="AutoShare"),
)
"""An ordinary incident."""

BARE = Incident(
    id="5c1e", title="Incident 5c1e", state=State.CRITICAL, reported_status="", severity=State.CRITICAL, active=True
)
"""Only what every share has."""

ENDED = replace(
    DB,
    state=State.RESOLVED,
    active=False,
    ended=NOW,
    started=NOW - 72 * MINUTE,
    assignee=Person(name="Ann Lee"),
    alerts=tuple(replace(each, state=State.RESOLVED, active=False) for each in DB.alerts),
)

_PREVIOUS = {"at": NOW - 9 * DAY, "link": "https://team.slack.com/archives/C0DB/p1777000000000100"}
"""The card of the previous episode."""

_ACTIONS = ACTION_WORDS
"""All buttons."""

_GONE = Notice(kind=NoticeKind.GONE, at=NOW)


def _rejected(channel: str, reason: str) -> Notice:
    return Notice(kind=NoticeKind.FOR_CARD, name=channel, reason=reason)


def cards() -> Iterator[Case]:
    """Cards of every state and unusual shape."""
    yield Case(name="critical", incident=DB, mentions=("S0DBONCALL",))
    yield Case(
        name="everything-at-once",
        incident=replace(DB, assignee=Person(name="Ann Lee"), assigner=Person(name="Lead"), changes=(_CHANGE,)),
        mentions=("S0DBONCALL", "U0ANN", "here"),
        actions=_ACTIONS,
    )
    yield Case(name="with-buttons", incident=DB, actions=_ACTIONS, mentions=("S0DBONCALL",))
    yield Case(name="with-buttons-and-no-links", incident=replace(DB, links={}), actions=_ACTIONS)
    yield Case(name="with-buttons-resolved", incident=ENDED, actions=_ACTIONS)
    yield Case(name="warning", incident=_all(State.WARNING))
    yield Case(name="unknown", incident=replace(_all(State.UNKNOWN), reported_status="degraded"))
    yield Case(
        name="acknowledged", incident=replace(_all(State.ACKNOWLEDGED), assignee=Person(email="ann@example.com"))
    )
    yield Case(
        name="acknowledged-while-alerts-are-critical",
        incident=replace(DB, state=State.ACKNOWLEDGED, reported_status="acknowledged", assignee=Person(name="Ann Lee")),
    )
    yield Case(name="resolved", incident=ENDED)
    yield Case(
        name="resolved-with-a-note",
        incident=replace(ENDED, note="Failed over to db-118,\nsee https://wiki.example.com/db"),
    )
    yield Case(name="resolved-without-links", incident=replace(ENDED, links={}, assignee=None))
    yield Case(name="reopened", incident=replace(DB, ended=NOW - 20 * MINUTE, started=NOW - HOUR))
    yield Case(name="resolved-bare", incident=replace(BARE, state=State.RESOLVED, active=False))
    yield Case(name="snoozed", incident=replace(DB, snooze=Snooze(snoozed=True, wake=NOW + HOUR)))
    yield Case(name="snoozed-open-ended", incident=replace(DB, snooze=Snooze(snoozed=True)))
    yield Case(name="flapping", incident=replace(DB, flapping=True))
    yield Case(
        name="flapping-snoozed-and-assigned",
        incident=replace(
            DB, flapping=True, snooze=Snooze(snoozed=True, wake=NOW + DAY), assignee=Person(name="Ann Lee")
        ),
    )
    yield Case(
        name="some-alerts-resolved",
        incident=replace(DB, alerts=(DB.alerts[0], alert("db-120", "lag is gone", State.RESOLVED), DB.alerts[2])),
    )
    for name, incident in (("new-episode", DB), ("new-episode-resolved", ENDED)):
        yield Case(name=name, incident=incident, previous=_PREVIOUS)
        yield Case(
            name=f"built-in-{name}", incident=incident, previous=_PREVIOUS, template="broken", folders=("incident",)
        )
    yield Case(
        name="a-critical-alert-in-maintenance",
        incident=replace(DB, state=State.WARNING, reported_status="Warning", alerts=DB.alerts[1:]),
    )
    yield Case(name="42-hosts", incident=replace(DB, alerts=(*DB.alerts, *_hosts(39))))
    yield Case(name="every-alert-resolved", incident=replace(DB, alerts=ENDED.alerts))
    yield Case(name="in-doubt", incident=DB, notices=(MAY_REPEAT,))
    yield Case(name="from-another-channel", incident=DB, notices=(_rejected("#payments", "channel_archived"),))
    thread = Notice(kind=NoticeKind.FOR_THREAD, name="#payments", reason="thread_locked")
    yield Case(name="from-another-thread", incident=DB, notices=(thread,), folders=("incident",))
    unnamed = ChannelFailure(
        route="payments", source="#inc-{{ tags.team }}", reason="the incident has no tag team", options=Options()
    )
    yield Case(
        name="from-a-channel-without-a-name",
        incident=DB,
        notices=(Notice(kind=NoticeKind.UNNAMED, reason=unnamed.description),),
        folders=("incident",),
    )
    silent = replace(DB, started=NOW - 10 * HOUR)
    yield Case(name="no-update", incident=silent, notices=(Notice(kind=NoticeKind.STALE, at=NOW - 9 * HOUR),))
    escalated = Notice(kind=NoticeKind.ESCALATED, name="#db-oncall", at=NOW)
    yield Case(name="escalated", incident=DB, notices=(escalated,), mentions=("S0DBONCALL",))
    yield Case(name="no-longer-in-bigpanda", incident=DB, notices=(_GONE,), actions=_ACTIONS)
    yield Case(
        name="built-in-no-longer-in-bigpanda", incident=DB, notices=(_GONE,), template="broken", folders=("incident",)
    )
    yield Case(name="posted-again", incident=DB, notices=(REPOSTED,), folders=("incident",))
    yield Case(name="no-more-edits", incident=DB, notices=(NO_EDITS,), folders=("incident",))
    yield Case(
        name="muted",
        incident=DB,
        notices=(Notice(kind=NoticeKind.MUTED, name="Dana", reason="deploy 4.7", at=NOW + 2 * HOUR),),
        actions=_ACTIONS,
    )
    yield Case(
        name="several-notices",
        incident=DB,
        notices=(MAY_REPEAT, _rejected("C0PAY", "channel_not_found"), NO_EDITS),
        mentions=("S0DBONCALL",),
        actions=_ACTIONS,
    )
    yield Case(name="built-in", incident=DB, template="broken", folders=("incident",))
    yield Case(
        name="built-in-everything",
        incident=replace(_hosts_of(7), assignee=Person(name="Ann Lee"), flapping=True, snooze=Snooze(snoozed=True)),
        mentions=("S0DBONCALL",),
        notices=(MAY_REPEAT,),
        actions=_ACTIONS,
        template="broken",
        folders=("incident",),
    )
    yield Case(name="built-in-resolved", incident=ENDED, template="broken", folders=("incident",))
    yield Case(name="built-in-bare", incident=BARE, template="broken", folders=("incident",))
    yield Case(name="pointer", incident=DB, pointer=True, folders=("incident",))
    yield Case(name="bare", incident=BARE)
    yield from _without()
    yield from _sizes()
    yield from _texts()


def _all(state: State) -> Incident:
    alerts = tuple(replace(each, state=state) for each in DB.alerts)
    return replace(DB, state=state, severity=state, reported_status=str(state), alerts=alerts)


def _without() -> Iterator[Case]:
    """Each optional value absent in turn."""
    whole = replace(DB, assignee=Person(name="Ann Lee"), changes=(_CHANGE,))
    absent: dict[str, Any] = {
        "alerts": (),
        "tags": (),
        "links": {},
        "changes": (),
        "environment": None,
        "sender": None,
        "started": None,
        "assignee": None,
    }
    for name, nothing in absent.items():
        yield Case(name=f"without-{name}", incident=replace(whole, **{name: nothing}))
    described = tuple(replace(each, description="") for each in DB.alerts)
    yield Case(name="without-descriptions", incident=replace(DB, alerts=described))


def _sizes() -> Iterator[Case]:
    """One alert, five, three hundred; eighty tags."""
    yield Case(name="1-alert", incident=replace(DB, alerts=DB.alerts[:1]))
    silent = replace(DB.alerts[0], description="")
    yield Case(name="1-alert-that-only-says-the-title", incident=replace(DB, alerts=(silent,)))
    bookless = replace(silent, tags={name: values for name, values in silent.tags.items() if name != "run-book"})
    yield Case(name="1-alert-without-a-run-book", incident=replace(DB, alerts=(bookless,)))
    nameless = replace(silent, primary="", secondary="", tags={}, description="a check that names no host failed")
    yield Case(name="1-alert-without-properties", incident=replace(DB, alerts=(nameless,)))
    yield Case(
        name="1-alert-without-properties-that-the-title-repeats",
        incident=replace(DB, title=nameless.title, alerts=(nameless,)),
    )
    yield Case(
        name="1-alert-whose-words-are-the-title",
        incident=replace(DB, title="db-117 is down", alerts=(replace(DB.alerts[0], description="db-117  is down"),)),
    )
    again = tuple(replace(each, description=f"DB-{each.id[-3:]} lags behind") for each in DB.alerts)
    another = replace(DB.alerts[2], id="a-db-1", description="db-119 waits for it", tags={"host": ("db-1",)})
    yield Case(name="alerts-whose-words-begin-with-the-host", incident=replace(DB, alerts=(*again, another)))
    yield Case(name="5-alerts", incident=_hosts_of(5))
    yield Case(name="6-alerts", incident=_hosts_of(6))
    yield Case(name="300-alerts", incident=_hosts_of(300))
    checks = tuple(alert("db-117", f"{name} is full", check=name, id=name) for name in ("/", "/var", "/tmp", "/srv"))
    yield Case(name="4-alerts-of-one-host", incident=replace(DB, alerts=checks))
    few = (replace(_CHANGE, identifier=""), replace(_CHANGE, id="c2"))
    yield Case(name="changes", incident=replace(DB, changes=few))
    nothing = Change(id="c4", certainty="MATCH", url="https://changes.example.com/4")
    yield Case(name="a-change-of-few-words", incident=replace(DB, changes=(nothing,)))
    many = tuple(tag(f"cost_centre_{number}", f"value {number}") for number in range(77))
    yield Case(name="80-tags", incident=replace(DB, tags=(*DB.tags, *many)))
    url = tag("dashboard", "https://grafana.example.com/d/abc/replication?var-host=db-117&from=now-1h")
    several = tag("affected_services", "checkout", "basket", "payments", "search")
    yield Case(name="tags-of-every-kind", incident=replace(DB, tags=(url, several, tag("on_call", "ann@example.com"))))


def _hosts_of(count: int) -> Incident:
    return replace(DB, alerts=_hosts(count))


def _hosts(count: int) -> tuple[Alert, ...]:
    return tuple(
        alert(
            f"db-{number:03}",
            f"replication lag is {99 - number % 50} %",
            State.CRITICAL if number % 3 else State.WARNING,
        )
        for number in range(1, count + 1)
    )


def _texts() -> Iterator[Case]:
    """Long words, right-to-left text, code and hostile text."""
    word = "kafka-consumer-group-" + "partition-rebalance-" * 12
    yield Case(name="long-words", incident=_named(f"{word} is lagging", word, word))
    yield Case(
        name="long-sentences", incident=_named("The primary database of the checkout " * 8, "lag " * 120, "x " * 90)
    )
    yield Case(
        name="right-to-left",
        incident=_named("מסד הנתונים db-117 אינו מגיב", "زمن الاستجابة مرتفع جداً (97%)", "צוות לילה"),
    )
    yield Case(
        name="right-to-left-people",
        incident=replace(DB, assignee=Person(name="دانا לוי"), environment=Environment(name="ייצור")),
    )
    yield Case(
        name="long-names",
        incident=replace(
            DB,
            assignee=Person(name="Wolfeschlegelsteinhausenbergerdorff " * 4),
            environment=Environment(name="Production of the northern region " * 4),
            tags=(tag("the_name_of_a_tag_that_somebody_thought_of_in_a_long_meeting", "short"), *DB.tags),
        ),
    )
    yield Case(name="lines", incident=_named("one\ntwo", "first line\n\nsecond line", "a\nb"))
    yield Case(name="emoji", incident=_named("🔥 checkout 🧑‍🚒 is on fire 🔥", "👩‍👩‍👧‍👦 97 % 🇮🇱", "🚀 growth"))
    trace = 'Traceback (most recent call last):\n  File "app.py", line 7\n    raise OSError(`disk`)\nOSError: ``` full'
    yield Case(name="code", incident=_named("OSError in `app.py`", trace, "SELECT * FROM t WHERE a_b = 1"))
    harm = "<!channel> <script>alert(1)</script> @here <https://evil.example|click> &amp; *bold* _it_ ~no~"
    yield Case(name="hostile", incident=_named(harm, f"{harm}!", harm))


def _named(title: str, description: str, value: str) -> Incident:
    first = replace(DB.alerts[0], description=description)
    return replace(DB, title=title, alerts=(first, *DB.alerts[1:]), tags=(*DB.tags, tag("owner", value)))


def replies() -> Iterator[Case]:
    """A reply of every kind of entry, and replies with several."""
    every = dict(_entries())
    for name, entry in every.items():
        yield Case(name=f"reply-{name}", incident=DB, entries=[entry])
    kinds = (
        "rise late flapped comment-hostile comment-late assigned unassigned snoozed snooze-ended tags alerts changes "
        "resolved-late reopened other"
    )
    several = [every[name] for name in kinds.split()]
    yield Case(name="reply-built-in", incident=DB, entries=several, template="broken", folders=("incident",))
    yield Case(
        name="reply-a-reminder",
        incident=DB,
        entries=[every["reminder-1-of-3"]],
        mentions=("S0DBONCALL",),
        actions=("assign", "snooze"),
    )
    yield Case(name="reply-a-rise", incident=DB, entries=[every["rise"], every["joined"]], mentions=("S0DBONCALL",))
    yield Case(
        name="reply-together",
        incident=DB,
        entries=[every[name] for name in ("rise", "joined", "assigned", "comment", "snoozed", "tags")],
    )


def _entries() -> Iterator[tuple[str, Mapping[str, Any]]]:
    entry = _entry
    yield "rise", entry("status", old="warning", new="critical")
    yield "better", entry("status", old="critical", new="warning")
    yield "late", entry("status", old="critical", new="acknowledged", at=NOW - 20 * MINUTE, late=True)
    yield "started-flapping", entry("status", text="started flapping", flapping=True)
    yield "flapped", entry("status", text="changed state 6 times while flapping", now="critical", times=6)
    yield "comment", entry("comment", text="looked at it, failing over to db-118", actor="Dana Levi")
    yield "comment-without-an-actor", entry("comment", text="see https://wiki.example.com/run/db-117 first")
    lines = (
        "Found it:\n1. the primary ran out of connections\n2. the replica waits\n\n`max_connections = 400`\n\nFixing."
    )
    yield "comment-of-lines", entry("comment", text=lines, actor="Dana Levi")
    yield "comment-long", entry("comment", text="The replica waits for the primary. " * 80, actor="Dana Levi")
    fence = "```\nERROR: could not extend file: No space left\n  at <unknown>\n```\nthat is all"
    yield "comment-of-code", entry("comment", text=fence, actor="Dana Levi")
    yield "comment-right-to-left", entry("comment", text="בודקת את מסד הנתונים db-117", actor="דנה לוי")
    harm = "<!channel> <https://evil.example|click> *Ann*: ok </script> @here"
    yield "comment-hostile", entry("comment", text=harm, actor="*Ann* <!here>")
    yield "comment-of-many-lines", entry("comment", text="\n".join(f"step {n}" for n in range(40)), actor="Dana Levi")
    yield "comment-late", entry("comment", text="on it", actor="Dana Levi", at=NOW - 26 * HOUR, late=True)
    yield "assigned", entry("assignment", old="", new="Ann Lee", actor="Lead")
    yield "reassigned", entry("assignment", old="Bo", new="Ann Lee")
    yield "unassigned", entry("assignment", old="Ann Lee", new="")
    yield "snoozed", entry("snooze", new=NOW + HOUR, snoozed=True)
    yield "snoozed-open-ended", entry("snooze", snoozed=True)
    yield "snooze-ended", entry("snooze", snoozed=False)
    tags = [
        {"label": "Priority", "old": "P2", "new": "P1"},
        {"label": "Owner", "old": "", "new": "payments <!channel>"},
        {"label": "Ticket", "old": "INC-1", "new": ""},
    ]
    yield "tags", entry("tags", items=tags, more=0)
    yield "tags-many", entry("tags", items=tags, more=14)
    wide = [
        {
            "label": "Dashboard",
            "old": "",
            "new": "https://grafana.example.com/d/abc/replication?var-host=db-117&from=1h",
        },
        {"label": "Owner", "old": "צוות לילה", "new": "word " * 60},
    ]
    yield "tags-of-every-kind", entry("tags", items=wide, more=1)
    one = [{"title": "db-120 · replication lag", "state": "critical", "was": "joined"}]
    yield "joined", entry("alerts", joined=1, resolved=0, returned=0, left=0, total=4, items=one)
    two = [{"title": f"db-12{n} · replication lag", "state": "critical", "was": "joined"} for n in (1, 2)]
    yield "2-joined", entry("alerts", joined=2, resolved=0, returned=0, left=0, total=6, items=two)
    yield "alerts", entry("alerts", joined=12, resolved=3, returned=1, left=2, total=24, items=one * 18)
    over = [{"title": "db-118 · replication lag", "state": "resolved", "was": "resolved"}]
    yield "an-alert-resolved", entry("alerts", joined=0, resolved=1, returned=0, left=0, total=2, items=over)
    change = {name: getattr(_CHANGE, name) for name in ("identifier", "summary", "status", "url", "certainty", "end")}
    yield "change", entry("changes", items=[change])
    yield "changes", entry("changes", items=[change, {"identifier": "CHG-4712", "certainty": "MATCH"}])
    confirmed = {**change, "certainty": "MATCH", "confirmed": True}
    yield "change-confirmed", entry("changes", items=[confirmed])
    yield "resolved", entry("resolved", old="critical", new="resolved", lasted=72 * MINUTE, worst="critical")
    yield "resolved-soon", entry("resolved", old="critical", new="resolved", lasted=45, worst="critical")
    ended = entry("resolved", old="critical", new="resolved", lasted=2_215, worst="critical", at=NOW - 9 * MINUTE)
    yield "resolved-late", {**ended, "late": True}
    yield "resolved-was-worse", entry("resolved", old="warning", new="resolved", lasted=None, worst="critical")
    yield "other", entry("other", text="became quiet")
    yield from _reopened()
    yield from _done_from_slack()
    yield from _reminders()


def _reminders() -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield "reminder-1-of-3", _entry("reminder", lasted=15 * MINUTE, number=1, of=3)
    yield "reminder-the-only-one", _entry("reminder", lasted=75 * MINUTE, number=1, of=1)
    yield "reminder-escalated", _entry("reminder", lasted=4 * HOUR, escalated=True)


def _reopened() -> Iterator[tuple[str, Mapping[str, Any]]]:
    entry = _entry
    yield "reopened", entry("reopened", old="resolved", new="critical", ended=NOW - 20 * MINUTE)
    yield "reopened-without-an-end", entry("reopened", old="resolved", new="warning")
    over = entry("reopened", old="resolved", new="critical", over=12 * MINUTE, became="resolved")
    yield "reopened-and-resolved-again", over
    yield "a-rise-that-is-over", entry("status", old="warning", new="critical", over=12 * MINUTE, became="warning")


def _done_from_slack() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What people did with buttons, reported after BigPanda confirmed it."""
    entry = _entry
    yield "assigned-to-oneself", entry("assignment", old="", new="Ann Lee", actor="")
    yield "assigned-through-a-shared-account", entry("assignment", old="", new="NOC", actor="Bob")
    yield "snoozed-by-somebody", entry("snooze", new=NOW + HOUR, snoozed=True, actor="Ann Lee")
    by = entry("resolved", old="critical", new="resolved", lasted=72 * MINUTE, worst="critical", actor="Ann Lee")
    yield "resolved-by-somebody", by
    yield "resolved-by-somebody-with-a-note", {**by, "text": "Failed over to db-118,\nsee https://wiki.example.com/db"}
    yield "comment-through-relay", entry("comment", text="failing over\nto db-118", actor="Ann Lee", posted_in=[])


def _entry(kind: str, **data: Any) -> Mapping[str, Any]:
    """An entry as `relay.cards.draw` passes it to its template."""
    absent: dict[str, Any] = {
        "actor": None,
        "old": None,
        "new": None,
        "text": None,
        "items": [],
        "at": NOW,
        "late": False,
    }
    return {**absent, **data, "kind": kind}


def with_less() -> Iterator[Case]:
    """A reply of every kind of entry with every combination of absent values, soon with no link, and late with one."""
    for name, entry in _entries():
        absent = _entry(entry["kind"])
        present = [each for each, value in entry.items() if value != absent.get(each)]
        for late, links in ((False, {}), (True, DB.links)):
            moment = {"at": NOW - 2 * HOUR, "late": True} if late else {}
            for gone in chain.from_iterable(combinations(present, count) for count in range(len(present) + 1)):
                less = {each: value for each, value in entry.items() if each not in gone}
                yield Case(name=name, incident=replace(DB, links=links), entries=[{**absent, **less, **moment}])


def every() -> Iterator[tuple[str, Case | BulletinCase]]:
    """Every (folder, case)."""
    groups: tuple[Callable[[], Iterator[Case]], ...] = (cards, replies)
    for folder in TEMPLATES:
        yield from ((folder, case) for group in groups for case in group() if folder in case.folders)
    for folder in (FOLDER, BROKEN):
        yield from ((folder, case) for case in bulletins(NOW) if folder in case.folders)
