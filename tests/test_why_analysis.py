"""From times and counts to prices, shares and intervals: what is known beforehand comes out."""

import random
from collections.abc import Iterable
from functools import partial
from itertools import combinations
from pathlib import Path
from statistics import NormalDist

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import PRICES, SAVED, US, World, flannel_and_vxlan, results_of

import bench.why.observed
from bench.results import PlannedTrial
from bench.why.answer import _estimate, _gap_values, _tail, answer
from bench.why.causes import CAUSES
from bench.why.design import Design
from bench.why.model import Answer
from bench.why.observed import Observed, _levelled
from bench.why.prices import Doses, Mean, predicted, prices, shares
from bench.why.shapley import interaction, shapley

Values = dict[frozenset[str], float]

number = st.floats(-100, 100).map(lambda x: round(x, 3))
ids = st.lists(st.sampled_from("abcde"), unique=True, min_size=1).map(tuple)


def subsets(of: Iterable[str]) -> list[frozenset[str]]:
    names = list(of)
    return [frozenset(c) for n in range(len(names) + 1) for c in combinations(names, n)]


@st.composite
def games(draw: st.DrawFn) -> tuple[tuple[str, ...], Values]:
    """Techniques, and what each set of them is worth."""
    names = draw(ids)
    return names, {subset: draw(number) for subset in subsets(names)}


# ---- sharing out --------------------------------------------------------------------------------


@given(games())
def test_shares_add_up_to_the_whole(game: tuple[tuple[str, ...], Values]) -> None:
    names, values = game
    whole = values[frozenset(names)] - values[frozenset()]
    assert sum(shapley(values, names).values()) == pytest.approx(whole, abs=1e-9)


@given(games())
def test_a_technique_that_adds_nothing_to_any_other_gets_nothing(
    game: tuple[tuple[str, ...], Values],
) -> None:
    names, values = game
    extended = {s: values[s - {"idle"}] for s in subsets((*names, "idle"))}
    found = shapley(extended, (*names, "idle"))
    assert found.pop("idle") == pytest.approx(0, abs=1e-9)
    assert found == pytest.approx(shapley(values, names), abs=1e-9)


@given(games())
def test_two_that_can_be_exchanged_get_the_same(game: tuple[tuple[str, ...], Values]) -> None:
    names, values = game
    twins = {
        s: values[s & set(names)] + 3 * len(s & {"x", "y"}) ** 2
        for s in subsets((*names, "x", "y"))
    }
    found = shapley(twins, (*names, "x", "y"))
    assert found["x"] == pytest.approx(found["y"], abs=1e-9)


@given(st.dictionaries(st.sampled_from("abcde"), number, min_size=2))
def test_what_only_adds_is_shared_out_as_it_was_added(worth: dict[str, float]) -> None:
    values = {subset: 7 + sum(worth[id_] for id_ in subset) for subset in subsets(worth)}
    assert shapley(values, list(worth)) == pytest.approx(worth, abs=1e-9)
    a, b = list(worth)[:2]
    assert interaction(values, a, b) == pytest.approx(0, abs=1e-9)


def test_what_two_do_only_together_is_halved_and_is_their_interaction() -> None:
    values = {subset: 10.0 * ({"a", "b"} <= subset) for subset in subsets("abc")}
    assert shapley(values, "abc") == pytest.approx({"a": 5, "b": 5, "c": 0})
    assert interaction(values, "a", "b") == 10
    assert interaction(values, "a", "c") == 0


# ---- prices -------------------------------------------------------------------------------------

price = st.floats(0.01, 10)


@st.composite
def priced_worlds(draw: st.DrawFn) -> tuple[dict[str, float], dict[str, Mean], dict[str, Doses]]:
    """Prices, and paths with doses whose instruments change any earlier cause as well."""
    known = {cause: draw(price) for cause in CAUSES}
    means: dict[str, Mean] = {}
    doses = {}

    def add(name: str, counts: dict[str, float]) -> str:
        means[name] = Mean(3 + sum(known[c] * n for c, n in counts.items()), counts)
        return name

    for position, cause in enumerate(CAUSES):
        base = {c: draw(st.floats(0, 20)) for c in CAUSES}
        more = dict.fromkeys(CAUSES, 0.0)
        more |= {c: draw(st.floats(-5, 5)) for c in list(CAUSES)[:position]}
        more[cause] = draw(st.floats(2, 50))
        given_doses = [
            add(f"{cause} {k}", {c: base[c] + k * more[c] for c in CAUSES}) for k in (1, 2, 4)
        ]
        doses[cause] = Doses(add(cause, base), tuple(given_doses))
    return known, means, doses


@given(priced_worlds())
@settings(max_examples=50)
def test_prices_come_back_whatever_else_the_instruments_change(
    world: tuple[dict[str, float], dict[str, Mean], dict[str, Doses]],
) -> None:
    known, means, doses = world
    found = prices(means, doses)
    assert found == pytest.approx(known, rel=1e-6, abs=1e-9)
    for mean in means.values():
        assert predicted(mean, found) == pytest.approx(mean.time - 3, rel=1e-6, abs=1e-6)


