"""The table of block tags: the parser, the composer, the lint and the documentation read it."""

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class BlockTag:
    """One tag: its name, and what it makes, for the documentation.

    `inside` names the tags in which it belongs. `argument` is what it must be given, `optional_argument` whether it may
    be given another. `in_entry` says whether an entry of the thread, which is one paragraph, may contain it.
    """

    name: str
    makes: str
    inside: tuple[str, ...] = ()
    argument: str = ""
    optional_argument: bool = False
    has_end: bool = True
    in_entry: bool = False

    @property
    def usage(self) -> str:
        """How a template writes it: `bar COLOUR`."""
        return f"{self.name} {self.argument.rpartition(' ')[2].upper()}".rstrip()


class NodeKind(Enum):
    """What a node of a template's output is: a tag, the argument of a tag, or a string with Jinja in raw blocks."""

    SUMMARY = BlockTag("summary", "the notification's text, on one line; without it relay writes one", in_entry=True)
    HEADER = BlockTag("header", "a headline in plain text; the first one is on top, even from inside a `bar`")
    MENTIONS = BlockTag("mentions", "the place of the route's mention", has_end=False, in_entry=True)
    BAR = BlockTag(
        "bar", "a coloured bar beside its content; headlines and mentions are placed above it", (), "a colour"
    )
    SECTION = BlockTag("section", "a paragraph", in_entry=True)
    ACCESSORY = BlockTag("accessory", "an image or a button beside the text", ("section",))
    FIELDS = BlockTag("fields", "two columns of `field`")
    FIELD = BlockTag("field", "a label and its value", ("fields",), "a label", in_entry=True)
    CONTEXT = BlockTag("context", "small print", in_entry=True)
    QUOTE = BlockTag("quote", "a quotation that keeps its lines", in_entry=True)
    PRE = BlockTag("pre", "preformatted text, which keeps every space", in_entry=True)
    DIVIDER = BlockTag("divider", "a horizontal line", has_end=False)
    IMAGE = BlockTag(
        "image",
        'an image; `image URL, "what it shows"` sets the alternative text',
        argument="a url",
        optional_argument=True,
        has_end=False,
    )
    ACTIONS = BlockTag("actions", "a row of buttons", in_entry=True)
    BUTTON = BlockTag("button", "a button that opens an address", ("actions", "accessory"), "a url", in_entry=True)
    RELAY_ACTIONS = BlockTag(
        "relay_actions",
        "the place of [relay's own buttons](#buttons), if the card has any",
        ("actions",),
        has_end=False,
        in_entry=True,
    )
    BLOCKS = BlockTag("blocks", "Block Kit as YAML, for blocks without a tag; Jinja runs only in its texts")
    ARGUMENT = BlockTag("", "the argument of a tag")
    SLOT = BlockTag("", "a string with Jinja in raw blocks")


BLOCK_TAGS = {kind.value.name: kind for kind in NodeKind if kind.value.name}
"""The tags by their names in templates."""
