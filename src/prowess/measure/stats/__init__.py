"""Statistics of paired comparisons: pure functions over counts and numbers, no input or output.

Each function says in its docstring what it computes and who published it. Nothing here needs scipy.
"""
