"""What the routes of the hub's API do, by what they are about."""
