"""How a password is compared."""

import unicodedata


def normalised(password: str) -> str:
    """Return the one spelling that is hashed and compared (Unicode NFKC, as NIST SP 800-63B asks).

    The same Hangul or accented letter reaches us in several forms: a Mac may send it decomposed, a phone composed.
    """
    return unicodedata.normalize("NFKC", password)
