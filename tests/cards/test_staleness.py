"""An incident of which nothing is heard: BigPanda is asked, or the card says how old its news is."""

from dataclasses import replace

from relay.cards.model import CardState
from relay.cards.notices import NO_EDITS, Notice, NoticeKind
from relay.cards.staleness import clear_stale, handle_silence, mark_gone, mark_stale
from tests.support.share_sequences import START, Life, alert, share

HOURS = 3600.0
ENVIRONMENT = {"environment": "Production", "environment_id": "e1"}


def a_life() -> Life:
    life = Life()
    life.take(share(status="critical", alerts=[alert()], metadata=ENVIRONMENT))
    life.show("C0NOC00001")
    return life


def cards(life: Life) -> list:
    return [card for card in life.cards.values() if card.is_current]


def test_an_open_incident_is_silent_six_hours_after_its_last_share():
    life = a_life()
    assert life.story.stale_at == START + 6 * HOURS
    life.take(share(HOURS, status="warning"))
    assert life.story.stale_at == START + 7 * HOURS


def test_nobody_looks_for_news_of_what_is_over_or_was_never_shown():
    life = a_life()
    life.take(share(60, status="ok", resolved=True))
    assert life.story.stale_at is None
    life = Life()
    life.rulebook = replace(life.rulebook, routes=type(life.rulebook.routes)(), fallback=None)
    life.take(share(status="critical"))
    assert life.story.stale_at is None


def test_bigpanda_is_asked_once_in_each_such_time():
    life = a_life()
    story, changed, [check] = handle_silence(life.story, cards(life), START + 6 * HOURS, can_query=True)
    assert (check.kind, check.due_at, changed) == ("check", START + 6 * HOURS, ())
    assert story.stale_at == START + 12 * HOURS
    _, _, [again] = handle_silence(story, cards(life), START + 12 * HOURS, can_query=True)
    assert again.key != check.key


def test_where_nobody_can_be_asked_the_card_says_how_old_its_news_is():
    life = a_life()
    for asks, known in (
        (False, life.story),
        (True, replace(life.story, record=replace(life.story.record, environment_id=""))),
    ):
        story, [card], asked = handle_silence(known, cards(life), START + 6 * HOURS, can_query=asks)
        assert card.notices == (Notice(kind=NoticeKind.STALE, at=START),)
        assert card.edit is not None
        assert (story.stale_at, asked) == (None, ())


def test_while_bigpanda_does_not_answer_the_card_says_so_and_it_is_asked_again():
    life = a_life()
    story, [card], asked = handle_silence(
        life.story, cards(life), START + 6 * HOURS, can_query=True, api_available=False
    )
    assert (card.notices, asked) == ((Notice(kind=NoticeKind.STALE, at=START),), ())
    assert story.stale_at == START + 12 * HOURS
    _, _, [check] = handle_silence(story, [card], START + 12 * HOURS, can_query=True)
    assert check.due_at == START + 12 * HOURS
    [after] = clear_stale([replace(card, edit=None)], START + 12 * HOURS)
    assert after.notices == ()
    assert after.edit is not None
    assert clear_stale([after], START + 12 * HOURS) == ()


def test_a_card_that_may_not_be_edited_any_more_is_not_edited_for_a_silence():
    life = a_life()
    fixed = [replace(card, notices=(NO_EDITS,)) for card in cards(life)]
    _, [card], _ = mark_stale(life.story, fixed, START + 6 * HOURS, can_query=False)
    assert card.edit is None


def test_the_next_share_takes_it_back_though_it_tells_nothing_new():
    life = a_life()
    _, [card], _ = mark_stale(life.story, cards(life), START + 6 * HOURS, can_query=False)
    life.cards[card.channel, card.episode] = replace(card, edit=None)
    life.take(share(7 * HOURS, status="critical"))
    after = life.cards[card.channel, card.episode]
    assert after.notices == ()
    assert after.edit is not None
    assert life.story.stale_at == START + 13 * HOURS


def test_what_is_gone_from_bigpanda_has_ended_and_says_so():
    life = a_life()
    story, [card], _ = mark_gone(life.story, cards(life), START + 6 * HOURS)
    assert story.ended_at == START + 6 * HOURS
    assert card.notices == (Notice(kind=NoticeKind.GONE, at=int(START + 6 * HOURS)),)
    assert card.state is CardState.POSTED


def test_a_share_of_what_was_thought_gone_begins_it_again():
    life = a_life()
    life.story, [card], _ = mark_gone(life.story, cards(life), START + 6 * HOURS)
    life.cards[card.channel, card.episode] = card
    life.take(share(7 * HOURS, status="warning"))
    assert life.story.ended_at is None
    assert life.cards[card.channel, card.episode].notices == ()
