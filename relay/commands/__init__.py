"""What people ask relay in Slack: the slash command, the message shortcut, and `Why?` on a card.

    requests     what a person has typed, as a value: one row for each verb
    viewer       which incidents a person may see
    open_list    `open`: what a summary of the channel would say now
    mine         `mine`: the incidents that the person has
    why          `why`, the shortcut and the entry on the card: why a message is there, and what is held
    mute         `mute` and `unmute`
    help         `help`, and the answer to what was not understood
    question     what every answer needs: who asks, the configuration, the database, the time
    texts        the texts of answers
    service      takes commands, shortcuts and clicks, and answers them

Every answer is built from the database, within the three seconds that Slack waits.
"""
