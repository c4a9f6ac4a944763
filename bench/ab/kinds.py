"""What OLD and NEW on the command line are: variants of scenarios, or revisions of vnetbench."""

from __future__ import annotations

from bench.ab.model import Kind
from bench.ab.revisions import ROOT, WORKING_TREE, revision
from bench.errors import UsageError, did_you_mean
from bench.scenario import shipped_scenarios
from bench.why.design import variant_of

DEFAULT_SCENARIO = "flannel-udp"


def kind_of(old: str, new: str, scenarios: tuple[str, ...]) -> Kind:
    """Tell variants from revisions; with a scenario named beside them they are revisions.

    Raises UsageError for what is neither, or both, or one of each.
    """
    if scenarios:
        for text in (old, new):
            _must_be_revision(text)
        for scenario in scenarios:
            variant_of(scenario)  # a mistake is found before anything is built
        return "revisions"
    kinds = [_kind(text) for text in (old, new)]
    if kinds[0] != kinds[1]:
        raise UsageError(
            f"{old} is one of two {kinds[0]}, {new} one of two {kinds[1]}; name two of a kind"
        )
    return kinds[0]


def _kind(text: str) -> Kind:
    variant, named = _is_variant(text), revision(text)
    if variant and named and text != WORKING_TREE:
        raise UsageError(
            f"{text} is a scenario and a revision; write ./{text}.toml for the one, "
            "or add --scenario for the other"
        )
    if variant:
        return "variants"
    if named:
        return "revisions"
    near = did_you_mean(text.partition("[")[0], shipped_scenarios())
    raise UsageError(
        f"{text}{near} is neither a scenario ({', '.join(shipped_scenarios())}, a .toml file) "
        f"nor a revision of {ROOT}"
    )


def _is_variant(text: str) -> bool:
    base = text.partition("[")[0]
    return base in shipped_scenarios() or base.endswith(".toml")


def _must_be_revision(text: str) -> None:
    if not (ROOT / ".git").exists():
        raise UsageError(f"{text}: {ROOT} is no git checkout, so it has no revisions")
    if revision(text) is None:
        raise UsageError(f"{text} is no revision of {ROOT}, nor . for the working tree")
