"""What `{% blocks %}` makes."""

from tests.support.rendering_samples import incident, made_blocks

RAW = """
{% blocks %}
- type: section
  text: {type: mrkdwn, text: "*{{ incident.title }}* {{ links.landing_page | link('open') }} <!here>"}
  fields:
    - {type: plain_text, text: "{{ incident.nothing }}"}
    - {type: plain_text, text: "a & b"}
- type: header
  text: {type: plain_text, text: "{{ incident.title }}", colour: red}
- type: rich_text
  elements:
    - type: rich_text_section
      elements:
        - {type: text, text: "{{ incident.title }} ", style: {bold: true}}
        - {type: user, user_id: U0123}
        - {type: usergroup, usergroup_id: S0123}
        - {type: broadcast, range: here}
        - {type: link, url: "{{ links.landing_page }}", text: open}
- type: image
  image_url: "{{ incident.title }}"
  alt_text: none
{% endblocks %}
"""


def test_no_value_changes_the_structure_of_raw_blocks():
    bad = incident(title='x", "type": "divider"}\n- type: divider')
    section, header, rich = made_blocks(RAW, bad)
    assert section["text"]["text"].startswith(
        '*x", "type": "divider"} - type: divider* <https://a.example/5555|open> &lt;!here'
    )
    assert [field["text"] for field in section["fields"]] == ["a & b"]
    assert header == {
        "type": "header",
        "text": {"type": "plain_text", "text": 'x", "type": "divider"} - type: divider', "emoji": False},
    }
    assert [element["type"] for element in rich["elements"][0]["elements"]] == ["text", "link"]
