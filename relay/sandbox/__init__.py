"""Fakes of Slack and BigPanda over real HTTP: strict where they are strict, and with faults where a test injects them.

They import nothing of relay but the table of Slack's limits. Tests, the demo and `relay sandbox` serve them; the
official SDK of Slack works against them unchanged.

    slack = FakeSlack()                                       # relay.sandbox.slack.server
    slack.add_channel("C0123456789", "noc", member=True)
    async with serve_slack(slack) as base_url:
        client = AsyncWebClient(slack.token, base_url=base_url)
        await client.chat_postMessage(channel="noc", text="Hello")
    print(slack.transcript("noc"))

slack, bigpanda ....... the two fakes
page .................. the web page of the fake Slack
http_api .............. what their servers share
faults, rate_limits ... what goes wrong with a call, and how many are allowed
calls ................. the log of calls
guide ................. what `relay sandbox` prints
"""
