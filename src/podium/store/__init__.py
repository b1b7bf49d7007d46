"""The journal in SQLite, its read models, retention and export."""
