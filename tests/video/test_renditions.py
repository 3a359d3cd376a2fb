"""The sizes and the frame rate in which a video is offered."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from academy.adapters.video.probe import Probe
from academy.adapters.video.renditions import rate_of, renditions_of

sides = st.integers(2, 8192)


@settings(deadline=None)
@given(width=sides, height=sides)
def test_sizes_are_even_never_exceed_the_source_and_keep_its_shape_and_orientation(width: int, height: int) -> None:
    renditions = renditions_of(Probe(1.0, width, height, True, 25.0))
    assert 1 <= len(renditions) <= 2
    assert len({rendition.name for rendition in renditions}) == len(renditions)
    for rendition in renditions:
        assert rendition.width % 2 == rendition.height % 2 == 0
        assert rendition.short_side <= max(2, min(width, height))
        assert rendition.short_side <= 720
        assert (rendition.width < rendition.height) == (width < height) or min(width, height) < 4 or width == height
        exact = max(width, height) * rendition.short_side / min(width, height)
        assert abs(max(rendition.width, rendition.height) - exact) <= 1


@pytest.mark.parametrize(
    ("average", "finest", "rate"),
    [
        (25, 25, 25),
        (8.4, 30, 30),  # a recorded screen
        (29.97, 600, 30),  # a phone: 600 is the rate of its clock
        (None, 1000, 30),  # a browser: 1000 is the rate of its clock
        (240, 240, 60),
        (0.2, 0.2, 10),  # slides
        (24, None, 24),
        (None, None, 30),
    ],
)
def test_the_frame_rate_is_that_of_the_closest_frames_up_to_what_players_accept(
    average: float | None, finest: float | None, rate: float
) -> None:
    assert rate_of(Probe(1.0, 640, 360, True, average, finest)) == rate