@given(st.lists(st.floats(0, 50), min_size=9, max_size=9), st.floats(-5, 100))
def test_shares_and_residual_are_the_gap(counts: list[float], unknown: float) -> None:
    ours = dict(zip(CAUSES, counts, strict=True))
    none = dict.fromkeys(CAUSES, 0.0)
    slow = Mean(200 + unknown, ours)
    values = _gap_values({"s": slow, "f": Mean(90, none)}, "s", "f", PRICES)
    seconds = [value for key, value in values.items() if key[0] == "seconds"]
    assert len(seconds) == len(CAUSES)
    assert sum(seconds) + values["residual", "f"] == pytest.approx(values["gap", "f"])
    parts = [value for key, value in values.items() if key[0] == "share"]
    assert sum(parts) + values["residual share", "f"] == pytest.approx(1)
    assert shares(slow, slow, PRICES) == dict.fromkeys(PRICES, 0.0)


def counted(**counts: float) -> dict[str, float]:
    return dict.fromkeys(CAUSES, 0.0) | counts


def test_of_what_gets_cheaper_only_the_first_dose_counts_and_of_the_rest_the_slope() -> None:
    means = {
        "base": Mean(10, counted(calls=5, sockets=1)),
        **{f"c{k}": Mean(10 + t, counted(calls=5 + k, sockets=1)) for k, t in ((1, 4), (2, 2))},
        **{f"w{k}": Mean(10 + t, counted(calls=5, sockets=1 + k)) for k, t in ((1, 4), (2, 5))},
    }
    doses = {"calls": Doses("base", ("c1", "c2")), "sockets": Doses("base", ("w1", "w2"))}
    assert prices(means, doses) == {"calls": pytest.approx((4 + 2 * 2) / 5), "sockets": 4}
    slope = prices(means, doses, every=True)["sockets"]
    assert slope == pytest.approx((4 + 2 * 5) / 5), "or all of them, where times are noisy"
    del means["w1"], means["c1"]
    assert prices(means, doses) == {"calls": 1}


@pytest.mark.parametrize("made", [0, 0.01, -3])
def test_a_dose_that_makes_nothing_tells_no_price(made: float) -> None:
    means = {"base": Mean(10, counted(calls=5)), "dose": Mean(11, counted(calls=5 + made))}
    assert prices(means, {"calls": Doses("base", ("dose",))}) == {}


# ---- drift, and what is bad ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def chosen() -> Design:
    return flannel_and_vxlan()


def priced_of(found: Answer, of: str = "serial,native") -> dict[str, float]:
    return {price.cause: price.seconds.value for price in found.prices[of]}


def parts_of(found: Answer) -> dict[str, float]:
    return {share.cause: share.seconds.value for share in found.gaps[0].shares}


def test_the_whole_answer_of_a_world_without_noise_is_that_world(
    chosen: Design, tmp_path: Path
) -> None:
    found = answer(results_of(chosen, tmp_path), chosen)
    assert priced_of(found) == pytest.approx(PRICES)
    assert [gap.fast for gap in found.gaps] == ["vxlan", "host-gw"]
    assert found.gaps[0].residual.value == pytest.approx(0, abs=1e-12)
    saved = {effect.factor: effect.saved.value for effect in found.ablations[0].effects}
    assert saved == pytest.approx(
        {id_: n * PRICES["polling"] for id_, n in SAVED.items()}, abs=1e-9
    )
    assert all(abs(e.difference.value) < 1e-12 for e in found.ablations[0].effects)
    assert found.notes == found.unsound == []


def test_what_no_cause_explains_is_the_residual(chosen: Design, tmp_path: Path) -> None:
    world = World(offset={"vxlan": -0.5 * US, "host-gw": -0.5 * US})
    gap = answer(results_of(chosen, tmp_path, world), chosen).gaps[0]
    assert gap.residual.value == pytest.approx(0.5 * US)
    assert gap.residual_share.value == pytest.approx(0.5 * US / gap.gap.value)


