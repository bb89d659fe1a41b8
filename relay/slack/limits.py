"""Slack's limits in one table: the sizes of a message, its blocks and their parts, and the rate limits.

Lengths are in characters as Python counts them (code points). The address beside a number, or above a group of them, is
their source. Where Slack publishes no number, the comment says what was observed.
"""

from collections.abc import Mapping
from typing import Any, Final

# --- the message ------------------------------------------------------------------------------------------------------

# https://docs.slack.dev/reference/methods/chat.postMessage (longer text is cut, without an error)
POSTED_TEXT: Final = 40_000
# https://docs.slack.dev/reference/methods/chat.update (longer: msg_too_long). Relay keeps to it when it posts, too.
TEXT: Final = 4_000
BLOCKS: Final = 50  # https://docs.slack.dev/reference/block-kit/blocks (100 in modals and Home tabs)
ATTACHMENTS: Final = 100  # https://docs.slack.dev/reference/methods/chat.postMessage (more: too_many_attachments)
# https://github.com/slackapi/bolt-python/issues/914 (more cause trouble; Slack itself accepts BLOCKS there)
ATTACHMENT_BLOCKS: Final = 20
ATTACHMENT_FOOTER: Final = 300  # https://docs.slack.dev/legacy/legacy-messaging/legacy-secondary-message-attachments
# https://docs.slack.dev/legacy/legacy-messaging/legacy-secondary-message-attachments
ATTACHMENT_COLORS: Final = frozenset({"good", "warning", "danger"})
# Unpublished. msg_blocks_too_long was seen from about here on: https://github.com/slackapi/bolt-js/issues/2509
# and https://github.com/slackapi/bolt-js/issues/2867
ALL_BLOCKS_REJECTED: Final = 13_000
ALL_BLOCKS: Final = 10_000  # what relay uses of it: the observations begin at 11,300, and differ by the type of block.
# https://docs.slack.dev/messaging/message-metadata (the size behind metadata_too_large is unpublished;
# relay's own markers stay far below this one)
METADATA_BYTES: Final = 8_000

# --- blocks -----------------------------------------------------------------------------------------------------------

TEXT_OBJECT: Final = 3_000  # https://docs.slack.dev/reference/block-kit/composition-objects/text-object (at least 1)
BLOCK_ID: Final = 255  # https://docs.slack.dev/reference/block-kit/blocks (unique in a message)

# https://docs.slack.dev/reference/block-kit/blocks/section-block
SECTION_TEXT: Final = 3_000
SECTION_FIELDS: Final = 10
SECTION_FIELD: Final = 2_000

HEADER: Final = 150  # https://docs.slack.dev/reference/block-kit/blocks/header-block
CONTEXT_ELEMENTS: Final = 10  # https://docs.slack.dev/reference/block-kit/blocks/context-block
ACTIONS_ELEMENTS: Final = 25  # https://docs.slack.dev/reference/block-kit/blocks/actions-block

# https://docs.slack.dev/reference/block-kit/blocks/image-block
IMAGE_URL: Final = 3_000
ALT_TEXT: Final = 2_000
IMAGE_TITLE: Final = 2_000

# https://docs.slack.dev/reference/block-kit/blocks/markdown-block (over all markdown blocks of one payload)
MARKDOWN: Final = 12_000

# https://docs.slack.dev/reference/block-kit/blocks/table-block (the last two are over a whole message)
TABLE_ROWS: Final = 100
TABLE_CELLS: Final = 20
TABLE_COLUMN_SETTINGS: Final = 20
TABLE_CHARACTERS: Final = 10_000
TABLES: Final = 1

# https://docs.slack.dev/reference/block-kit/blocks/video-block
VIDEO_TITLE: Final = 200
VIDEO_AUTHOR: Final = 50

# https://docs.slack.dev/reference/block-kit/blocks/input-block
INPUT_LABEL: Final = 2_000
INPUT_HINT: Final = 2_000

# --- modals -----------------------------------------------------------------------------------------------------------

# https://docs.slack.dev/reference/views/modal-views (`VIEW_BUTTON` is of both submit and close)
VIEW_TITLE: Final = 24
VIEW_BUTTON: Final = 24
VIEW_BLOCKS: Final = 100
PRIVATE_METADATA: Final = 3_000
CALLBACK_ID: Final = 255
EXTERNAL_ID: Final = 255

