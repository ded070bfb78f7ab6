"""Many runs, one verdict: plan, workers, results."""
