"""Dashboards and alerts: they are what their source says, and ask for metrics that exist."""

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from services.chassis.metrics import DEFINED
from services.embedded import metrics_page

PROJECT = Path(__file__).parents[3]
GRAFANA = PROJECT / "infra" / "grafana"
ALERTS: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((PROJECT / "infra/prometheus/alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
RUNBOOK = (PROJECT / "docs" / "runbook.md").read_text()
# A histogram is asked for by its parts.
PARTS = re.compile(r"_(bucket|count|sum)$")


def the_dashboards() -> ModuleType:
    """Return the module that writes them; infra/ is no package."""
    spec = importlib.util.spec_from_file_location("make_dashboards", GRAFANA / "make_dashboards.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def queries() -> list[str]:
    """Return every query of every dashboard and alert."""
    found = [rule["expr"] for rule in ALERTS]
    for path in GRAFANA.glob("dashboards/*.json"):
        panels = json.loads(path.read_text())["panels"]
        found += [target["expr"] for panel in panels for target in panel["targets"]]
    return found


def test_are_what_their_source_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    assert the_dashboards().main(["--check"]) == 0


def test_there_is_one_for_each_service_and_one_for_money() -> None:
    names = {path.stem for path in GRAFANA.glob("dashboards/*.json")}
    assert names == {"money", "gateway", "listing", "negotiation", "metering", "settlement"}


@pytest.mark.parametrize("query", queries())
def test_ask_for_metrics_that_exist(query: str) -> None:
    metrics_page.table()  # imports every room that defines some
    known = {metric.name: set(metric.labels) for metric in DEFINED}
    asked = re.findall(r"hireling_[a-z_]+", query)
    assert {PARTS.sub("", name) for name in asked} - {"hireling_"} <= known.keys()
    allowed = {"le", "process"}.union(*(known[PARTS.sub("", name)] for name in asked))
    for group in re.findall(r"by \(([a-z_, ]+)\)", query):
        assert set(group.split(", ")) <= allowed


@pytest.mark.parametrize("alert", [rule["alert"] for rule in ALERTS])
def test_each_alert_has_an_entry_in_the_runbook(alert: str) -> None:
    assert f"\n## {alert}\n" in RUNBOOK


def test_the_runbook_has_no_entry_without_an_alert() -> None:
    assert set(re.findall(r"^## (\w+)$", RUNBOOK, re.MULTILINE)) == {rule["alert"] for rule in ALERTS}
