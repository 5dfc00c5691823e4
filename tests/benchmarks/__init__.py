"""Speed as ratios against a bound or a peer in the same run; ``make bench``."""
