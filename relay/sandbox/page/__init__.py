"""The stand-in's web page: its channels as Slack shows them, live, and messages drawn as a document of their own.

    page = Page(slack)
    async with serving(slack, add_routes=page.furnish) as base_url: ...   # the page is at the root of the same address
    html = document([Scene(title="A card", messages=(message,))])      # needs neither a server nor a network

Nothing here needs a network or a build step, and whatever a message says stays text (`static/draw.js`).
"""
