import pytest

from academy.adapters.excel.phones import normalise_korean_mobile


@pytest.mark.parametrize(
    "text",
    [
        "01012345678",
        "010-1234-5678",
        "010 1234 5678",
        "010.1234.5678",
        "(010)1234-5678",
        "1012345678",
        "10-1234-5678",
        "+82 10-1234-5678",
        "+82-010-1234-5678",
        "821012345678",
        "０１０-１２３４-５６７８",
        "010–1234–5678",
        "010-1234-5678 (모)",
        "010-1234-5678(어머니)",
        "엄마 010-1234-5678",
        "'010-1234-5678",
    ],
)
def test_mobile_numbers_are_normalized(text: str) -> None:
    assert normalise_korean_mobile(text) == "01012345678"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "전화 없음",
        "010-123-4567",
        "0101234567",
        "010-1234-56789",
        "011-123-4567",
        "02-123-4567",
        "+1 415 555 2671",
        "010-ABCD-5678",
        "1.01E+09",
        "010-1234-5678 / 010-2222-3333",
        "010-1234-5678,010-2222-3333",
        "0" * 100_000,
    ],
)
def test_other_texts_than_mobile_numbers_are_refused(text: str) -> None:
    assert normalise_korean_mobile(text) is None
