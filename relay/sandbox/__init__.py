"""Slack's stand-in: strict where Slack is strict, and as faulty as it is told to be.

It stands beside the house and takes nothing from it but the table of Slack's limits. Tests, the demo and
`relay sandbox` serve it over HTTP; the official SDK works against it unchanged.

    slack = Slack()
    slack.add_channel("C0123456789", "noc", member=True)
    async with serving(slack) as base_url:
        client = AsyncWebClient(slack.token, base_url=base_url)
        await client.chat_postMessage(channel="noc", text="Hello")
    print(slack.transcript("noc"))
"""
