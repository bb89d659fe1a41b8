"""BigPanda's answers as a closed set: `rule` makes of whatever came back one value, which says what follows."""
