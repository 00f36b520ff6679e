"""The hub: one library for each project of a team, with sessions in, learning in the background, and people who decide."""
