"""What a shop sells and by which rules it may be shown: the catalogue, its live changes, rules over the exact top-k."""
