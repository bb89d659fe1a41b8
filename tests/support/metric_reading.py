"""Reads metrics as Prometheus does."""

from relay.metrics import Metrics


def counted(metrics: Metrics, name: str, label: str) -> float:
    """The sum of a metric's samples that have this value in a label."""
    return sum(
        sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == name and label in sample.labels.values()
    )
