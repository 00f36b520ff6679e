"""Recipes side by side: the same tasks, splits, budget and seeds for all; what each learns, gains, harms and costs."""
