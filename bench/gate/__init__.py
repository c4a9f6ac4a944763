"""The gate: measure what a baseline measured, and decide whether anything got worse.

`plan` says what to measure, `rules` what counts, `decide` what came of it; `words` has what is said
of that, `markdown` and `github` say it. docs/method.md says how it decides and how often it
errs, docs/ci.md how to use it.
"""