def test_a_drifting_machine_changes_nothing(chosen: Design, tmp_path: Path) -> None:
    """A factor for each block, in any order; the typical block has 1."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    still = answer(results_of(chosen, tmp_path / "a", blocks=5), chosen)
    factors = {1: 0.7, 2: 1.0, 3: 1.3, 4: 1.9, 5: 0.95}
    drift = World(factor=lambda trial: factors[trial.block])
    drifting = answer(results_of(chosen, tmp_path / "b", drift, blocks=5), chosen)
    assert parts_of(drifting) == pytest.approx(parts_of(still))
    assert priced_of(drifting) == pytest.approx(priced_of(still))
    assert drifting.gaps[0].gap.low == pytest.approx(still.gaps[0].gap.value)


def test_a_bad_block_in_eight_hardly_moves_the_answer(chosen: Design, tmp_path: Path) -> None:
    """In it everything is slow by an amount of its own; elsewhere by up to 2 %."""
    noise = random.Random(1)
    world = World(
        factor=lambda trial: (
            noise.uniform(1.2, 3) if trial.block == 3 else noise.uniform(0.99, 1.01)
        )
    )
    gap = answer(results_of(chosen, tmp_path, world, blocks=8), chosen).gaps[0]
    truth = sum(PRICES[c] * n for c, n in {"calls": 6, "polling": 5, "wakeups": 2}.items())
    told = sum(s.seconds.value for s in gap.shares if s.cause in ("calls", "polling", "wakeups"))
    assert told == pytest.approx(truth, rel=0.15)
    assert gap.residual_share.value == pytest.approx(0, abs=0.15)


def simulated(
    generator: np.random.Generator, blocks: int
) -> tuple[Observed, dict[tuple[str, ...], float]]:
    """Trials with 2 % noise, blocks with 10 %, now and then a slow trial; and what is true."""
    given_doses = {"calls": {"d1": 8, "d2": 16, "d4": 32}, "wakeups": {"w1": 4, "w2": 8}}
    names = ["slow", "fast", "d1", "d2", "d4", "w1", "w2", "x", "y"]
    columns = list(CAUSES)
    counts = np.zeros((len(names), len(CAUSES)))
    for row, name in enumerate(names):
        for cause, own in (("calls", 10), ("wakeups", 4)):
            more = given_doses[cause].get(name, 0)
            counts[row, columns.index(cause)] = 0 if name == "fast" else own + more
    true = 20 + 0.3 * counts[:, columns.index("calls")] + 2 * counts[:, columns.index("wakeups")]
    shape = (len(names), blocks)
    slow = np.where(generator.random(shape) < 0.02, 1.5, 1)
    drift = np.exp(generator.normal(0, 0.1, blocks))
    noise = np.exp(generator.normal(0, 0.02, shape)) * slow * drift / np.median(drift)
    each = np.repeat(counts[:, None, :], blocks, axis=1)
    seen = Observed(names, range(blocks), [], _levelled(true[:, None] * noise), each)
    return seen, {
        ("price", "calls"): 0.3,
        ("price", "wakeups"): 2.0,
        ("gap", "fast"): 11.0,
        ("share", "fast", "wakeups"): 8 / 11,
        ("residual share", "fast"): 0.0,
    }


def test_intervals_hold_the_truth_about_as_often_as_they_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bench.why.observed, "RESAMPLES", 200)
    doses = {
        "calls": Doses("slow", ("d1", "d2", "d4")),
        "wakeups": Doses("slow", ("w1", "w2")),
    }

    def values(means: dict[str, Mean]) -> dict[tuple[str, ...], float]:
        known = prices(means, doses)
        told = {("price", cause): seconds for cause, seconds in known.items()}
        return told | _gap_values(means, "slow", "fast", known)

    generator, times = np.random.default_rng(3), 100
    hits: dict[tuple[str, ...], int] = {}
    widths = []
    for _ in range(times):
        seen, truth = simulated(generator, blocks=8)
        found = _estimate(seen, partial(values))  # type: ignore[arg-type]
        for key, value in truth.items():
            hits[key] = hits.get(key, 0) + found[key].holds(value)
        share = found["share", "fast", "wakeups"]
        assert share.low is not None
        assert share.high is not None
        widths.append(share.high - share.low)
    # Of 100, one that holds it 95 % of the time holds it 88 times or more, but for 1 in 500.
    assert all(hit >= 0.88 * times for hit in hits.values()), hits
    assert sum(hits.values()) < len(hits) * times, "not because they hold everything"
    assert np.median(widths) < 0.5


def test_the_gap_of_a_stream_is_its_factors(chosen: Design, tmp_path: Path) -> None:
    """Offload, the rest and what is kept, multiplied; made-up times with an offload for vxlan."""

    def factor(trial: PlannedTrial) -> float:
        return 0.1 if (trial.variant, trial.arm) == ("vxlan", "native") else 1.0

    arms = ("native", "parity")
    world = World(factor=factor)
    found = answer(results_of(chosen, tmp_path, world, arms=arms, measures=["stream"]), chosen)
    bridge = next(b for b in found.bridges if b.fast == "vxlan")
    product = bridge.offload.value * bridge.rest.value * bridge.kept.value
    assert product == pytest.approx(bridge.ratio.value)
    assert bridge.offload.value == pytest.approx(10)
    assert bridge.kept.value == pytest.approx(1)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Answer) == found


def test_of_few_blocks_less_is_cut_off_at_the_ends() -> None:
    """As Student's t has it: 2.365 standard deviations for 8 blocks, 1.96 for many."""
    assert _tail(8) == pytest.approx(NormalDist().cdf(-2.365 * (8 / 7) ** 0.5), rel=0.03)
    assert _tail(4) < 0.0003
    assert _tail(10_000) == pytest.approx(0.025, rel=0.01)
