"""How far a trial can be trusted: what the machine did meanwhile, and what it is worth by itself.

snapshot → figures → rule: what is watched during a trial, as plain numbers, and what is too much.
repeats: what happens to a trial that was disturbed. canary: a fixed measurement of the machine
before each block. words: what is said of it all.
"""
