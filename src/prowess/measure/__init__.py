"""Trials, comparisons and gates: how prowess finds out whether a change helps, and decides what a library keeps."""
