"""Parse routes.yaml into a `Rulebook`, or report every fault in it."""
