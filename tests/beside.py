"""What the tests of scenarios beside the ladder share."""

from capabilities import require
from files import shipped
from guests import has_guests, require_guests
from live import require_kernel

from bench import programs
from bench.scenario.model import Program


def installed(name: str) -> None:
    """Skip where a program or a kernel's device that the scenario needs is missing."""
    for forwarder in shipped(name).scenario.forwarders:
        if isinstance(forwarder, Program):
            reason = programs.tool(forwarder.program).missing()
            require(reason is None, str(reason))
    require_kernel(shipped(name).scenario)
    if has_guests(name):
        require_guests()
