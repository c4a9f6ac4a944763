"""The kinds of device. A new one is a module with its class, and its name here."""

from __future__ import annotations

from bench.devices.base import Device, DeviceRef, Place, parse_ref
from bench.devices.bridge import Bridge
from bench.devices.geneve import Geneve
from bench.devices.ipip import Ipip
from bench.devices.macvtap import Macvtap
from bench.devices.netkit import Netkit
from bench.devices.nic import Nic
from bench.devices.pair import Pair, Veth
from bench.devices.stacked import Ipvlan, Macvlan, Stacked
from bench.devices.tunnel import Tunnel
from bench.devices.tuntap import TUN, TUN_REMEDIES, Tap, Tun
from bench.devices.vxlan import Vxlan
from bench.devices.wireguard import Wireguard

HeldDevice = Tun | Tap | Macvtap | Nic
"""Those whose other side is a forwarder."""

TunnelDevice = Vxlan | Geneve | Ipip | Wireguard
AnyDevice = Veth | Bridge | HeldDevice | TunnelDevice | Macvlan | Ipvlan | Netkit

__all__ = [
    "TUN",
    "TUN_REMEDIES",
    "AnyDevice",
    "Bridge",
    "Device",
    "DeviceRef",
    "Geneve",
    "HeldDevice",
    "Ipip",
    "Ipvlan",
    "Macvlan",
    "Macvtap",
    "Netkit",
    "Nic",
    "Pair",
    "Place",
    "Stacked",
    "Tap",
    "Tun",
    "Tunnel",
    "Veth",
    "Vxlan",
    "Wireguard",
    "parse_ref",
]
