"""Topologies as pictures, drawn from their scenarios.

In four steps, each a module that knows only the one before: `way` follows a packet from stop to
stop; `plan` says which boxes there are, and in which rows and columns; `layout` gives all of it a
place; `figure` draws it. `words` says the same in words.
"""
