"""A key's places: each kind by itself, given back whatever happens."""

import pytest

from app.core.errors import Limit, LimitReachedError
from app.core.settings import Settings
from app.jobs.places import Places
from tests.support.credentials import api_key

_, ENTRY = api_key("k")
OPEN = (Limit.STREAMS, Limit.WAITS, Limit.UPLOADS)


@pytest.fixture
def places() -> Places:
    return Places(Settings(api_keys=ENTRY, key_max_streams=1, key_max_waits=1, key_max_uploads=1))


@pytest.mark.parametrize("limit", OPEN)
def test_one_more_than_may_is_refused_and_says_of_what(places: Places, limit: Limit) -> None:
    with places.held(limit, "t/k"):
        with pytest.raises(LimitReachedError) as refused, places.held(limit, "t/k"):
            pass
        assert (refused.value.limit, refused.value.most) == (limit, 1)
        for other in OPEN:
            with places.held(other, "t/other"):
                pass
            if other is not limit:
                with places.held(other, "t/k"):
                    pass


def test_a_place_is_given_back_when_its_request_fails(places: Places) -> None:
    for _ in range(3):
        with pytest.raises(ConnectionError), places.held(Limit.STREAMS, "t/k"):
            raise ConnectionError
    assert not places._open
