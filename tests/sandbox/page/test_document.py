"""Messages as one document: what `relay render --html` writes."""

import pytest
from playwright.async_api import expect

from relay.sandbox.page.document import DocumentMessage, DocumentSection, render_document
from tests.gallery.cases import DB, NOW, PEOPLE, Case

pytestmark = pytest.mark.asyncio(loop_scope="session")

HARM = "</script><script>window.harmed=1</script>"


def card(text: str = "", **more) -> DocumentMessage:
    message = Case(name="card", incident=DB, mentions=("S0DBONCALL",)).draw("incident")
    return DocumentMessage(
        text=text or message.text, blocks=message.blocks, attachments=message.attachments, at=NOW, **more
    )


async def test_a_document_shows_its_messages_without_other_files(tab, tmp_path):
    requested_urls: list[str] = []
    tab.on("request", lambda request: requested_urls.append(request.url))
    reply = DocumentMessage(text="Warning → *Critical*", at=NOW + 60)
    path = tmp_path / "card.html"
    path.write_text(
        render_document(
            [DocumentSection(title="#noc", messages=[card(replies=[reply])])], people=PEOPLE, now=NOW, zone="UTC"
        )
    )
    await tab.goto(path.as_uri())
    await expect(tab.locator("h2")).to_have_text("#noc")
    await expect(tab.locator(".document-section > .message .header")).to_have_text("🔴 db-117 · replication lag")
    await expect(tab.locator(".mention")).to_have_text("@db-oncall")
    await expect(tab.locator(".attachment-body .text").first).to_contain_text("since today at 03:12 (12 minutes ago)")
    await expect(tab.locator(".replies .text b")).to_have_text("Critical")
    assert requested_urls == [path.as_uri()]


async def test_no_text_of_a_message_is_run_as_html_or_script(tab, tmp_path):
    path = tmp_path / "harm.html"
    header = {"type": "header", "text": {"type": "plain_text", "text": HARM}}
    document_section = DocumentSection(
        title=HARM, note=HARM, messages=[DocumentMessage(blocks=[header], author=HARM, bot=False)]
    )
    path.write_text(render_document([document_section], title=HARM))
    await tab.goto(path.as_uri())
    await expect(tab.locator(".header")).to_have_text(HARM)
    await expect(tab.locator(".author")).to_have_text(HARM)
    assert await tab.title() == HARM
    assert await tab.evaluate("window.harmed") is None
    assert await tab.locator("script").count() == 3
