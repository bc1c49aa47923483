"""The lock of images: asked of a registry in the registries' own words, and refused where it lies."""

import hashlib
import importlib.util
import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

PROJECT = Path(__file__).parents[3]
TOKEN = "anybody may read"
INDEX = "application/vnd.oci.image.index.v1+json"


def loaded() -> ModuleType:
    """Return infra/lock_images.py, which is a program and in no package."""
    spec = importlib.util.spec_from_file_location("lock_images", PROJECT / "infra/lock_images.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where its dataclass looks itself up
    spec.loader.exec_module(module)
    return module


lock_images = loaded()


class Registry(ThreadingHTTPServer):
    """A registry of images, as far as their manifests go."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.manifests: dict[str, bytes] = {}
        """By repository and tag, such as library/postgres:16."""
        self.names_digests = True

    @property
    def host(self) -> str:
        """Return its name in an image's."""
        return f"127.0.0.1:{self.server_port}"

    def push(self, name: str, manifest: bytes) -> str:
        """Keep a manifest; return its digest."""
        self.manifests[name] = manifest
        return f"sha256:{hashlib.sha256(manifest).hexdigest()}"


class Answer(BaseHTTPRequestHandler):
    """Answers as the distribution specification says, tokens as Docker Hub gives them."""

    server: Registry

    def do_HEAD(self) -> None:
        """Tell a manifest's digest to whoever has a token."""
        repository, _, tag = self.path.removeprefix("/v2/").rpartition("/manifests/")
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            realm = f'realm="http://{self.server.host}/token",scope="repository:{repository}:pull"'
            return self._answer(401, {"WWW-Authenticate": f"Bearer {realm}"})
        manifest = self.server.manifests.get(f"{repository}:{tag}")
        if manifest is None or INDEX not in self.headers.get("Accept", ""):
            return self._answer(404, {})
        digest = hashlib.sha256(manifest).hexdigest() if self.server.names_digests else "?"
        return self._answer(200, {"Content-Type": INDEX, "Docker-Content-Digest": f"sha256:{digest}"})

    def do_GET(self) -> None:
        """Give a token for a repository."""
        asked = parse_qs(urlsplit(self.path).query)
        assert asked["scope"][0].startswith("repository:")
        self._answer(200, {"Content-Type": "application/json"}, json.dumps({"token": TOKEN}).encode())

    def _answer(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def registry() -> Iterator[Registry]:
    """Run a registry."""
    with Registry() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def digests(registry: Registry) -> dict[str, str]:
    """Return the digests of what the registry has."""
    names = ("postgres:16", "grafana/grafana:11", "python:3")
    return {f"{registry.host}/{name}": registry.push(name, name.encode()) for name in names}


@pytest.fixture
def project(tmp_path: Path, registry: Registry) -> Path:
    """Make a project of two servers and an image of our own."""
    services = {
        "postgres": {"image": f"{registry.host}/postgres:16"},
        "grafana": {"image": f"{registry.host}/grafana/grafana:11"},
        "secrets": {"image": "hireling-platform", "build": {"context": ".", "dockerfile": "Dockerfile"}},
        "listing": {"image": "hireling-platform"},
    }
    (tmp_path / "docker-compose.yml").write_text(yaml.safe_dump({"services": services}))
    (tmp_path / "Dockerfile").write_text(f"ARG PYTHON={registry.host}/python:3\nFROM ${{PYTHON}}\n")
    (tmp_path / "infra/containers").mkdir(parents=True)
    return tmp_path


def test_locks_what_the_registry_has(project: Path, digests: dict[str, str]) -> None:
    assert lock_images.main([], project) == 0
    assert lock_images.read_lock(project / lock_images.LOCK) == digests
    services = yaml.safe_load((project / lock_images.PINNED).read_text())["services"]
    postgres, grafana, python = (f"{image}@{digest}" for image, digest in digests.items())
    assert services == {
        "postgres": {"image": postgres},
        "grafana": {"image": grafana},
        "secrets": {"build": {"args": {"PYTHON": python}}},
    }


def test_says_what_has_moved_on(
    project: Path, registry: Registry, digests: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    lock_images.main([], project)
    assert lock_images.main(["--check"], project) == 0
    registry.push("postgres:16", b"a newer one")
    assert lock_images.main(["--check"], project) == 1
    assert f"{registry.host}/postgres:16 has moved on" in capsys.readouterr().out
    assert lock_images.read_lock(project / lock_images.LOCK) == digests


@pytest.mark.usefixtures("digests")
@pytest.mark.parametrize("trouble", ["unknown", "no digest", "unreachable"])
def test_writes_nothing_where_one_answer_is_missing(
    project: Path, registry: Registry, trouble: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if trouble == "unknown":
        del registry.manifests["python:3"]
    elif trouble == "no digest":
        registry.names_digests = False
    else:
        registry.shutdown()
        registry.server_close()
    assert lock_images.main([], project) == 1
    assert "nothing was locked" in capsys.readouterr().err
    assert not (project / lock_images.LOCK).exists()
    assert not (project / lock_images.PINNED).exists()


@pytest.mark.parametrize(
    ("image", "address"),
    [
        ("postgres:16", "https://registry-1.docker.io/v2/library/postgres/manifests/16"),
        ("prom/prometheus:v2.55.1", "https://registry-1.docker.io/v2/prom/prometheus/manifests/v2.55.1"),
        ("ghcr.io/a/b:1", "https://ghcr.io/v2/a/b/manifests/1"),
        ("localhost:5000/a:1", "http://localhost:5000/v2/a/manifests/1"),
    ],
)
def test_asks_where_docker_would(image: str, address: str) -> None:
    assert lock_images.Name.parse(image).manifest == address


def test_knows_every_image_of_the_stack() -> None:
    found = set(lock_images.images_of(PROJECT))
    assert found >= {"postgres:16", "rabbitmq:3-management", "eclipse-mosquitto:2", "python:3.11-slim"}
    froms = {
        line.split()[1]
        for path in (PROJECT / "infra/containers").glob("*.Dockerfile")
        for line in path.read_text().splitlines()
        if line.startswith("FROM ")
    }
    assert all(name.startswith("${") for name in froms), "a base image that no lock can pin"


def test_a_lock_that_is_there_is_whole() -> None:
    path = PROJECT / lock_images.LOCK
    if path.exists():
        digests = lock_images.read_lock(path)
        assert sorted(digests) == lock_images.images_of(PROJECT)
        assert (PROJECT / lock_images.PINNED).read_text() == lock_images.pinned(PROJECT, digests)
