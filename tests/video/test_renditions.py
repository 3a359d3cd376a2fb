"""In which sizes a video is offered."""

from hypothesis import given
from hypothesis import strategies as st

from academy.adapters.video.probe import Probe
from academy.adapters.video.renditions import renditions_of

sides = st.integers(2, 8192)


@given(width=sides, height=sides)
def test_sizes_are_even_upright_as_the_source_never_above_it_and_of_its_shape(width: int, height: int) -> None:
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
