"""How good models of users are, side by side: figures, intervals, comparisons, a page."""
