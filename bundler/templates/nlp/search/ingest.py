"""Reads every text in /documents into the database, one row for a passage."""

import os
from pathlib import Path

import psycopg
from vectors import encode

with psycopg.connect(os.environ["DATABASE_URL"]) as database:
    database.execute("CREATE TABLE IF NOT EXISTS passages (source text, passage text, vector real[])")
    database.execute("DELETE FROM passages")
    for path in sorted(Path("/documents").glob("*.txt")):
        passages = [part.strip() for part in path.read_text(encoding="utf-8").split("\n\n") if part.strip()]
        for passage in passages:
            row = (path.name, passage, encode(passage))
            database.execute("INSERT INTO passages (source, passage, vector) VALUES (%s, %s, %s)", row)
        print(f"{path.name}: {len(passages)} passages")
