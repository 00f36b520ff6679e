"""The hub: one library for each project of a team, fed by sessions, proven in the background, decided on by people."""
