"""The command line: one module per verb. It prints, and never decides.

Modules of verbs are imported at every start, so they import nothing heavy at their top: what a verb needs, it imports
when it runs.
"""
