"""Makes user names for new accounts of students."""

import secrets

# Without vowels, so that no name contains a word, and without characters that look alike (0 o, 1 l i).
_LETTERS = "23456789bcdfghjkmnpqrstvwxz"
_LENGTH = 7


def make_username() -> str:
    """Return `s` and seven random letters and digits, such as `s7k2mq4x`. The name reveals nothing about the person.

    There are ten billion such names. If one is taken, the database refuses it, and the caller tries another.
    """
    number = secrets.randbelow(len(_LETTERS) ** _LENGTH)
    letters = []
    for _ in range(_LENGTH):
        number, place = divmod(number, len(_LETTERS))
        letters.append(_LETTERS[place])
    return "s" + "".join(letters)
