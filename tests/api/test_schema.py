"""Whatever is sent to the gateway, what it answers conforms to its OpenAPI document, and nothing is a bug."""

import json
from typing import Any

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from services.gateway import openapi
from tests.api.conftest import Market

schema = schemathesis.openapi.from_dict(openapi.document())


@schema.parametrize()
@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
def test_every_answer_conforms(case: schemathesis.Case[Any], market: Market) -> None:
    known = {name: market.names[name] for name in case.path_parameters or {} if name in market.names}
    # Half of the requests speak of something that exists.
    if known and hash(str(case.path_parameters)) % 2:
        case.path_parameters.update(known)
    # No generator signs: almost everything well-formed is refused, as it must be.
    response = case.call_and_validate(app=market.app, excluded_checks=[positive_data_acceptance])
    assert response.status_code != 500


def test_the_committed_document_is_what_the_routes_say() -> None:
    assert json.loads(openapi.COMMITTED.read_text()) == openapi.document()
    assert openapi.main(["--check"]) == 0
