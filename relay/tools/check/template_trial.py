"""Render templates for sample incidents, to find what fails only when rendered.

What fails for the full sample fails for most incidents. What fails alone for the one with few details fails rarely. A
missing value may be one of the operator's own tags, so it is only a warning.
"""

from collections.abc import Iterable, Iterator

import orjson

from relay.model.errors import Fault
from relay.rendering.library import CARD
from relay.rendering.request import TemplateFailure
from relay.slack.interactions import ACTION_PREFIX
from relay.tools.check.trial_simulation import BARE, FULL, Trial


def failures_of(trial: Trial) -> Iterator[Fault]:
    """Find what fails when templates are rendered."""
    full, bare = dict(_failures(trial, FULL)), dict(_failures(trial, BARE))
    failures = {**bare, **full}
    for (file, line), failure in sorted(failures.items()):
        sample = FULL if (file, line) in full else BARE
        if line:
            certain = (file, line) in full and not failure.absent_value
            message = f"this fails when rendered with {sample}: {failure.message}"
            yield Fault(file=file, line=line, column=1, message=message, warning=not certain)
        elif not any(other == file and at for other, at in failures):
            message = f"with {sample}: {failure.message}; relay would use its built-in template instead"
            yield Fault(file=file, message=message, warning=True)


def without_buttons(trial: Trial, folders: Iterable[str]) -> Iterator[Fault]:
    """Find the folders whose cards never have a place for relay's buttons."""
    button = f"{ACTION_PREFIX}assign".encode()
    for folder in sorted(folders):
        if f"{folder}/{CARD}.j2" not in trial.sources:
            continue
        cards = (card for simulation in trial.simulations(folder, FULL) for card in simulation.cards)
        messages = (sent.rendered.message for card in cards for sent in (card.first, card.root) if sent)
        if not any(button in orjson.dumps(message.payload()) for message in messages):
            message = "a route has actions, but this card has no {% relay_actions %} inside {% actions %}"
            yield Fault(file=f"{folder}/{CARD}.j2", message=message, warning=True)


def _failures(trial: Trial, sample: str) -> Iterator[tuple[tuple[str, int], TemplateFailure]]:
    """Each failure of the operator's own files, by file and line."""
    for drawn in trial.bulletins(sample) if trial.has_bulletins else ():
        yield from (((each.file, each.line), each) for each in drawn.rendered.failures if each.file in trial.sources)
    for folder in trial.folders:
        for simulation in trial.simulations(folder, sample):
            for card in simulation.cards:
                for sent in (card.first, card.root, *card.replies):
                    failures = sent.rendered.failures if sent else ()
                    yield from (((each.file, each.line), each) for each in failures if each.file in trial.sources)
