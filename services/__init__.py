"""The processes of the marketplace: one folder each, plus the words and the plumbing they share."""
