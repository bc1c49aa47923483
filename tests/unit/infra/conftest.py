"""The Kubernetes overlays, built once for each file of tests."""

import pytest

from tests.manifests import OVERLAYS, Overlay, build_overlays


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Overlay]:
    """Return every overlay by its name."""
    return build_overlays(tmp_path_factory.mktemp("built"))


@pytest.fixture(params=OVERLAYS)
def overlay(request: pytest.FixtureRequest, built: dict[str, Overlay]) -> Overlay:
    """Return each overlay in turn."""
    return built[request.param]


@pytest.fixture
def local(built: dict[str, Overlay]) -> Overlay:
    """Return the overlay that has everything in the cluster."""
    return built["local"]


@pytest.fixture
def production(built: dict[str, Overlay]) -> Overlay:
    """Return the overlay for strangers."""
    return built["production"]
