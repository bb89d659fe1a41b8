# relay in a container. The first stage builds relay; the second one contains only Python and relay.
#
#   docker build --tag relay .
#
# Mount routes and templates as /etc/relay (as compose.yaml does), or copy them into an image of your own:
#
#   FROM relay
#   COPY routes.yaml /etc/relay/routes.yaml
#   COPY templates /etc/relay/templates
#
# The database is in the volume /data. relay writes nowhere else, so the root file system may be read-only. Another user can
# run it, too, if it may write to /data; the group 0 may.

# Debian with Python 3.11 or newer and its venv module.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends binutils && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# pip has an environment of its own: relay never needs it.
RUN python -m venv /opt/pip && python -m venv --without-pip /opt/relay
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY relay relay
COPY templates templates
# What only a debugger reads is more than half of the libraries' machine code.
RUN /opt/pip/bin/pip --python /opt/relay/bin/python install --constraint constraints.txt . \
    && find /opt/relay -name '*.so*' -type f -exec strip --strip-debug {} + \
    && /opt/relay/bin/relay --version

FROM ${BASE}
RUN groupadd --gid 10001 relay \
    && useradd --uid 10001 --gid relay --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin relay \
    && install --directory --owner relay --group 0 --mode 0770 /data \
    && install --directory /etc/relay
COPY --from=build /opt/relay /opt/relay
# To use RELAY_DATABASE_URL_FILE, set RELAY_DATABASE_URL to an empty value: relay does not start with both.
ENV PATH=/opt/relay/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    RELAY_LISTEN=0.0.0.0:8080 \
    RELAY_DATABASE_URL=sqlite:////data/relay.db \
    RELAY_ROUTES=/etc/relay/routes.yaml \
    RELAY_TEMPLATES=/etc/relay/templates
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8080
# Checks /healthz, not /readyz: an orchestrator must not restart relay or stop its traffic because the database is down.
HEALTHCHECK --interval=10s --timeout=4s --start-period=30s --retries=3 \
    CMD ["python", "-I", "-c", "import http.client as h, os; c = h.HTTPConnection('localhost', int(os.environ['RELAY_LISTEN'].rpartition(':')[2]), timeout=3); c.request('GET', '/healthz'); raise SystemExit(c.getresponse().status != 200)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["relay"]
CMD ["serve"]