VIEW_BYTES: Final = 250_000  # https://docs.slack.dev/reference/methods/views.open (larger: view_too_large)

# --- elements ---------------------------------------------------------------------------------------------------------

# https://docs.slack.dev/reference/block-kit/block-elements/button-element
ACTION_ID: Final = 255
BUTTON_TEXT: Final = 75
BUTTON_URL: Final = 3_000
BUTTON_VALUE: Final = 2_000
BUTTON_STYLES: Final = frozenset({"primary", "danger"})
ACCESSIBILITY_LABEL: Final = 75

# https://docs.slack.dev/reference/block-kit/composition-objects/confirmation-dialog-object
CONFIRM_TITLE: Final = 100
CONFIRM_TEXT: Final = 300
CONFIRM_BUTTON: Final = 30

# https://docs.slack.dev/reference/block-kit/composition-objects/option-object
OPTION_TEXT: Final = 75
OPTION_VALUE: Final = 150
OPTION_DESCRIPTION: Final = 75
OPTION_URL: Final = 3_000

OPTION_GROUP_LABEL: Final = 75  # https://docs.slack.dev/reference/block-kit/composition-objects/option-group-object
# https://docs.slack.dev/reference/block-kit/block-elements/overflow-menu-element ("up to five"; earlier editions of the
# page, and libraries that follow it, name a minimum of two)
FEWEST_OVERFLOW_OPTIONS: Final = 2
OVERFLOW_OPTIONS: Final = 5  # https://docs.slack.dev/reference/block-kit/block-elements/overflow-menu-element

# https://docs.slack.dev/reference/block-kit/block-elements/select-menu-element (options, or groups)
SELECT_OPTIONS: Final = 100
PLACEHOLDER: Final = 150

# https://docs.slack.dev/reference/block-kit/block-elements/plain-text-input-element (the most that max_length allows)
INPUT_TEXT: Final = 3_000
# https://docs.slack.dev/reference/block-kit/block-elements/checkboxes-element and .../radio-button-group-element
CHOICES: Final = 10

# --- rate limits ------------------------------------------------------------------------------------------------------

# https://docs.slack.dev/apis/web-api/rate-limits (seconds between two posts in one channel; short bursts pass)
SECONDS_BETWEEN_POSTS: Final = 1.0
# https://docs.slack.dev/reference/methods names each method's tier, https://docs.slack.dev/apis/web-api/rate-limits the
# calls a minute, for each method in each workspace. Methods that are not here have a "special tier".
CALLS_A_MINUTE: Final[Mapping[str, int]] = {
    method: calls
    for calls, methods in {
        20: "auth.teams.list conversations.list usergroups.list usergroups.users.list",
        50: "apps.connections.open chat.delete chat.update conversations.history conversations.info conversations.join "
        "conversations.open conversations.replies users.conversations users.lookupByEmail",
        100: "chat.postEphemeral users.info views.open",
        240: "chat.postMessage",  # its page: "several hundred messages per minute" in a workspace
    }.items()
    for method in methods.split()
}


def is_link(url: str) -> bool:
    """Return whether Slack accepts this address in a button or an image: http or https, with a host, without blanks."""
    scheme, colon, rest = url.partition("://")
    host = rest.split("/", 1)[0].split("?", 1)[0].split("#", 1)[0]
    return bool(colon) and scheme.lower() in {"http", "https"} and bool(host) and not any(c.isspace() for c in url)


_SHOWN: Final = frozenset({"text", "title", "alt_text", "label", "placeholder", "description", "hint"})


def visible_characters(value: Any) -> int:
    """Count the characters that a reader sees in blocks. They count towards `ALL_BLOCKS`, as far as is known.

    The strings under "text", "title", "alt_text" and the like count; types, ids, addresses and styles do not.
    """
    match value:
        case dict():
            return sum(
                (len(part) if key in _SHOWN else 0) if isinstance(part, str) else visible_characters(part)
                for key, part in value.items()
            )
        case list() | tuple():
            return sum(visible_characters(part) for part in value)
        case _:
            return 0
