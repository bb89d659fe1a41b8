"""Decide what the metadata of a message says: enough for another database to take the message over."""

from collections.abc import Mapping
from typing import Final

from relay.cards.bulletins import BulletinKind, BulletinState
from relay.cards.model import CardContext
from relay.cards.reported import entries_text
from relay.cards.steps import Edit, PostReply, PostRoot, message_key
from relay.model.incident import State
from relay.slack.message import OVER, EventType, Marker, marker_key

_EVENT_TYPES: Final[Mapping[BulletinKind, EventType]] = {
    BulletinKind.HELD: "relay_held",
    BulletinKind.STORM: "relay_storm",
    BulletinKind.CATCH_UP: "relay_catch_up",
    BulletinKind.REMINDERS: "relay_reminders",
    BulletinKind.SUMMARY: "relay_summary",
}


def marker(context: CardContext, step: PostRoot | PostReply | Edit, *, instance: str, secret: str) -> Marker:
    """The marker of the message of a step; `instance` is relay's name, `secret` the database's.

    An edit renews it, so that a card says there which state it shows.
    """
    card, topic = context.card, context.topic
    key = message_key(context) if isinstance(step, Edit) else step.attempt.key
    reply = step if isinstance(step, PostReply) else None
    reported = [entry for entry in context.entries if reply and entry.seq <= reply.attempt.upto_seq]
    if isinstance(topic, BulletinState):
        bulletin = topic.bulletin
        return Marker(
            event_type="relay_entry" if reply else _EVENT_TYPES[bulletin.kind],
            incident="",
            series=bulletin.key,
            key=marker_key(secret, key),
            instance=instance,
            episode=card.episode,
            generation=card.generation,
            state="" if topic.is_open else OVER,
            digest=str(reply.attempt.data.get("digest", "")) if reply else "",
            entries=entries_text(reported),
        )
    incident = topic.incident
    return Marker(
        event_type="relay_entry" if reply else "relay_card",
        incident=card.incident,
        key=marker_key(secret, key),
        instance=instance,
        episode=card.episode,
        generation=card.generation,
        route=card.route,
        environment="" if reply else topic.record.environment_id,
        state=str(incident.state),
        worst="" if reply else str(card.worst or incident.state),
        as_of=int(topic.as_of),
        ended=int(incident.ended or 0) if incident.state is State.RESOLVED else 0,
        digest=str(reply.attempt.data.get("digest", "")) if reply else "",
        entries=entries_text(reported),
    )
