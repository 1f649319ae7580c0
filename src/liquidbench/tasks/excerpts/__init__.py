"""Excerpts of public data sets that come with the package, and what made them; licences stand beside them."""
