"""The contents of the report, part by part, as plain values; the templates decide how it looks."""
