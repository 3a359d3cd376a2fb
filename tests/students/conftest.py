import pytest

from tests.students.people import Academy


@pytest.fixture
def academy(transactional_db: None) -> Academy:
    """A new one, in transactions of its own: an import commits after each chunk."""
    return Academy()
