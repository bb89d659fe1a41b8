"""Hypothesis strategies for matches and incidents, made of few words, so that they often match."""

from typing import Any

from hypothesis import strategies as st

from relay.model.incident import Alert, Environment, Incident, Person, Snooze, State, Tag

WORDS = ["a", "ab", "A", "ba", "b", "7", "07", "7.0", ""]
GLOBS = ["*", "a*", "*b", "?", "a?", "*a*b*", "?*", "??*", "7*"]
REGEXES = ["/a.*/", "/(?i)ab?/", "/[0-9]+/", "/.*/", "//"]
NUMBERS = [6, 7, 8]
STATES = [state.value for state in sorted(State, key=lambda state: state.rank)]


def _ranges(bounds: list[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Ranges between bounds, which are in ascending order."""
    pairs = [{"min": low, "max": high} for place, low in enumerate(bounds) for high in bounds[place:]]
    return st.sampled_from([{end: bound} for end in ("min", "max") for bound in bounds] + pairs)


def _values(leaf: st.SearchStrategy[Any], ranges: st.SearchStrategy[Any] | None) -> st.SearchStrategy[Any]:
    def deeper(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        several = st.lists(values, min_size=1, max_size=2)
        operators: dict[str, Any] = {"not": values, "any": several, "all": several, "exists": st.booleans()}
        one = st.sampled_from(sorted(operators)).flatmap(lambda name: st.fixed_dictionaries({name: operators[name]}))
        return st.one_of(several, one, st.tuples(one, one).map(lambda two: two[0] | two[1]))

    return st.recursive(leaf if ranges is None else st.one_of(leaf, leaf, ranges), deeper, max_leaves=3)


texts = _values(st.sampled_from(WORDS + GLOBS + REGEXES), _ranges(NUMBERS))
states = _values(st.sampled_from([*STATES, "*ing", "/c.*/"]), _ranges(STATES))
counts = _values(st.integers(0, 3), _ranges([0, 1, 2, 3]))
flags = _values(st.booleans(), None)

_KEYS = {
    "tags": st.dictionaries(st.sampled_from(["team", "Team", "host"]), texts, min_size=1, max_size=2),
    "environment": texts,
    "status": states,
    "alerts": counts,
    "snoozed": flags,
    "active": flags,
}
_some_keys = st.lists(st.sampled_from(sorted(_KEYS)), min_size=1, max_size=2, unique=True)
_comparisons = _some_keys.flatmap(lambda keys: st.fixed_dictionaries({key: _KEYS[key] for key in keys}))


def _combined(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(inner, min_size=1, max_size=2)
    one = st.one_of(
        *(st.fixed_dictionaries({name: what}) for name, what in [("any", several), ("all", several), ("not", inner)])
    )
    return st.tuples(st.one_of(st.just({}), _comparisons), one).map(lambda two: two[0] | two[1])


matches: st.SearchStrategy[dict[str, Any]] = st.recursive(_comparisons, _combined, max_leaves=3)

_some = st.lists(st.sampled_from([*WORDS, "x", "AB", "Ab\n"]), max_size=2)


def statuses(incident: Incident) -> list[State | None]:
    """The values of `status`: None for its state, and its severity if it arrives resolved."""
    return [None, incident.severity] if incident.state is State.RESOLVED else [None]


incidents = st.builds(
    lambda state, worst, tags, environments, alerts, snoozed: Incident(
        id="i1",
        state=state,
        reported_status=state.value,
        severity=max(state, worst, key=lambda each: each.rank),
        active=state is not State.RESOLVED,
        snooze=Snooze(snoozed=snoozed),
        assignee=Person(name="Ann"),
        alerts=tuple(Alert(id=str(n), state=State.CRITICAL, active=True) for n in range(alerts)),
        environments=tuple(Environment(name=name, id="") for name in environments),
        tags=tuple(Tag(id=name, name=name, values=tuple(values)) for name, values in tags.items()),
    ),
    st.sampled_from(State),
    st.sampled_from(State),
    st.dictionaries(st.sampled_from(["team", "host"]), _some, max_size=2),
    _some,
    st.integers(0, 4),
    st.booleans(),
)
