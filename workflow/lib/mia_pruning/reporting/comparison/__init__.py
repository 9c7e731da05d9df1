"""Two studies, A and B, set side by side: their numbers, verdicts and records, and what the page says and shows of them."""
