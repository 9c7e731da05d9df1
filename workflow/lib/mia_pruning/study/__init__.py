"""What a study says: its configuration read, completed and checked, and its files laid out."""
