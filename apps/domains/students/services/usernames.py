"""Names for accounts that nobody chose a name for."""

import secrets

# No vowels, so that no words arise; nothing that looks like something else (0 o, 1 l i).
_LETTERS = "23456789bcdfghjkmnpqrstvwxz"
_LENGTH = 7


def make_username() -> str:
    """`s` and seven random letters and digits, such as `s7k2mq4x`: short, typable, and it tells nothing of anybody.

    One in ten thousand million: a name that is taken is refused by the database, and the caller tries another.
    """
    number = secrets.randbelow(len(_LETTERS) ** _LENGTH)
    letters = []
    for _ in range(_LENGTH):
        number, place = divmod(number, len(_LETTERS))
        letters.append(_LETTERS[place])
    return "s" + "".join(letters)
