"""The proxy for an address. (The tests of both clients cover the rest of the sessions.)"""

import pytest

from relay.http.session import proxy_for


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
