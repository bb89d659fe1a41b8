"""The web page of the fake Slack: its channels as Slack shows them, live, and messages drawn as one HTML document.

    page = Page(slack)                                        # relay.sandbox.page.page
    async with serve_slack(slack, add_routes=page.add_routes) as base_url: ...    # the page is at the root
    html = render_document([DocumentSection(title="A card", messages=(message,))])   # needs no server and no network

Nothing here needs a network or a build step, and the text of messages is never read as HTML (`static/draw.js`).

page ........... the addresses
state .......... the workspace as JSON
user_actions ... what a reader does as a test user
relay_client ... the relay behind the page
document ....... messages as one HTML document
static ......... the script and the style that draw messages
"""
