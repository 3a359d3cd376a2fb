"""The size of forms.

It has a module of its own for `config.environment`, which must not import the limits in `config.body_limit`.
"""

FORM_BYTES = 1_000_000
"""How many bytes the form around an uploaded file may have."""
