"""Select the headers to keep: the custom headers that the operator gave the webhook in BigPanda, and no others.

Custom headers are how one relay tells several integrations apart (https://docs.bigpanda.io/en/custom-headers). What the
sender's client, a proxy or a tracer adds differs at each delivery, and would make every repeat look new. Credentials
must not be stored.
"""

from collections.abc import Mapping
from itertools import islice

from relay.model.bounds import HEADERS_REMEMBERED, LONGEST_HEADER, bound_text
from relay.model.outside_text import clean_text

_CREDENTIALS = (
    "api-key apikey authorization cookie cookie2 ocp-apim-subscription-key set-cookie x-access-token x-api-key "
    "x-auth-token x-functions-key x-goog-api-key x-relay-key"
)
_PER_DELIVERY = (
    # HTTP itself
    "age cache-control connection date dnt expect forwarded from host http2-settings keep-alive max-forwards origin "
    "pragma priority range referer te trailer transfer-encoding upgrade upgrade-insecure-requests user-agent via "
    "warning "
    # proxies and gateways
    "cdn-loop client-ip connect-time disguised-host total-route-time true-client-ip was-default-hostname "
    "x-appservice-proto x-client-ip x-cluster-client-ip x-host x-original-forwarded-for x-original-host x-original-uri "
    "x-original-url x-real-ip x-request-start x-scheme x-timer "
    # ids of one delivery
    "idempotency-key request-id x-correlation-id x-idempotency-key x-request-id x-trace-id "
    # tracers
    "b3 baggage elastic-apm-traceparent newrelic sentry-trace traceparent tracestate uber-trace-id x-client-trace-id "
    "x-cloud-trace-context x-ot-span-context"
)
_PREFIXES_PER_DELIVERY = (
    "accept akamai- cf- content- fastly- fly- grpc- if- ngrok- proxy- sec- x-akamai- x-amz- x-amzn- x-appengine- "
    "x-arr- x-azure- x-b3- x-datadog- x-dynatrace x-envoy- x-forwarded- x-goog- x-instana- x-istio- x-newrelic- "
    "x-varnish x-vercel-"
)
_DROPPED = frozenset((*_CREDENTIALS.split(), *_PER_DELIVERY.split()))
_DROPPED_PREFIXES = tuple(_PREFIXES_PER_DELIVERY.split())


def custom_headers(headers: Mapping[str, str], key_header: str) -> dict[str, str]:
    """Return the custom headers: names in lower case, and for a header given twice both values."""
    key_name = key_header.strip().lower()
    kept: dict[str, str] = {}
    for header, value in headers.items():
        name = header.strip().lower()
        if name in _DROPPED or name == key_name or name.startswith(_DROPPED_PREFIXES):
            continue
        name, text = clean_text(name), clean_text(value).strip()
        kept[name] = f"{kept[name]}, {text}" if name in kept else text
    return {name: bound_text(value, LONGEST_HEADER) for name, value in islice(kept.items(), HEADERS_REMEMBERED)}
