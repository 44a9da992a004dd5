"""The checks behind the exercises: `checks.nb10.keep_best(f)` says pass or shows the first counterexample."""
