#!/usr/bin/env bash
# `make image`: builds the image with buildah, and starts it with podman as a cautious operator does: read-only, without
# capabilities, as a user that the image does not know. Needs root. Where Docker's registry is out of reach, the base image
# is made from Debian's packages (debootstrap).
set -euo pipefail
cd "$(dirname "$0")/../.."

official=docker.io/library/python:3.11-slim-bookworm
own=localhost/relay-base:bookworm
image=localhost/relay:latest
name="relay-image-test-$$"
folder=$(mktemp -d)
trap 'engine podman rm --force --time 0 "$name" >/dev/null 2>&1 || true; rm -rf "$folder"' EXIT

say() { printf '%s\n' "$*" >&2; }

# crun rejects machines that mount both versions of cgroups; so the second one is out of its sight.
engine() {
  unshare --mount sh -c 'mount --make-rprivate / && { umount /sys/fs/cgroup/unified 2>/dev/null || true; } && exec "$@"' sh "$@"
}

make_base() {
  say "Making a base image from Debian's packages"
  debootstrap --variant=minbase --include=python3,python3-venv,python-is-python3,ca-certificates bookworm "$folder/root" \
    >"$folder/debootstrap.log" || { tail -5 "$folder/debootstrap.log" >&2; exit 1; }
  tar --directory "$folder/root" --create --exclude='./var/cache/apt/*' --exclude='./var/lib/apt/lists/*' . |
    engine podman import --quiet - "$own" >/dev/null
  rm -rf "$folder/root"
}

if engine buildah pull --quiet "$official" >/dev/null 2>&1; then
  base=$official
else
  engine buildah inspect --type image "$own" >/dev/null 2>&1 || make_base
  base=$own
fi

# Behind a proxy that decrypts TLS, pip needs that proxy's authority.
arguments=()
if [ -n "${SSL_CERT_FILE:-}" ]; then
  printf '[global]\ncert = /etc/ssl/certs/own.crt\n' >"$folder/pip.conf"
  arguments=(--volume "$SSL_CERT_FILE:/etc/ssl/certs/own.crt:ro" --volume "$folder/pip.conf:/etc/pip.conf:ro")
fi
say "Building $image on $base"
# Only the format of Docker keeps the health check.
engine buildah build --layers --format docker --isolation chroot --network host --pull-never --build-arg "BASE=$base" \
  "${arguments[@]}" --tag "$image" . >"$folder/build.log" 2>&1 || { tail -20 "$folder/build.log" >&2; exit 1; }

user=4711
mkdir "$folder/config" "$folder/data" "$folder/secrets"
cp -r routes.yaml templates "$folder/config"
printf xoxb-of-the-test >"$folder/secrets/slack_bot_token"
printf key-of-the-webhook >"$folder/secrets/webhook_keys"
chmod -R a+rX "$folder"
chown "$user:0" "$folder/data"
run=(--cgroups=disabled --network host --read-only --cap-drop all --security-opt no-new-privileges --user "$user:0"
  --ulimit nofile=1024:1024 --ulimit nproc=1024:1024
  --volume "$folder/config:/etc/relay:ro" --volume "$folder/data:/data" --volume "$folder/secrets:/run/secrets:ro"
  --env SLACK_BOT_TOKEN_FILE=/run/secrets/slack_bot_token --env RELAY_WEBHOOK_KEYS_FILE=/run/secrets/webhook_keys
  --env SLACK_API_URL=http://127.0.0.1:9/api/ --env RELAY_LISTEN=127.0.0.1:18981)

say "What is in the image"
engine podman run --rm "${run[@]}" --entrypoint python "$image" -c '
import compileall, pathlib, re2, sys, uvloop, zoneinfo
import psycopg
assert psycopg.pq.__impl__ == "binary" and psycopg.pq.version() >= 160000
zoneinfo.ZoneInfo("Europe/Berlin")
site = pathlib.Path(re2.__file__).parents[1]
assert not any((site / name).exists() for name in ("pip", "setuptools", "pytest")), "there are tools in the image"
compiled = [path for path in site.rglob("*.pyc")]
assert len(compiled) > 1000, "each start would compile every module again"
size = sum(path.stat().st_size for path in pathlib.Path("/opt/relay").rglob("*") if path.is_file())
print(f"relay and its libraries: {size / 1e6:.0f} MB")
assert size < 120e6
' >&2

say "Starting it: read-only, no capability, uid $user"
engine podman run --detach --name "$name" "${run[@]}" "$image" >/dev/null
for _ in $(seq 120); do
  if engine podman healthcheck run "$name" >/dev/null 2>&1; then
    healthy=yes
    break
  fi
  sleep 0.5
done
[ "${healthy:-}" ] || { engine podman logs "$name" >&2; say "the health check never passed"; exit 1; }
answer=$(curl --silent --show-error --max-time 10 --header 'X-Relay-Key: key-of-the-webhook' \
  --data '{"incident": {"id": "i1", "status": "critical"}}' http://127.0.0.1:18981/shares)
grep -q '"share":1' <<<"$answer" || { say "a share was answered: $answer"; exit 1; }
started=$(date +%s)
engine podman stop --time 15 "$name" >/dev/null 2>&1
[ "$(engine podman wait "$name")" = 0 ] || { engine podman logs "$name" >&2; say "it did not stop by itself"; exit 1; }
say "It is healthy, stored a share as $(stat --format %u "$folder/data/relay.db"), and stopped in $(($(date +%s) - started)) s."
