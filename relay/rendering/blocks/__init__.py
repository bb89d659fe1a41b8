"""From the text that a template printed to Block Kit that fits."""
