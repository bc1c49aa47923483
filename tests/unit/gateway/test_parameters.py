"""services.gateway.parameters: what may stand in a query."""

from services.gateway.parameters import ListingSearch, PageQuery


class TestQuerySchemas:
    """The framework asks for them at every request; each is made once."""

    def test_each_query_has_its_own(self) -> None:
        of_page, of_search = PageQuery.model_json_schema(), ListingSearch.model_json_schema()
        assert set(of_page["properties"]) == {"cursor", "limit"}
        assert set(of_search["properties"]) == {"cursor", "limit", "kind", "q", "online"}

    def test_is_made_once(self) -> None:
        assert ListingSearch.model_json_schema() is ListingSearch.model_json_schema()

    def test_is_made_as_asked_where_something_is_asked(self) -> None:
        as_answered = ListingSearch.model_json_schema(
            ref_template="#/elsewhere/{model}", mode="serialization"
        )
        assert as_answered is not ListingSearch.model_json_schema()
        assert set(as_answered["properties"]) == {"cursor", "limit", "kind", "q", "online"}
