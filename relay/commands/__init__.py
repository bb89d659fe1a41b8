"""What people ask relay in Slack: the slash command, the message shortcut, and `Why?` on a card.

    requests     what a person has typed, as a value
    viewer       which incidents a person may see
    open_list    `open`: what a summary of the channel would say now
    mine         `mine`: the incidents that the person has
    why          `why`, the shortcut and the entry on the card: why a message is there, and what is held
    service      takes commands, shortcuts and clicks, and answers them

Every answer is built from the database, within the three seconds that Slack waits.
"""
