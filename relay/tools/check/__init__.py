"""`relay check`: every fault and every suspicious rule in `routes.yaml` and the templates."""
