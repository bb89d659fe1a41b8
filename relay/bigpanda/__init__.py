"""BigPanda: the share parser (`webhook`), and the client of its API with the outcomes of its calls."""
