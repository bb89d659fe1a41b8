"""The proxy for an address. (The tests of both clients cover the rest of the sessions.)"""

import ssl

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from relay.http.outcome import CERTIFICATE_REMEDIES, Failure
from relay.http.session import ConnectionWatch, failure_from, proxy_for


@pytest.mark.parametrize(
    ("url", "exempt", "proxy"),
    [
        ("https://slack.com/api/", "", "http://proxy:3128"),
        ("https://slack.com/api/", "slack.com", None),
        ("https://wss.slack.com/api/", ".slack.com", None),
        ("https://slack.com/api/", "*", None),
        ("https://stand-in.internal:8443/api/", "stand-in.internal:8443", None),
        ("http://slack.com/api/", "", None),
        ("https://localhost:8081/api/", "", None),
        ("https://127.0.0.1:8081/api/", "", None),
        ("https://[::1]:8081/api/", "", None),
    ],
)
def test_the_proxy_of_the_environment_is_used_except_for_exempt_and_loopback_addresses(monkeypatch, url, exempt, proxy):
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", exempt)

    assert proxy_for(url) == proxy


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        (10, Failure.CERTIFICATE_EXPIRED),
        (18, Failure.CERTIFICATE_SELF_SIGNED),
        (20, Failure.CERTIFICATE_OF_UNKNOWN_AUTHORITY),
        (62, Failure.CERTIFICATE_OF_ANOTHER_HOST),
        (24, Failure.CERTIFICATE_REJECTED),
    ],
)
def test_the_problem_of_a_certificate_is_named(code, failure):
    problem = ssl.SSLCertVerificationError(1, "certificate verify failed")
    problem.verify_code = code
    key = ConnectionKey("slack.example", 443, True, True, None, None, None)  # noqa: FBT003  aiohttp's
    error = aiohttp.ClientConnectorCertificateError(key, problem)
    assert failure_from(error, ConnectionWatch(connected=False)) is failure
    assert failure.is_surely_not_done
    assert CERTIFICATE_REMEDIES[failure].endswith(".")
