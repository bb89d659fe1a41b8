"""Each case of the gallery has the text that a person has read and approved.

APPROVE=1 make test ARGS=tests/gallery       writes the texts again: read the difference before you commit it
"""

import json
import os
import re
from pathlib import Path

import pytest

from relay.cards.bulletins import BulletinKind
from relay.cards.notices import NoticeKind
from relay.model.entry_kinds import EntryKind
from relay.sandbox.slack.message_content import MessageContent, validate_content
from relay.sandbox.slack.plain_text import mrkdwn
from relay.sandbox.slack.server import FakeSlack
from relay.slack.message import Message
from tests.gallery.bulletins import BROKEN, FOLDER, BulletinCase
from tests.gallery.cases import NOW, PEOPLE, TEMPLATES, Case, every
from tests.support.documents import check_rows

APPROVED = Path(__file__).parent / "approved"
FOLDERS = (*TEMPLATES, FOLDER, BROKEN)
CASES = {case.name: case for _, case in every()}


def read(message: Message) -> str:
    """The message as a reader sees it; parts that a text cannot show are described."""
    slack = FakeSlack(clock=lambda: float(NOW))
    channel = slack.add_channel("C0DB", "db-oncall")
    for group, handle in PEOPLE["groups"].items():
        slack.add_usergroup(group, handle)
    for user, name in PEOPLE["users"].items():
        slack.add_user(user, name)
    content = MessageContent(text=message.text, blocks=message.blocks, attachments=message.attachments)
    validate_content(content)
    bar = [f"(bar {attachment['color']})" for attachment in message.attachments]
    text = slack.text_of(channel.add_message(content, slack.bot))
    return "\n".join([f"lock screen: {mrkdwn(slack, message.text)}", *bar, text, *_links(message), ""])


def _links(message: Message) -> list[str]:
    """The addresses of the links, each once."""
    text = json.dumps(message.payload(), ensure_ascii=False)
    labelled = [f"{label} -> {url}" for url, label in re.findall(r"<(https?://[^|>]+)\|([^>]*)>", text)]
    buttons = [f"{label} -> {url}" for label, url in re.findall(r'"text": "([^"]*)"[^{}]*}, "url": "([^"]*)"', text)]
    return [f"    {link}" for link in dict.fromkeys([*labelled, *buttons])]


def text_of(case: Case | BulletinCase) -> str:
    return "\n".join(f"--- {folder} ---\n{read(case.draw(folder))}" for folder in FOLDERS if folder in case.folders)


@pytest.mark.parametrize("name", CASES)
def test_each_message_has_its_approved_text(name):
    path = APPROVED / f"{name}.txt"
    text = text_of(CASES[name])
    if os.environ.get("APPROVE"):
        path.write_text(text, encoding="utf-8")
    assert path.exists(), f"{name} is not approved yet: APPROVE=1 writes {path.name}"
    assert text == path.read_text(encoding="utf-8")


def test_every_kind_of_entry_notice_and_message_has_a_case():
    cards = [case for case in CASES.values() if isinstance(case, Case)]
    entries = {entry["kind"] for case in cards for entry in case.entries}
    check_rows("tests/gallery/cases.py", entries, EntryKind, in_order=False)
    without_words = {NoticeKind.POINTER, NoticeKind.STAND_IN, NoticeKind.NO_PING}
    notices = {notice.kind for case in cards for notice in case.notices}
    check_rows("tests/gallery/cases.py", notices, set(NoticeKind) - without_words, in_order=False)
    kinds = {case.change.bulletin.kind for case in CASES.values() if isinstance(case, BulletinCase)}
    check_rows("tests/gallery/bulletins.py", kinds, BulletinKind, in_order=False)


def test_each_approved_text_has_a_case():
    assert {path.stem for path in APPROVED.glob("*.txt")} == set(CASES)


def test_case_names_are_unique():
    assert len(CASES) == len({(case.name, folder) for folder, case in every() if folder in {"incident", FOLDER}})


@pytest.mark.parametrize("folder", FOLDERS)
def test_absent_values_print_nothing(folder):
    for case in CASES.values():
        if folder in case.folders:
            text = read(case.draw(folder))
            for notice in getattr(case, "notices", ()):
                text = text.replace(notice.reason or "\0", "")  # a reason may quote the template of a channel's name
            assert not [
                word for word in ("None", "null", "Undefined", "{{", " - ", "()", " ,", "··", "· ·") if word in text
            ], case.name
