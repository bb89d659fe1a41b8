"""Sends cards and thread entries to Slack, and keeps Slack equal to what the store says it should show.

    leader          holds the lease, and runs the work that only one relay may do
    service         starts and stops what follows; has the table of all parts
    parts           what a part is: its work, when it looks for that, and what wakes it
    scheduler       picks the next due card, for posts or for edits, when the rate limits allow a call
    executor        makes the call of one step, and stores what follows from the answer
    catch_ups       posts catch-ups for held pings, and closes held lists
    storms          decides about the storms that are open: pings, cards that may be posted, and their end
    rules_watch     lets what is stored follow the live rules
    mute_watch      lets the cards say which of them are muted
    summaries       posts the summaries of channels when their time comes
    reminders       reminds people of incidents that nobody has
    channels        finds the ids of channels, and joins them
    adoption        takes over cards that a lost database has left in Slack
    reconciler      searches Slack for messages whose answer was lost
    repair          diverts cards of rejected channels, retries dead letters
    sweep           posts cards again that somebody deleted
    heartbeat       calls an address every minute while incidents reach people

    history         reads a channel or a thread, page by page
    card_backoff    skips cards whose work failed, for a while
    render_process  renders the operator's templates in a process that can be ended
    supervision     restarts a part that failed
    context         what all parts share

Correctness needs nothing in memory: a restart reads what is due from the store.
"""
