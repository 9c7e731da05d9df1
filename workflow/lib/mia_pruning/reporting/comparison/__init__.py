"""Two studies, A and B, side by side: their numbers, verdicts, records, and the page on them."""
