"""The gate: measure what a baseline measured, and decide whether anything got worse.

`plan` says what to measure, in which `budget`; `rules` what counts. `session` sets one session
beside the baseline, but for what is `ungated` and as far as its `drift` allows, `decide` makes of
two of them what came of it, `problems` is what has no verdict; `words` has what is said of that,
`markdown` and `github` say it. docs/comparing.md says how it decides, docs/trust.md how often it
errs, docs/ci.md how to use it.
"""
