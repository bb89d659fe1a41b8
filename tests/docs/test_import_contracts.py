"""The import contracts in pyproject.toml are complete, and each fails on a violation. No call goes around a gateway."""

import ast
import inspect
from copy import deepcopy
from pathlib import Path

import grimp
import pytest
from importlinter.api import read_configuration
from importlinter.contracts.acyclic_siblings import AcyclicSiblingsContract
from importlinter.contracts.forbidden import ForbiddenContract
from importlinter.contracts.layers import LayersContract

import relay
from relay.bigpanda.client import BigPandaClient
from relay.bigpanda.gateway import BigPandaGateway
from relay.slack.client import SlackClient
from relay.slack.gateway import SlackGateway
from tests.support.source_code import modules_with

CONFIGURATION = read_configuration(str(Path(__file__).parents[2] / "pyproject.toml"))
CONTRACTS = {options["name"]: options for options in CONFIGURATION["contracts_options"]}
TYPES = {"layers": LayersContract, "acyclic_siblings": AcyclicSiblingsContract, "forbidden": ForbiddenContract}

BANDS = "Six bands: entry, services, store, decisions, protocols, ground"
ACYCLIC = "No package imports, directly or indirectly, a package that imports it"
CORE = "The core does no I/O, and has no clock and no log"
SDK = "Only relay.slack imports slack_sdk"
SANDBOX = "The sandbox imports nothing of relay but Slack's limits"

VIOLATIONS = {
    BANDS: ("relay.cards.plan", "relay.store.store"),
    ACYCLIC: ("relay.routes.evaluate", "relay.cards.plan"),
    CORE: ("relay.rendering.card", "time"),
    SDK: ("relay.delivery.service", "slack_sdk"),
    SANDBOX: ("relay.sandbox.page.page", "relay.http.session"),
}

WITH_IO = {
    f"relay.{module}"
    for module in (
        "bigpanda.client",
        "bigpanda.gateway",
        "config",
        "http.session",
        "ratelimit.throttle",
        "runtime",
        "samples",
        "slack.circuit_breaker",
        "slack.client",
        "slack.gateway",
        "slack.socket_mode",
    )
}
"""What does I/O, or has a clock or a log, in the three lower bands."""


@pytest.fixture(scope="module")
def graph():
    return grimp.build_graph("relay", include_external_packages=True)


def is_kept(name, graph):
    options = CONTRACTS[name]
    contract = TYPES[options["type"]](name, CONFIGURATION["session_options"], options)
    return contract.check(graph, verbose=False).kept


def test_every_contract_has_a_violation_here():
    assert VIOLATIONS.keys() == CONTRACTS.keys()


@pytest.mark.parametrize("name", VIOLATIONS)
def test_a_contract_fails_on_a_violation(name, graph):
    violated = deepcopy(graph)
    importer, imported = VIOLATIONS[name]
    assert {importer, imported} <= violated.modules | {"time"}
    violated.add_import(importer=importer, imported=imported, line_number=1, line_contents="")
    assert not is_kept(name, violated)


def test_a_new_package_must_be_placed_in_a_band(graph):
    with_package = deepcopy(graph)
    with_package.add_module("relay.new_package")
    assert not is_kept(BANDS, with_package)


def test_the_sandbox_contract_names_every_other_package(graph):
    others = graph.find_children("relay") - {"relay.sandbox", "relay.__main__"}
    assert set(CONTRACTS[SANDBOX]["forbidden_modules"]) == others
    assert CONTRACTS[SANDBOX]["ignore_imports"] == ["relay.sandbox.** -> relay.slack.limits"]


def test_every_module_of_the_lower_bands_that_does_no_io_is_in_the_contract_of_the_core(graph):
    lower = {f"relay.{name}" for layer in CONTRACTS[BANDS]["layers"][3:] for name in layer.split(" : ")}
    named = set(CONTRACTS[CORE]["source_modules"]) | WITH_IO
    inside = {module for package in lower - named for module in graph.find_children(package)}
    assert inside - named == set(), "add these to the contract of the core, or to WITH_IO above"
    assert named - graph.modules == set()


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("SlackClient", {"slack/gateway.py"}),
        ("AsyncWebClient", {"slack/client.py"}),
        ("BigPandaClient", {"bigpanda/gateway.py"}),
    ],
)
def test_only_the_gateway_uses_the_client(name, allowed):
    users = {
        file.relative_to(Path(relay.__file__).parent).as_posix()
        for file, tree in modules_with(Path(relay.__file__).parent, name)
        for node in ast.walk(tree)
        if (isinstance(node, ast.Name) and node.id == name)
        or (isinstance(node, ast.alias) and node.name == name)
        or (isinstance(node, ast.Attribute) and node.attr == name)
    }
    assert users == allowed


@pytest.mark.parametrize(("client", "inner"), [(SlackClient, "_call"), (BigPandaClient, "_send")])
def test_only_one_function_of_a_client_makes_requests(client, inner):
    """The gateways override it, so that they see every call."""
    callers = {
        name
        for name, function in inspect.getmembers(client, inspect.isfunction)
        if "_fetch(" in inspect.getsource(function)
    }
    assert callers - {"_fetch"} == {inner}
    assert all(inner in vars(gateway) for gateway in (SlackGateway, BigPandaGateway) if issubclass(gateway, client))
