"""From tables to what people read: verdicts on claims, figures, the report."""
