"""What happened, which cards exist, and what each does next: all decisions about cards, and all of them pure.

What a share turns into
plan ............. the whole decision; the modules below are its steps
merge ............ the record after a share: the newest value of each block wins
diff ............. what happened, as entries for the threads
desired .......... which cards the incident has, and when each is posted or edited
attribution ...... the person who did through relay what the share confirms
milestones ....... when an episode was shared, assigned and resolved first
staleness ........ what follows when an incident is silent for `stale_after`
late ............. the cards of routes that were in shadow until now

When relay posts and pings
attention ........ whether a card may be posted and whom it may ping: one table of reasons
holds ............ what is held, and the names of the reasons
holding .......... the held posts and pings of a card, and what a catch-up sends
mutes ............ mutes that people make by hand
storms ........... whether a new card waits in a storm, whom the storm card pings, when it ends
broadcasts ....... replies that the channel shows, too, and what they say later

What a card does next
steps ............ the steps that a card may take: post, reply, edit, or nothing
send ............. the next step of a due card, and what it is once Slack has accepted it
eligibility ...... which states have which work, and what must be done first
replies .......... which entries the next reply reports, and whom it pings
outcomes ......... what follows from Slack's answer
failures ......... what follows when Slack rejects a message: dead letter, fallback, retry, repost
stand_ins ........ which card of the fallback stands in for a card that Slack rejects
draw ............. what the card and its replies look like: the values for the templates, and the words of notices
notices .......... what relay itself notes on a card

After a crash, or without the database
recovery ......... a post whose answer was lost
markers .......... what the metadata of a message says
adoption ......... cards in Slack that the database does not know
reported ......... which entries a thread has reported, by its metadata

Messages about several incidents
bulletins ........ their kinds, lines and texts: held lists, storm cards, catch-ups, reminders, summaries
bulletin_cards ... what a change of one means to its card, and the reverse
summaries ........ when a channel gets one
reminders ........ when the next reminder of a card is due
reminding ........ what a due reminder leads to: what is asked first, and who is pinged

Tasks for BigPanda
tasks ............ decisions about a task
task_reasons ..... why nothing came of one, in words
batches .......... one press on a storm card, many tasks

Values
model ............ incidents, cards, attempts, channels, tasks, and the tables of their states
entries .......... one entry of a thread
"""
