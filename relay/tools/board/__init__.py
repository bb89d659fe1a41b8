"""What the board shows, page by page, as values for its templates; and what its buttons do.

    source ........ the sources of the pages
    now ........... open incidents
    incident ...... one incident: its cards as Slack shows them, and its story
    channels ...... the channels, their backlog and their last cards
    lists ......... what storms and held lists hold, for several pages
    letters ....... dead letters, failed shares, quarantined bodies: retry, discard, download
    mutes ......... mutes, which people make, extend and end, and the hours of the live routes
    routes ........ the live routes with their hits, and a playground

The actions are those of the command line.
"""
