"""Completion: what shells are told, and what a real bash does with it."""

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
from capabilities import require_program
from program import environment
from screens import complaint, executable, here
from sets import a_run, noisy, write_set

from bench import native
from bench.metrics import METRICS
from bench.scenario import shipped_peers, shipped_scenarios

pytestmark = pytest.mark.slow

SCENARIOS = {*shipped_scenarios(), *shipped_peers()}


def bash(tmp_path: Path, *words: str) -> list[str]:
    """What bash would offer for the last of some words."""
    require_program("bash")
    executable(tmp_path / "bin")
    quoted = " ".join(f"'{word}'" for word in words)
    (tmp_path / "bin/script").write_text(here("completion", "bash").out)
    script = f"""
        source '{tmp_path}/bin/script'
        COMP_WORDS=({quoted}) COMP_CWORD={len(words) - 1}
        _vnetbench_completion vnetbench
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        ("bash", "--norc", "-c", script),
        env=environment({"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    # Outside of a completion that readline asked for, bash has no options of one.
    said = [line for line in done.stderr.splitlines() if "compopt" not in line]
    assert (done.returncode, said) == (0, [])
    return done.stdout.split("\n")[:-1]


def test_commands_and_options_are_completed(tmp_path: Path) -> None:
    assert bash(tmp_path, "vnetbench", "sh") == ["show", "shell"]
    assert "--profile" in bash(tmp_path, "vnetbench", "run", "--pro")


def test_scenarios_are_completed(tmp_path: Path) -> None:
    assert set(bash(tmp_path, "vnetbench", "run", "")) == SCENARIOS
    assert bash(tmp_path, "vnetbench", "show", "flannel-udp6") == ["flannel-udp6"]
    assert bash(tmp_path, "vnetbench", "run", "veth", "vxl") == ["vxlan"]
    assert bash(tmp_path, "vnetbench", "selftest", "--scenario", "tun-r") == ["tun-relay"]


def test_choices_are_completed(tmp_path: Path) -> None:
    assert bash(tmp_path, "vnetbench", "run", "--profile", "q") == ["quick"]
    assert "packet_rate_64" in bash(tmp_path, "vnetbench", "run", "--probe", "packet")
    assert bash(tmp_path, "vnetbench", "run", "--arm", "p") == ["parity"]
    assert set(bash(tmp_path, "vnetbench", "trend", "--metric", "")) == set(METRICS)
    assert bash(tmp_path, "vnetbench", "shell", "vxlan", "host-") == ["host-a", "host-b"]
    assert bash(tmp_path, "vnetbench", "pump", "--preset", "fl") == ["flannel"]


def test_parameters_are_completed_and_of_the_scenarios_that_are_named(tmp_path: Path) -> None:
    assert bash(tmp_path, "vnetbench", "run", "veth", "-p", "mt") == ["mtu="]
    assert "batch=" in bash(tmp_path, "vnetbench", "run", "-p", "")
    of_veth = bash(tmp_path, "vnetbench", "run", "veth", "-p", "")
    assert "mtu=" in of_veth
    assert "batch=" not in of_veth
    assert {f"{name}=" for name in native.switches()} <= set(
        bash(tmp_path, "vnetbench", "run", "flannel-udp", "-p", "")
    )


def test_values_are_completed_although_bash_splits_at_the_equals_sign(tmp_path: Path) -> None:
    words = ("vnetbench", "run", "flannel-udp", "-p", "pump")
    assert bash(tmp_path, *words, "=") == ["none", "flannel", "fast"]
    assert bash(tmp_path, *words, "=", "fl") == ["flannel"]
    assert bash(tmp_path, *words, "=", "flannel,fa") == ["flannel,fast"]
    later = (*words, "=", "fast", "-p", "io", "=", "")
    assert "uring" in bash(tmp_path, *later)


def test_result_sets_are_completed_here_and_among_the_results(tmp_path: Path) -> None:
    for place in ("results/a", "results/b", "own"):
        write_set(tmp_path / place, a_run(blocks=1), noisy(1))
    (tmp_path / "results/none").mkdir()
    assert set(bash(tmp_path, "vnetbench", "compare", "")) == {"own", "results/a", "results/b"}
    assert bash(tmp_path, "vnetbench", "compare", "own", "results/b") == ["results/b"]
    assert bash(tmp_path, "vnetbench", "export", "bencher", "a") == ["results/a"]


@pytest.mark.parametrize(
    ("command", "begin"),
    [
        (["bash", "--norc", "--noprofile", "-i"], "source <(vnetbench completion bash)"),
        (
            ["zsh", "-f", "-i"],
            'autoload -U compinit; compinit -D; eval "$(vnetbench completion zsh)"',
        ),
    ],
    ids=["bash", "zsh"],
)
def test_a_shell_at_a_terminal_completes_a_name_and_goes_on(
    command: list[str], begin: str, tmp_path: Path
) -> None:
    require_program(command[0])
    executable(tmp_path / "bin")
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        variables = environment(
            {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "PS1": "ready> ", "TERM": "dumb"}
        )
        os.execvpe(command[0], command, variables)  # noqa: S606 - it is one
    try:
        _await(terminal, "ready> ")
        os.write(terminal, f"{begin}\n".encode())
        _await(terminal, "ready> ")
        for typed, shown in (
            ("vnetbench run tun-r\t", "tun-relay "),
            ("-p pum\t", "pump="),
            ("fla\t", "flannel "),
        ):
            os.write(terminal, typed.encode())
            _await(terminal, shown)
        os.write(terminal, b"\x15exit\n")
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    finally:
        os.close(terminal)


def _await(terminal: int, text: str) -> str:
    """Read until the terminal shows a text."""
    shown, deadline = "", time.monotonic() + 20
    while text not in shown:
        assert time.monotonic() < deadline, shown
        if select.select([terminal], [], [], 0.1)[0]:
            shown += os.read(terminal, 1 << 16).decode()
    return shown


def asked_by(shell: str, words: list[str], **variables: str) -> str:
    """What the program answers another shell."""
    done = subprocess.run(
        (sys.executable, "-m", "bench"),
        env=environment(
            {"_VNETBENCH_COMPLETE": f"{shell}_complete", "COMP_WORDS": " ".join(words), **variables}
        ),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


def test_zsh_and_fish_are_answered_in_their_own_ways() -> None:
    words = ["vnetbench", "run", "vet"]
    title = "two namespaces joined by a veth pair"
    assert asked_by("zsh", words, COMP_CWORD="2").splitlines() == ["plain", "veth", title]
    assert asked_by("fish", words, COMP_CWORD="vet").strip() == f"plain,veth\t{title}"
    words = ["vnetbench", "run", "flannel-udp", "-p", "pump=fa"]
    assert asked_by("zsh", words, COMP_CWORD="4").splitlines() == ["plain", "pump=fast", "_"]
    assert asked_by("fish", words, COMP_CWORD="pump=fa").strip() == "plain,pump=fast"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_names_the_program_and_how_it_is_asked(shell: str) -> None:
    ended = here("completion", shell)
    assert ended.status == 0
    assert f"_VNETBENCH_COMPLETE={shell}_complete" in ended.out
    assert "vnetbench" in ended.out.splitlines()[-1] or "vnetbench" in ended.out.splitlines()[-2]


@pytest.mark.parametrize(("shell", "check"), [("zsh", ("-n",)), ("fish", ("--no-execute",))])
def test_the_shell_itself_can_read_its_script(
    shell: str, check: tuple[str, ...], tmp_path: Path
) -> None:
    require_program(shell)
    script = tmp_path / "script"
    script.write_text(here("completion", shell).out)
    subprocess.run((shell, *check, str(script)), check=True, timeout=20)


def test_an_unknown_shell_is_a_mistake() -> None:
    assert "is not one of 'bash', 'zsh', 'fish'" in complaint("completion", "tcsh")


def test_a_damaged_scenario_file_does_no_harm_to_completion(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("[")
    assert "mtu=" in bash(tmp_path, "vnetbench", "run", "./bad.toml", "-p", "mt")
