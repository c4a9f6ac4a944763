"""Why one path is slower than another: prices, counts, and what they make of the gap."""
