"""The report: what result sets say, for people.

`sections/` turns result sets into sections (words, tables, pictures), each in one module; the
renderers (`html.py`, `markdown.py`, `theme.py` for single pictures) know no section by name.
"""
