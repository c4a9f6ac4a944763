"""Sets up the project: system packages, the Python environment in .venv, the C extension.

Standard library only, run by bootstrap.sh with a Python that is new enough. What was done is
recorded in a state file inside .venv, as hashes of the inputs, so that a second run does nothing.
The state file is removed before .venv changes and written again when a step is complete: after an
interruption at any moment the next run finds no state and starts with a fresh .venv.
"""
# ruff: noqa: T201 (this is a program that talks)

import argparse
import hashlib
import json
import platform
import sys
from pathlib import Path

from steps import ROOT, SetupError, alone, run, say
from system import PYTHON, missing_needs, provide_system

VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
STATE = VENV / "setup-state.json"
RUN_LOCKS = ("requirements-build.lock", "requirements.lock")
TEST_LOCKS = ("requirements-dev.lock",)

State = dict[str, str]


def digest(*paths: Path) -> str:
    """Return a hash of the files' names and contents; a missing file counts as such."""
    total = hashlib.sha256()
    for path in paths:
        content = path.read_bytes() if path.exists() else b""
        total.update(f"{path.name} {len(content)}\n".encode() + content)
    return total.hexdigest()


def wanted_state(testing: bool) -> State:
    """Return what the state file says when everything is done, in the order it is done."""
    csrc = ROOT / "csrc"
    sources = sorted(path for path in csrc.rglob("*") if path.suffix in {".c", ".h", ".py"})
    return {
        "python": f"{PYTHON} {sys.version}",
        **{lock: digest(ROOT / lock) for lock in (RUN_LOCKS + TEST_LOCKS * testing)},
        "project": digest(
            ROOT / "pyproject.toml", ROOT / "setup.py", ROOT / "bench" / "__init__.py"
        ),
        "extension": digest(*sources),
    }


def read_state() -> State:
    try:
        state: State = json.loads(STATE.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not any((ROOT / "bench").glob("_vnetbench*.so")):
        state.pop("extension", None)
    return state


def write_state(state: State) -> None:
    STATE.write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")


def provide_environment(wanted: State, state: State) -> None:
    """Bring .venv from `state` to `wanted`."""
    # pip adds and replaces but does not remove: an outdated environment is made anew.
    basis = [key for key in wanted if key == "python" or key.endswith(".lock")]
    if "python" not in state or any(state.get(key, wanted[key]) != wanted[key] for key in basis):
        say(f"making .venv with Python {platform.python_version()} ({PYTHON})")
        STATE.unlink(missing_ok=True)
        run([PYTHON, "-m", "venv", "--clear", str(VENV)])
        state.clear()
        state["python"] = wanted["python"]
        write_state(state)
    pip = [str(VENV_PYTHON), "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
    for lock in (key for key in basis if key != "python" and key not in state):
        say(f"installing the Python packages of {lock}")
        STATE.unlink()
        run([*pip, "--no-build-isolation", "--use-pep517", "--require-hashes", "-r", lock])
        state[lock] = wanted[lock]
        write_state(state)
    if state.get("project") != wanted["project"]:
        say("installing vnetbench and building its C extension")
        run([*pip, "--no-build-isolation", "--no-deps", "--editable", "."])
    elif state.get("extension") != wanted["extension"]:
        say("building the C extension")
        run([str(VENV_PYTHON), "setup.py", "build_ext", "--inplace", "--force"])
    write_state(state | wanted)


def pending(testing: bool) -> bool:
    return any(read_state().get(key) != value for key, value in wanted_state(testing).items())


def freshen() -> None:
    """Date the extension after its sources, which a checkout may have dated anew."""
    for built in (ROOT / "bench").glob("_vnetbench*.so"):
        built.touch()


def set_up(testing: bool, tracing: bool) -> None:
    building = pending(testing)
    if not building:
        freshen()
    missing = missing_needs(building, testing, tracing)
    if not building and not missing:
        return
    with alone():
        if missing:
            provide_system(missing)
        if pending(testing):
            provide_environment(wanted_state(testing), read_state())
            say("done")


def main() -> int:
    parser = argparse.ArgumentParser(description="Set up vnetbench in .venv.")
    parser.add_argument("--test", action="store_true", help="also what the tests need")
    parser.add_argument("--trace", action="store_true", help="also the tracer, for the ledger")
    asked = parser.parse_args()
    try:
        set_up(asked.test, asked.trace)
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"setup: {error}; did another user run make here?", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("setup: interrupted; the next make starts it again", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
