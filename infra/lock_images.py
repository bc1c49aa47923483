"""Every image of the stack by its digest, so that what runs is what was tried.

    python infra/lock_images.py           ask the registries; write infra/containers/images.lock, and from it
                                          docker-compose.pinned.yml
    python infra/lock_images.py --check   ask, and say which names have moved on since; changes nothing

The names are those in docker-compose.yml and, as ARG, in the Dockerfiles that it builds. A digest is that of
the list of all platforms where there is one. A lock is written whole or not at all.
"""

import argparse
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

PROJECT = Path(__file__).resolve().parents[1]
COMPOSE = Path("docker-compose.yml")
LOCK = Path("infra/containers/images.lock")
PINNED = Path("docker-compose.pinned.yml")
DOCKER_HUB = "registry-1.docker.io"
ANSWER_SECONDS = 30.0
# What a registry may answer with: lists of platforms first.
MANIFESTS = ", ".join(
    [
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    ]
)
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
BASE = re.compile(r"^ARG (?P<name>[A-Z]+)=(?P<image>\S+:\S+)$", re.MULTILINE)
PARAMETER = re.compile(r'(\w+)="([^"]*)"')


class NotLocked(Exception):
    """A registry could not be asked, or its answer is no digest; the message says which and why."""


@dataclass(frozen=True)
class Name:
    """An image's name as registries know it."""

    registry: str
    repository: str
    tag: str

    @classmethod
    def parse(cls, image: str) -> "Name":
        """Take a name apart as Docker does: no host means Docker Hub, and there no owner means `library`."""
        path, _, tag = image.rpartition(":")
        host, slash, rest = path.partition("/")
        if slash and ("." in host or ":" in host or host == "localhost"):
            return cls(registry=host, repository=rest, tag=tag)
        return cls(registry=DOCKER_HUB, repository=path if slash else f"library/{path}", tag=tag)

    @property
    def manifest(self) -> str:
        """Return the address of its manifest. Only a registry on this machine is asked without TLS."""
        scheme = "http" if self.registry.partition(":")[0] in {"127.0.0.1", "localhost"} else "https"
        return f"{scheme}://{self.registry}/v2/{self.repository}/manifests/{self.tag}"


def images_of(project: Path) -> list[str]:
    """Return the names of all images that are not built here, sorted."""
    services = _services(project)
    named = {str(service["image"]) for service in services.values() if not _is_ours(service)}
    bases = {image for service in services.values() for image in _bases(project, service).values()}
    return sorted(named | bases)


def digest_of(client: httpx.Client, image: str) -> str:
    """Ask the registry for an image's digest now. Raises NotLocked."""
    name = Name.parse(image)
    try:
        answer = client.head(name.manifest, headers={"Accept": MANIFESTS})
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            # Registries give a token to read what is public to anybody who asks where they say.
            token = _token(client, answer.headers.get("www-authenticate", ""))
            headers = {"Accept": MANIFESTS, "Authorization": f"Bearer {token}"}
            answer = client.head(name.manifest, headers=headers)
        answer.raise_for_status()
    except httpx.HTTPError as error:
        raise NotLocked(f"{image}: {error!r}") from error
    digest = answer.headers.get("docker-content-digest", "")
    if not DIGEST.fullmatch(digest):
        raise NotLocked(f"{image}: {name.registry} names no digest, but {digest!r}")
    return str(digest)


def lock_text(digests: Mapping[str, str]) -> str:
    """Return the lock: an image a line, by name and digest."""
    lines = [f"{image}@{digest}" for image, digest in sorted(digests.items())]
    return "\n".join(["# Made by `make lock-images`.", *lines]) + "\n"


def read_lock(path: Path) -> dict[str, str]:
    """Return the digests by the images' names. Raises NotLocked for a line that holds none."""
    digests = {}
    for line in path.read_text().splitlines():
        if line and not line.startswith("#"):
            image, _, digest = line.partition("@")
            if not DIGEST.fullmatch(digest):
                raise NotLocked(f"{path.name} has no digest in the line {line!r}")
            digests[image] = digest
    return digests


def pinned(project: Path, digests: Mapping[str, str]) -> str:
    """Return a compose file that names every image by its digest, those that ours are built on too."""
    services: dict[str, Any] = {}
    for name, service in _services(project).items():
        if not _is_ours(service):
            services[name] = {"image": _by_digest(str(service["image"]), digests)}
        elif bases := _bases(project, service):
            arguments = {argument: _by_digest(image, digests) for argument, image in bases.items()}
            services[name] = {"build": {"args": arguments}}
    made = f"# Made from {LOCK} by `make lock-images`; name it after {COMPOSE}.\n"
    return made + yaml.safe_dump({"services": services}, sort_keys=False, width=200)


def _services(project: Path) -> Mapping[str, dict[str, Any]]:
    services: Mapping[str, dict[str, Any]] = yaml.safe_load((project / COMPOSE).read_text())["services"]
    return services


def _is_ours(service: Mapping[str, Any]) -> bool:
    return str(service["image"]).startswith("hireling-")


def _bases(project: Path, service: Mapping[str, Any]) -> dict[str, str]:
    if "build" not in service:
        return {}
    text = (project / service["build"]["dockerfile"]).read_text()
    return {found["name"]: found["image"] for found in BASE.finditer(text)}


def _by_digest(image: str, digests: Mapping[str, str]) -> str:
    if image not in digests:
        raise NotLocked(f"{image} is not in {LOCK}: make lock-images")
    return f"{image}@{digests[image]}"


def _token(client: httpx.Client, challenge: str) -> str:
    scheme, _, rest = challenge.partition(" ")
    asked = dict(PARAMETER.findall(rest))
    if scheme.lower() != "bearer" or "realm" not in asked:
        raise NotLocked(f"the registry asks for {challenge!r}, which is no bearer's token")
    answer = client.get(asked.pop("realm"), params=asked)
    answer.raise_for_status()
    body = answer.json()
    return str(body.get("token") or body.get("access_token"))


def _ask(images: Iterable[str]) -> Iterator[tuple[str, str]]:
    with httpx.Client(timeout=ANSWER_SECONDS, follow_redirects=True) as client:
        for image in images:
            digest = digest_of(client, image)
            print(f"{image} is {digest}", flush=True)
            yield image, digest


def _replace(path: Path, text: str) -> None:
    draft = path.with_name(f"{path.name}.new")
    draft.write_text(text)
    draft.replace(path)


def lock(project: Path) -> int:
    """Write the lock and the compose file; return the exit status."""
    digests = dict(_ask(images_of(project)))
    _replace(project / LOCK, lock_text(digests))
    _replace(project / PINNED, pinned(project, digests))
    print(f"wrote {LOCK} and {PINNED}")
    return 0


def check(project: Path) -> int:
    """Say what has moved on since; return the exit status."""
    if not (project / LOCK).exists():
        raise NotLocked(f"there is no {LOCK}: make lock-images")
    known = read_lock(project / LOCK)
    moved = [image for image, digest in _ask(images_of(project)) if known.get(image) != digest]
    for image in moved:
        print(f"{image} has moved on: {LOCK} has {known.get(image, 'nothing of it')}")
    return 1 if moved else 0


def main(arguments: list[str], project: Path = PROJECT) -> int:
    """Do what the command line says; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="lock_images.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="change nothing")
    try:
        return check(project) if parser.parse_args(arguments).check else lock(project)
    except NotLocked as error:
        print(f"nothing was locked: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
