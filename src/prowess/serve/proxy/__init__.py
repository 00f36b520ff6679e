"""A proxy between an agent and its model: passes on, records, and shows skills where it is asked to."""
