"""`ab`: two variants or two revisions, measured in the same blocks until the answer is clear."""
