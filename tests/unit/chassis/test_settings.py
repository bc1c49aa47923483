"""services.chassis.settings: one named variable each."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from services.chassis.settings import BusSettings, DatabaseSettings, home, is_memory


class TestDefaults:
    """What holds when the environment says nothing."""

    @pytest.fixture(autouse=True)
    def silent_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("HIRELING_HOME", "HIRELING_AMQP_URI", "HIRELING_MAX_WORKERS", "LISTING_DATABASE_URL"):
            monkeypatch.delenv(name, raising=False)

    def test_are_the_embedded_platform(self) -> None:
        assert BusSettings().amqp_uri == "hireling-memory://"
        assert DatabaseSettings.of("listing").database_url == f"sqlite:///{Path.cwd()}/.hireling/listing.db"

    def test_are_frozen(self) -> None:
        with pytest.raises(ValidationError, match="frozen"):
            BusSettings().amqp_uri = "amqp://elsewhere"  # type: ignore[misc]


class TestEnvironment:
    """What the environment says."""

    def test_moves_every_database_with_the_home(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("HIRELING_HOME", str(tmp_path))
        assert home() == tmp_path
        assert DatabaseSettings.of("metering").database_url == f"sqlite:///{tmp_path}/metering.db"

    def test_names_a_database_per_service(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LISTING_DATABASE_URL", "postgresql://db/listing")
        assert DatabaseSettings.of("listing").database_url == "postgresql://db/listing"
        assert DatabaseSettings.of("metering").database_url.startswith("sqlite:///")

    def test_refuses_a_platform_without_workers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HIRELING_MAX_WORKERS", "0")
        with pytest.raises(ValidationError, match="max_workers"):
            BusSettings()

    def test_refuses_an_authority_that_cannot_be_read(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        file = tmp_path / "ca.pem"
        monkeypatch.setenv("HIRELING_AMQP_CA", str(file))
        for text in (None, "", "no certificate\n"):
            if text is not None:
                file.write_text(text)
            with pytest.raises(ValidationError, match=r"no certificates can be read from .*ca\.pem"):
                BusSettings()

    def test_tells_the_buses_apart(self) -> None:
        assert is_memory("hireling-memory://x")
        assert not is_memory("amqp://guest@localhost//")


class TestSecrets:
    """What lies in the folder that HIRELING_SECRETS names."""

    @pytest.fixture(autouse=True)
    def folder(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
        monkeypatch.setenv("HIRELING_SECRETS", str(tmp_path))
        for name in ("HIRELING_AMQP_URI", "LISTING_DATABASE_URL"):
            monkeypatch.delenv(name, raising=False)
        return tmp_path

    def test_are_files_called_like_the_variable(self, folder: Path) -> None:
        (folder / "hireling_amqp_uri").write_text("amqp://secret@bus//")
        (folder / "listing_database_url").write_text("postgresql://secret@db/listing")
        assert BusSettings().amqp_uri == "amqp://secret@bus//"
        assert DatabaseSettings.of("listing").database_url == "postgresql://secret@db/listing"
        assert "secret" not in DatabaseSettings.of("metering").database_url

    def test_give_way_to_the_environment(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (folder / "hireling_amqp_uri").write_text("amqp://file//")
        monkeypatch.setenv("HIRELING_AMQP_URI", "amqp://environment//")
        assert BusSettings().amqp_uri == "amqp://environment//"
