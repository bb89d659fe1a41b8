"""The pictures of the gallery and of the README can be taken."""

import pytest

from tests.gallery import pictures, readme_picture
from tests.support.browser import MISSING, chromium

pytestmark = [pytest.mark.soak, pytest.mark.skipif(chromium() is None, reason=MISSING)]
PNG = b"\x89PNG"


def test_the_gallery_is_drawn_wide_and_at_phone_width(tmp_path):
    pictures.main(tmp_path)
    drawn = {path.name: path.read_bytes()[:4] for path in tmp_path.glob("*.png")}
    assert set(drawn.values()) == {PNG}
    assert {"incident-cards.png", "incident-cards-phone.png", "compact-replies-phone.png"} <= drawn.keys()


async def test_the_picture_of_the_readme_is_made(tmp_path):
    await readme_picture.main(tmp_path)
    for name in ("channel.png", "board.png"):
        assert (tmp_path / name).read_bytes()[:4] == PNG
