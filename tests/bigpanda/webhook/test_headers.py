"""Custom headers are stored; credentials and the headers of proxies are not."""

import pytest
from multidict import CIMultiDict

from relay.bigpanda.webhook.parsing import parse_share

BODY = b'{"incident": {"id": "i1"}}'


def kept(headers, **options):
    return parse_share(BODY, headers, 1_700_000_000.0, **options).headers


def test_custom_headers_are_kept_under_lower_case_names():
    assert kept({"X-Relay-Integration": "noc", "X-Bp-Config-Team": " db ", "Team": "b"}) == {
        "team": "b",
        "x-bp-config-team": "db",
        "x-relay-integration": "noc",
    }


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "authorization",
        "Proxy-Authorization",
        "Cookie",
        "Set-Cookie",
        "X-Relay-Key",
        "x-relay-KEY",
        "X-Api-Key",
    ],
)
def test_no_credential_is_kept(name):
    share = parse_share(BODY, {name: "s3cret"}, 1_700_000_000.0)

    assert share.headers == {}
    assert "s3cret" not in repr(share)


def test_the_configured_key_header_and_the_default_one_are_dropped_in_any_case():
    assert kept({"x-noc-KEY": "s3cret", "X-Relay-Key": "an old one", "Team": "db"}, key_header="X-NOC-Key") == {
        "team": "db"
    }


@pytest.mark.parametrize(
    "name",
    [
        "Host", "User-Agent", "Accept", "Accept-Encoding", "Content-Type", "Content-Length", "Connection", "Keep-Alive",
        "Transfer-Encoding", "Expect", "Date", "Via", "Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Real-Ip",
        "X-Request-Id", "X-Correlation-Id",
        "X-Amzn-Trace-Id", "X-Amz-Cf-Id", "Cf-Ray", "CF-Connecting-IP", "Traceparent",
        "Tracestate", "B3", "X-B3-TraceId", "X-Datadog-Trace-Id", "X-Cloud-Trace-Context", "True-Client-Ip", "Cdn-Loop",
        "X-Envoy-Attempt-Count", "Sentry-Trace", "Baggage", "Idempotency-Key", "X-Request-Start", "Newrelic",
    ],
)  # fmt: skip
def test_a_header_that_differs_at_each_delivery_is_dropped(name):
    assert kept({name: "differs", "Team": "db"}) == {"team": "db"}


def test_a_header_given_twice_keeps_both_values():
    assert kept(CIMultiDict([("Team", "db"), ("team", "noc")])) == {"team": "db, noc"}


def test_a_header_value_is_cleaned():
    assert kept({"Team": "d\udcffb\x00\U000f0001"}) == {"team": "d\ufffdb"}
