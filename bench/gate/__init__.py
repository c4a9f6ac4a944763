"""The gate: measure what a baseline measured, and decide whether anything got worse.

`plan` says what to measure, `rules` what counts, `decide` what came of it; `words` has what is said
of that, `markdown` and `github` say it. docs/comparing.md says how it decides, docs/trust.md
how often it errs, docs/ci.md how to use it.
"""
