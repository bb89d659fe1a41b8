"""A configuration with very many faults is reported in a few lines, and soon."""

import time

import pytest

from relay.config.files import ConfigurationFiles, build_configuration
from relay.model.errors import MAX_FAULTS, ConfigurationError

HEAD = "version: 1\nfallback: C0NOC00001\n"
KEYS = "".join(f"  unknown{number}: 1\n" for number in range(300))
ROUTES = "".join(f"  - {{<<: *k, name: r{number}, post: [C0ALL00001]}}\n" for number in range(300))


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "x-d: {" + "a: 1, " * 20_000 + "}\nroutes: []\n",
        HEAD + f"x-k: &k\n{KEYS}routes:\n{ROUTES}",
        HEAD + "routes:\n" + "  - {name: r, pots: [C0ALL00001]}\n" * 2_000,
    ],
    ids=["duplicate keys", "unknown keys that are merged", "misspelt keys"],
)
def test_only_the_first_faults_are_reported_with_a_note_that_there_are_more(text):
    began = time.process_time()
    with pytest.raises(ConfigurationError) as caught:
        build_configuration(ConfigurationFiles(routes_file="routes.yaml", routes_text=text, templates={}))
    assert len(caught.value.faults) == MAX_FAULTS + 1
    assert "there are more faults" in str(caught.value.faults[-1])
    assert len(str(caught.value)) < 200_000
    assert time.process_time() - began < 10
