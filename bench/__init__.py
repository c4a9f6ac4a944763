"""vnetbench: a performance benchmark suite for Linux virtual-network paths."""

__version__ = "0.1.0"
