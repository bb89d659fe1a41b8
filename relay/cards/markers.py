"""Decide what the metadata of a message says: enough for another database to take the message over."""

from relay.cards.model import CardContext
from relay.cards.reported import entries_text
from relay.cards.send import Edit, PostReply, PostRoot, message_key
from relay.model.incident import State
from relay.slack.message import Marker, marker_key


def marker(context: CardContext, step: PostRoot | PostReply | Edit, *, instance: str, secret: str) -> Marker:
    """The marker of the message of a step; `instance` is relay's name, `secret` the database's.

    An edit renews it, so that a card says there which state it shows.
    """
    card, incident = context.card, context.incident
    key = message_key(context) if isinstance(step, Edit) else step.attempt.key
    reply = step if isinstance(step, PostReply) else None
    reported = [entry for entry in context.entries if reply and entry.seq <= reply.attempt.upto_seq]
    return Marker(
        event_type="relay_entry" if reply else "relay_card",
        incident=card.incident,
        key=marker_key(secret, key),
        instance=instance,
        episode=card.episode,
        generation=card.generation,
        route=card.route,
        environment="" if reply else context.incident_state.record.environment_id,
        state=str(incident.state),
        worst="" if reply else str(card.worst or incident.state),
        as_of=int(context.incident_state.as_of),
        ended=int(incident.ended or 0) if incident.state is State.RESOLVED else 0,
        digest=str(reply.attempt.data.get("digest", "")) if reply else "",
        entries=entries_text(reported),
    )
