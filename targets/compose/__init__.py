"""One compose document, run by docker compose."""
