"""The size of forms.

This is a separate module, because `config.environment` needs the size and must not import `config.body_limit`.
"""

FORM_BYTES = 1_000_000
"""How many bytes the form around an uploaded file may have."""
