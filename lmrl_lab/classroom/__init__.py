"""For instructors: student versions of the graded assignments, and the marks of a class.

`python -m lmrl_lab.classroom build` and `grade` (`make assignments`, `make grade`). Nothing that a student runs imports this.
"""
