"""What relay remembers, on SQLite or PostgreSQL. `store.Store` lists the verbs; each is one transaction.

Verbs
    store .................. `Store`: opens the database; names each verb and the function that does it
    accepting .............. commits a group of shares, and plans those that can be planned at once
    inbox .................. shares that are stored and not planned yet; planning: saves what they turn into
    left_work .............. which kinds of work a transaction leaves, so that only who does such work is woken
    card_queue ............. finds the next card with due work and starts it; due_queries: which comes first
    card_context ........... loads what a decision about one card needs, and saves what was decided
    attempts ............... posts whose result is unknown
    bulletins .............. messages about several incidents, and their lines
    held ................... held cards and pings: checks them again, decides catch-ups; closes held lists
    open_cards ............. changes the cards of all open incidents, where rules or mutes have changed
    mutes .................. mutes, as people have made them; mute_changes: one that ends or changes;
                             mute_preview: the incidents with which a new mute is compared
    storms ................. what was posted and what waits in a storm; storm_summary: what a storm card sums up
    reminders .............. whose reminder is due; integrations: which of them share who has an incident
    summaries .............. which slots of a summary are done, and what a channel shows
    late_cards ............. cards of open incidents whose routes were in shadow until now
    adoption ............... takes over cards that a lost database has left in Slack
    tasks .................. what relay has to tell or ask BigPanda; silent incidents
    batches ................ the tasks that one press on a storm card starts; batch_progress: how far they are
    channels ............... channels and their references; channel_merge: two references become one channel
    dead_letters ........... what Slack rejected for good
    incident_history ....... everything about one incident; recorded_incidents: all incidents with their shares;
                             incident_list: the list of incidents; board: what the board reads
    configurations ......... configurations that worked
    notices ................ the open notices about relay itself
    quarantine ............. bodies that are no valid shares
    tag_definitions ........ BigPanda's definitions of tags
    installation ........... the secret of the markers, and the workspace that the database belongs to
    leases ................. which relay delivers, and what the database's clock says
    clock_step ............. due times move back with a clock that was set back
    restore ................ whether the database is an older copy; backup: makes such a copy
    retention .............. deletes old data; retention_job: when
    backlog ................ what waits, for Prometheus
    health ................. whether the database takes writes; health_probe: asks without waiting for ever
    monitor ................ looks every few seconds whether files or clock are wrong
    notify ................. wakes other relays on PostgreSQL, and tests whether that works

Rows
    types, mappers ......... the store's own dataclasses; rows to dataclasses and back
    rows ................... incidents, cards and entries as several verbs read and write them
    schema, migration ...... the tables; how they come into being
    migrations ............. the steps from one shape of the tables to the next
    locks, upsert .......... what SQLite and PostgreSQL do differently

Connection
    database ............... threads, connections and transactions
    address, file_lock ..... where the database is, and that one relay has the file
    dialects ............... lets all connections share what is compiled; postgresql_dialect: that of PostgreSQL
    execution .............. the statements of every share and card, compiled once
    open_files ............. whether SQLite's files are still those that relay has open
    file_system ............ whether SQLite's files may lie where they do
    db_errors .............. a driver's error as a sentence with a remedy
"""
