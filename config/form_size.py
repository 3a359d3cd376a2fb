"""The size of forms. Processes that only check variables need this, but not the limits in `config.body_limit`."""

FORM_BYTES = 1_000_000
"""How many bytes the form around an uploaded file may have."""
