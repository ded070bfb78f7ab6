"""`icv bench`: what this platform costs, beside its peers, as JSON rows."""
