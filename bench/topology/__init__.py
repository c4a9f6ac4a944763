"""Scenarios as namespaces and devices: the plan, carrying it out, and what is there then."""

from bench.topology.build import Topology, Traffic, build
from bench.topology.facts import facts
from bench.topology.namespaces import enter_user_namespace_if_needed, inside, namespace
from bench.topology.plan import Arm, in_arm, plan

__all__ = [
    "Arm",
    "Topology",
    "Traffic",
    "build",
    "enter_user_namespace_if_needed",
    "facts",
    "in_arm",
    "inside",
    "namespace",
    "plan",
]
