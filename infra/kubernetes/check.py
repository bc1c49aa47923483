"""Build the overlays and hold them against the schemas of Kubernetes and KEDA: ``make kubernetes``.

``check.py FILE…`` holds files that are built already. Runs in an environment of its own, .venv-kubernetes,
whose packages carry the schemas, and asks no network. Exits 1 where anything is wrong, and names what.
"""

import argparse
import functools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from kubernetes_validate import utils as kubernetes

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
KUBECTL = Path(sys.executable).parent / "kubectl"
OVERLAYS = ("local", "production")
# The oldest that is to work, for its fields, and the newest that kubectl here knows.
VERSIONS = ("1.32", "1.35")
KEDA = ("ScaledObject", "TriggerAuthentication")


class NotBuilt(Exception):
    """An overlay that kustomize refuses; the message is its own."""


def main() -> int:
    """Check, print what is wrong, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, help="built already; without any, builds the overlays")
    parser.add_argument(
        "--to", type=Path, default=PROJECT / "build/kubernetes", help="a folder for what is built"
    )
    arguments = parser.parse_args()
    try:
        files = arguments.files or [build(overlay, arguments.to) for overlay in OVERLAYS]
    except NotBuilt as error:
        print(error, file=sys.stderr)
        return 1
    status = 0
    for file in files:
        objects, mistakes = check(file)
        print("\n".join([*mistakes, f"{file.name}: {objects} objects, {len(mistakes)} mistakes"]))
        status |= bool(mistakes)
    return status


def build(overlay: str, folder: Path) -> Path:
    """Build an overlay into a file in the folder. Raises NotBuilt."""
    done = subprocess.run(
        [KUBECTL, "kustomize", HERE / "overlays" / overlay],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if done.returncode:
        raise NotBuilt(f"{overlay}: {done.stderr.strip()}")
    folder.mkdir(parents=True, exist_ok=True)
    built = folder / f"{overlay}.yaml"
    built.write_text(done.stdout)
    return built


def check(file: Path) -> tuple[int, list[str]]:
    """Return how many objects a file has, and each mistake. One without any is a mistake."""
    try:
        objects = [each for each in yaml.safe_load_all(file.read_text()) if each is not None]
    except yaml.YAMLError as error:
        return 0, [f"{file.name}: {error}"]
    if not objects:
        return 0, [f"{file.name}: nothing in it"]
    return len(objects), [f"{_name(each)}: {mistake}" for each in objects for mistake in mistakes_of(each)]


def mistakes_of(found: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong with an object, by every version's schema; an unknown kind is a mistake."""
    version, kind = str(found.get("apiVersion")), str(found.get("kind"))
    if version == "keda.sh/v1alpha1" and kind in KEDA:
        for error in _keda(kind).iter_errors(found):
            yield f"{error.json_path}: {error.message}"
        return
    for release in VERSIONS:
        try:
            kubernetes.validate(found, release, strict=True)
        except kubernetes.SchemaNotFoundError:
            yield f"Kubernetes {release} has no {version} {kind}"
        except kubernetes.ValidationError as error:
            yield f"Kubernetes {release}: {error.json_path}: {error.message}"


@functools.cache
def _keda(kind: str) -> Draft202012Validator:
    # Its module takes a second to load.
    from cloudcoil.models.keda import v1alpha1  # noqa: PLC0415

    return Draft202012Validator(_strict(getattr(v1alpha1, kind).model_json_schema()))


def _strict(schema: Any) -> Any:
    """Return the schema allowing no field that it does not name: the package's models pass over those."""
    if isinstance(schema, list):
        return [_strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {name: _strict(each) for name, each in schema.items()}
    if isinstance(schema.get("properties"), dict) and "additionalProperties" not in schema:
        inner["additionalProperties"] = False
    return inner


def _name(found: dict[str, Any]) -> str:
    return f"{found.get('kind')} {found.get('metadata', {}).get('name')}"


# The package reads a megabyte of definitions for each object anew.
kubernetes.schema_contents = functools.cache(kubernetes.schema_contents)

if __name__ == "__main__":
    sys.exit(main())
