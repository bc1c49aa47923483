"""infra/kubernetes, built for real: held against the schemas, and against what must hold of every pod."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from services.chassis.inbox import heard_by
from services.chassis.settings import BusSettings
from services.listing.service import Listing
from services.metering.service import Metering
from services.metering.settings import MeteringSettings
from services.negotiation.service import Negotiation
from services.negotiation.settings import IngestSettings
from services.settlement.service import Settlement
from tests.manifests import KUBERNETES, PROJECT, WRITES_ITS_ROOT, Manifest, Overlay, Pod, run_check


class TestSchemas:
    def test_refuse_what_is_wrong(self, tmp_path: Path) -> None:
        broken = tmp_path / "broken.yaml"
        broken.write_text(
            """
apiVersion: apps/v1
kind: Deployment
metadata: {name: no-selector}
spec: {template: {metadata: {labels: {a: b}}, spec: {containers: [{name: a, image: a}]}}}
---
apiVersion: v1
kind: Service
metadata: {name: port-in-words}
spec: {ports: [{port: http}]}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: misspelt}
spec: {maxUnavailabel: 1}
---
apiVersion: extensions/v1beta1
kind: Deployment
metadata: {name: long-gone}
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: misspelt-copies}
spec: {scaleTargetRef: {name: a}, minReplicas: 2, triggers: [{type: cron, metadata: {}}]}
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: no-trigger}
spec: {scaleTargetRef: {name: a}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: fine}
"""
        )
        done = run_check(broken)
        assert done.returncode == 1
        wrong = ["no-selector", "port-in-words", "misspelt", "long-gone", "misspelt-copies", "no-trigger"]
        for name in wrong:
            assert re.search(rf"^\w+ {name}: ", done.stdout, re.MULTILINE), (name, done.stdout)
        assert "fine:" not in done.stdout

    def test_refuse_what_holds_nothing(self, tmp_path: Path) -> None:
        files = {"empty.yaml": "", "unread.yaml": "a: [", "dashes.yaml": "---\n---\n"}
        for name, text in files.items():
            (tmp_path / name).write_text(text)
        done = run_check(*(tmp_path / name for name in files))
        assert done.returncode == 1
        for name in files:
            assert f"{name}: 0 objects, 1 mistakes" in done.stdout

    def test_take_the_secrets_that_the_script_makes(self, tmp_path: Path) -> None:
        made = subprocess.run(
            [KUBERNETES / "make-secrets.sh"], capture_output=True, text=True, check=True, timeout=60
        ).stdout
        (tmp_path / "secrets.yaml").write_text(made)
        assert run_check(tmp_path / "secrets.yaml").returncode == 0
        keys = {
            each["metadata"]["name"]: set(each["stringData"]) for each in yaml.safe_load_all(made) if each
        }
        del keys["servers"]
        # docker-compose.yml's script names the settings of every service, or of one.
        script = (PROJECT / "infra/containers/make-secrets.sh").read_text()
        named = set(re.findall(r"\$folder/([\w${}]+)", script))
        shared = {name for name in named if name.startswith("hireling_")}
        for service, own in keys.items():
            of_each = {name.replace("${service}", service) for name in named if name.startswith("${service}")}
            of_this = {name for name in named if name.startswith(service)}
            assert of_each | of_this <= own <= of_each | of_this | shared
        assert shared <= set().union(*keys.values())


def each_container(overlay: Overlay) -> Iterator[tuple[Pod, dict[str, Any]]]:
    for pod in overlay.pods:
        for container in [*pod.containers, *pod.spec.get("initContainers", [])]:
            yield pod, container


class TestEveryPod:
    def test_may_do_nothing_that_it_needs_not(self, overlay: Overlay) -> None:
        (namespace,) = overlay.of("Namespace")
        assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
        for pod, container in each_container(overlay):
            security, where = pod.security(container), f"{pod.name}/{container['name']}"
            assert security["runAsNonRoot"] is True, where
            assert security["seccompProfile"] == {"type": "RuntimeDefault"}, where
            assert security["allowPrivilegeEscalation"] is False, where
            assert security["capabilities"] == {"drop": ["ALL"]}, where
            assert security["readOnlyRootFilesystem"] or container["name"] in WRITES_ITS_ROOT, where
            assert not any(pod.spec.get(field) for field in ("hostNetwork", "hostPID", "hostIPC")), where

    def test_has_a_limit_of_memory_and_asks_for_what_it_needs(self, overlay: Overlay) -> None:
        for pod, container in each_container(overlay):
            resources = container["resources"]
            assert set(resources["limits"]) == {"memory"}, pod.name
            assert set(resources["requests"]) == {"cpu", "memory"}, pod.name

    def test_has_no_word_with_kubernetes(self, overlay: Overlay) -> None:
        for pod in overlay.pods:
            assert pod.spec["automountServiceAccountToken"] is False, pod.name
            # Its variables are called like settings of ours: GATEWAY_PORT.
            assert pod.spec["enableServiceLinks"] is False, pod.name
        assert not overlay.of("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding")

    def test_reads_its_own_secret_from_files(self, overlay: Overlay) -> None:
        for pod, container in each_container(overlay):
            assert all(set(each) == {"name", "value"} for each in container.get("env", [])), pod.name
            assert all("configMapRef" in each for each in container.get("envFrom", [])), pod.name
            environment = overlay.environment(container)
            assert not any("@" in value for value in environment.values()), pod.name
            mounted = {each["name"] for each in container["volumeMounts"]}
            secrets = {
                each["secret"]["secretName"]: each["secret"]["defaultMode"]
                for each in pod.spec.get("volumes", [])
                if each["name"] in mounted and "secret" in each
            }
            assert all(mode == 0o440 for mode in secrets.values()), pod.name
            if "HIRELING_SECRETS" in environment:
                own = Path(environment["HIRELING_SECRETS"]).name
                assert secrets.keys() - {f"{own}-keys"} == {own}, pod.name

    def test_names_only_what_there_is(self, overlay: Overlay) -> None:
        cells = re.findall(r"^\| (`[^|]+) \|", (PROJECT / "docs/kubernetes.md").read_text(), re.MULTILINE)
        documented = {name for cell in cells for name in re.findall(r"`([a-z-]+)`", cell)}
        assert named_by(overlay, "secret") <= documented
        assert named_by(overlay, "configMap") <= overlay.named("ConfigMap") | documented
        assert named_by(overlay, "persistentVolumeClaim") <= overlay.named("PersistentVolumeClaim")
        for pod in overlay.pods:
            account = pod.spec.get("serviceAccountName")
            assert account is None or account in overlay.named("ServiceAccount"), pod.name
            volumes = {each["name"] for each in pod.spec.get("volumes", [])}
            claims = pod.manifest["spec"].get("volumeClaimTemplates", [])
            volumes |= {each["metadata"]["name"] for each in claims}
            for container in pod.containers:
                assert {each["name"] for each in container["volumeMounts"]} <= volumes, pod.name


def named_by(overlay: Overlay, kind: str) -> set[str]:
    """Return the objects of a kind that pods mount."""
    key = {"secret": "secretName", "persistentVolumeClaim": "claimName", "configMap": "name"}[kind]
    volumes = [volume for pod in overlay.pods for volume in pod.spec.get("volumes", [])]
    sources = [source for volume in volumes for source in volume.get("projected", {}).get("sources", [])]
    return {each[kind][key] for each in [*volumes, *sources] if kind in each}


def selects(selector: dict[str, Any], pod: Pod) -> bool:
    labels: dict[str, str] = selector["matchLabels"]
    return labels.items() <= pod.labels.items()


def ports_to(policy: Manifest, direction: str) -> set[int]:
    return {port["port"] for rule in policy["spec"].get(direction, []) for port in rule["ports"]}


class TestWires:
    def test_nothing_else_passes(self, overlay: Overlay) -> None:
        (closed,) = (
            each for each in overlay.of("NetworkPolicy") if each["metadata"]["name"] == "nothing-else"
        )
        assert closed["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
        for policy in overlay.of("NetworkPolicy"):
            # Each names ports; only the encrypted door of the broker is open to anybody.
            for direction in ("ingress", "egress"):
                for rule in policy["spec"].get(direction, []):
                    assert rule["ports"]
                    assert rule.get("from", rule.get("to")) or ports_to(policy, direction) == {8883}

    def test_lead_somewhere(self, overlay: Overlay) -> None:
        used = {label for pod in overlay.pods for label in pod.labels if label.startswith("to-")}
        policies = {each["metadata"]["name"]: each for each in overlay.of("NetworkPolicy")}
        for label in used:
            assert policies[label]["spec"]["podSelector"] == {"matchLabels": {label: "yes"}}
            for rule in policies[label]["spec"]["egress"]:
                for target in rule["to"]:
                    assert "ipBlock" in target or any(
                        selects(target["podSelector"], pod) for pod in overlay.pods
                    )

    def test_end_where_they_are_let_in(self, local: Overlay) -> None:
        policies = {each["metadata"]["name"]: each for each in local.of("NetworkPolicy")}
        outward = [name for name in policies if name.startswith("to-")]
        assert len(outward) == 5
        for name in outward:
            inward = policies[name.replace("to-", "into-", 1)]
            (target,) = policies[name]["spec"]["egress"][0]["to"]
            assert inward["spec"]["podSelector"] == target["podSelector"]
            assert inward["spec"]["ingress"][0]["from"] == [
                {"podSelector": policies[name]["spec"]["podSelector"]}
            ]
            assert ports_to(policies[name], "egress") == ports_to(inward, "ingress")

    def test_reach_a_port_that_is_open(self, overlay: Overlay) -> None:
        for service in overlay.of("Service"):
            (pod,) = (
                each for each in overlay.pods if selects({"matchLabels": service["spec"]["selector"]}, each)
            )
            names = {
                port["name"]: port["containerPort"]
                for container in pod.containers
                for port in container.get("ports", [])
            }
            for port in service["spec"]["ports"]:
                assert names[port["targetPort"]] == port["port"]

    def test_devices_come_in_encrypted(self, production: Overlay) -> None:
        open_to_all = [
            each for each in production.of("Service") if each["spec"].get("type", "ClusterIP") != "ClusterIP"
        ]
        assert [port["port"] for each in open_to_all for port in each["spec"]["ports"]] == [8883]
        pod, _ = production.container("mosquitto")
        (shared,) = (each for each in pod.spec["volumes"] if each["name"] == "shared")
        items = [item for source in shared["projected"]["sources"] for item in source["configMap"]["items"]]
        # Mosquitto reads each file whose name ends in .conf.
        assert {"key": "tls.conf.example", "path": "tls.conf"} in items
        files = re.findall(
            r"^(?:cert|key)file (.+)$", (PROJECT / "infra/mosquitto/tls.conf.example").read_text(), re.M
        )
        (mount,) = (each for each in pod.containers[0]["volumeMounts"] if each["name"] == "certificate")
        (volume,) = (each for each in pod.spec["volumes"] if each["name"] == "certificate")
        assert sorted(files) == sorted(
            f"{mount['mountPath']}/{each['path']}" for each in volume["secret"]["items"]
        )
        _, gateway = production.container("gateway")
        assert production.environment(gateway)["HIRELING_MQTT_URL"].startswith("mqtts://")


class TestCopies:
    def test_leave_one_by_one(self, overlay: Overlay) -> None:
        budgets = overlay.of("PodDisruptionBudget")
        guarded = [
            pod.name for each in budgets for pod in overlay.pods if selects(each["spec"]["selector"], pod)
        ]
        copied = [pod.name for pod in overlay.pods if pod.manifest["kind"] == "Deployment"]
        assert sorted(guarded) == sorted(copied)
        # minAvailable: 1 would keep a node with the only copy for ever.
        assert all(each["spec"]["maxUnavailable"] == 1 for each in budgets)

    def test_are_counted_by_one_alone(self, production: Overlay) -> None:
        scaled = production.of("ScaledObject", "HorizontalPodAutoscaler")
        targets = [each["spec"]["scaleTargetRef"]["name"] for each in scaled]
        deployments = {each["metadata"]["name"]: each for each in production.of("Deployment")}
        assert sorted(targets) == sorted(deployments)
        assert not any("replicas" in each["spec"] for each in deployments.values())

    def test_one_machine_needs_no_keda(self, local: Overlay) -> None:
        assert not [each for each in local.manifests if each["apiVersion"].startswith("keda")]

    def test_of_consumers_go_by_all_that_waits_for_them(self, production: Overlay) -> None:
        services = {
            each.name: heard_by(each, name=each.name) for each in (Listing, Metering, Negotiation, Settlement)
        }
        queues = {queue: name for name, heard in services.items() for queue in [f"rpc-{name}", *heard]}
        assert len(queues) > len(services) * 2
        elsewhere = [f"{queue}{end}" for queue in queues for end in (".parked", ".retry.1", ".1000")]
        for name in services:
            (trigger,) = triggers_of(production, name)
            found = trigger["metadata"]
            assert trigger["type"] == "rabbitmq"
            assert set(found) == {"protocol", "useRegex", "operation", "queueName", "mode", "value"}
            assert (found["protocol"], found["useRegex"], found["operation"]) == ("http", "true", "sum")
            # RabbitMQ finds the expression anywhere in a name.
            counted = [queue for queue in [*queues, *elsewhere] if re.search(found["queueName"], queue)]
            assert counted == [queue for queue, of in queues.items() if of == name]
            assert int(found["value"]) == 5 * BusSettings().max_workers
            assert trigger["authenticationRef"]["name"] in production.named("TriggerAuthentication")

    def test_of_ingests_go_by_full_hands(self, production: Overlay) -> None:
        full = {
            "metering": MeteringSettings().queue_size,
            "negotiation": IngestSettings().queue_size,
        }
        metrics = (PROJECT / "docs/observability.md").read_text()
        for folder, most in full.items():
            (trigger,) = triggers_of(production, f"{folder}-ingest")
            assert set(trigger["metadata"]) == {"serverAddress", "query", "threshold"}
            assert trigger["metadata"]["query"] == f"sum(hireling_{folder}_in_hand)"
            assert f"`hireling_{folder}_in_hand` | gauge" in metrics
            assert int(trigger["metadata"]["threshold"]) * 2 == most


def triggers_of(overlay: Overlay, name: str) -> list[dict[str, Any]]:
    (found,) = (each for each in overlay.of("ScaledObject") if each["metadata"]["name"] == name)
    triggers: list[dict[str, Any]] = found["spec"]["triggers"]
    return triggers


def test_production_runs_what_a_digest_names(production: Overlay) -> None:
    for pod, container in each_container(production):
        assert re.search(r"/.+@sha256:[0-9a-f]{64}$", container["image"]), pod.name
