"""The modals that mute an incident or one of its tags, and end a mute.

    choices = mute_choices(incident, show_tags)        this incident first, then its tags
    build_modal("mute", …, inputs=mute_inputs(choices, previews))
    chosen(incident, values["what"])                   what came back

An option's value in Slack is too short for a tag's value, so it is a digest of it. What comes back is looked up among
the tags that the incident has by then.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from relay.actions.modal_parts import LENGTHS, Block, context_block, input_block, option, radio_buttons
from relay.actions.mute_preview import MANY, MutePreview
from relay.cards.mutes import MAX_REASON, Mute
from relay.model.incident import Incident, State
from relay.rendering.blocks.inline import date_atom
from relay.rendering.blocks.rich_text import Atom
from relay.rendering.engine.filters import DATE_FORMATS
from relay.rendering.wording import duration
from relay.routes.mute_match import literal_match
from relay.routes.mutes import LONGEST_MUTE
from relay.slack import limits
from relay.slack.interactions import CRITICAL_INPUT, MOMENT_INPUT, TEXT_INPUT, UNTIL_INPUT, WHAT_INPUT

THIS_INCIDENT: Final = "incident"
"""The value of the choice to mute the incident alone."""

_SECONDS: Final[Mapping[str, float]] = {"1h": 3600.0, "4h": 4 * 3600.0}
_ONE_TAG: Final = re.compile(r'\{tags: \{("(?:[^"\\]|\\.)*"): ("(?:[^"\\]|\\.)*")\}\}')
"""What `literal_match` makes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MuteChoice:
    """What may be muted: a value of a tag, or with neither the incident itself. `name` is the tag's for people."""

    tag: str = ""
    name: str = ""
    value: str = ""

    @property
    def id(self) -> str:
        """The value of its option in Slack: short, and the same for the same tag and value."""
        if not self.tag:
            return THIS_INCIDENT
        return hashlib.blake2b(json.dumps([self.tag, self.value]).encode(), digest_size=12).hexdigest()

    def as_mute(self, routes: tuple[str, ...], now: float) -> Mute:
        """A mute of it, as far as its preview needs one."""
        match = literal_match(self.tag, self.value)
        return Mute(match=match, start=now, end=now + 60, reason="preview", author="", origin="", routes=routes)


def mute_choices(incident: Incident, show_tags: Sequence[str] = ()) -> tuple[MuteChoice, ...]:
    """Everything that may be muted: the incident, then each value of a tag, those of `show_tags` first."""
    first = [tag for name in show_tags if (tag := incident.tag(name)) is not None]
    tags = dict.fromkeys((*first, *incident.tags))
    values = (MuteChoice(tag=tag.id, name=tag.name, value=value) for tag in tags for value in tag.values if value)
    return (MuteChoice(), *dict.fromkeys(values))


def chosen(incident: Incident, choice_id: str) -> MuteChoice | None:
    """The choice that came back; None if the incident does not have that value of a tag any more."""
    return next((choice for choice in mute_choices(incident) if choice.id == choice_id), None)


def lets_through(choice: MuteChoice, state: State, values: Mapping[str, str]) -> State | None:
    """From which state on incidents are not muted: critical ones, unless the person wants them muted, too.

    An incident that is critical already is muted by itself: nobody would press the button for anything else.
    """
    is_meant = CRITICAL_INPUT in values or (not choice.tag and state is State.CRITICAL)
    return None if is_meant else State.CRITICAL


def mute_inputs(
    choices: Sequence[MuteChoice] = (MuteChoice(),),
    previews: Mapping[MuteChoice, MutePreview] | None = None,
    *,
    critical: bool = False,
    routes: Sequence[str] = (),
    longest: float = LONGEST_MUTE,
) -> list[Block]:
    """What the modal of a mute asks for. `previews` say what a choice matches.

    `critical` says that the incident is critical now. A mute by a tag covers the `routes`, and no mute lasts longer
    than so many seconds. Slack shows only the first ten choices.
    """
    shown = choices[: limits.CHOICES]
    what = [_choice_option(choice, (previews or {}).get(choice), critical=critical) for choice in shown]
    lengths = [option(value, label) for value, label in LENGTHS.items() if _SECONDS.get(value, 0.0) <= longest]
    at_most = f"Replaces the choice above; at most {duration(longest)} from now. It is in your device's time zone."
    too = option("yes", "Critical incidents, too", "Otherwise critical incidents still post and ping.")
    return [
        input_block(WHAT_INPUT, "What?", radio_buttons(what)),
        input_block(UNTIL_INPUT, "For how long?", radio_buttons(lengths)),
        input_block(MOMENT_INPUT, "Or until", {"type": "datetimepicker"}, at_most, optional=True),
        input_block(TEXT_INPUT, "Why?", {"type": "plain_text_input", "max_length": MAX_REASON}, "The cards say it."),
        input_block(CRITICAL_INPUT, "Also mute", {"type": "checkboxes", "options": [too]}, optional=True),
        *_explained(len(choices) - len(shown), routes),
    ]


def end_mute_inputs(mutes: Sequence[Mute] = ()) -> list[Block]:
    """The questions of the modal that ends one of these mutes; the card shows the first one."""
    if not mutes:
        return [context_block("No mute covers this card any more.")]
    which = [option(str(mute.id), _covered(mute), f"{mute.author}: {mute.reason}") for mute in mutes[: limits.CHOICES]]
    ends = date_atom(int(mutes[0].end), DATE_FORMATS[""])
    after = "When the mute is over, one message names what is still open, and pings those who were not pinged."
    return [
        input_block(WHAT_INPUT, "Which mute?", radio_buttons(which)),
        context_block("The first one ends by itself ", ends, f". {after}"),
    ]


def _covered(mute: Mute) -> str:
    if mute.incident:
        return "This incident"
    one = _ONE_TAG.fullmatch(mute.match)
    return f"{json.loads(one[1])}: {json.loads(one[2])}" if one else mute.match


def _choice_option(choice: MuteChoice, preview: MutePreview | None, *, critical: bool) -> Block:
    if not choice.tag:
        return option(choice.id, "This incident", "It is critical now. The mute covers it too." if critical else "")
    return option(choice.id, f"{choice.name}: {choice.value}", "" if preview is None else _preview_words(preview))


def _preview_words(preview: MutePreview) -> str:
    least, all_least = ("at least " if cut else "" for cut in (preview.open_cut, preview.recent_cut))
    opened = f"{least}{preview.open:,}" if preview.open else "none"
    sign = "⚠️ " if not preview.open or preview.open > MANY else ""
    return f"{sign}{opened} open now, {all_least}{preview.recent:,} in the last 7 days"


def _explained(left_out: int, routes: Sequence[str]) -> Iterator[Block]:
    if left_out:
        yield context_block(f"{left_out:,} more values of tags are not listed; `relay mute add` mutes them.")
    if routes:
        names = ", ".join(name or "the fallback" for name in routes)
        yield context_block("A tag is muted on the cards of ", Atom(names, "*", "*"), ".")
    yield context_block(
        "Muted cards ping nobody, and new ones wait in a list. Edits and resolutions go out. BigPanda does not change."
    )
