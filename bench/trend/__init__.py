"""The history of many result sets: where the level of a cell changed, and how sure that is."""
