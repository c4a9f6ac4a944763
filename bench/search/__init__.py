"""The packet rate of a path by RFC 9971 (MLRsearch): see docs/probes.md, "packet_rate"."""

from bench.search.model import Found, Options, SearchResult, Trial
from bench.search.search import search, search_rates

__all__ = ["Found", "Options", "SearchResult", "Trial", "search", "search_rates"]
