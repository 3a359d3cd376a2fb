"""The size limit of a form that uploads a file.

This is a separate module, because `config.environment` needs the limit and must not import `config.body_limit`.
"""

FORM_BYTES = 1_000_000
"""How many bytes a form that uploads a file may have, without the file itself."""
