import pytest

from tests.students.people import Academy


@pytest.fixture
def academy(transactional_db: None) -> Academy:
    """Return a new academy. The test runs without an outer transaction, because an import commits after each chunk."""
    return Academy()
