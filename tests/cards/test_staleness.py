"""An incident without shares for long: relay can_query BigPanda, or the card says how old its news is."""

from relay.cards.model import CardState
from relay.cards.notices import NO_EDITS, Notice, NoticeKind
from relay.cards.staleness import clear_stale, handle_silence, mark_gone, mark_stale
from relay.model.struct import replace
from tests.support.share_sequences import START, ShareSequence, alert, share

HOURS = 3600.0
ENVIRONMENT = {"environment": "Production", "environment_id": "e1"}


def a_sequence() -> ShareSequence:
    sequence = ShareSequence()
    sequence.add(share(status="critical", alerts=[alert()], metadata=ENVIRONMENT))
    sequence.post_card("C0NOC00001")
    return sequence


def cards(sequence: ShareSequence) -> list:
    return [card for card in sequence.cards.values() if card.is_current]


def test_an_open_incident_is_stale_six_hours_after_its_last_share():
    sequence = a_sequence()
    assert sequence.incident_state.stale_at == START + 6 * HOURS
    sequence.add(share(HOURS, status="warning"))
    assert sequence.incident_state.stale_at == START + 7 * HOURS


def test_a_resolved_incident_or_one_without_a_card_never_becomes_stale():
    sequence = a_sequence()
    sequence.add(share(60, status="ok", resolved=True))
    assert sequence.incident_state.stale_at is None
    sequence = ShareSequence()
    sequence.rulebook = replace(sequence.rulebook, routes=type(sequence.rulebook.routes)(), fallback=None)
    sequence.add(share(status="critical"))
    assert sequence.incident_state.stale_at is None


def test_bigpanda_is_asked_once_in_each_stale_period():
    sequence = a_sequence()
    state, changed, [check] = handle_silence(
        sequence.incident_state, cards(sequence), START + 6 * HOURS, can_query=True
    )
    assert (check.kind, check.due_at, changed) == ("check", START + 6 * HOURS, ())
    assert state.stale_at == START + 12 * HOURS
    _, _, [again] = handle_silence(state, cards(sequence), START + 12 * HOURS, can_query=True)
    assert again.key != check.key


def test_without_an_api_key_the_card_shows_the_age_of_its_data():
    sequence = a_sequence()
    for can_query, known in (
        (False, sequence.incident_state),
        (True, replace(sequence.incident_state, record=replace(sequence.incident_state.record, environment_id=""))),
    ):
        state, [card], tasks = handle_silence(known, cards(sequence), START + 6 * HOURS, can_query=can_query)
        assert card.notices == (Notice(kind=NoticeKind.STALE, at=START),)
        assert card.edit is not None
        assert (state.stale_at, tasks) == (None, ())


def test_if_bigpanda_does_not_answer_the_card_says_so_and_relay_asks_again():
    sequence = a_sequence()
    state, [card], tasks = handle_silence(
        sequence.incident_state, cards(sequence), START + 6 * HOURS, can_query=True, api_available=False
    )
    assert (card.notices, tasks) == ((Notice(kind=NoticeKind.STALE, at=START),), ())
    assert state.stale_at == START + 12 * HOURS
    _, _, [check] = handle_silence(state, [card], START + 12 * HOURS, can_query=True)
    assert check.due_at == START + 12 * HOURS
    [after] = clear_stale([replace(card, edit=None)], START + 12 * HOURS)
    assert after.notices == ()
    assert after.edit is not None
    assert clear_stale([after], START + 12 * HOURS) == ()


def test_a_card_that_allows_no_edits_is_not_edited_when_it_becomes_stale():
    sequence = a_sequence()
    fixed = [replace(card, notices=(NO_EDITS,)) for card in cards(sequence)]
    _, [card], _ = mark_stale(sequence.incident_state, fixed, START + 6 * HOURS, can_query=False)
    assert card.edit is None


def test_the_next_share_clears_staleness_even_without_a_change():
    sequence = a_sequence()
    _, [card], _ = mark_stale(sequence.incident_state, cards(sequence), START + 6 * HOURS, can_query=False)
    sequence.cards[card.channel, card.episode] = replace(card, edit=None)
    sequence.add(share(7 * HOURS, status="critical"))
    after = sequence.cards[card.channel, card.episode]
    assert after.notices == ()
    assert after.edit is not None
    assert sequence.incident_state.stale_at == START + 13 * HOURS


def test_an_incident_deleted_in_bigpanda_ends_and_its_card_says_so():
    sequence = a_sequence()
    state, [card], _ = mark_gone(sequence.incident_state, cards(sequence), START + 6 * HOURS)
    assert state.ended_at == START + 6 * HOURS
    assert card.notices == (Notice(kind=NoticeKind.GONE, at=int(START + 6 * HOURS)),)
    assert card.state is CardState.POSTED


def test_a_share_of_an_incident_that_seemed_deleted_opens_it_again():
    sequence = a_sequence()
    sequence.incident_state, [card], _ = mark_gone(sequence.incident_state, cards(sequence), START + 6 * HOURS)
    sequence.cards[card.channel, card.episode] = card
    sequence.add(share(7 * HOURS, status="warning"))
    assert sequence.incident_state.ended_at is None
    assert sequence.cards[card.channel, card.episode].notices == ()
