"""What people do in Slack becomes tasks for BigPanda, and what BigPanda knows comes back.

interaction_handler ... stores clicks, modals and thread replies as tasks, before Slack gets its answer
batches ............... takes the incidents of a storm for one person, once they have confirmed it
permission ............ decides who may act on a card
task_worker ........... runs due tasks in the relay that is the leader, and finds incidents without news
task_runner ........... carries out one task
preflight ............. finds out what a task needs, and prepares its call
ownership ............. finds out who has the incident before somebody takes it
people ................ looks up people in Slack and BigPanda
tag_definitions ....... BigPanda's definitions of tags
messages .............. what one person reads, and how it is sent
modals ................ the modals behind the buttons
modal_parts ........... the parts of modals, and the durations that they offer
mutes ................. makes and ends mutes for people in Slack
mute_dialog ........... between the button of a card and a mute
mute_modal ............ the modals to make and to end a mute
mute_preview .......... what a new mute would match
"""
