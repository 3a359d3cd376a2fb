"""Django's PostgreSQL back end, which never uses a connection that the server has closed."""
