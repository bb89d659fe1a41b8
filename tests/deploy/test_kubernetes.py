"""The manifests for Kubernetes build, are valid, keep what docs/deploying.md promises, and start a relay.

kubectl's own kustomize builds them, and the schemas of Kubernetes' releases check them.
"""

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from relay.app import CLOSE_SECONDS
from relay.cli import app
from relay.config.settings import SECRETS, Settings
from relay.samples import read_starter
from tests.support.proxies import find_program
from tests.support.relay_process import running

kubernetes_validate = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")

ROOT = Path(__file__).resolve().parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"
OVERLAYS = ("sqlite", "postgresql", "example")
VERSIONS = ("1.30.0", kubernetes_validate.latest_version())
"""The oldest that has `sleep` in `preStop`, and the newest."""

ROUTES = (KUBERNETES / "pod" / "config" / "routes.yaml").read_text(encoding="utf-8")
CHANNELS = {"C0ALL00001": "incidents"}


@cache
def kustomize(overlay):
    """The objects of an overlay. No test changes them."""
    kubectl = find_program("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    command = [kubectl, "kustomize", str(KUBERNETES / overlay)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (built.returncode, built.stderr) == (0, "")
    return list(yaml.safe_load_all(built.stdout))


@pytest.fixture(scope="module", params=OVERLAYS)
def objects(request):
    return kustomize(request.param)


def of_kind(objects, *kinds):
    return [each for each in objects if each["kind"] in kinds]


def relay_of(objects):
    """The workload that runs relay."""
    [workload] = [each for each in of_kind(objects, "StatefulSet", "Deployment") if each["metadata"]["name"] == "relay"]
    return workload


def pods(objects):
    return [each["spec"]["template"] for each in of_kind(objects, "StatefulSet", "Deployment")]


def container(pod):
    [one] = pod["spec"]["containers"]
    return one


def environment(pod):
    return {each["name"]: each["value"] for each in container(pod)["env"]}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_kubernetes_object_is_valid(objects, version):
    for each in objects:
        kubernetes_validate.validate(each, version, strict=True)


def test_a_new_kubernetes_can_run_every_pod_under_the_restricted_standard(objects):
    """No way to write or to ask either (https://kubernetes.io/docs/concepts/security/pod-security-standards/)."""
    for pod in pods(objects):
        spec, security = pod["spec"], container(pod)["securityContext"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"]["drop"] == ["ALL"]
        assert set(security["capabilities"].get("add", ())) <= {"NET_BIND_SERVICE"}
        assert security["readOnlyRootFilesystem"] is True
        assert (spec["automountServiceAccountToken"], spec["enableServiceLinks"]) == (False, False)


def test_relay_has_the_user_of_the_image_and_may_write_its_volume(objects):
    security = relay_of(objects)["spec"]["template"]["spec"]["securityContext"]
    [uid] = re.findall(r"--uid (\d+)", (ROOT / "Dockerfile").read_text())
    assert {security[name] for name in ("runAsUser", "runAsGroup", "fsGroup")} == {int(uid)}
    assert security["fsGroupChangePolicy"] == "OnRootMismatch"


def test_everything_is_mounted_as_a_folder_and_exists(objects):
    known = {(each["kind"], each["metadata"]["name"]) for each in objects}
    for pod in pods(objects):
        volumes = {each["name"]: each for each in pod["spec"]["volumes"]}
        claims = relay_of(objects)["spec"].get("volumeClaimTemplates", [])
        mounts = container(pod)["volumeMounts"]
        assert not any("subPath" in mount or "subPathExpr" in mount for mount in mounts)
        assert {mount["name"] for mount in mounts} <= {*volumes, *(each["metadata"]["name"] for each in claims)}
        for volume in volumes.values():
            source = volume.get("configMap", {"optional": True})
            assert source.get("optional") or ("ConfigMap", source["name"]) in known
        assert {each["secret"]["secretName"] for each in volumes.values() if "secret" in each} <= {"relay"}


def test_every_setting_exists_and_its_file_is_mounted(objects):
    pod = relay_of(objects)["spec"]["template"]
    known = {str(field.validation_alias) for field in Settings.model_fields.values()}
    mounted = tuple(f"{mount['mountPath']}" for mount in container(pod)["volumeMounts"])
    for name, value in environment(pod).items():
        secret = name.removesuffix("_FILE")
        assert name in known or secret in SECRETS
        assert not value.startswith("/") or value.startswith(mounted) or value == "/etc/relay-templates"
    assert environment(pod)["RELAY_TEMPLATES"] in {str(Path(path).parent) for path in mounted}


def test_the_pod_has_enough_time_to_stop_and_to_migrate(objects):
    for pod in pods(objects):
        pause = container(pod)["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert pause >= 5
        assert pod["spec"]["terminationGracePeriodSeconds"] > pause + CLOSE_SECONDS + 2
    relay = container(relay_of(objects)["spec"]["template"])
    startup = relay["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 1800
    assert relay["livenessProbe"]["httpGet"]["path"] == startup["httpGet"]["path"] == "/healthz"
    assert startup["httpGet"]["port"] == relay["livenessProbe"]["httpGet"]["port"] == "http"
    ready = relay["readinessProbe"]["httpGet"]
    assert (ready["path"], ready["port"]) in {("/healthz", "http"), ("/readyz", "admin")}
    assert {port["name"]: port["containerPort"] for port in relay["ports"]} == {"http": 8080, "admin": 8081}
    assert environment(relay_of(objects)["spec"]["template"])["RELAY_ADMIN_LISTEN"].endswith(":8081")


def test_each_service_and_budget_selects_one_workload_and_only_the_ingress_is_public(objects):
    workloads = of_kind(objects, "StatefulSet", "Deployment")

    def selected(labels):
        return [each["metadata"]["name"] for each in workloads if labels.items() <= pod_labels(each).items()]

    def pod_labels(workload):
        return workload["spec"]["template"]["metadata"]["labels"]

    for each in workloads:
        assert selected(each["spec"]["selector"]["matchLabels"]) == [each["metadata"]["name"]]
    for service in of_kind(objects, "Service"):
        assert selected(service["spec"]["selector"]) == [service["metadata"]["name"]]
        assert service["spec"].get("type", "ClusterIP") == "ClusterIP"
    for budget in of_kind(objects, "PodDisruptionBudget"):
        [name] = selected(budget["spec"]["selector"]["matchLabels"])
        assert next(each["spec"]["replicas"] for each in workloads if each["metadata"]["name"] == name) > 1
    [ingress] = of_kind(objects, "Ingress")
    [rule] = ingress["spec"]["rules"]
    assert [path["path"] for path in rule["http"]["paths"]] == ["/shares", "/slack/"]
    assert rule["host"] in ingress["spec"]["tls"][0]["hosts"]
    assert {path["backend"]["service"]["port"]["name"] for path in rule["http"]["paths"]} == {"http"}
    services = {each["metadata"]["name"] for each in of_kind(objects, "Service")}
    assert {path["backend"]["service"]["name"] for path in rule["http"]["paths"]} <= services


def test_with_sqlite_one_relay_on_a_block_volume_runs_behind_a_proxy_that_holds_shares():
    objects = kustomize("sqlite")
    relay = relay_of(objects)
    assert (relay["kind"], relay["spec"]["replicas"]) == ("StatefulSet", 1)
    assert relay["spec"]["podManagementPolicy"] == "Parallel"
    [claim] = relay["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    [data] = [each for each in container(relay["spec"]["template"])["volumeMounts"] if each["name"] == "data"]
    assert f"sqlite:///{data['mountPath']}/" in (ROOT / "Dockerfile").read_text()
    [ingress] = of_kind(objects, "Ingress")
    assert {path["backend"]["service"]["name"] for path in ingress["spec"]["rules"][0]["http"]["paths"]} == {
        "relay-proxy"
    }
    [caddyfile] = [each["data"] for each in of_kind(objects, "ConfigMap") if "Caddyfile" in each["data"]]
    assert caddyfile["Caddyfile"] == (ROOT / "deploy" / "proxy" / "Caddyfile").read_text()
    proxy = next(pod for pod in pods(objects) if container(pod)["name"] == "caddy")
    assert environment(proxy)["RELAY_UPSTREAM"] == "relay:8080"


def test_an_edit_of_routes_or_templates_restarts_no_pod(objects):
    names = {each["metadata"]["name"] for each in of_kind(objects, "ConfigMap")}
    assert {name for name in names if name.startswith("relay-routes")} == {"relay-routes"}
    assert {name for name in names if name.startswith("relay-templates")} <= {"relay-templates-incident"}


def test_the_first_routes_are_those_of_relay_init():
    assert read_starter("routes.yaml") == ROUTES, "copy what `relay init` writes to deploy/kubernetes/pod/config"


def test_the_routes_and_templates_of_the_example_have_no_fault():
    example = KUBERNETES / "example"
    files = ("--routes", str(example / "routes.yaml"), "--templates", str(example / "templates"))
    checked = CliRunner().invoke(app, ["check", "--strict", *files])
    assert checked.exit_code == 0, checked.output


def mount(folder, files):
    """Mount files as the kubelet does: in a dated folder, the link `..data` to it, and links through `..data`."""
    folder.mkdir(parents=True, exist_ok=True)
    dated = folder / f"..{len(list(folder.iterdir()))}"
    dated.mkdir()
    for name, text in files.items():
        (dated / name).write_text(text)
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    (folder / "..data_tmp").symlink_to(dated.name)
    (folder / "..data_tmp").rename(folder / "..data")


async def test_the_pod_starts_relay_and_an_edit_of_its_configmap_is_live(slack, tmp_path):
    """The pod's environment and folders, with the kubelet's links, below a folder of the test."""
    objects = kustomize("example")
    pod = relay_of(objects)["spec"]["template"]
    maps = {each["metadata"]["name"]: each["data"] for each in of_kind(objects, "ConfigMap")}
    secrets = {name.lower(): "a-secret-of-the-test" for name in ("SLACK_BOT_TOKEN", "BIGPANDA_API_KEY")}
    secrets |= {"webhook_keys": "key-of-the-webhook", "slack_app_token": "xapp-of-the-test"}
    sources = {each["name"]: each for each in pod["spec"]["volumes"]}
    folders = {}
    for each in container(pod)["volumeMounts"]:
        folders[each["name"]] = tmp_path / each["mountPath"].lstrip("/")
        source = sources.get(each["name"], {})
        files = secrets if "secret" in source else maps[source["configMap"]["name"]] if "configMap" in source else {}
        mount(folders[each["name"]], files)
    environ = {
        name: f"{tmp_path}{value}" if value.startswith("/") else value for name, value in environment(pod).items()
    }
    environ |= {"RELAY_WEBHOOK_KEYS": "", "SLACK_BOT_TOKEN": ""}  # their files are set
    environ |= {"RELAY_ADMIN_LISTEN": "127.0.0.1:0"}
    environ |= {"RELAY_DATABASE_URL": f"sqlite:///{folders['data']}/relay.db"}
    async with running(tmp_path, slack.url, command=(sys.executable, "-m", "relay", "serve"), **environ) as relay:
        operators = f"http://127.0.0.1:{(await relay.line('serving_operators'))['port']}"
        for address, path, status in (
            (relay.url, "/readyz", 404),
            (operators, "/readyz", 200),
            (relay.url, "/healthz", 200),
        ):
            async with relay.session.get(address + path) as answer:
                assert answer.status == status
        share = {"incident": {"id": "i1", "status": "critical"}}
        assert (await (await relay.share(share)).json())["routes"] == ["everything"]
        mount(folders["routes"], {"routes.yaml": ROUTES.replace("name: everything", "name: edited")})
        await relay.until(lambda: sum(line.get("event") == "configuration_live" for line in relay.logged) == 2)
        assert (await (await relay.share({"incident": share["incident"] | {"id": "i2"}})).json())["routes"] == [
            "edited"
        ]
