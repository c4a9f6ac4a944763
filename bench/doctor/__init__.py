"""What this machine can measure, what makes it noisy, and whether it carries data unharmed.

model: what a check is, and what it finds. examine: runs the tables of checks, which are in
`abilities` (what can be measured) and `noise`. offloads: every byte of what is carried, checked.
A new check is one entry in the module that it belongs to.
"""
